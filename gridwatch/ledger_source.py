"""A ledger as columns: registers as its state has them, voltages and clocks as its blocks have them, in one pass over the chain.

A meter's column begins where its installation does: what hung at the point before is another meter. Slots that were pruned have no readings. Of a
zone to which no gateway ever sent a batch it is the energies that were imported: registers are their sums from the first slot on, those of a
boundary absent where the slot before it was not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError, UsageError, broken
from gridcore.observations import decode_observations
from gridcore.quality import ABSENT_QUALITY, CODE_MASK, CORRECTED, MEASURED
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.point import POINT
from gridcore.transactions.interval_import import IntervalImport
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.transactions.readings import split_attachment
from gridwatch.columns import ABSENT, BlockTime, Int64, Meter, Readings, Sent, Watched
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import chunks
from ledger.leaves.intervals import DAY_S, INTERVALS, day_of_slot
from ledger.leaves.registers import REGISTERS
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.reader import LedgerReader
from ledger.store.rows import DecidedTransaction

_VOLTAGES: Final = frozenset({"12.7.0", "32.7.0"})
"""OBIS codes of a voltage: of whatever there is, of L1."""
CELLS_MAX: Final = 200_000_000
"""Boundaries times meters of one area: a larger ledger is watched area by area elsewhere, not in this process."""


class _Place(NamedTuple):
    gateway: str
    boundary_s: int
    number: int


@dataclass
class _Told:
    """What the blocks say beside the state."""

    sent: list[Sent] = field(default_factory=list)
    blocks: list[BlockTime] = field(default_factory=list)
    height_of: dict[tuple[str, int], int] = field(default_factory=dict)
    imported: dict[int, int] = field(default_factory=dict)
    """By the end of a slot the newest block that brought energies of it."""
    voltage_mv: dict[_Place, int] = field(default_factory=dict)


class GrowingLedger:
    """A ledger that is looked at again and again: each of its blocks is read once, its state anew."""

    def __init__(self) -> None:
        self._told = _Told()

    def watched(self, reader: LedgerReader) -> Watched:
        """Every area as the ledger is now, which has the blocks of the last look. UsageError for one that is too large."""
        told = self._told
        for height in range(1 + len(told.blocks), reader.height + 1):
            told.blocks.append(BlockTime(height, reader.header(height).ledger_time_s))
            for done in reader.transactions(height):
                _read_transaction(done, told)
        areas = [area for zone in reader.registry.zones for area in _areas(reader, zone, told)]
        return Watched(tuple(areas), tuple(told.sent), tuple(told.blocks))


def watched_ledger(reader: LedgerReader) -> Watched:
    """Every area of a ledger. UsageError for one that is too large."""
    return GrowingLedger().watched(reader)


def _read_transaction(done: DecidedTransaction, told: _Told) -> None:
    try:
        transaction = decode_transaction(done.wire)
        if transaction.kind == IntervalImport.kind and done.code == Code.ACCEPTED:
            _note_import(IntervalImport.decode(transaction), done.height, told)
        if transaction.kind != ReadingBatch.kind:
            return
        batch = ReadingBatch.decode(transaction)
    except EncodingError:  # refused for its form: nobody's batch
        return
    gateway = transaction.signer
    told.sent.append(
        Sent(
            gateway,
            batch.boundary_s,
            batch.epoch,
            batch.counter,
            done.code,
            batch.clock.offset_ms,
            batch.clock.state,
            done.height,
        )
    )
    if done.code != Code.ACCEPTED:
        return
    told.height_of[gateway, batch.boundary_s] = done.height
    if batch.observations is None:
        return
    _, _, observations = split_attachment(transaction.attachment)
    for row in decode_observations(observations).rows:
        if row.obis in _VOLTAGES:
            told.voltage_mv.setdefault(_Place(gateway, batch.boundary_s, row.device), row.value_milli)


def _note_import(imported: IntervalImport, height: int, told: _Told) -> None:
    for slot in range(1, imported.slots + 1):
        told.imported[imported.first_slot_s + slot * imported.slot_s] = height


class _Shown(NamedTuple):
    """[boundaries, rows] of a zone; height: [boundaries], of each gateway."""

    import_wh: Int64
    export_wh: Int64
    voltage_mv: Int64
    heights: Callable[[Collection[str]], Sequence[int]]


@dataclass(frozen=True)
class _Rows:
    """The rows of a zone that have a meter now, with what is registered of it."""

    row: Int64
    area: Int64
    installation: Int64
    number: tuple[int, ...]
    gateway: tuple[str, ...]
    meters: tuple[Meter, ...]


def _areas(reader: LedgerReader, zone: Zone, told: _Told) -> Iterator[Readings]:
    slot_s = CHAIN.must(reader).slot_s
    rows = _rows(reader, zone, reader.zone_at(zone, reader.ledger_time_s, reader.height))
    batches_s = [boundary_s for gateway, boundary_s in told.height_of if gateway in set(rows.gateway)]
    ends_s = batches_s or list(told.imported)
    if not ends_s:
        return
    boundary_s = np.arange(zone.timeline.first_slot_start_s, max(ends_s) + slot_s, slot_s, dtype=np.int64)
    if len(boundary_s) * len(rows.row) > CELLS_MAX:
        raise UsageError(
            f"zone {zone.name}: {len(boundary_s)} boundaries of {len(rows.row)} meters are more than {CELLS_MAX} values"
        )
    shown = (_read if batches_s else _imported)(reader, zone, rows, boundary_s, told)
    columns, areas = reader.registry.columns, reader.registry.areas_of(zone.place)
    seen_from_elsewhere = set(columns.point_exchange_area.tolist())
    for number, name in enumerate(zone.areas):
        own = np.flatnonzero(rows.area == number)
        height = shown.heights({rows.gateway[place] for place in own.tolist()})
        yield Readings(
            name,
            slot_s,
            tuple(rows.meters[place] for place in own.tolist()),
            boundary_s,
            shown.import_wh[:, own],
            shown.export_wh[:, own],
            shown.voltage_mv[:, own],
            np.array(height, dtype=np.int64),
            is_measured_elsewhere=areas.start + number in seen_from_elsewhere,
            is_imported=not batches_s,
        )


def _read(reader: LedgerReader, zone: Zone, rows: _Rows, boundary_s: Int64, told: _Told) -> _Shown:
    """What gateways have read."""
    times_s = boundary_s.tolist()
    registers = [_registers(reader, zone, rows, time_s) for time_s in times_s]
    import_wh, export_wh = (np.stack([pair[kind] for pair in registers]) for kind in (0, 1))
    voltage_mv = np.array(
        [
            [
                told.voltage_mv.get(_Place(gateway, time_s, number), ABSENT)
                for gateway, number in zip(rows.gateway, rows.number, strict=True)
            ]
            for time_s in times_s
        ],
        dtype=np.int64,
    ).reshape(import_wh.shape)

    def heights(gateways: Collection[str]) -> list[int]:
        newest = [[told.height_of.get((gateway, time_s), 0) for gateway in gateways] for time_s in times_s]
        return [max(of_boundary, default=0) for of_boundary in newest]

    return _Shown(import_wh, export_wh, voltage_mv, heights)


def _imported(reader: LedgerReader, zone: Zone, rows: _Rows, boundary_s: Int64, told: _Told) -> _Shown:
    """What was imported of each slot, as registers that begin at 0."""
    starts_s, count = boundary_s[:-1], len(zone)
    quality = np.full((len(starts_s), count), ABSENT_QUALITY, dtype=np.uint8)
    energies_wh = np.zeros((2, len(starts_s), count), dtype=np.int64)
    slot_s = int(boundary_s[1] - boundary_s[0])
    for day_s in dict.fromkeys(map(day_of_slot, starts_s.tolist())):
        own = np.flatnonzero((starts_s >= day_s) & (starts_s < day_s + DAY_S))
        of_day = (starts_s[own] - day_s) // slot_s
        for chunk, start, end in chunks(count):
            leaf = INTERVALS.load(reader, day_s, zone.name, chunk)
            if leaf is not None:
                known, at = leaf.padded(end - start), np.s_[own[0] : own[-1] + 1, start:end]
                quality[at] = known.quality[of_day]
                energies_wh[0][at], energies_wh[1][at] = known.import_wh[of_day], known.export_wh[of_day]
    code = quality[:, rows.row] & CODE_MASK
    is_measured = (quality[:, rows.row] != ABSENT_QUALITY) & ((code == MEASURED) | (code == CORRECTED))
    import_wh, export_wh = (
        np.concatenate(
            [
                np.zeros((1, len(rows.row)), dtype=np.int64),
                np.where(is_measured, np.cumsum(energy_wh[:, rows.row], axis=0), ABSENT),
            ]
        )
        for energy_wh in energies_wh
    )
    heights = [told.imported.get(time_s, 0) for time_s in boundary_s.tolist()]
    return _Shown(import_wh, export_wh, np.full_like(import_wh, ABSENT), lambda _: heights)


def _rows(reader: LedgerReader, zone: Zone, now: ZoneInForce) -> _Rows:
    """In the order of the meters' numbers."""
    numbers = reader.registry.numbers
    row = np.flatnonzero(now.installation >= 0)
    row = row[np.argsort(numbers[now.installation[row]], kind="stable")]
    meters, gateways = [], []
    for place in row.tolist():
        installed = reader.in_force(INSTALLATION, str(int(numbers[now.installation[place]])))
        point = reader.in_force(POINT, zone.points[place]) or broken("a point with a meter is in force")
        if not isinstance(installed, Installation):
            raise broken("an installation in force is none that was removed")
        ratio = installed.ratio
        meters.append(Meter(installed.meter, point.role, installed.limit_wh * ratio, installed.modulus_wh * ratio))
        gateways.append(installed.gateway)
    number = tuple(numbers[now.installation[row]].tolist())
    return _Rows(row, now.area[row], now.installation[row], number, tuple(gateways), tuple(meters))


def _registers(reader: LedgerReader, zone: Zone, rows: _Rows, boundary_s: int) -> tuple[Int64, Int64]:
    """Import and export of the rows' meters at a boundary, primary Wh, ``ABSENT`` where there is none or another meter hung there."""
    then = reader.zone_at(zone, boundary_s, reader.height)
    import_wh, export_wh = np.full((2, len(zone)), ABSENT, dtype=np.int64)
    for chunk, start, end in chunks(len(zone)):
        leaf = REGISTERS.load(reader, boundary_s, zone.name, chunk)
        if leaf is not None:
            known = leaf.padded(end - start)
            is_there = (known.quality != ABSENT_QUALITY) & (then.installation[start:end] >= 0)
            ratio = then.ratio[start:end]
            import_wh[start:end] = np.where(is_there, known.import_wh * ratio, ABSENT)
            export_wh[start:end] = np.where(is_there, known.export_wh * ratio, ABSENT)
    is_same = then.installation[rows.row] == rows.installation
    return np.where(is_same, import_wh[rows.row], ABSENT), np.where(is_same, export_wh[rows.row], ABSENT)
