"""The runs that a dataset's ledger keeps: what statements, postings and invoices are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gridcore.errors import broken
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES, Rules
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset, PointRow
from gridledger.settling.runs import RunColumns, SlotColumns
from ledger.contract import SlotRows, Tariffs
from ledger.leaves.cleared import CLEARED, load_cleared
from ledger.leaves.columns import Int64, chunks, split_row
from ledger.leaves.positions import HEAD, POSITIONS, PositionsLeaf
from ledger.leaves.progress import PROGRESS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.registry.bodies import open_entity, row_of
from ledger.registry.prices import prices_by_key, rules_of_slot
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS

_REGISTERS = frozenset(HEAD[:4])


class _AreaRows(NamedTuple):
    """An area of the zone. of_zone: its rows, ascending."""

    name: str
    of_zone: Int64


class _Places:
    """Places in a dataset's points: each is of a row of the zone and of who is billed there."""

    def __init__(self, reader: LedgerReader, zone: Zone, points: Sequence[PointRow]) -> None:
        number, row = reader.registry.party_number, {name: row for row, name in enumerate(zone.points)}
        self._place = np.zeros(len(zone), dtype=np.int64)
        self._several: dict[int, dict[int, int]] = {}
        for place, point in enumerate(points):
            self._place[row[point.point]] = place
            self._several.setdefault(row[point.point], {})[number[point.party]] = place
        self._several = {at: places for at, places in self._several.items() if len(places) > 1}

    def of(self, zone: ZoneInForce) -> Int64:
        """int64[rows]: the place of each row of the zone as it is in a slot."""
        place = self._place.copy()
        for row, places in self._several.items():
            place[row] = places[int(zone.party[row])]
        return place


def read_runs(reader: LedgerReader, dataset: Dataset) -> Iterator[RunColumns]:
    """Every run of the dataset's slots as far as they are settled, ascending by slot, then by run, then by area.

    ``dataset``: names the points, once for each who is ever billed there.
    """
    zone = reader.registry.zone(ZONE_NAME)
    places = _Places(reader, zone, dataset.points)
    area = reader.zone_at(zone, zone.timeline.first_slot_start_s, reader.height).area
    areas = [_AreaRows(name, np.flatnonzero(area == number)) for number, name in enumerate(zone.areas)]
    rules = _RulesByDigest(reader)
    for slot_start_s in dataset.slot_start_s.tolist():
        runs = RUNS.load(reader, slot_start_s, ZONE_NAME)
        for run, height in runs.runs if runs is not None else ():
            yield from _areas_of_run(reader, _RunOfSlot(slot_start_s, run, height), areas, places, rules)


def read_slots(reader: LedgerReader, dataset: Dataset) -> Iterator[SlotColumns]:
    """The last run of every slot that is settled, ascending by slot. ``dataset``: as of ``read_runs``."""
    zone, rules = reader.registry.zone(ZONE_NAME), _RulesByDigest(reader)
    places = _Places(reader, zone, dataset.points)
    first_s, end_s = zone.timeline.first_slot_start_s, PROGRESS.must(reader, ZONE_NAME).run_slot_start_s
    for slot_start_s in range(first_s, end_s, dataset.slot_s):
        runs = RUNS.load(reader, slot_start_s, ZONE_NAME)
        if runs is not None:
            yield _slot_of_run(reader, RUN.must(reader, slot_start_s, ZONE_NAME, runs.last), places, rules)


def _slot_of_run(reader: LedgerReader, leaf: RunLeaf, places: _Places, rules: _RulesByDigest) -> SlotColumns:
    whole, zone = _positions(reader, leaf), _zone_of_run(reader, leaf)
    stated = [rules.of(digest, leaf) for digest in zone.rules_digests]
    cleared = load_cleared(reader, leaf.slot_start_s, ZONE_NAME, leaf.areas)
    columns = {name: column for name, column in whole.columns.items() if name not in _REGISTERS}
    unsaid = np.full(leaf.rows, -1, dtype=np.int64)
    return SlotColumns(
        slot_start_s=leaf.slot_start_s,
        contract_id=leaf.contract,
        places=places.of(zone),
        columns=columns,
        quality=whole.quality,
        rows=SlotRows(
            group=zone.area,
            import_wh=columns["import_wh"],
            export_wh=columns["export_wh"],
            bought_wh=columns["bought_wh"],
            sold_wh=columns["sold_wh"],
            tariffs=Tariffs(zone.rules, zone.tariff, prices_by_key(stated)),
            point_terms=dict.fromkeys(CONTRACTS[leaf.contract].point_terms, unsaid),
        ),
        trade_prices_micro_per_kwh=cleared.trade_prices_micro_per_kwh if cleared else [None] * leaf.areas,
        terms=[stated[place].terms for place in zone.rules.tolist()],
    )


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


class _RunOfSlot(NamedTuple):
    slot_start_s: int
    run: str
    height: int


def _areas_of_run(
    reader: LedgerReader, of: _RunOfSlot, areas: Sequence[_AreaRows], places: _Places, rules: _RulesByDigest
) -> Iterator[RunColumns]:
    slot_start_s, run, height = of
    leaf = RUN.must(reader, slot_start_s, ZONE_NAME, run)
    whole, zone = _positions(reader, leaf), _zone_of_run(reader, leaf)
    place = places.of(zone)
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
            rows=place[area.of_zone],
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


def billed_points(ledger: LedgerReader, points: Sequence[PointRow]) -> list[PointRow]:
    """Some points as the ledger has them, once for each who is ever billed there, in the order of their beginnings."""
    found: list[PointRow] = []
    for point in points:
        opened = open_entity(ledger, POINT, point.point) or broken("every point of the files is registered")
        entries = {entry.from_s: opened.open(ledger, entry).record.party for entry in opened.leaf.entries}
        parties = dict.fromkeys(entries[from_s] or broken("somebody is billed") for from_s in sorted(entries))
        found += [point._replace(party=party, later=()) for party in parties]
    return found


def _zone_of_run(reader: LedgerReader, leaf: RunLeaf) -> ZoneInForce:
    return reader.zone_at(reader.registry.zone(ZONE_NAME), leaf.slot_start_s, leaf.as_of_height)


def _positions(reader: LedgerReader, leaf: RunLeaf) -> PositionsLeaf:
    """The rows of all chunks of a run."""
    parts = [POSITIONS.must(reader, leaf.slot_start_s, ZONE_NAME, leaf.run, chunk) for chunk, _, _ in chunks(leaf.rows)]
    if len(parts) == 1:
        return parts[0]
    return parts[0]._replace(
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        quality=np.concatenate([part.quality for part in parts]),
    )
