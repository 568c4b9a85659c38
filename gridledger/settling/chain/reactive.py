"""Reactive energies as the chain has them: rows of files are registered, and those of a ledger read, the last word on each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.reactive_energy import REACTIVE_ENERGY, ReactiveEnergy
from gridledger.settling.dataset import Dataset, ReactiveRow
from ledger.registry.bodies import open_entity
from ledger.registry.entries import Entry
from ledger.store.reader import LedgerReader

SPANS_MAX: Final = 1 << 16
"""Spans of a point that were ever said and by which documents go, replaced ones too: one a quarter of an hour for 22 months, one a day for 179 years."""


def reactive_rows(dataset: Dataset) -> Iterator[Named[ReactiveEnergy]]:
    """Every span of a dataset, by point and time."""
    for row in dataset.reactive:
        record = ReactiveEnergy(row.reactive_varh, row.returned_varh, row.until_s)
        yield Named(REACTIVE_ENERGY, row.point, record, row.from_s)


class Said(NamedTuple):
    """A span as a block said it. height: of that block."""

    row: ReactiveRow
    height: int


def reactive_of_point(reader: LedgerReader, point: str, height: int) -> list[ReactiveRow]:
    """The spans of a point by blocks up to a height, ascending; one that overlaps a span of a later block stands no more.

    PrunedError where older ones were folded, on a node that did not apply all blocks; UsageError for more than SPANS_MAX that were ever said.
    """
    opened = open_entity(reader, REACTIVE_ENERGY, point)
    if opened is None:
        return []
    folded = reader.folded(REACTIVE_ENERGY.key(point), opened.leaf) if opened.leaf.folded_to_s >= 0 else ()
    known = [entry for entry in (*folded, *opened.leaf.entries) if entry.recorded_height <= height]
    if len(known) > SPANS_MAX:
        words = f"{len(known)} spans of reactive energy were registered by block {height}"
        raise UsageError(f"point {point}: {words}; documents go by at most {SPANS_MAX} of a point")
    said = [Said(_row(point, entry, opened.open(reader, entry).record), entry.recorded_height) for entry in known]
    return standing(said)


def standing(said: Sequence[Said]) -> list[ReactiveRow]:
    """The spans that none of a later block overlaps, whether that one stands or not; ascending by begin, then as they come."""
    ordered = sorted(said, key=lambda one: one.row.from_s)
    replaced = set[int]()
    newest: list[tuple[int, int]] = []  # of the spans before: minus the height, end; the top one has not ended
    oldest: list[tuple[int, int]] = []  # of those that none has replaced so far: height, place
    for place, (row, height) in enumerate(ordered):
        while newest and newest[0][1] <= row.from_s:
            heappop(newest)
        if newest and -newest[0][0] > height:
            replaced.add(place)
        while oldest and oldest[0][0] < height:
            _, before = heappop(oldest)
            if ordered[before].row.until_s > row.from_s:
                replaced.add(before)
        heappush(newest, (-height, row.until_s))
        heappush(oldest, (height, place))
    return [row for place, (row, _) in enumerate(ordered) if place not in replaced]


def reactive_amendments(reader: LedgerReader, dataset: Dataset) -> Iterator[Named[ReactiveEnergy]]:
    """The spans of newer files that the ledger does not have so."""
    known = {
        point: reactive_of_point(reader, point, reader.height) for point in {row.point for row in dataset.reactive}
    }
    for row, named in zip(dataset.reactive, reactive_rows(dataset), strict=True):
        if row not in known[row.point]:
            yield named


def _row(point: str, entry: Entry, said: ReactiveEnergy) -> ReactiveRow:
    return ReactiveRow(point, entry.from_s, said.until_s, said.reactive_varh, said.returned_varh)
