"""The state as queries see it: areas with their rows, registers, days; nothing here changes anything."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from gridcore.errors import broken
from gridcore.quality import ABSENT_QUALITY
from gridcore.registry.area import AREA
from gridcore.registry.area import Area as RegisteredArea
from gridcore.registry.entity import Entity
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.serving.problems import Problem
from ledger.contract import Contract, Statements
from ledger.governance.voters import was_removed
from ledger.http.certificates import Certificates
from ledger.http.contents import BlockContents
from ledger.http.documents import Documents
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import Int64, UInt8, chunks
from ledger.leaves.registers import REGISTERS
from ledger.leaves.run import RunLeaf
from ledger.registry.areas import Area
from ledger.registry.bodies import OPENED_TOGETHER_MAX, newest, open_entity
from ledger.registry.calendars import must_calendar
from ledger.registry.in_force import InForce, Registry
from ledger.store.reader import LedgerReader
from ledger.substitutes import Substitutes

E = TypeVar("E")
TABLE_ROWS_MAX: Final = 400_000
"""Installations kept in memory, about 300 bytes each, beside those of the area in use; the area asked for longest ago goes first.

A follower asks for every area in turn: of tables of a hundred areas, a bound on their number below that would keep none.
"""
SMALL_AREA_ROWS_MAX: Final = 2_000
"""Meters of an area whose codes are read by themselves for who asks for nothing else, and not kept."""
BLOCKS_MAX: Final = 2
"""Blocks whose transactions are kept in memory, each of a few MiB: who asks for one gateway's batch asks for the next one's."""


@dataclass(frozen=True)
class AreaTable:
    """What is registered of the rows of an area, row by row: ``meters`` their codes, ``parties`` "" for a feeder.

    ``trades``: whether the party may give orders.
    """

    meters: tuple[str, ...]
    points: tuple[str, ...]
    roles: tuple[str, ...]
    gateways: tuple[str, ...]
    parties: tuple[str, ...]
    trades: tuple[bool, ...]


Reads = Mapping[str, tuple[int, tuple[str, ...]]]
"""How many meters each gateway reads, and in which areas."""


def _reads_of(registry: Registry, now: InForce) -> Reads:
    read = np.flatnonzero(now.gateway >= 0)
    gateways, columns = now.gateway[read], registry.columns
    counts = np.bincount(gateways, minlength=len(registry.gateways)).tolist()
    areas: list[list[str]] = [[] for _ in counts]
    pairs = np.unique(gateways * len(columns.areas) + columns.point_area[columns.installation_point[read]])
    for gateway, area in zip(*(part.tolist() for part in np.divmod(pairs, max(len(columns.areas), 1))), strict=True):
        areas[gateway].append(columns.areas[area])
    return {name: (counts[at], tuple(areas[at])) for at, name in enumerate(registry.gateways) if counts[at]}


def _traders_of(registry: Registry, now: InForce) -> Mapping[str, int]:
    trading = now.parties.area[now.parties.trades]
    names = registry.columns.areas
    return dict(zip(names, np.bincount(trading, minlength=len(names)).tolist(), strict=True))


class _Registered:
    """What follows from one registry, worked out when it is asked for; of a later registry there is another one."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.tables: OrderedDict[str, tuple[Area, AreaTable]] = OrderedDict()
        self._table_rows = 0

    def keep(self, area: Area, table: AreaTable) -> None:
        """Keep a table in memory, whatever its size, and older ones beside it while there is room."""
        replaced = self.tables.pop(area.id, None)
        self._table_rows += len(table.meters) - (0 if replaced is None else len(replaced[1].meters))
        self.tables[area.id] = (area, table)
        while self._table_rows > TABLE_ROWS_MAX and len(self.tables) > 1:
            self._table_rows -= len(self.tables.popitem(last=False)[1][1].meters)


def _together(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Names in parts that are opened together."""
    return (names[start : start + OPENED_TOGETHER_MAX] for start in range(0, len(names), OPENED_TOGETHER_MAX))


class LedgerView:
    """The reading side of a ledger, plus what follows from its registry. Callable from several threads."""

    def __init__(
        self,
        reader: LedgerReader,
        contracts: Mapping[str, Contract],
        statements: Statements,
        documents: Documents | None = None,
        certificates: Certificates | None = None,
        balance_documents: Documents | None = None,
    ) -> None:
        self.reader = reader
        self.contracts = contracts
        self.statements = statements
        self.documents = documents
        self.certificates = certificates
        self.balance_documents = balance_documents
        self.contents = BlockContents(reader)
        self.substitutes = Substitutes(reader)
        self.slot_s = CHAIN.must(self.reader).slot_s
        self._known = _Registered(reader.registry)
        self._reads: tuple[InForce, Reads] | None = None
        self._traders: tuple[InForce, Mapping[str, int]] | None = None
        self._blocks: OrderedDict[int, tuple[bytes, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def area(self, area_id: str, time_s: int | None = None, as_of_height: int | None = None) -> Area:
        """An area at ``time_s`` (by itself ledger time) as of a height (the newest). Problem 404 when there is no such area."""
        with self.reader.frozen():
            registry = self.reader.registry
            found = registry.zone_of_area(area_id)
            if found is None:
                raise Problem("not-found", f"no area {area_id!r} on this chain")
            zone, number = found
            at_s = self.reader.ledger_time_s if time_s is None else time_s
            height = self.reader.height if as_of_height is None else as_of_height
            return Area(area_id, number, self.reader.zone_at(zone, at_s, height), registry)

    def between_changes(self, area_id: str, runs: Iterable[RunLeaf]) -> Iterator[tuple[Area, list[RunLeaf]]]:
        """Runs of slots, those together between which nothing changed in the registry, and the area as it was in them."""
        area, together = None, list[RunLeaf]()
        for leaf in runs:
            now = self.area(area_id, leaf.slot_start_s, leaf.as_of_height)
            if area is not None and now.in_force is not area.in_force:
                yield area, together
                area, together = None, []
            area = area or now
            together.append(leaf)
        if area is not None:
            yield area, together

    def asking(self, name: str) -> Signer | None:
        """The signer of an id, where it is in force and its organisation takes part; None where it may ask nothing."""
        with self.reader.frozen():
            found = self.reader.in_force(SIGNER, name)
            if not isinstance(found, Signer) or was_removed(self.reader, found.organisation, self.reader.height):
                return None
            owner = self.reader.in_force(ORGANISATION, found.organisation)
        return found if isinstance(owner, Organisation) else None

    @property
    def area_ids(self) -> Sequence[str]:
        """All areas, ascending by the bytes of their names."""
        return sorted(self.reader.registry.columns.areas, key=str.encode)

    def registered(self, area: Area, time_s: int | None = None) -> tuple[RegisteredArea, Zone, Rules]:
        """What an area, its zone and its rules are at ``time_s``, by itself ledger time."""
        with self.reader.frozen():
            own = self.reader.in_force(AREA, area.id, time_s)
            zone = self.reader.in_force(ZONE, area.zone.name, time_s)
            rules = None if own is None else self.reader.in_force(RULES, own.rules, time_s)
        if own is None or zone is None or rules is None:
            raise Problem("not-found", f"area {area.id!r} is not in force at that time")
        return own, zone, rules

    @property
    def _registered(self) -> _Registered:
        """What follows from the registry of the newest state."""
        registry = self.reader.registry
        known = self._known
        if known.registry is not registry:
            known = self._known = _Registered(registry)
        return known

    def table(self, area: Area) -> AreaTable:
        """Meter codes, roles and parties of an area's rows."""
        registered = self._registered
        kept = self._kept_table(registered, area)
        if kept is not None:
            return kept
        table = self.table_of(area, area.rows)
        with self._lock:
            if registered.registry is area.registry:
                registered.keep(area, table)
        return table

    def _kept_table(self, registered: _Registered, area: Area) -> AreaTable | None:
        with self._lock:
            kept = registered.tables.get(area.id)
            if kept is None or kept[0].in_force is not area.in_force:
                return None
            registered.tables.move_to_end(area.id)
            return kept[1]

    def meters(self, area: Area, party: str | None) -> tuple[Int64, Sequence[str]]:
        """As ``metered``, the codes of the meters alone. Of a small area they are read faster than its table; that of a large one is kept."""
        rows = area.rows if party is None else area.metered_rows_of(party)
        if party is None:
            is_large = len(rows) > SMALL_AREA_ROWS_MAX
            table = self.table(area) if is_large else self._kept_table(self._registered, area)
            if table is not None:
                return rows, table.meters
        return rows, list(self._meters(area.registry.numbers[area.in_force.installation[rows]].tolist()))

    def metered(self, area: Area, party: str | None) -> tuple[Int64, AreaTable]:
        """The rows of an area at which a meter hangs, by their numbers in the zone, and what is registered of them; ``party``: of those billed
        to it alone.
        """
        if party is None:
            return area.rows, self.table(area)
        rows = area.metered_rows_of(party)
        return rows, self.table_of(area, rows)

    def table_of(self, area: Area, rows: Int64) -> AreaTable:
        """What is registered of some rows at which a meter hangs; of few it is read faster than of all."""
        with self.reader.frozen():
            now = area.registry.at(self.reader.ledger_time_s, self.reader.height)
        installations, parties = area.in_force.installation[rows], area.in_force.party[rows]
        points = [area.zone.points[row] for row in rows.tolist()]
        gateways = now.gateway[installations].tolist()
        return AreaTable(
            meters=tuple(self._meters(area.registry.numbers[installations].tolist())),
            points=tuple(points),
            roles=tuple(self._roles(points)),
            gateways=tuple("" if place < 0 else area.registry.gateways[place] for place in gateways),
            parties=tuple("" if party < 0 else area.registry.parties[party] for party in parties.tolist()),
            trades=tuple(np.append(now.parties.trades, False)[parties].tolist()),  # -1, nobody: the last
        )

    def _meters(self, numbers: Sequence[int]) -> Iterator[str]:
        for some in _together(list(map(str, numbers))):
            self.reader.opened.open_together(self.reader, INSTALLATION, some)
            yield from map(self._meter, some)

    def _roles(self, points: Sequence[str]) -> Iterator[str]:
        for some in _together(points):
            self.reader.opened.open_together(self.reader, POINT, some)
            yield from map(self._role, some)

    def _meter(self, number: str) -> str:
        """The code of an installation's meter, which never changes; its removal does not name it."""
        found = open_entity(self.reader, INSTALLATION, number) or broken(f"installation {number} is registered")
        records = (found.open(self.reader, entry).record for entry in found.leaf.entries)
        return next((record.meter for record in records if isinstance(record, Installation)), number)

    def billed_since_s(self, number: str, point: str, party: str) -> int:
        """From when on an installation at a point has counted for a party without a break, by what is registered now: UTC seconds."""
        hanging_s = self._since_s(INSTALLATION, number, lambda record: isinstance(record, Installation))
        return max(hanging_s, self._since_s(POINT, point, lambda record: record.party == party))

    def shared_points_of(self, party: str) -> set[str]:
        """The points that are or were billed to a party and, up to ledger time, to another one too: their balances are not of it alone."""
        registry = self.reader.registry
        return registry.lookups.shared_points_of_party(registry.party_number[party], self.reader.ledger_time_s)

    def _since_s(self, entity: Entity[E], name: str, holds: Callable[[E], bool]) -> int:
        """The earliest time from which an entity's records hold up to now."""
        found = open_entity(self.reader, entity, name) or broken(f"{entity.key(name)} is registered")
        since_s = self.reader.ledger_time_s
        begun = {
            entry.from_s: entry for entry in found.leaf.entries if entry.from_s <= since_s
        }  # of each time the last
        for from_s in sorted(begun, reverse=True):
            if not holds(found.open(self.reader, begun[from_s]).record):
                break
            since_s = from_s
        return since_s

    def _role(self, point: str) -> str:
        now = self.reader.in_force(POINT, point)
        last = newest(self.reader, POINT, point)
        return now.role if now is not None else "" if last is None else last.record.role

    def area_of_meter(self, code: str) -> str | None:
        """The area in which a meter of a code hangs now, the first by name of several; None where none does."""
        with self.reader.frozen():
            numbers = self.reader.installations_of(code)
            registry = self.reader.registry
            now = registry.at(self.reader.ledger_time_s, self.reader.height)
        columns = registry.columns
        places = np.flatnonzero(np.isin(columns.numbers, numbers))
        hanging = places[now.gateway[places] >= 0]
        of_area = columns.point_area[columns.installation_point[hanging]].tolist()
        meters = map(self._meter, map(str, columns.numbers[hanging].tolist()))
        names = (columns.areas[place] for place, meter in zip(of_area, meters, strict=True) if meter == code)
        return min(names, key=str.encode, default=None)

    def borders_elsewhere(self, area: Area, boundary_s: int) -> int:
        """How many borders of an area have their meters in other areas in the slot that ends at a boundary: what points are changes where slots begin."""
        registry = area.registry
        then = registry.at(boundary_s - 1, self.reader.height)
        return int(np.count_nonzero(then.exchange_area == registry.area_place[area.id]))

    @property
    def reads_of(self) -> Reads:
        """How many meters each gateway reads now, and in which areas, for those that read any."""
        with self.reader.frozen():
            registry = self.reader.registry
            now = registry.at(self.reader.ledger_time_s, self.reader.height)
        kept = self._reads
        if kept is None or kept[0] is not now:
            kept = self._reads = (now, _reads_of(registry, now))
        return kept[1]

    @property
    def traders_of(self) -> Mapping[str, int]:
        """How many parties of each area may place orders now."""
        with self.reader.frozen():
            registry = self.reader.registry
            now = registry.at(self.reader.ledger_time_s, self.reader.height)
        kept = self._traders
        if kept is None or kept[0] is not now:
            kept = self._traders = (now, _traders_of(registry, now))
        return kept[1]

    def meter_codes(self, gateway: str, numbers: Iterable[int]) -> dict[int, str]:
        """Codes of those of the installations ``numbers`` that the gateway reads."""
        found = {number: self.reader.in_force(INSTALLATION, str(number)) for number in numbers}
        return {
            number: known.meter
            for number, known in found.items()
            if isinstance(known, Installation) and known.gateway == gateway
        }

    def transactions(self, height: int) -> tuple[bytes, ...]:
        """Wire bytes of a block's transactions."""
        with self._lock:
            found = self._blocks.get(height)
            if found is not None:
                self._blocks.move_to_end(height)
                return found
        found = self.reader.block(height).transactions
        with self._lock:
            self._blocks[height] = found
            if len(self._blocks) > BLOCKS_MAX:
                self._blocks.popitem(last=False)
        return found

    def check_slot(self, name: str, instant_s: int) -> None:
        """Problem 400 unless an instant is a slot boundary."""
        if instant_s % self.slot_s:
            raise Problem("bad-request", f"{name}={instant_s}: is a multiple of the slot length {self.slot_s}")

    def day_slots(self, area: Area, day_start_s: int) -> tuple[int, range]:
        """End of a local day of the area's calendar, and the starts of its slots from the area's first slot on.

        Problem 404 for an instant at which no day of the calendar begins.
        """
        days = must_calendar(self.reader, self.registered(area)[0].calendar, self.reader.height).days
        at = bisect_right(days, day_start_s) - 1
        if not 0 <= at < len(days) - 1:
            detail = (
                f"the calendar of area {area.id!r} has local days from {days[0]} to {days[-1]}, where the last one ends"
            )
            raise Problem("not-found", f"day {day_start_s}: {detail}")
        if days[at] != day_start_s:
            detail = f"no local day of area {area.id!r} begins at {day_start_s}; the one around it begins at {days[at]}"
            raise Problem("not-found", detail)
        return days[at + 1], range(max(day_start_s, area.zone.timeline.first_slot_start_s), days[at + 1], self.slot_s)

    def told_quality(self, area: Area, rows: Int64, quality: UInt8, boundary_s: int, height: int) -> UInt8:
        """Quality bytes as people are to read them: of the registers of some rows at a boundary, or of energies that end there, as of a height."""
        place = area.in_force.installation[rows]
        numbers = np.where(place >= 0, area.registry.numbers[place], -1).tolist()
        return self.substitutes.told(quality, numbers, boundary_s, height)

    def registers(self, area: Area, rows: Int64, boundary_s: int) -> tuple[UInt8, Int64, Int64]:
        """Quality uint8[n] (255: absent), import and export int64[n] as meters show them, of some rows of the area's zone at one boundary."""
        quality = np.full(len(rows), ABSENT_QUALITY, dtype=np.uint8)
        import_wh, export_wh = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
        with self.reader.frozen():
            for chunk, start, end in chunks(len(area.zone)):
                own = np.flatnonzero((rows >= start) & (rows < end))
                part = REGISTERS.load(self.reader, boundary_s, area.zone.name, chunk) if len(own) else None
                if part is not None:
                    at, part = rows[own] - start, part.padded(end - start)
                    quality[own], import_wh[own], export_wh[own] = (
                        part.quality[at],
                        part.import_wh[at],
                        part.export_wh[at],
                    )
        return quality, import_wh, export_wh
