"""From a node's answers to rows of time series: pure functions, no connection, no clock.

Energies are computed here as the ledger computes them (docs/spec/state.md, "Settle"), for every meter and before the slot is
settled too. What is missing is None, never 0: a sum over something missing is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from gridcore.column import I64_MAX
from gridcore.quality import MISSING
from gridseries.answers import Changes, Coverage, Json, Point, Position, Registers, understood
from gridseries.series import (
    IntervalRow,
    IntervalTags,
    IntervalValues,
    ObservationRow,
    ObservationTags,
    ObservationValues,
    Row,
    SlotRow,
    SlotTags,
    SlotValues,
)

VOLTAGES: Final = ("12.7.0", "32.7.0", "52.7.0", "72.7.0")
"""OBIS codes of a voltage: of whatever there is, of L1, L2, L3."""


class Energy(NamedTuple):
    """What was taken and given, primary Wh."""

    import_wh: int
    export_wh: int


def touched_slots(
    changes: Changes, first_slot_start_s: Mapping[str, int], areas_of: Mapping[str, Sequence[str]], slot_s: int
) -> list[tuple[str, int]]:
    """(area, start) of the slots whose rows may be different now, ascending.

    A register ends one slot and begins the next; an observation belongs to the slot that its boundary ends.
    """
    touched = set(changes.slots)
    for area, boundary_s in changes.boundaries:
        touched |= {(area, boundary_s - slot_s), (area, boundary_s)}
    for gateway, boundary_s in changes.batches:
        touched |= {(area, boundary_s - slot_s) for area in areas_of.get(gateway, ())}
    return sorted((area, start_s) for area, start_s in touched if start_s >= first_slot_start_s[area])


def energy_wh(start_wh: int, end_wh: int, modulus_wh: int) -> int:
    """Primary Wh between two registers; a drop is a roll-over, because range was checked when the register was taken."""
    raw_wh = end_wh - start_wh
    return raw_wh + modulus_wh if raw_wh < 0 else raw_wh


def interval_energy(point: Point, start: Registers | None, end: Registers | None) -> Energy | None:
    """A point's energy in a slot; None while a register is missing."""
    if start is None or end is None:
        return None
    return Energy(
        energy_wh(start.import_wh, end.import_wh, point.modulus_wh),
        energy_wh(start.export_wh, end.export_wh, point.modulus_wh),
    )


def _measured(point: Point, start: Registers | None, end: Registers | None) -> tuple[Energy | None, int]:
    return interval_energy(point, start, end), MISSING if end is None else end.quality


def _settled(position: Position) -> tuple[Energy, int]:
    return Energy(position.import_wh, position.export_wh), position.quality


class SlotRows:
    """The rows of one slot of one area, page of points by page of points: interval rows at once, the slot's own at the end."""

    def __init__(self, area: str, slot_start_s: int, coverage: Coverage) -> None:
        """``coverage``: at the slot's end. What crosses borders that are measured elsewhere is not among these points, so that the loss is not known."""
        self._area = area
        self._start_s = slot_start_s
        self._expected, self.committed = coverage.expected, coverage.committed
        self._is_measured_elsewhere = coverage.borders_elsewhere > 0
        self._billed: Energy | None = Energy(0, 0)
        self._borders: Energy | None = Energy(0, 0)
        self._border_meters = 0
        self._is_settled = False
        self._estimated = 0
        self._traders_pay_nano = self._traders_alone_nano = self._traders_charge_nano = 0
        self._bought_wh = 0
        self._voltage_milli_min: int | None = None

    def intervals(
        self,
        points: Sequence[Point],
        starts: Sequence[Registers | None],
        ends: Sequence[Registers | None],
        positions: Mapping[str, Position],
    ) -> list[IntervalRow]:
        """The rows of a page of points. ``positions`` by meter: of the billed ones once the slot is settled, else empty.

        Of a settled point energy and quality are those of its position: where registers are missing, an estimate.
        """
        rows = []
        for point, start, end in zip(points, starts, ends, strict=True):
            position = positions.get(point.meter)
            energy, quality = _measured(point, start, end) if position is None else _settled(position)
            self._count(point, energy, position)
            values = IntervalValues(
                import_wh=None if energy is None else energy.import_wh,
                export_wh=None if energy is None else energy.export_wh,
                bought_wh=None if position is None else position.bought_wh,
                sold_wh=None if position is None else position.sold_wh,
                pays_nano=None if position is None else position.pays_nano,
                supplier_only_nano=None if position is None else position.supplier_only_nano,
                quality=quality,
            )
            rows.append(Row(IntervalTags(self._area, point.meter), self._start_s, values))
        return rows

    def _count(self, point: Point, energy: Energy | None, position: Position | None) -> None:
        if point.is_billed:
            self._billed = _added(self._billed, energy)
        if point.is_border:
            self._border_meters += 1
            self._borders = _added(self._borders, energy)
        if position is not None:
            self._is_settled = True
            self._estimated += position.is_estimated
            self._bought_wh += position.bought_wh
            if point.trades:
                self._traders_pay_nano += position.pays_nano
                self._traders_alone_nano += position.supplier_only_nano
                self._traders_charge_nano += max(0, position.supplier_only_nano)

    def see_voltages(self, voltages_milli: Iterable[int]) -> None:
        """Voltages observed in the area at the slot's end, mV."""
        for voltage_milli in voltages_milli:
            if self._voltage_milli_min is None or voltage_milli < self._voltage_milli_min:
                self._voltage_milli_min = voltage_milli

    def slot(self, clearing: Json | None, runs: int) -> SlotRow | None:
        """The slot's own row; None while there is nothing of it: no clearing, no register at its end, no run.

        ``runs``: how many the slot has. A sum that does not fit into 64 bits (of a million points at the ledger's largest amounts) is missing, not cut.
        """
        if clearing is None and not self.committed and not self._is_settled:
            return None
        market = _market_of(clearing)
        # what a contract without orders shares out is known with the settlement; what was traded by orders is the same then
        volume_wh = self._bought_wh if self._is_settled else market.volume_wh
        billed = self._billed if self.committed or self._is_settled else None
        feeder = self._borders if self._border_meters else None
        values = SlotValues(
            expected=self._expected,
            committed=self.committed,
            orders=market.orders,
            volume_wh=volume_wh,
            price_micro_per_kwh=market.price_micro_per_kwh,
            settled=runs,
            estimated=self._estimated if self._is_settled else None,
            import_wh=None if billed is None else billed.import_wh,
            export_wh=None if billed is None else billed.export_wh,
            feeder_import_wh=None if feeder is None else feeder.import_wh,
            feeder_export_wh=None if feeder is None else feeder.export_wh,
            loss_wh=None if self._is_measured_elsewhere else _loss_wh(billed, feeder),
            voltage_milli_min=self._voltage_milli_min,
            traders_pays_nano=self._traders_pay_nano if self._is_settled else None,
            traders_supplier_only_nano=self._traders_alone_nano if self._is_settled else None,
            traders_supplier_charge_nano=self._traders_charge_nano if self._is_settled else None,
        )
        whole = (None if value is None or abs(value) > I64_MAX else value for value in values)
        return Row(SlotTags(self._area), self._start_s, SlotValues(*whole))


class _Market(NamedTuple):
    """What a gate came to; None while it has not cleared."""

    orders: int | None = None
    volume_wh: int | None = None
    price_micro_per_kwh: int | None = None


def _market_of(clearing: Json | None) -> _Market:
    if clearing is None:
        return _Market()
    with understood("clearing"):
        return _Market(clearing["orders"], clearing["volume_wh"], clearing["price_micro_per_kwh"])


def _added(sums: Energy | None, energy: Energy | None) -> Energy | None:
    """Sums with another point's energy in them; a point that is missing makes the sums missing."""
    if sums is None or energy is None:
        return None
    return Energy(sums.import_wh + energy.import_wh, sums.export_wh + energy.export_wh)


def _loss_wh(billed: Energy | None, feeder: Energy | None) -> int | None:
    """What went into the area and came out of no point, Wh."""
    if billed is None or feeder is None:
        return None
    return feeder.import_wh - feeder.export_wh - (billed.import_wh - billed.export_wh)


def observation_rows(gateway: str, boundary_s: int, answer: Json) -> list[ObservationRow]:
    """The rows of ``gateways/<g>/observations`` at a boundary; a device without a name is called by its number."""
    with understood("observations"):
        rows: dict[ObservationTags, ObservationRow] = {}
        for entry in answer["observations"]:
            device = f"#{int(entry['device'])}" if entry["name"] is None else str(entry["name"])
            tags = ObservationTags(gateway, device, str(entry["obis"]))
            values = ObservationValues(int(entry["value_milli"]), int(entry["offset_ms"]))
            rows.setdefault(tags, Row(tags, boundary_s, values))
        return list(rows.values())


def voltages(
    rows: Iterable[ObservationRow], areas_of: Mapping[str, Sequence[str]], area: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Device -> lowest voltage in mV, out of observation rows at one boundary: surely in ``area``, and perhaps in it.

    A gateway of one area sees that area alone; of a gateway of several, only the area's own meters count.
    """
    own: dict[str, int] = {}
    shared: dict[str, int] = {}
    for row in rows:
        device, value_milli = row.tags.device, row.values.value_milli
        areas = areas_of.get(row.tags.gateway, ())
        if row.tags.obis in VOLTAGES and value_milli is not None and area in areas:
            lowest = own if len(areas) == 1 else shared
            lowest[device] = min(lowest.get(device, value_milli), value_milli)
    return own, shared
