"""The runs that a dataset's ledger keeps: what statements, postings and invoices are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gridcore.registry.rules import RULES, Rules
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset
from gridledger.settling.runs import RunColumns
from ledger.contract import Tariffs
from ledger.leaves.cleared import CLEARED
from ledger.leaves.columns import Int64, chunks, split_row
from ledger.leaves.positions import HEAD, POSITIONS, PositionsLeaf
from ledger.leaves.progress import PROGRESS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.registry.bodies import row_of
from ledger.registry.prices import prices_by_key, rules_of_slot
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS

_REGISTERS = frozenset(HEAD[:4])


class _AreaRows(NamedTuple):
    """An area of the zone. of_zone: its rows, ascending; of_dataset: their places in the dataset's points."""

    name: str
    of_zone: Int64
    of_dataset: Int64


def read_runs(reader: LedgerReader, dataset: Dataset) -> Iterator[RunColumns]:
    """Every run of every slot that is settled, ascending by slot, then by run, then by area. ``dataset``: names the points."""
    zone = reader.registry.zone(ZONE_NAME)
    place = {point.point: at for at, point in enumerate(dataset.points)}
    of_dataset = np.array([place[name] for name in zone.points], dtype=np.int64)
    area = reader.zone_at(zone, zone.timeline.first_slot_start_s, reader.height).area
    areas = [
        _AreaRows(name, rows := np.flatnonzero(area == number), of_dataset[rows])
        for number, name in enumerate(zone.areas)
    ]
    rules = _RulesByDigest(reader)
    first_s, end_s = zone.timeline.first_slot_start_s, PROGRESS.must(reader, ZONE_NAME).run_slot_start_s
    for slot_start_s in range(first_s, end_s, dataset.slot_s):
        runs = RUNS.load(reader, slot_start_s, ZONE_NAME)
        for run, height in runs.runs if runs is not None else ():
            yield from _areas_of_run(reader, slot_start_s, run, height, areas, rules)


class _RulesByDigest:
    """Rules with the prices of a slot, by the digest of their entry; each is opened once."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self._stated: dict[bytes, Rules] = {}

    def of(self, digest: bytes, leaf: RunLeaf) -> Rules:
        """As they are in the slot of a run."""
        if digest not in self._stated:
            self._stated[digest] = RULES.record_of(row_of(self._reader, digest).value)
        contract = CONTRACTS[leaf.contract]
        return rules_of_slot(self._reader, contract, self._stated[digest], leaf.slot_start_s, leaf.as_of_height)


def _areas_of_run(
    reader: LedgerReader, slot_start_s: int, run: str, height: int, areas: Sequence[_AreaRows], rules: _RulesByDigest
) -> Iterator[RunColumns]:
    leaf = RUN.must(reader, slot_start_s, ZONE_NAME, run)
    whole = _joined([POSITIONS.must(reader, slot_start_s, ZONE_NAME, run, chunk) for chunk, _, _ in chunks(leaf.rows)])
    zone = reader.zone_at(reader.registry.zone(ZONE_NAME), slot_start_s, leaf.as_of_height)
    for number, area in enumerate(areas):
        chunk, at = split_row(number)
        results = RESULTS.must(reader, slot_start_s, ZONE_NAME, run, chunk)
        cleared = CLEARED.load(reader, slot_start_s, ZONE_NAME, chunk)
        price = None if cleared is None else cleared.trade_prices_micro_per_kwh[at]
        of_area = rules.of(results.rules[at].tobytes(), leaf)
        own = zone.own_rules[area.of_zone]
        distinct = np.unique(own[own >= 0])
        tariffs = [of_area, *(rules.of(zone.rules_digests[place], leaf) for place in distinct.tolist())]
        yield RunColumns(
            area=area.name,
            slot_start_s=slot_start_s,
            run=run,
            height=height,
            contract_id=leaf.contract,
            rows=area.of_dataset,
            columns={name: column[area.of_zone] for name, column in whole.columns.items() if name not in _REGISTERS},
            quality=whole.quality[area.of_zone],
            trade_price_micro_per_kwh=price,
            terms=of_area.terms,
            tariffs=Tariffs(
                of_group=np.zeros(1, dtype=np.int64),
                of_row=np.where(own >= 0, np.searchsorted(distinct, own) + 1, 0),
                prices=prices_by_key(tariffs),
            ),
        )


def _joined(parts: Sequence[PositionsLeaf]) -> PositionsLeaf:
    if len(parts) == 1:
        return parts[0]
    return parts[0]._replace(
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        quality=np.concatenate([part.quality for part in parts]),
    )
