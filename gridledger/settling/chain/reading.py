"""The runs that a dataset's ledger keeps: what statements, postings and invoices are made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from gridcore.errors import broken
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES, Rules
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.partners import PartnersOfRuns
from gridledger.settling.dataset import Dataset, PointRow
from gridledger.settling.run_columns import RunColumns, SlotColumns
from ledger.contract import SlotRows, Tariffs
from ledger.leaves.cleared import load_cleared
from ledger.leaves.columns import Int64, chunks, split_row
from ledger.leaves.positions import HEAD, POSITIONS, PositionsLeaf
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.registry.bodies import open_entity, row_of
from ledger.registry.in_force import VIEWS_MAX
from ledger.registry.prices import prices_by_key, rules_of_slot
from ledger.registry.zones import Zone, ZoneInForce
from ledger.runs import SettledRows, load_rows
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS

_REGISTERS = frozenset(HEAD[:4])


class _AreaRows(NamedTuple):
    """An area and its rows that are billed to a party of the dataset. rows: of the zone, ascending; places: of each in the dataset's points."""

    number: int
    name: str
    rows: Int64
    places: Int64


class _Places:
    """Places in a dataset's points: each is of a row of the zone and of who is billed there."""

    def __init__(self, reader: LedgerReader, zone: Zone, points: Sequence[PointRow]) -> None:
        number, row = reader.registry.party_number, {name: row for row, name in enumerate(zone.points)}
        self._parties, self._zone = len(reader.registry.parties), zone
        keys = [row[point.point] * self._parties + number[point.party] for point in points]
        self._order = np.argsort(np.array(keys, dtype=np.int64), kind="stable")
        self._keys = np.array(keys, dtype=np.int64)[self._order]
        self._area = np.array([zone.areas.index(point.area) for point in points], dtype=np.int64)
        self._known: tuple[ZoneInForce, Sequence[_AreaRows]] | None = None
        self._known_places: tuple[ZoneInForce, Int64] | None = None

    def of(self, zone: ZoneInForce) -> Int64:
        """int64[rows], read-only: the place of each row of the zone as it is in a slot; -1 where nobody of the dataset is billed. Worked out once for
        slots between which nothing changed.
        """
        if self._known_places is None or self._known_places[0] is not zone:
            self._known_places = zone, self._placed(zone)
        return self._known_places[1]

    def _placed(self, zone: ZoneInForce) -> Int64:
        place = np.full(len(zone.party), -1, dtype=np.int64)
        rows = zone.settling
        key = rows * self._parties + zone.party[rows]
        at = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        is_own = self._keys[at] == key
        place[rows[is_own]] = self._order[at[is_own]]
        place.setflags(write=False)
        return place

    def by_area(self, zone: ZoneInForce) -> Sequence[_AreaRows]:
        """The same area by area, of every area of the zone; worked out once for slots between which nothing changed."""
        if self._known is None or self._known[0] is not zone:
            place = self.of(zone)
            rows = [np.flatnonzero((place >= 0) & (zone.area == number)) for number in range(len(self._zone.areas))]
            areas = [_AreaRows(number, self._zone.areas[number], own, place[own]) for number, own in enumerate(rows)]
            self._known = zone, areas
        return self._known[1]

    def in_area(self, places: Int64, number: int) -> Int64:
        """Those of some places that are of an area."""
        own: Int64 = places[self._area[places] == number]
        return own


def read_runs(
    reader: LedgerReader,
    dataset: Dataset,
    zone_name: str = ZONE_NAME,
    height: int | None = None,
    partners: PartnersOfRuns | None = None,
) -> Iterator[RunColumns]:
    """Every run of the dataset's slots as far as they are settled, ascending by slot, then by run, then by area.

    ``dataset``: names the points, once for each who is ever billed there; of other points and parties nothing is read. height: of the last
    block that counts, by itself the newest. partners: tell whom the rows of each run name, which is not asked without them.
    """
    zone = reader.registry.zone(zone_name)
    places, rules = _Places(reader, zone, dataset.points), _RulesByDigest(reader)
    until = reader.height if height is None else height
    for runs in _by_slot(run_leaves(reader, zone_name, dataset.slot_start_s, until)):
        billed = np.zeros(0, dtype=np.int64)
        for made in runs:
            in_force = _zone_of_run(reader, made.leaf)
            areas = places.by_area(in_force)
            now = np.concatenate([area.places for area in areas])
            withdrawn = np.setdiff1d(billed, now)
            rows = np.concatenate([area.rows for area in areas])
            named = None if partners is None else partners.of_zone(in_force, made.leaf, rows)
            for area, settled in zip(areas, _settled_by_area(reader, made.leaf, areas), strict=True):
                own = places.in_area(withdrawn, area.number)
                if area.rows.size or own.size:
                    found = _area_of_run(reader, made, _SettledArea(area, settled, own), rules)
                    yield found if named is None else found._replace(partners=named[area.rows])
            billed = np.union1d(billed, now)


class MadeRun(NamedTuple):
    """A run of a slot, and the height of its block."""

    leaf: RunLeaf
    height: int


def run_leaves(reader: LedgerReader, zone: str, slot_start_s: Int64, height: int) -> Iterator[MadeRun]:
    """The runs of some slots up to a height, ascending by slot, then in the order in which they were made."""
    for start_s in slot_start_s.tolist():
        runs = RUNS.load(reader, start_s, zone)
        for run, made in runs.runs if runs is not None else ():
            if made <= height:
                yield MadeRun(RUN.must(reader, start_s, zone, run), made)


def _by_slot(runs: Iterable[MadeRun]) -> Iterator[list[MadeRun]]:
    for _, of_slot in groupby(runs, key=lambda one: one.leaf.slot_start_s):
        yield list(of_slot)


class BilledThere(NamedTuple):
    """Points with everybody whom the runs of some slots bill there, each by itself, and the contracts of these runs by name."""

    points: Sequence[PointRow]
    contracts: Sequence[str]


def billed_there(reader: LedgerReader, zone_name: str, slot_start_s: Int64, height: int) -> BilledThere:
    """Who is billed by the runs of some slots up to a height: points by the bytes of their names, the parties of one as they come."""
    zone, parties = reader.registry.zone(zone_name), reader.registry.parties
    area_of_row, billed = np.zeros(len(zone), dtype=np.int64), dict[tuple[int, int], None]()
    contracts, recent = set[str](), deque[ZoneInForce](maxlen=VIEWS_MAX)
    for made in run_leaves(reader, zone_name, slot_start_s, height):
        contracts.add(made.leaf.contract)
        now = _zone_of_run(reader, made.leaf)
        if not any(now is one for one in recent):
            recent.append(now)
            area_of_row = now.area
            billed |= dict.fromkeys(zip(now.settling.tolist(), now.party[now.settling].tolist(), strict=True))
    order = sorted(billed, key=lambda one: zone.points[one[0]].encode())
    points = [PointRow(zone.points[row], parties[party], zone.areas[int(area_of_row[row])]) for row, party in order]
    return BilledThere(points, sorted(contracts))


def read_slots(reader: LedgerReader, dataset: Dataset) -> Iterator[SlotColumns]:
    """The last run of every slot of a dataset that is settled, ascending by slot. ``dataset``: as of ``read_runs``."""
    zone, rules = reader.registry.zone(ZONE_NAME), _RulesByDigest(reader)
    places = _Places(reader, zone, dataset.points)
    for slot_start_s in dataset.slot_start_s.tolist():
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
        """As they are in the slot of a run. UsageError where a price of them was folded since."""
        if digest not in self._stated:
            self._stated[digest] = RULES.record_of(row_of(self._reader, digest).value)
        contract, stated = CONTRACTS[leaf.contract], self._stated[digest]
        return rules_of_slot(self._reader, contract, stated, leaf.slot_start_s, leaf.as_of_height)


class _SettledArea(NamedTuple):
    """An area's rows in a run, what they settled with, and places that the run takes back."""

    area: _AreaRows
    settled: SettledRows
    withdrawn: Int64


def _settled_by_area(reader: LedgerReader, leaf: RunLeaf, areas: Sequence[_AreaRows]) -> Iterator[SettledRows]:
    """The rows of each area, read together: a chunk of positions may have rows of all of them."""
    settled = load_rows(reader, leaf, np.concatenate([area.rows for area in areas]))
    end = 0
    for area in areas:
        start, end = end, end + len(area.rows)
        columns = {name: column[start:end] for name, column in settled.columns.items()}
        yield SettledRows(settled.rows[start:end], columns, settled.quality[start:end])


def _area_of_run(reader: LedgerReader, made: MadeRun, of: _SettledArea, rules: _RulesByDigest) -> RunColumns:
    (area, settled, withdrawn), leaf = of, made.leaf
    zone = _zone_of_run(reader, leaf)
    chunk, at = split_row(area.number)
    results = RESULTS.must(reader, leaf.slot_start_s, leaf.zone, leaf.run, chunk)
    cleared = load_cleared(reader, leaf.slot_start_s, leaf.zone, leaf.areas)
    of_area = rules.of(results.rules[at].tobytes(), leaf)
    own = zone.own_rules[area.rows]
    distinct = np.unique(own[own >= 0])
    tariffs = [of_area, *(rules.of(zone.rules_digests[place], leaf) for place in distinct.tolist())]
    return RunColumns(
        area=area.name,
        slot_start_s=leaf.slot_start_s,
        run=leaf.run,
        height=made.height,
        contract_id=leaf.contract,
        rows=area.places,
        columns={name: column for name, column in settled.columns.items() if name not in _REGISTERS},
        quality=settled.quality,
        trade_price_micro_per_kwh=cleared.trade_prices_micro_per_kwh[area.number] if cleared else None,
        terms=of_area.terms,
        tariffs=Tariffs(
            of_group=np.zeros(1, dtype=np.int64),
            of_row=np.where(own >= 0, np.searchsorted(distinct, own) + 1, 0),
            prices=prices_by_key(tariffs),
        ),
        withdrawn=withdrawn,
    )


def billed_points(ledger: LedgerReader, points: Sequence[PointRow]) -> list[PointRow]:
    """Some points as the ledger has them, once for each who is ever billed there, in the order of their beginnings; borders not at all.

    Who was billed by an entry that a later one of the same instant replaced is among them: runs may have seen it.
    """
    found: list[PointRow] = []
    for point in points:
        if point.is_border:
            continue
        opened = open_entity(ledger, POINT, point.point) or broken("every point of the files is registered")
        billed = (opened.open(ledger, entry).record.party for entry in opened.leaf.entries)
        parties = dict.fromkeys(party or broken("somebody is billed") for party in billed)
        found += [point._replace(party=party, later=()) for party in parties]
    return found


def _zone_of_run(reader: LedgerReader, leaf: RunLeaf) -> ZoneInForce:
    return reader.zone_at(reader.registry.zone(leaf.zone), leaf.slot_start_s, leaf.as_of_height)


def _positions(reader: LedgerReader, leaf: RunLeaf) -> PositionsLeaf:
    """The rows of all chunks of a run; the leaves are read and hashed a few together."""
    names = ((leaf.slot_start_s, ZONE_NAME, leaf.run, chunk) for chunk, _, _ in chunks(leaf.rows))
    parts = list(POSITIONS.must_each(reader, names))
    if len(parts) == 1:
        return parts[0]
    return parts[0]._replace(
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
        quality=np.concatenate([part.quality for part in parts]),
    )
