"""What the ledger keeps of settled slots: positions as columns. Statements follow from them by the slot's contract, each time.

A run's leaves were written in one block and never change, so nothing here needs the ledger to stand still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import broken
from gridcore.quality import ABSENT_QUALITY, CODE_MASK, CORRECTED, ESTIMATED, MEASURED
from gridcore.registry.rules import RULES, Rules
from ledger.contract import Contract, LineLike, Positions, Tariffs
from ledger.leaves.cleared import CLEARED
from ledger.leaves.columns import Int64, UInt8, chunk_bounds, chunks_of, split_row
from ledger.leaves.money import join_amount
from ledger.leaves.positions import POSITIONS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.one_group import one_group
from ledger.registry.areas import Area
from ledger.registry.prices import prices_by_key, rules_of_slot
from ledger.store.reader import LedgerReader


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
    leaves = (find_run(reader, area, slot_start_s, run) for slot_start_s in slot_starts_s)
    return [leaf for leaf in leaves if leaf is not None]


def load_rows(reader: LedgerReader, leaf: RunLeaf, rows: Int64) -> SettledRows:
    """The rows of the zone ``rows`` of a run; only the chunks that hold them are read. A row that is newer than the run is absent."""
    columns: dict[str, Int64] = {}
    quality = np.full(len(rows), ABSENT_QUALITY, dtype=np.uint8)
    chunk_of_row = np.where(rows < leaf.rows, chunks_of(rows), -1)
    for chunk in np.unique(chunk_of_row[chunk_of_row >= 0]).tolist() or [0]:
        part = POSITIONS.must(reader, leaf.slot_start_s, leaf.zone, leaf.run, chunk)
        own = np.flatnonzero(chunk_of_row == chunk)
        at = rows[own] - chunk_bounds(chunk)[0]
        quality[own] = part.quality[at]
        for name, column in part.columns.items():
            columns.setdefault(name, np.zeros(len(rows), dtype=np.int64))[own] = column[at]
    return SettledRows(rows, columns, quality)


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
    contract = contracts.get(leaf.contract) or broken(f"this node has contract {leaf.contract}")
    result = area_result(reader, leaf, area.number)
    energies = (rows.columns[name] for name in ("import_wh", "export_wh", "bought_wh", "sold_wh"))
    slot_rows = one_group({}, *energies)
    with reader.frozen():
        zone = reader.registry.at(leaf.slot_start_s, leaf.as_of_height).zone(area.zone)
    own = zone.own_rules[rows.rows]
    distinct = np.unique(own[own >= 0])
    stated = [result.rules, *(zone.rules_digests[place] for place in distinct.tolist())]
    rules = [_rules_of_slot(reader, contract, leaf, digest) for digest in stated]
    of_row = np.where(own >= 0, np.searchsorted(distinct, own) + 1, 0)
    return contract.lines(
        slot_rows._replace(
            tariffs=Tariffs(np.zeros(1, dtype=np.int64), of_row, prices_by_key(rules)),
            point_terms={name: getattr(zone, name)[rows.rows] for name in contract.point_terms},
        ),
        {name: rows.columns[name] for name in contract.position_columns},
        trade_prices_micro_per_kwh=[result.price_micro_per_kwh],
        terms=[rules[0].terms],
    )


def _rules_of_slot(reader: LedgerReader, contract: Contract, leaf: RunLeaf, digest: bytes) -> Rules:
    """Rules by the digest of their entry, with the prices of a run's slot."""
    stated = reader.opened.record(reader, RULES, digest)
    return rules_of_slot(reader, contract, stated, leaf.slot_start_s, leaf.as_of_height)
