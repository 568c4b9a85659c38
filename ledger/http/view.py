"""The state as queries see it: areas with their installations in row order, registers, fills; nothing here changes anything."""

from __future__ import annotations

import sys
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from gridcore.serving.problems import Problem
from ledger.contract import Contract, Statements
from ledger.leaves.area import AREA
from ledger.leaves.book import Order, load_orders
from ledger.leaves.calendar import CALENDAR
from ledger.leaves.chain import CHAIN
from ledger.leaves.clearing import CLEARING
from ledger.leaves.columns import Int64, UInt8, chunks
from ledger.leaves.fills import Fill, load_fills
from ledger.leaves.installation import INSTALLATION
from ledger.leaves.party import PARTY
from ledger.leaves.registers import REGISTERS, no_registers
from ledger.leaves.signer import SIGNER
from ledger.state.registry import Area, Registry
from ledger.store.reader import LedgerReader

TABLE_ROWS_MAX: Final = 400_000
"""Installations kept in memory, about 300 bytes each, beside those of the area in use; the area asked for longest ago goes first.

A follower asks for every area in turn: of tables of a hundred areas, a bound on their number below that would keep none.
"""
BLOCKS_MAX: Final = 2
"""Blocks whose transactions are kept in memory, each of a few MiB: who asks for one gateway's batch asks for the next one's."""


@dataclass(frozen=True)
class AreaTable:
    """What genesis says of the rows of an area, row by row: ``meters`` their codes, ``parties`` "" for a feeder.

    ``trades``: whether the party may give orders and settles by this very meter; ``limit_wh``, ``modulus_wh``: as the meter shows them.
    """

    meters: tuple[str, ...]
    points: tuple[str, ...]
    roles: tuple[str, ...]
    gateways: tuple[str, ...]
    parties: tuple[str, ...]
    trades: tuple[bool, ...]
    ratio: Int64
    limit_wh: Int64
    modulus_wh: Int64


class _Registered:
    """What follows from one registry, worked out when it is asked for; of a later registry there is another one."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.areas = {area.id: area for area in registry.areas}
        self.tables: OrderedDict[str, AreaTable] = OrderedDict()
        self._table_rows = 0

    def keep(self, area_id: str, table: AreaTable) -> None:
        """Keep a table in memory, whatever its size, and older ones beside it while there is room."""
        replaced = self.tables.pop(area_id, None)
        self._table_rows += len(table.meters) - (0 if replaced is None else len(replaced.meters))
        self.tables[area_id] = table
        while self._table_rows > TABLE_ROWS_MAX and len(self.tables) > 1:
            self._table_rows -= len(self.tables.popitem(last=False)[1].meters)

    @cached_property
    def reads_of(self) -> Mapping[str, tuple[int, tuple[str, ...]]]:
        """How many meters each gateway reads, and in which areas, for those that read any."""
        registry = self.registry
        counts = np.bincount(registry.gateway_index, minlength=len(registry.gateways)).tolist()
        areas: list[list[str]] = [[] for _ in counts]
        pairs = np.unique(np.stack([registry.gateway_index, registry.area_index]), axis=1)
        for gateway, area in pairs.T.tolist():
            areas[gateway].append(registry.areas[area].id)
        return {name: (counts[place], tuple(areas[place])) for place, name in enumerate(registry.gateways)}


class LedgerView:
    """The reading side of a ledger, plus what follows from its registry. Callable from several threads."""

    def __init__(self, reader: LedgerReader, contracts: Mapping[str, Contract], statements: Statements) -> None:
        self.reader = reader
        self.contracts = contracts
        self.statements = statements
        self.slot_s = CHAIN.must(self.reader).slot_s
        self._known = _Registered(reader.registry)
        self._signer_names: tuple[int, Mapping[bytes, str]] = (-1, {})
        self._blocks: OrderedDict[int, tuple[bytes, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def area(self, area_id: str) -> Area:
        """An area's rows. Problem 404 when there is no such area."""
        area = self._registered.areas.get(area_id)
        if area is None:
            raise Problem("not-found", f"no area {area_id!r} on this chain")
        return area

    @property
    def areas(self) -> tuple[Area, ...]:
        """All areas, ascending by the bytes of their ids."""
        return self._registered.registry.areas

    @property
    def _registered(self) -> _Registered:
        """What follows from the registry of the newest state."""
        registry = self.reader.registry
        known = self._known
        if known.registry is not registry:
            known = self._known = _Registered(registry)
        return known

    def table(self, area: Area) -> AreaTable:
        """Meter codes, ratios and parties of an area's rows."""
        registered = self._registered
        with self._lock:
            table = registered.tables.get(area.id)
            if table is not None and registered.areas[area.id] is area:
                registered.tables.move_to_end(area.id)
                return table
        installations = [INSTALLATION.must(self.reader, number) for number in area.numbers.tolist()]
        table = AreaTable(
            meters=tuple(installation.meter for installation in installations),
            points=tuple(installation.point for installation in installations),
            roles=tuple(installation.role for installation in installations),
            gateways=tuple(sys.intern(installation.gateway) for installation in installations),
            parties=tuple(installation.party or "" for installation in installations),
            trades=tuple(self._trades(installation.party) for installation in installations),
            ratio=np.array([installation.ratio for installation in installations], dtype=np.int64),
            limit_wh=np.array([installation.limit_wh for installation in installations], dtype=np.int64),
            modulus_wh=np.array([installation.modulus_wh for installation in installations], dtype=np.int64),
        )
        with self._lock:
            if registered.areas.get(area.id) is area:
                registered.keep(area.id, table)
        return table

    def _trades(self, party: str | None) -> bool:
        return party is not None and PARTY.must(self.reader, party).trades

    @property
    def reads_of(self) -> Mapping[str, tuple[int, tuple[str, ...]]]:
        """How many meters each gateway reads, and in which areas, for those that read any."""
        return self._registered.reads_of

    @property
    def signer_names(self) -> Mapping[bytes, str]:
        """Names of those signers of blocks that are registered under one, by public key."""
        reader, (height, known) = self.reader, self._signer_names
        certifying = {key for key, _ in reader.signers}
        is_whole = height == reader.height or len(known) == len(certifying)
        if is_whole and all(SIGNER.must(reader, name).public_key == key for key, name in known.items()):
            return known
        with reader.frozen():
            names = (SIGNER.names(key)[0] for key in reader.leaf_keys(SIGNER.prefix))
            registered = {SIGNER.must(reader, name).public_key: name for name in names}
            found = {key: name for key, name in registered.items() if key in certifying}
            self._signer_names = reader.height, found
        return found

    def meter_codes(self, gateway: str, numbers: Iterable[int]) -> dict[int, str]:
        """Codes of those of the installations ``numbers`` that the gateway reads."""
        found = (INSTALLATION.load(self.reader, number) for number in numbers)
        return {known.number: known.meter for known in found if known is not None and known.gateway == gateway}

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
        terms = AREA.must(self.reader, area.id)
        days = CALENDAR.must(self.reader, terms.calendar).days
        at = bisect_right(days, day_start_s) - 1
        if not 0 <= at < len(days) - 1:
            detail = (
                f"the calendar of area {area.id!r} has local days from {days[0]} to {days[-1]}, where the last one ends"
            )
            raise Problem("not-found", f"day {day_start_s}: {detail}")
        if days[at] != day_start_s:
            detail = f"no local day of area {area.id!r} begins at {day_start_s}; the one around it begins at {days[at]}"
            raise Problem("not-found", detail)
        return days[at + 1], range(max(day_start_s, terms.first_slot_start_s), days[at + 1], self.slot_s)

    def registers(self, area: Area, boundary_s: int) -> tuple[UInt8, Int64, Int64]:
        """Quality uint8[rows] (255: absent), import and export int64[rows] as the meters show them, at one boundary."""
        with self.reader.frozen():
            parts = [
                REGISTERS.load(self.reader, area.id, boundary_s, chunk) or no_registers(end - start)
                for chunk, start, end in chunks(len(area.numbers))
            ]
        empty = no_registers(0)
        return (
            np.concatenate([empty.quality, *(part.quality for part in parts)]),
            np.concatenate([empty.import_wh, *(part.import_wh for part in parts)]),
            np.concatenate([empty.export_wh, *(part.export_wh for part in parts)]),
        )

    def orders(self, area: Area, slot_start_s: int) -> Sequence[Order | Fill]:
        """A slot's orders: once it is cleared as fills, by order id; until then as given, in order of acceptance."""
        with self.reader.frozen():
            clearing = CLEARING.load(self.reader, area.id, slot_start_s)
            if clearing is not None:
                return load_fills(self.reader, area.id, slot_start_s, clearing.orders).fills
            return load_orders(self.reader, area.id, slot_start_s)
