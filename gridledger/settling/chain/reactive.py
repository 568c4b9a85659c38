"""Reactive energies as the chain has them: rows of files are registered, and those of a ledger read, the last word on each time."""

from __future__ import annotations

from collections.abc import Iterator

from gridcore.master_data import Named
from gridcore.registry.reactive_energy import REACTIVE_ENERGY, ReactiveEnergy
from gridledger.settling.dataset import Dataset, ReactiveRow
from ledger.registry.bodies import open_entity
from ledger.registry.entries import Entry
from ledger.store.reader import LedgerReader


def reactive_rows(dataset: Dataset) -> Iterator[Named[ReactiveEnergy]]:
    """Every span of a dataset, by point and time."""
    for row in dataset.reactive:
        record = ReactiveEnergy(row.reactive_varh, row.returned_varh, row.until_s)
        yield Named(REACTIVE_ENERGY, row.point, record, row.from_s)


def reactive_of_point(reader: LedgerReader, point: str, height: int) -> list[ReactiveRow]:
    """The spans of a point by blocks up to a height, ascending; one that overlaps a span of a later block stands no more.

    PrunedError where older ones were folded, on a node that did not apply all blocks.
    """
    opened = open_entity(reader, REACTIVE_ENERGY, point)
    if opened is None:
        return []
    folded = reader.folded(REACTIVE_ENERGY.key(point), opened.leaf) if opened.leaf.folded_to_s >= 0 else ()
    standing: list[tuple[ReactiveRow, Entry]] = []
    known = [entry for entry in (*folded, *opened.leaf.entries) if entry.recorded_height <= height]
    for entry in sorted(known, key=lambda one: one.recorded_height, reverse=True):
        said = opened.open(reader, entry).record
        row = ReactiveRow(point, entry.from_s, said.until_s, said.reactive_varh, said.returned_varh)
        if not any(_overlap(row, other) and entry.recorded_height < by.recorded_height for other, by in standing):
            standing.append((row, entry))
    return sorted((row for row, _ in standing), key=lambda row: row.from_s)


def reactive_amendments(reader: LedgerReader, dataset: Dataset) -> Iterator[Named[ReactiveEnergy]]:
    """The spans of newer files that the ledger does not have so."""
    known = {
        point: reactive_of_point(reader, point, reader.height) for point in {row.point for row in dataset.reactive}
    }
    for row, named in zip(dataset.reactive, reactive_rows(dataset), strict=True):
        if row not in known[row.point]:
            yield named


def _overlap(one: ReactiveRow, other: ReactiveRow) -> bool:
    return one.from_s < other.until_s and other.from_s < one.until_s
