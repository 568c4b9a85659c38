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
from gridweb.points import Day, day_dated, newest_day
from gridweb.source import AreaInfo, AsOf, Source

MILLION: Final = 1_000_000


class SlotState(StrEnum):
    """How far a slot is, the settled ones by their last run. ``failed`` has its place on the page; this version's ledger makes none.

    ``unread``: the ledger may have more of it than the series have read so far.
    """

    LATER = "later"
    OPEN = "open"
    CLEARED = "cleared"
    INITIAL = "initial"
    ESTIMATED = "estimated"
    CORRECTED = "corrected"
    FAILED = "failed"
    UNREAD = "unread"


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
    SlotState.UNREAD: N_("not read yet"),
}
STATE_SIGNS: Final[Mapping[SlotState, str]] = {
    SlotState.LATER: "·",
    SlotState.OPEN: "○",
    SlotState.CLEARED: "◐",
    SlotState.INITIAL: "●",
    SlotState.ESTIMATED: "≈",
    SlotState.CORRECTED: "±",
    SlotState.FAILED: "✕",
    SlotState.UNREAD: "?",
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

    missing: those past the metering deadline; awaited: those that may still come in time; unread: those of which the series, being
    behind the ledger, cannot tell.
    """

    expected: int = 0
    measured: int = 0
    missing: int = 0
    awaited: int = 0
    unread: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.expected + other.expected,
            self.measured + other.measured,
            self.missing + other.missing,
            self.awaited + other.awaited,
            self.unread + other.unread,
        )


@dataclass(frozen=True)
class Balance:
    """What flowed at the feeder and at the points behind it; None where no slot tells it, which is not 0.

    slots: those in which all of it is known; only they count, and where there is none, ``points_slots``: those in which all
    points are known. fed_in_wh: all that entered the feeder over ``slots``: from the grid above, and from the points.
    """

    slots: int = 0
    points_slots: int = 0
    import_wh: int | None = None
    export_wh: int | None = None
    feeder_import_wh: int | None = None
    feeder_export_wh: int | None = None
    loss_wh: int | None = None
    fed_in_wh: int = 0

    @property
    def loss_ppm(self) -> int | None:
        """Losses as a share of what was fed in, parts per million, rounded half up; None where nothing was."""
        if self.loss_wh is None or self.fed_in_wh <= 0:
            return None
        return (2 * MILLION * self.loss_wh + self.fed_in_wh) // (2 * self.fed_in_wh)

    def __add__(self, other: Balance) -> Balance:
        return Balance(
            self.slots + other.slots,
            self.points_slots + other.points_slots,
            added(self.import_wh, other.import_wh),
            added(self.export_wh, other.export_wh),
            added(self.feeder_import_wh, other.feeder_import_wh),
            added(self.feeder_export_wh, other.feeder_export_wh),
            added(self.loss_wh, other.loss_wh),
            self.fed_in_wh + other.fed_in_wh,
        )


def added(one: int | None, other: int | None) -> int | None:
    """A sum of what is known; None where neither is."""
    return other if one is None else one if other is None else one + other


@dataclass(frozen=True)
class Lowest:
    """The lowest voltage that was observed: where, and at the end of which slot."""

    voltage_milli: int
    area: str
    tz: str
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

    @property
    def without_feeder(self) -> int:
        """Areas of whose points something is known, and nothing of their feeder."""
        return sum(bool(area.balance.points_slots) for area in self.areas)

    def headline(self, homes: int) -> Headline:
        """The sentence about the day, for ``homes`` parties that take part in the market."""
        volume_wh = sum(area.volume_wh for area in self.areas)
        pays_nano = sum(area.pays_nano for area in self.areas)
        supplier_only_nano = sum(area.supplier_only_nano for area in self.areas)
        supplier_charge_nano = sum(area.supplier_charge_nano for area in self.areas)
        return Headline(homes, volume_wh, pays_nano, supplier_only_nano, supplier_charge_nano)


def state_of(
    slot_start_s: int, values: SlotValues | None, area: AreaInfo, told_s: int, now_s: int | None = None
) -> SlotState:
    """How far a slot is, by its row of the series (None: none yet) and by ledger time.

    told_s: the ledger time up to which the series tell; now_s: ledger time itself, None where the series are not behind it.
    A slot without orders, registers and runs has no row.
    """
    if values is not None and values.settled:
        is_corrected = values.settled > 1
        return SlotState.ESTIMATED if values.estimated else SlotState.CORRECTED if is_corrected else SlotState.INITIAL
    due_s = slot_start_s + area.slot_s + int(area.rules["metering_deadline_s"])
    told = _state_at(slot_start_s, area, told_s)
    if now_s is not None and (told is not _state_at(slot_start_s, area, now_s) or told_s <= due_s <= now_s):
        return SlotState.UNREAD
    return told


def _state_at(slot_start_s: int, area: AreaInfo, time_s: int) -> SlotState:
    """How far a slot without a run is at a ledger time."""
    if time_s >= slot_start_s - int(area.rules["gate_before_start_s"]):
        return SlotState.CLEARED
    return SlotState.OPEN if time_s >= slot_start_s - int(area.rules["open_before_start_s"]) else SlotState.LATER


def figures_of(
    area: AreaInfo, slot_starts_s: Iterable[int], rows: Iterable[SlotRow], told_s: int, now_s: int | None = None
) -> list[SlotFigures]:
    """A figure for each slot, whether or not the series has a row of it; times as for ``state_of``."""
    values_at = {row.time_s: row.values for row in rows}
    found = []
    for slot_start_s in slot_starts_s:
        values = values_at.get(slot_start_s)
        state = state_of(slot_start_s, values, area, told_s, now_s)
        found.append(SlotFigures(slot_start_s, state, *(values or ())))
    return found


def coverage_of(area: AreaInfo, slots: Iterable[SlotFigures], told_s: int, now_s: int | None = None) -> Coverage:
    """The readings at the ends of slots, times as for ``state_of``; nothing is expected of a boundary that ledger time has not reached.

    While the series are behind, only what was past its deadline in what they have read can be called missing.
    """
    expected = measured = missing = early = 0
    late_s = (
        told_s - int(area.rules["metering_deadline_s"]) - (now_s is not None)
    )  # later blocks may have the same time
    for slot in slots:
        boundary_s = slot.slot_start_s + area.slot_s
        if boundary_s > (told_s if now_s is None else now_s):
            continue
        wanted = area.meters if slot.expected is None else slot.expected
        there = slot.committed or 0
        absent = max(wanted - there, 0)
        expected, measured = expected + wanted, measured + there
        if boundary_s <= late_s:
            missing += absent
        else:
            early += absent
    awaited, unread = (early, 0) if now_s is None else (0, early)
    return Coverage(expected, measured, missing, awaited, unread)


def balance_of(slots: Iterable[SlotFigures]) -> Balance:
    """The feeder's balance over the slots in which no register is missing; where no slot has the feeder's, the points alone."""
    rows = [
        (slot.import_wh, slot.export_wh, slot.feeder_import_wh, slot.feeder_export_wh, slot.loss_wh) for slot in slots
    ]
    whole = [row for row in rows if None not in row]
    if whole:
        taken, given, above, back, lost = (sum(value or 0 for value in column) for column in zip(*whole, strict=True))
        return Balance(len(whole), 0, taken, given, above, back, lost, above + given)
    points = [row[:2] for row in rows if None not in row[:2]]
    if not points:
        return Balance()
    return Balance(0, len(points), *(sum(value or 0 for value in column) for column in zip(*points, strict=True)))


def area_day(area: AreaInfo, day: Day, rows: Iterable[SlotRow], told_s: int, now_s: int | None = None) -> AreaDay:
    """An area's day out of the rows of its slots. Money is that of the settled slots, and so is the volume beside it."""
    slots = figures_of(area, area.slots_of(day.start_s), rows, told_s, now_s)
    states: dict[SlotState, int] = {}
    for slot in slots:
        states[slot.state] = states.get(slot.state, 0) + 1
    settled = [slot for slot in slots if slot.settled]
    voltages = [
        Lowest(slot.voltage_milli_min, area.area, area.tz, slot.slot_start_s)
        for slot in slots
        if slot.voltage_milli_min is not None
    ]
    return AreaDay(
        area=area,
        day=day,
        slots=tuple(slots),
        coverage=coverage_of(area, slots, told_s, now_s),
        states=states,
        balance=balance_of(slots),
        volume_wh=sum(slot.volume_wh or 0 for slot in settled),
        pays_nano=sum(slot.traders_pays_nano or 0 for slot in settled),
        supplier_only_nano=sum(slot.traders_supplier_only_nano or 0 for slot in settled),
        supplier_charge_nano=sum(slot.traders_supplier_charge_nano or 0 for slot in settled),
        lowest=min(voltages, key=lambda lowest: (lowest.voltage_milli, lowest.slot_start_s), default=None),
    )


def all_days(
    areas: Sequence[AreaInfo], days: Sequence[Day], rows: Iterable[SlotRow], told_s: int, now_s: int | None = None
) -> AllDays:
    """Every area's day out of the rows of all of them, those in trouble first, then by id."""
    by_area: dict[str, list[SlotRow]] = {area.area: [] for area in areas}
    for row in rows:
        if row.tags.area in by_area:
            by_area[row.tags.area].append(row)
    found = [area_day(area, day, by_area[area.area], told_s, now_s) for area, day in zip(areas, days, strict=True)]
    found.sort(key=lambda one: (*(-count for count in one.trouble), one.area.area))
    return AllDays(
        tuple(found),
        sum((one.coverage for one in found), Coverage()),
        sum((one.balance for one in found), Balance()),
    )


def choose_days(areas: Sequence[AreaInfo], date: str | None, ledger_time_s: int) -> list[tuple[AreaInfo, Day]]:
    """Each area's own local day of a date (None: that of the first area's newest slot whose settlement is due).

    Areas whose calendar has no such day are left out: another day's energy is not theirs of this one.
    """
    date = newest_day(areas[0], ledger_time_s).date if date is None else date
    return [(area, day) for area in areas if (day := day_dated(area, date)) is not None]


async def read_day(source: Source, areas: Sequence[AreaInfo], date: str | None, as_of: AsOf) -> AllDays:
    """The day of ``areas`` of a date (None: the newest one), each area's own. SourceAway while the series is away."""
    chosen = choose_days(areas, date, as_of.ledger_time_s) if areas else []
    if not chosen:
        return AllDays(())
    tags = {"area": areas[0].area} if len(areas) == 1 else {}
    first_s, end_s = min(day.start_s for _, day in chosen), max(day.end_s for _, day in chosen)
    rows = await source.curves(SLOTS, first_s, end_s, **tags)
    return all_days([area for area, _ in chosen], [day for _, day in chosen], rows, as_of.told_s, as_of.now_s)
