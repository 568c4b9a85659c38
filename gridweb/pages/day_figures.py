"""A local day of every area as the utility looks at it: states of the slots, readings there and not there, energy, money.

All of it comes from the time series in one read, so that a hundred areas cost one question, and the page stands while the node
is away. Pure but for ``read_day``: Wh, nano, millivolts, UTC seconds, exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from gridcore.headline import Headline
from gridseries.series import SLOTS, SlotRow, SlotValues
from gridweb.i18n import N_
from gridweb.points import Day, day_of, newest_day
from gridweb.source import AreaInfo, AsOf, Source

MILLION: Final = 1_000_000


class SlotState(StrEnum):
    """How far a slot is, the settled ones by their last run. ``failed`` has its place on the page; this version's ledger makes none."""

    LATER = "later"
    OPEN = "open"
    CLEARED = "cleared"
    INITIAL = "initial"
    ESTIMATED = "estimated"
    CORRECTED = "corrected"
    FAILED = "failed"


SETTLED: Final = (SlotState.INITIAL, SlotState.ESTIMATED, SlotState.CORRECTED)
"""States of slots that have a run."""
STATE_TITLES: Final[Mapping[SlotState, str]] = {
    SlotState.LATER: N_("not open yet"),
    SlotState.OPEN: N_("open"),
    SlotState.CLEARED: N_("cleared"),
    SlotState.INITIAL: N_("initial run"),
    SlotState.ESTIMATED: N_("settled with estimates"),
    SlotState.CORRECTED: N_("corrected"),
    SlotState.FAILED: N_("failed"),
}
STATE_SIGNS: Final[Mapping[SlotState, str]] = {
    SlotState.LATER: "·",
    SlotState.OPEN: "○",
    SlotState.CLEARED: "◐",
    SlotState.INITIAL: "●",
    SlotState.ESTIMATED: "≈",
    SlotState.CORRECTED: "±",
    SlotState.FAILED: "✕",
}
"""A sign for each state, so that none is told by colour alone."""


class SlotFigures(NamedTuple):
    """One slot of one area: the row of the series SLOTS, None where there is no value (yet)."""

    slot_start_s: int
    state: SlotState
    expected: int | None = None
    committed: int | None = None
    orders: int | None = None
    volume_wh: int | None = None
    price_micro_per_kwh: int | None = None
    settled: int | None = None
    estimated: int | None = None
    import_wh: int | None = None
    export_wh: int | None = None
    feeder_import_wh: int | None = None
    feeder_export_wh: int | None = None
    loss_wh: int | None = None
    voltage_milli_min: int | None = None
    traders_pays_nano: int | None = None
    traders_supplier_only_nano: int | None = None
    traders_supplier_charge_nano: int | None = None


@dataclass(frozen=True)
class Coverage:
    """Readings at the boundaries that ledger time has reached.

    missing: those past the metering deadline; awaited: those that may still come in time.
    """

    expected: int = 0
    measured: int = 0
    missing: int = 0
    awaited: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.expected + other.expected,
            self.measured + other.measured,
            self.missing + other.missing,
            self.awaited + other.awaited,
        )


@dataclass(frozen=True)
class Balance:
    """What flowed at the feeder and at the points behind it, over the slots in which all of it is known (``slots``)."""

    slots: int = 0
    import_wh: int = 0
    export_wh: int = 0
    feeder_import_wh: int = 0
    feeder_export_wh: int = 0
    loss_wh: int = 0

    @property
    def fed_in_wh(self) -> int:
        """All that entered the feeder: from the grid above, and from the points."""
        return self.feeder_import_wh + self.export_wh

    @property
    def loss_ppm(self) -> int | None:
        """Losses as a share of what was fed in, parts per million, rounded half up; None where nothing was."""
        if self.fed_in_wh <= 0:
            return None
        return (2 * MILLION * self.loss_wh + self.fed_in_wh) // (2 * self.fed_in_wh)

    def __add__(self, other: Balance) -> Balance:
        return Balance(
            self.slots + other.slots,
            self.import_wh + other.import_wh,
            self.export_wh + other.export_wh,
            self.feeder_import_wh + other.feeder_import_wh,
            self.feeder_export_wh + other.feeder_export_wh,
            self.loss_wh + other.loss_wh,
        )


@dataclass(frozen=True)
class Lowest:
    """The lowest voltage that was observed: where, and at the end of which slot."""

    voltage_milli: int
    area: str
    slot_start_s: int


@dataclass(frozen=True)
class AreaDay:
    """A local day of one area, slot by slot (from the area's first slot on)."""

    area: AreaInfo
    day: Day
    slots: tuple[SlotFigures, ...]
    coverage: Coverage
    states: Mapping[SlotState, int]
    balance: Balance
    volume_wh: int
    pays_nano: int
    supplier_only_nano: int
    supplier_charge_nano: int
    lowest: Lowest | None

    @property
    def settled(self) -> int:
        """Slots with a run."""
        return sum(self.states.get(state, 0) for state in SETTLED)

    @property
    def trouble(self) -> tuple[int, int]:
        """What comes first in a list of areas: slots with estimates, then readings that are missing."""
        return self.states.get(SlotState.ESTIMATED, 0), self.coverage.missing


@dataclass(frozen=True)
class AllDays:
    """The areas' days, and the sums over them."""

    areas: tuple[AreaDay, ...]
    coverage: Coverage = field(default_factory=Coverage)
    balance: Balance = field(default_factory=Balance)

    @property
    def states(self) -> dict[SlotState, int]:
        """Slots by state, over all areas."""
        return {state: sum(area.states.get(state, 0) for area in self.areas) for state in SlotState}

    @property
    def lowest(self) -> Lowest | None:
        """The lowest voltage of all."""
        found = [area.lowest for area in self.areas if area.lowest is not None]
        return min(found, key=lambda lowest: (lowest.voltage_milli, lowest.area), default=None)

    @property
    def slots(self) -> int:
        """Slots of the day, over all areas."""
        return sum(len(area.slots) for area in self.areas)

    @property
    def settled(self) -> int:
        """Slots with a run, over all areas."""
        return sum(area.settled for area in self.areas)

    def headline(self, homes: int) -> Headline:
        """The sentence about the day, for ``homes`` parties that take part in the market."""
        volume_wh = sum(area.volume_wh for area in self.areas)
        pays_nano = sum(area.pays_nano for area in self.areas)
        supplier_only_nano = sum(area.supplier_only_nano for area in self.areas)
        supplier_charge_nano = sum(area.supplier_charge_nano for area in self.areas)
        return Headline(homes, volume_wh, pays_nano, supplier_only_nano, supplier_charge_nano)


def state_of(slot_start_s: int, values: SlotValues | None, area: AreaInfo, ledger_time_s: int) -> SlotState:
    """How far a slot is, by its row of the series (None: none yet) and by ledger time.

    A slot without orders, registers and runs has no row.
    """
    if values is not None and values.settled:
        is_corrected = values.settled > 1
        return SlotState.ESTIMATED if values.estimated else SlotState.CORRECTED if is_corrected else SlotState.INITIAL
    if ledger_time_s >= slot_start_s - int(area.rules["gate_before_start_s"]):
        return SlotState.CLEARED
    opens_s = slot_start_s - int(area.rules["open_before_start_s"])
    return SlotState.OPEN if ledger_time_s >= opens_s else SlotState.LATER


def figures_of(
    area: AreaInfo, slot_starts_s: Iterable[int], rows: Iterable[SlotRow], ledger_time_s: int
) -> list[SlotFigures]:
    """A figure for each slot, whether or not the series has a row of it."""
    values_at = {row.time_s: row.values for row in rows}
    found = []
    for slot_start_s in slot_starts_s:
        values = values_at.get(slot_start_s)
        state = state_of(slot_start_s, values, area, ledger_time_s)
        found.append(SlotFigures(slot_start_s, state, *(values or ())))
    return found


def coverage_of(area: AreaInfo, slots: Iterable[SlotFigures], ledger_time_s: int) -> Coverage:
    """The readings at the ends of slots; nothing is expected of a boundary that ledger time has not reached."""
    expected = measured = missing = awaited = 0
    late_s = ledger_time_s - int(area.rules["metering_deadline_s"])
    for slot in slots:
        boundary_s = slot.slot_start_s + area.slot_s
        if boundary_s > ledger_time_s:
            continue
        wanted = area.meters if slot.expected is None else slot.expected
        there = slot.committed or 0
        absent = max(wanted - there, 0)
        expected, measured = expected + wanted, measured + there
        if boundary_s <= late_s:
            missing += absent
        else:
            awaited += absent
    return Coverage(expected, measured, missing, awaited)


def balance_of(slots: Iterable[SlotFigures]) -> Balance:
    """The feeder's balance over the slots in which no register is missing."""
    rows = [
        (slot.import_wh, slot.export_wh, slot.feeder_import_wh, slot.feeder_export_wh, slot.loss_wh) for slot in slots
    ]
    known = [row for row in rows if None not in row]
    return Balance(len(known), *(sum(value or 0 for value in column) for column in zip(*known, strict=True)))


def area_day(area: AreaInfo, day: Day, rows: Iterable[SlotRow], ledger_time_s: int) -> AreaDay:
    """An area's day out of the rows of its slots. Money is that of the settled slots, and so is the volume beside it."""
    slots = figures_of(area, area.slots_of(day.start_s), rows, ledger_time_s)
    states: dict[SlotState, int] = {}
    for slot in slots:
        states[slot.state] = states.get(slot.state, 0) + 1
    settled = [slot for slot in slots if slot.settled]
    voltages = [
        Lowest(slot.voltage_milli_min, area.area, slot.slot_start_s)
        for slot in slots
        if slot.voltage_milli_min is not None
    ]
    return AreaDay(
        area=area,
        day=day,
        slots=tuple(slots),
        coverage=coverage_of(area, slots, ledger_time_s),
        states=states,
        balance=balance_of(slots),
        volume_wh=sum(slot.volume_wh or 0 for slot in settled),
        pays_nano=sum(slot.traders_pays_nano or 0 for slot in settled),
        supplier_only_nano=sum(slot.traders_supplier_only_nano or 0 for slot in settled),
        supplier_charge_nano=sum(slot.traders_supplier_charge_nano or 0 for slot in settled),
        lowest=min(voltages, key=lambda lowest: (lowest.voltage_milli, lowest.slot_start_s), default=None),
    )


def all_days(areas: Sequence[AreaInfo], days: Sequence[Day], rows: Iterable[SlotRow], ledger_time_s: int) -> AllDays:
    """Every area's day out of the rows of all of them, those in trouble first, then by id."""
    by_area: dict[str, list[SlotRow]] = {area.area: [] for area in areas}
    for row in rows:
        if row.tags.area in by_area:
            by_area[row.tags.area].append(row)
    found = [area_day(area, day, by_area[area.area], ledger_time_s) for area, day in zip(areas, days, strict=True)]
    found.sort(key=lambda one: (*(-count for count in one.trouble), one.area.area))
    return AllDays(
        tuple(found),
        sum((one.coverage for one in found), Coverage()),
        sum((one.balance for one in found), Balance()),
    )


def choose_days(areas: Sequence[AreaInfo], instant_s: int | None, ledger_time_s: int) -> list[Day]:
    """Each area's local day around ``instant_s``; None: the day of the newest slot whose settlement is due."""
    if instant_s is None:
        return [newest_day(area, ledger_time_s) for area in areas]
    return [day_of(area, max(area.days[0], min(instant_s, area.days[-1] - 1))) for area in areas]


def told_time_s(as_of: AsOf) -> int:
    """The ledger time up to which the series tells what is there and what is not: ledger time itself, but a slot earlier while
    the series is behind the node. Else what is merely on its way into the series would be called missing.
    """
    return as_of.ledger_time_s - (as_of.slot_s if as_of.height < as_of.newest else 0)


async def read_day(source: Source, areas: Sequence[AreaInfo], instant_s: int | None, ledger_time_s: int) -> AllDays:
    """The day of ``areas`` around an instant (None: the newest one). SourceAway while the series is away."""
    if not areas:
        return AllDays(())
    days = choose_days(areas, instant_s, ledger_time_s)
    tags = {"area": areas[0].area} if len(areas) == 1 else {}
    rows = await source.curves(SLOTS, min(day.start_s for day in days), max(day.end_s for day in days), **tags)
    return all_days(areas, days, rows, ledger_time_s)
