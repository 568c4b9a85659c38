"""What the ledger keeps of settled slots: positions as columns. Statements follow from them by the slot's contract, each time.

A run's leaves were written in one block and never change, so nothing here needs the ledger to stand still.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import broken
from gridcore.quality import ABSENT_QUALITY, CODE_MASK, CORRECTED, ESTIMATED, MEASURED
from gridcore.registry.rules import RULES, Rules
from ledger.contract import Contract, LineLike, Positions, SlotRows, Tariffs
from ledger.leaves.cleared import CLEARED
from ledger.leaves.columns import Int64, UInt8, chunk_bounds, chunks_of, join_columns, span_of, split_row
from ledger.leaves.money import join_amount
from ledger.leaves.positions import POSITIONS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.registry.areas import Area
from ledger.registry.prices import prices_by_key, rules_of_slot
from ledger.store.reader import KEYS_TOGETHER, LedgerReader

T = TypeVar("T")


@dataclass(frozen=True)
class SettledRows:
    """Some rows of a run, by their numbers: the columns that the ledger keeps of them, by name, and their quality bytes."""

    rows: Int64
    columns: Mapping[str, Int64]
    quality: UInt8

    @property
    def is_estimated(self) -> NDArray[np.bool_]:
        """bool[n]: the energy of the row is an estimate."""
        is_estimated: NDArray[np.bool_] = np.equal(self.quality & CODE_MASK, ESTIMATED)
        return is_estimated

    @property
    def estimated(self) -> int:
        """How many these are."""
        return int(np.count_nonzero(self.is_estimated))

    @property
    def measured(self) -> int:
        """How many have a value that was measured or corrected."""
        return int(np.count_nonzero(np.isin(self.quality & CODE_MASK, (MEASURED, CORRECTED))))

    @property
    def positions(self) -> Positions:
        """Energy and money, as statements read them."""
        return Positions(*(self.columns[name] for name in Positions._fields))


@dataclass(frozen=True)
class AreaResult:
    """What a run says of one area.

    rules: entry digest of the area's rules, 32 bytes; volume_wh, price_micro_per_kwh: of the gate, price 0 without one for all;
    sums: the contract's area columns by name; accounts_nano: what each account received in this run.
    """

    rules: bytes
    volume_wh: int
    price_micro_per_kwh: int
    sums: Mapping[str, int]
    accounts_nano: Mapping[str, int]


def find_run(reader: LedgerReader, area: Area, slot_start_s: int, run: str | None) -> RunLeaf | None:
    """The leaf of a run of a slot, by itself the last one; None where there is none, or none that had this area."""
    leaf = find_run_of_zone(reader, area.zone.name, slot_start_s, run)
    return None if leaf is None or area.number >= leaf.areas else leaf


def find_run_of_zone(reader: LedgerReader, zone: str, slot_start_s: int, run: str | None) -> RunLeaf | None:
    """The leaf of a run of a slot, by itself the last one; None where there is none."""
    if run is None:
        runs = RUNS.load(reader, slot_start_s, zone)
        return None if runs is None else RUN.load(reader, slot_start_s, zone, runs.last)
    return RUN.load(reader, slot_start_s, zone, run)


def run_words(run: str | None) -> str:
    """How a message names a run that was asked for."""
    return "run" if run is None else f"run {run!r}"


def find_runs(reader: LedgerReader, area: Area, slot_starts_s: Iterable[int], run: str | None) -> list[RunLeaf]:
    """The leaves of a run, by itself the last one, of those slots that have it."""
    zone, slots = area.zone.name, list(slot_starts_s)
    if run is None:
        reader.load_together(RUNS.key(slot_start_s, zone) for slot_start_s in slots)
        last = ((slot_start_s, RUNS.load(reader, slot_start_s, zone)) for slot_start_s in slots)
        named = [(slot_start_s, runs.last) for slot_start_s, runs in last if runs is not None]
    else:
        named = [(slot_start_s, run) for slot_start_s in slots]
    reader.load_together(RUN.key(slot_start_s, zone, name) for slot_start_s, name in named)
    leaves = (find_run(reader, area, slot_start_s, name) for slot_start_s, name in named)
    return [leaf for leaf in leaves if leaf is not None]


def load_rows(reader: LedgerReader, leaf: RunLeaf, rows: Int64) -> SettledRows:
    """The rows of the zone ``rows`` of a run; only the chunks that hold them are read. A row that is newer than the run is absent."""
    columns: dict[str, Int64] = {}
    quality = np.full(len(rows), ABSENT_QUALITY, dtype=np.uint8)
    chunk_of_row = np.where(rows < leaf.rows, chunks_of(rows), -1)
    for chunk in np.unique(chunk_of_row[chunk_of_row >= 0]).tolist() or [0]:
        part = POSITIONS.must(reader, leaf.slot_start_s, leaf.zone, leaf.run, chunk)
        own = np.flatnonzero(chunk_of_row == chunk)
        at, place = span_of(rows[own] - chunk_bounds(chunk)[0]), span_of(own)
        quality[place] = part.quality[at]
        for name, column in part.columns.items():
            if name not in columns:
                columns[name] = np.zeros(len(rows), dtype=np.int64)
            columns[name][place] = column[at]
    return SettledRows(rows, columns, quality)


def load_rows_of(reader: LedgerReader, leaves: Sequence[RunLeaf], rows: Int64) -> Iterator[SettledRows]:
    """``load_rows`` of the same rows in each of some runs, which are read a few together."""
    chunks = np.unique(chunks_of(rows)).tolist()
    for some in _few(leaves, chunks):
        reader.load_together(
            POSITIONS.key(leaf.slot_start_s, leaf.zone, leaf.run, chunk) for leaf in some for chunk in chunks
        )
        yield from (load_rows(reader, leaf, rows) for leaf in some)


def slots_brought(reader: LedgerReader, zone: str, slots: Sequence[int], rows: Int64) -> Iterator[int]:
    """Starts of slots as they are given, when the runs of each, and these rows in them, are in memory: brought there for a few slots together."""
    chunks = np.unique(chunks_of(rows)).tolist()
    for some in _few(slots, chunks):
        reader.load_together(RUNS.key(slot_start_s, zone) for slot_start_s in some)
        found = ((slot_start_s, RUNS.load(reader, slot_start_s, zone)) for slot_start_s in some)
        made = [(slot_start_s, zone, run) for slot_start_s, runs in found if runs is not None for run, _ in runs.runs]
        reader.load_together(
            key for run in made for key in (RUN.key(*run), *(POSITIONS.key(*run, chunk) for chunk in chunks))
        )
        yield from some


def _few(slots: Sequence[T], chunks: Sequence[int]) -> Iterator[Sequence[T]]:
    """Slots, as many at once as it takes for KEYS_TOGETHER chunks of positions: what was brought is used before it gives way."""
    together = max(KEYS_TOGETHER // max(len(chunks), 1), 1)
    return (slots[start : start + together] for start in range(0, len(slots), together))


def area_result(reader: LedgerReader, leaf: RunLeaf, number: int) -> AreaResult:
    """What a run says of the area of this number."""
    chunk, at = split_row(number)
    results = RESULTS.must(reader, leaf.slot_start_s, leaf.zone, leaf.run, chunk)
    cleared = CLEARED.load(reader, leaf.slot_start_s, leaf.zone, chunk)
    return AreaResult(
        rules=results.rules[at].tobytes(),
        volume_wh=int(cleared.volume_wh[at]) if cleared else 0,
        price_micro_per_kwh=int(cleared.price_micro_per_kwh[at]) if cleared else 0,
        sums={name: int(column[at]) for name, column in results.columns.items()},
        accounts_nano={
            account: join_amount(int(units[at]), int(results.totals_nano[account][at]))
            for account, units in results.totals.items()
        },
    )


def lines_of(
    reader: LedgerReader, contracts: Mapping[str, Contract], area: Area, leaf: RunLeaf, rows: SettledRows
) -> Sequence[LineLike]:
    """The lines of rows of an area: they follow from the positions that the ledger keeps, by the contract that the run names."""
    return lines_of_runs(reader, contracts, area, [(leaf, rows)])


def lines_of_runs(
    reader: LedgerReader, contracts: Mapping[str, Contract], area: Area, runs: Sequence[tuple[RunLeaf, SettledRows]]
) -> Sequence[LineLike]:
    """The same of rows of several slots whose runs name one contract, slot by slot in one column."""
    name = runs[0][0].contract
    contract = contracts.get(name) or broken(f"this node has contract {name}")
    results = [area_result(reader, leaf, area.number) for leaf, _ in runs]
    rules, of_group, of_row, point_terms = list[Rules](), list[int](), list[Int64](), list[Mapping[str, Int64]]()
    for (leaf, rows), result in zip(runs, results, strict=True):
        with reader.frozen():
            zone = reader.registry.at(leaf.slot_start_s, leaf.as_of_height).zone(area.zone)
        own = zone.own_rules[rows.rows]
        distinct = np.unique(own[own >= 0])
        stated = [result.rules, *(zone.rules_digests[place] for place in distinct.tolist())]
        of_group.append(len(rules))
        of_row.append(len(rules) + np.where(own >= 0, np.searchsorted(distinct, own) + 1, 0))
        rules += [_rules_of_slot(reader, contract, leaf, digest) for digest in stated]
        point_terms.append({term: getattr(zone, term)[rows.rows] for term in contract.point_terms})

    def joined(column: str) -> Int64:
        return join_columns(rows.columns[column] for _, rows in runs)

    sizes = [len(rows.rows) for _, rows in runs]
    return contract.lines(
        SlotRows(
            np.repeat(np.arange(len(runs), dtype=np.int64), sizes),
            joined("import_wh"),
            joined("export_wh"),
            joined("bought_wh"),
            joined("sold_wh"),
            tariffs=Tariffs(np.array(of_group, dtype=np.int64), join_columns(of_row), prices_by_key(rules)),
            point_terms={term: join_columns(of[term] for of in point_terms) for term in contract.point_terms},
        ),
        {column: joined(column) for column in contract.position_columns},
        trade_prices_micro_per_kwh=[result.price_micro_per_kwh for result in results],
        terms=[rules[place].terms for place in of_group],
    )


def load_together(reader: LedgerReader, leaves: Iterable[RunLeaf], area: Area, rows: Int64) -> None:
    """Bring into memory what ``load_rows`` and ``lines_of_runs`` read of an area's rows in some runs, in one question."""
    areas, chunks = split_row(area.number)[0], np.unique(chunks_of(rows)).tolist()
    reader.load_together(
        key
        for leaf in leaves
        for key in (
            *(POSITIONS.key(leaf.slot_start_s, leaf.zone, leaf.run, chunk) for chunk in chunks),
            RESULTS.key(leaf.slot_start_s, leaf.zone, leaf.run, areas),
            CLEARED.key(leaf.slot_start_s, leaf.zone, areas),
        )
    )


def _rules_of_slot(reader: LedgerReader, contract: Contract, leaf: RunLeaf, digest: bytes) -> Rules:
    """Rules by the digest of their entry, with the prices of a run's slot."""
    stated = reader.opened.record(reader, RULES, digest)
    return rules_of_slot(reader, contract, stated, leaf.slot_start_s, leaf.as_of_height)
