"""What is wrong, ordered by the money at stake: rows that the ledger refused, registers that are missing, slots that wait.

**At stake** is what the affected slots are worth at the supplier's full price (all that a kWh from the supplier alone costs):

- a refused row, or a missing register, puts the two slots at its boundary in doubt, for one meter: 2 x the mean energy (taken
  and given) of that meter's settled slots of the day shown, or its limit per slot where none is settled yet;
- a slot with estimates, listed once for each method of them, puts itself in doubt, for everybody billed in the area: the mean energy of the area's settled slots of the
  day, or the sum of the limits;
- a change after the final run that made no dispute run stakes what it would have changed;
- a measured energy that is hardly meant (a spike, zeros for long, a new direction) stakes what it differs from the meter's own days before by;
- a feeder's meter bills nobody: nothing is at stake; of a meter that the registry does not know, nobody can say.

Stakes order a list. They overlap (a slot waits because a register is missing), so they are never added up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from weakref import WeakKeyDictionary

from gridcore.codes import Code
from gridcore.quality import CODE_MASK, ESTIMATED
from gridseries.series import INTERVALS, IntervalRow
from gridweb.i18n import N_
from gridweb.pages.day_figures import AllDays, AreaDay, SlotState
from gridweb.pages.estimates import SlotEstimates, read_held
from gridweb.pages.marks import MeterMark, can_mark, read_marks
from gridweb.pages.meters import Meter, read_meters
from gridweb.source import AreaInfo, Source, SourceAway, SourceMissing
from settlement.validation import Mark, Rule

EXCEPTION_PAGES_MAX: Final = 5
"""Pages of exceptions that are asked for (20,000 batches each); the page says when there are more."""
ESTIMATED_SLOTS_MAX: Final = 48
"""Slots with estimates whose missing registers and methods are looked up: the newest ones of all areas shown, each a question or two."""
METERS_LOOKED_AT_MAX: Final = 5_000
"""Meters of an area whose estimates are looked up; of larger ones their slots are listed without the methods."""
SINGLE_METERS_MAX: Final = 12
"""Up to so many meters of an area are read one by one; more are read as the whole area's day."""

TROUBLES_KEPT_MAX: Final = 8
"""Lists of what is wrong that are kept in memory, until a newer height was seen."""

_CODES: Final = {int(code): code for code in Code}


class TroubleKind(StrEnum):
    """What is wrong."""

    REFUSED_ROW = "refused_row"
    MISSING_REGISTER = "missing_register"
    ESTIMATED_SLOT = "estimated_slot"
    IMMATERIAL_CHANGE = "immaterial_change"
    SPIKE = Rule.SPIKE.value
    ZERO_RUN = Rule.ZERO_RUN.value
    NEW_DIRECTION = Rule.NEW_DIRECTION.value


KIND_TITLES: Final[Mapping[TroubleKind, str]] = {
    TroubleKind.REFUSED_ROW: N_("row refused"),
    TroubleKind.MISSING_REGISTER: N_("register missing"),
    TroubleKind.ESTIMATED_SLOT: N_("slot with estimates"),
    TroubleKind.IMMATERIAL_CHANGE: N_("change after the final run"),
    TroubleKind.SPIKE: N_("spike"),
    TroubleKind.ZERO_RUN: N_("zeros for long"),
    TroubleKind.NEW_DIRECTION: N_("new direction of energy"),
}
CODE_TITLES: Final[Mapping[Code, str]] = {
    Code.ROW_CORRECTION_CANDIDATE: N_("another value stands at this boundary"),
    Code.ROW_UNKNOWN_METER: N_("no such meter in the registry"),
    Code.ROW_GOES_BACK: N_("register goes back"),
    Code.ROW_EXCEEDS_LIMIT: N_("more energy than the connection can carry"),
    Code.ROW_TWICE: N_("meter twice in one batch"),
    Code.ROW_OTHER_GATEWAY: N_("meter belongs to another gateway"),
    Code.ROW_QUALITY: N_("quality not allowed for a billing register"),
    Code.ROW_NOT_AT_BOUNDARY: N_("read too far from the boundary"),
    Code.ROW_CLOCK: N_("the gateway's clock is off"),
    Code.ROW_FIRST_VALUE: N_("does not follow from the registers at installation"),
    Code.ROW_FINAL: N_("came when the slot was final"),
}
CODE_REMEDIES: Final[Mapping[Code, str]] = {
    Code.ROW_CORRECTION_CANDIDATE: N_("approve the register that is right"),
    Code.ROW_UNKNOWN_METER: N_("register the installation"),
    Code.ROW_GOES_BACK: N_("register the exchange or reset, or approve"),
    Code.ROW_EXCEEDS_LIMIT: N_("approve if it is true, and register a larger limit"),
    Code.ROW_TWICE: N_("mend the agent's configuration"),
    Code.ROW_OTHER_GATEWAY: N_("register this gateway for the installation"),
    Code.ROW_QUALITY: N_("mend the agent's configuration"),
    Code.ROW_NOT_AT_BOUNDARY: N_("look at the meter's line"),
    Code.ROW_CLOCK: N_("mend the gateway's clock; approve what was read"),
    Code.ROW_FIRST_VALUE: N_("register the right first registers, or approve"),
    Code.ROW_FINAL: N_("nothing: the slot is final"),
}
"""What the clerk does about a refused row: gridcore.remedies has the same for whoever runs the gateway."""


class Basis(StrEnum):
    """What a stake was computed from."""

    MEAN = "mean"
    LIMIT = "limit"
    CHANGE = "change"
    HISTORY = "history"
    NOT_BILLED = "not_billed"
    UNKNOWN = "unknown"


BASIS_TITLES: Final[Mapping[Basis, str]] = {
    Basis.MEAN: N_("from the mean of settled slots"),
    Basis.LIMIT: N_("from the limit: nothing settled yet"),
    Basis.CHANGE: N_("what a dispute run would have changed"),
    Basis.HISTORY: N_("against the meter's own days before"),
    Basis.NOT_BILLED: N_("bills nobody"),
    Basis.UNKNOWN: N_("cannot be said"),
}


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong. ``at_s``: boundary, or start of the slot with estimates; ``stake_nano`` None: cannot be said.

    held: of a slot with estimates those of one method, None where they were not looked up; then ``rows`` is how many points they are of.
    mark: of a measured energy that is hardly meant; then ``rows`` is how many slots it has.
    """

    kind: TroubleKind
    at_s: int
    area: str = ""
    meter: str = ""
    gateway: str = ""
    counter: int | None = None
    code: Code | None = None
    rows: int = 1
    stake_nano: int | None = None
    basis: Basis = Basis.UNKNOWN
    held: SlotEstimates | None = None
    mark: Mark | None = None


@dataclass(frozen=True)
class Troubles:
    """All that is wrong, the largest stake first; ``is_cut``: there are more exceptions than were asked for; ``is_judged``: energies were compared with the days before."""

    items: tuple[Trouble, ...]
    is_cut: bool = False
    is_judged: bool = True


def full_price_micro(area: AreaInfo) -> int:
    """The supplier's full price of a kWh, micro, by the area's contract and rules."""
    return area.contract.supplier_price_micro(area.rules["prices"])


def slots_at(boundary_s: int, area: AreaInfo) -> int:
    """How many slots rest on a boundary: the one before and the one after; one at the area's first boundary."""
    return sum(slot_s >= area.first_slot_start_s for slot_s in (boundary_s - area.slot_s, boundary_s))


def mean_wh(rows: Iterable[IntervalRow]) -> int | None:
    """Mean energy, taken and given, of the settled and measured slots among rows of the series INTERVALS; None without any."""
    settled = (row.values for row in rows if row.values.pays_nano is not None and not _is_estimate(row.values.quality))
    return _mean([(values.import_wh or 0) + (values.export_wh or 0) for values in settled])


def _mean(energies_wh: Sequence[int]) -> int | None:
    return sum(energies_wh) // len(energies_wh) if energies_wh else None


def _is_estimate(quality: int | None) -> bool:
    return quality is not None and quality & CODE_MASK == ESTIMATED


def area_mean_wh(day: AreaDay) -> int | None:
    """Mean energy, taken and given, of all billed points in a slot of the day settled without estimates; None without any."""
    settled = [slot for slot in day.slots if slot.settled and not slot.estimated]
    if not settled:
        return None
    return sum((slot.import_wh or 0) + (slot.export_wh or 0) for slot in settled) // len(settled)


def meter_stake(trouble: Trouble, meter: Meter, area: AreaInfo, mean: int | None) -> Trouble:
    """``trouble`` of one meter with what it stakes."""
    if not meter.is_billed:
        return replace(trouble, stake_nano=0, basis=Basis.NOT_BILLED)
    energy_wh, basis = (meter.limit_wh, Basis.LIMIT) if mean is None else (mean, Basis.MEAN)
    stake = slots_at(trouble.at_s, area) * energy_wh * full_price_micro(area)
    return replace(trouble, stake_nano=stake, basis=basis)


def marked_trouble(marked: MeterMark, meter: Meter, area: AreaInfo) -> Trouble:
    """A measured energy that is hardly meant, with what it stakes."""
    stake = marked.mark.doubtful_wh * full_price_micro(area) if meter.is_billed else 0
    return Trouble(
        TroubleKind(marked.mark.rule.value),
        marked.slot_start_s,
        area=area.area,
        meter=marked.meter,
        gateway=meter.gateway,
        rows=marked.mark.slots,
        stake_nano=stake,
        basis=Basis.HISTORY if meter.is_billed else Basis.NOT_BILLED,
        mark=marked.mark,
    )


def estimated_troubles(day: AreaDay, meters: Iterable[Meter]) -> list[Trouble]:
    """The slots of a day that were settled with estimates, each with what it stakes."""
    mean = area_mean_wh(day)
    limit_wh = sum(meter.limit_wh for meter in meters if meter.is_billed)
    energy_wh, basis = (limit_wh, Basis.LIMIT) if mean is None else (mean, Basis.MEAN)
    stake = energy_wh * full_price_micro(day.area)
    return [
        Trouble(TroubleKind.ESTIMATED_SLOT, slot.slot_start_s, area=day.area.area, stake_nano=stake, basis=basis)
        for slot in day.slots
        if slot.state is SlotState.ESTIMATED
    ]


def by_method(trouble: Trouble, held: Sequence[SlotEstimates]) -> list[Trouble]:
    """A slot with estimates once for each method of them; as it is where none is known."""
    return [replace(trouble, held=one, rows=one.points) for one in held] or [trouble]


def refused_rows(batches: Iterable[Mapping[str, Any]], meters: Mapping[int, Meter]) -> list[Trouble]:
    """One trouble for each meter, boundary and code of the ledger's exceptions, without its stake; ``rows`` counts them."""
    found: dict[tuple[int, int, int], Trouble] = {}
    for batch in batches:
        for row in batch["rows"]:
            key = (batch["boundary_s"], row["meter"], row["code"])
            known = meters.get(row["meter"])
            if key in found:
                found[key] = replace(found[key], rows=found[key].rows + 1)
                continue
            found[key] = Trouble(
                TroubleKind.REFUSED_ROW,
                batch["boundary_s"],
                area=known.area if known else "",
                meter=known.meter if known else str(row["meter"]),
                gateway=batch["gateway"],
                counter=batch["counter"],
                code=_CODES.get(row["code"]),
            )
    return list(found.values())


def ranked(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """The largest stake first, then the newest; what cannot be said comes last."""
    return tuple(
        sorted(
            troubles,
            key=lambda one: (one.stake_nano is None, -(one.stake_nano or 0), -one.at_s, one.area, one.meter),
        )
    )


# ------------------------------------------------------------------------------------------------------------- questions

_kept: WeakKeyDictionary[Source, OrderedDict[tuple[object, ...], Troubles]] = WeakKeyDictionary()


async def read_exceptions(source: Source) -> tuple[list[Mapping[str, Any]], bool]:
    """Batches with rows that the ledger refused, and whether there are more than were asked for. SourceAway."""
    found: list[Mapping[str, Any]] = []
    start: int | None = 0
    for _ in range(EXCEPTION_PAGES_MAX):
        page = await source.cached("exceptions", start=start or 0)
        found += page["exceptions"]
        start = page["next"]
        if start is None:
            break
    return found, start is not None


def looked_up(days: AllDays) -> dict[str, list[int]]:
    """The newest slots with estimates, by area: those that are looked into."""
    estimated = (
        (slot.slot_start_s, day.area.area)
        for day in days.areas
        for slot in day.slots
        if slot.state is SlotState.ESTIMATED
    )
    found: dict[str, list[int]] = {}
    for slot_start_s, area in sorted(estimated)[-ESTIMATED_SLOTS_MAX:]:
        found.setdefault(area, []).append(slot_start_s)
    return found


async def missing_registers(
    source: Source, area: AreaInfo, estimated: Sequence[int], meters: Iterable[Meter]
) -> list[Trouble]:
    """The registers whose place estimates take in these slots, without their stakes. SourceAway."""
    gateways = {meter.meter: meter.gateway for meter in meters}
    found = []
    for boundary_s in sorted({instant_s for start_s in estimated for instant_s in (start_s, start_s + area.slot_s)}):
        for meter in await missing_at(source, area.area, boundary_s):
            trouble = Trouble(
                TroubleKind.MISSING_REGISTER, boundary_s, area.area, meter, gateway=gateways.get(meter, "")
            )
            found.append(trouble)
    return found


async def with_methods(
    source: Source, day: AreaDay, troubles: Sequence[Trouble], looked_at: Sequence[int]
) -> list[Trouble]:
    """Slots of a day with estimates, some of them with the methods behind these; those of a very large area as they are. SourceAway."""
    if day.area.meters > METERS_LOOKED_AT_MAX:
        return list(troubles)
    clock, found = (await source.as_of()).clock, list[Trouble]()
    for trouble in troubles:
        held: Sequence[SlotEstimates] = []
        if trouble.at_s in looked_at:
            with suppress(SourceMissing):
                held = await read_held(source, day.area, trouble.at_s, clock)
        found += by_method(trouble, held)
    return found


async def missing_at(source: Source, area: str, boundary_s: int) -> list[str]:
    """Codes of an area's meters without a register at a boundary. SourceAway."""
    pages = await source.pages(f"areas/{area}/registers", boundary_s=boundary_s)
    return [row["meter"] for page in pages for row in page["registers"] if row["quality"] == "missing"]


async def immaterial_changes(source: Source, area: AreaInfo, start_s: int, end_s: int) -> list[Trouble]:
    """Changes of slots of [start_s, end_s) after their final runs, below what is material. SourceAway."""
    if "run_calendar" not in area.rules:
        return []
    progress = await source.cached(f"areas/{area.area}/progress")
    changes = [change for change in progress.get("immaterial", ()) if start_s <= change[0] < end_s]
    return [
        Trouble(TroubleKind.IMMATERIAL_CHANGE, slot_s, area=area.area, stake_nano=change_nano, basis=Basis.CHANGE)
        for slot_s, change_nano, _ in changes
    ]


async def read_means(source: Source, day: AreaDay, meters: Sequence[str]) -> dict[str, int | None]:
    """Mean energy of each of these meters in the settled slots of the day. SourceAway while the series is away."""
    start_s, end_s, area = day.day.start_s, day.day.end_s, day.area.area
    if len(meters) <= SINGLE_METERS_MAX:
        return {
            meter: mean_wh(await source.curves(INTERVALS, start_s, end_s, area=area, meter=meter)) for meter in meters
        }
    names = ("import_wh", "export_wh", "pays_nano", "quality")
    columns = await source.columns(INTERVALS, start_s, end_s, names, area=area)
    wanted, energies = set(meters), dict[str, list[int]]()
    for meter, *values in zip(columns.tags["meter"], *(columns.values[name] for name in names), strict=True):
        taken_wh, given_wh, pays_nano, quality = values
        if meter in wanted and pays_nano is not None and not _is_estimate(quality):
            energies.setdefault(meter, []).append((taken_wh or 0) + (given_wh or 0))
    return {meter: _mean(energies.get(meter, ())) for meter in meters}


async def read_troubles(source: Source, days: AllDays, *, is_day_only: bool) -> Troubles:
    """All that is wrong in these areas, the largest stake first; ``is_day_only``: at boundaries of the day shown alone.

    Put together once for all that ask at one height: several parts of a page do.
    """
    kept = _kept.setdefault(source, OrderedDict())
    key = (await source.as_of(), is_day_only, *((day.area.area, day.day.start_s) for day in days.areas))
    if key not in kept:
        kept[key] = await _find_troubles(source, days, is_day_only=is_day_only)
        if len(kept) > TROUBLES_KEPT_MAX:
            kept.popitem(last=False)
    return kept[key]


async def _find_troubles(source: Source, days: AllDays, *, is_day_only: bool) -> Troubles:
    """Where there are too many meters to compare their days, those of areas in which something is wrong are read: of most there is nothing to say."""
    batches, is_cut = await read_exceptions(source)
    if is_day_only:
        batches = [batch for batch in batches if _is_of_a_day(batch["boundary_s"], days)]
    concerned = await _areas_of(source, batches)
    is_judged = can_mark(days)
    by_area = {
        day.area.area: await read_meters(source, day.area.area)
        for day in days.areas
        if is_judged or concerned is None or day.area.area in concerned or day.states.get(SlotState.ESTIMATED)
    }
    by_number = {meter.number: meter for meters in by_area.values() for meter in meters}
    refused = refused_rows(batches, by_number)
    found, looked_at = [trouble for trouble in refused if not trouble.area], looked_up(days)
    for day in days.areas:
        meters = {meter.meter: meter for meter in by_area.get(day.area.area, ())}
        own = [trouble for trouble in refused if trouble.area == day.area.area]
        if is_day_only:
            own = [trouble for trouble in own if day.day.start_s <= trouble.at_s <= day.day.end_s]
        newest = looked_at.get(day.area.area, [])
        own += await missing_registers(source, day.area, newest, meters.values())
        means = await read_means(source, day, sorted({trouble.meter for trouble in own}))
        found += [meter_stake(trouble, meters[trouble.meter], day.area, means[trouble.meter]) for trouble in own]
        found += await with_methods(source, day, estimated_troubles(day, meters.values()), newest)
        found += await immaterial_changes(source, day.area, day.day.start_s, day.day.end_s)
        if is_judged:
            try:
                marks = await read_marks(source, day, sorted(meters))
            except SourceAway:  # what the node itself says is shown all the same
                is_judged, marks = False, []
            found += [marked_trouble(marked, meters[marked.meter], day.area) for marked in marks]
    return Troubles(ranked(found), is_cut, is_judged)


async def _areas_of(source: Source, batches: Sequence[Mapping[str, Any]]) -> set[str] | None:
    """The areas in which meters of refused rows can be; None where they can be in any, as one that another gateway reads."""
    if any(row["code"] == Code.ROW_OTHER_GATEWAY for batch in batches for row in batch["rows"]):
        return None
    gateways = {batch["gateway"] for batch in batches}
    pages = await source.pages("gateways") if gateways else []
    entries = (entry for page in pages for entry in page["gateways"] if entry["gateway"] in gateways)
    return {area for entry in entries for area in entry["areas"]}


def _is_of_a_day(boundary_s: int, days: AllDays) -> bool:
    return any(start_s <= boundary_s <= end_s for start_s, end_s in {(d.day.start_s, d.day.end_s) for d in days.areas})
