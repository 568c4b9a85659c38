"""The table of what is wrong, the largest stake first (``gridweb.pages.stakes``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple
from urllib.parse import urlencode

from gridweb.access import READS_ALL, Role, Viewer
from gridweb.format import count
from gridweb.i18n import N_, _, translate
from gridweb.pages.day_figures import AllDays, read_day
from gridweb.pages.day_tables import correction_path, slot_path
from gridweb.pages.estimates import METHOD_REMEDIES, METHOD_TITLES, Method
from gridweb.pages.marks import MARKED_METERS_MAX, THRESHOLDS
from gridweb.pages.stakes import (
    BASIS_TITLES,
    CODE_REMEDIES,
    CODE_TITLES,
    KIND_TITLES,
    Trouble,
    TroubleKind,
    Troubles,
    read_troubles,
)
from gridweb.points import parse_day
from gridweb.site import site
from gridweb.source import AreaInfo, Source
from gridweb.tables import Column, Table, serves_table
from gridweb.worklist import State, Taken

LEDGER_METHODS: Final = (Method.OPEN.value, Method.PROFILE.value)
FILES_METHODS: Final = (Method.FILES.value, Method.NOTHING.value)
NO_VALUE, NO_REGISTER, NOT_MATERIAL, UNKNOWN_CODE = "NO_VALUE", "NO_REGISTER", "NOT_MATERIAL", "UNKNOWN_CODE"
REASONS: Final[Mapping[str, str]] = {
    **{code.name: title for code, title in CODE_TITLES.items()},
    NO_VALUE: N_("no value at this boundary; a slot is estimated without it"),
    NO_REGISTER: N_("a register at its start or end is missing"),
    **{method: N_("a register at its start or end is missing") for method in LEDGER_METHODS},
    **{method: N_("the files have no measured value") for method in FILES_METHODS},
    NOT_MATERIAL: N_("below what is material: no dispute run was made"),
    TroubleKind.SPIKE.value: N_("far above the meter's days before"),
    TroubleKind.ZERO_RUN.value: N_("nothing taken or given for long, which is not usual here"),
    TroubleKind.NEW_DIRECTION.value: N_("energy of a direction that the meter did not have before"),
    UNKNOWN_CODE: N_("a code that these pages do not know"),
}
"""Why something is an exception: a refused row by the name of its code, and words of our own."""

REMEDIES: Final[Mapping[str, str]] = {
    **{code.name: words for code, words in CODE_REMEDIES.items()},
    NO_VALUE: N_("wait for the reading, or approve what the meter showed"),
    NO_REGISTER: N_("wait: a later reading corrects the slot"),
    **METHOD_REMEDIES,
    NOT_MATERIAL: N_("nothing is posted: settle it outside the ledger, or leave it"),
    TroubleKind.SPIKE.value: N_("ask whether it is true; correct the register if it is not"),
    TroubleKind.ZERO_RUN.value: N_("ask whether somebody is away; else look at the meter and its line"),
    TroubleKind.NEW_DIRECTION.value: N_("look at the wiring, or register the plant"),
    UNKNOWN_CODE: N_("look at the code in the documentation"),
}
"""What to do, by the same keys as REASONS."""

OWN_REASONS: Final[Mapping[TroubleKind, str]] = {
    TroubleKind.MISSING_REGISTER: NO_VALUE,
    TroubleKind.ESTIMATED_SLOT: NO_REGISTER,
    TroubleKind.IMMATERIAL_CHANGE: NOT_MATERIAL,
    **{kind: kind.value for kind in (TroubleKind.SPIKE, TroubleKind.ZERO_RUN, TroubleKind.NEW_DIRECTION)},
}

STATE_TITLES: Final[Mapping[str, str]] = {
    State.OPEN.value: N_("not taken"),
    State.TAKEN.value: N_("taken"),
    State.DONE.value: N_("done"),
}
COLUMNS: Final = (
    Column("what", N_("What"), words={kind.value: title for kind, title in KIND_TITLES.items()}),
    Column("stake_nano", N_("At stake"), "amount_nano"),
    Column("basis", N_("How the stake was found"), words={one.value: title for one, title in BASIS_TITLES.items()}),
    Column("at_s", N_("Boundary or slot"), "instant"),
    Column("area", N_("Area")),
    Column("meter", N_("Meter")),
    Column("reason", N_("Reason"), words=REASONS),
    Column("to_do", N_("What to do"), words=REMEDIES),
    Column("rows", N_("Rows"), "count"),
    Column("method", N_("Method of the estimate"), words=METHOD_TITLES),
    Column("estimated_wh", N_("Estimated"), "energy_wh"),
    Column("measured_wh", N_("Measured"), "energy_wh"),
    Column("usual_wh", N_("Usual"), "energy_wh"),
    Column("gateway", N_("Gateway")),
    Column("counter", N_("Batch counter"), "count"),
)

STATE_COLUMNS: Final = (
    Column("state", N_("State"), words=STATE_TITLES),
    Column("person", N_("Person"), "name"),
    Column("note", N_("Note"), "name"),
    Column("noted_s", N_("Noted"), "instant"),
    Column("key", N_("Key")),
)
"""Behind the others, for those who work on exceptions: how far each is, and by which key that is noted."""

ON_PAGES: Final = ("what", "stake_nano", "state", "person", "at_s", "area", "meter", "reason", "to_do")
"""Columns of the table on a page, for those to whom a button in each row leads to the rest of it."""

STAKE_LINE: Final = N_(
    "At stake: what the affected slots are worth at the supplier's full price, by the mean of the meter's settled slots of the day, "
    "or its limit. A boundary touches two slots; a slot with estimates stakes all of it, and is listed once for each method of them; a spike, zeros and a "
    "new direction stake what they differ from the meter's days before by. Stakes overlap and are not added up."
)


class Shown(NamedTuple):
    """For whom exceptions are shown. taken: what is noted of them, by key, None for those whom it does not concern; may_note: whoever looks may note something."""

    taken: Mapping[str, Taken] | None = None
    may_note: bool = False


NOBODYS: Final = Shown()


def shown_to(viewer: Viewer) -> Shown:
    """What is noted concerns the organisation of these pages alone: a regulator is of another one."""
    if viewer.role not in (Role.UTILITY, Role.ADMINISTRATOR):
        return NOBODYS
    return Shown(site().worklist.all(), viewer.role is Role.UTILITY)


@serves_table("/exceptions", *READS_ALL)
async def exceptions_table(source: Source, viewer: Viewer, *, area: str | None = None, day: str | None = None) -> Table:
    """Refused rows, missing registers, slots with estimates and doubtful energies, by the money at stake; ``day``: those of one local day alone."""
    return await read_exceptions_table(source, area, day, shown_to(viewer))


async def read_exceptions_table(source: Source, area: str | None, day: str | None, shown: Shown) -> Table:
    """The same, for whoever asks. SourceAway, SourceBusy, SourceMissing."""
    as_of = await source.as_of()
    areas = await source.areas() if area is None else [await source.area(area)]
    date = parse_day(areas[0], day).date if day and areas else None
    days = await read_day(source, areas, date, as_of)
    troubles = await read_troubles(source, days, is_day_only=day is not None)
    return table_of_troubles(troubles, days, as_of.currency, shown)


def table_of_troubles(troubles: Troubles, days: AllDays, currency: str, shown: Shown = NOBODYS) -> Table:
    """What is wrong as a table, what is done last; each row leads to where it comes from."""
    areas = {day.area.area: day.area for day in days.areas}
    rows = sorted(troubles.items, key=lambda trouble: is_done(trouble, shown))
    note = translate(STAKE_LINE)
    if troubles.is_cut:
        note += " " + _(
            "There are more exceptions than were read; the oldest names of gateways and counters come first."
        )
    if not troubles.is_judged:
        note += " " + _(
            "Spikes, zeros and new directions were not looked for: that needs the time series, and at most %(count)s meters (choose an area).",
            count=count(MARKED_METERS_MAX),
        )
    else:
        note += " " + _(
            "Spikes (%(spike)s %% above what is usual, and %(watt)s W), zeros (for %(hours)s h) and new directions (%(wh)s Wh) are found by fixed thresholds, each meter against its own %(days)s days before.",
            spike=THRESHOLDS.spike_percent,
            watt=count(THRESHOLDS.spike_w_min),
            hours=THRESHOLDS.zero_run_s // 3_600,
            wh=THRESHOLDS.new_direction_wh,
            days=THRESHOLDS.history_days,
        )
    of_state = () if shown.taken is None else STATE_COLUMNS
    return Table(
        "exceptions",
        (*COLUMNS, *of_state),
        [(*row_of(trouble), *(_state_of(trouble, shown.taken) if shown.taken is not None else ())) for trouble in rows],
        title=_("Exceptions by money at stake"),
        note=note,
        links=[path_of(trouble, areas) for trouble in rows],
        buttons=() if shown.taken is None else [exception_path_of(key_of(trouble)) for trouble in rows],
        button=_("Take or close") if shown.may_note else _("Details"),
        tz=days.areas[0].area.tz if days.areas else "UTC",
        currency=currency,
    )


def on_page(table: Table, rows_max: int) -> Table:
    """The first rows of the table as a page shows it: its most important columns, where a button leads to all of them."""
    table = replace(table, rows=table.rows[:rows_max], links=table.links[:rows_max], buttons=table.buttons[:rows_max])
    if not table.buttons:
        return table
    place = {column.key: at for at, column in enumerate(table.columns)}
    places = [place[key] for key in ON_PAGES]
    rows = [tuple(row[at] for at in places) for row in table.rows]
    return replace(table, columns=tuple(table.columns[at] for at in places), rows=rows)


def is_done(trouble: Trouble, shown: Shown) -> bool:
    """Whether somebody has said that an exception is done."""
    known = (shown.taken or {}).get(key_of(trouble))
    return known is not None and known.state is State.DONE


def key_of(trouble: Trouble) -> str:
    """By what an exception is known from one look to the next. An estimate by another method is another exception."""
    return "/".join((trouble.kind.value, trouble.area, trouble.meter, str(trouble.at_s), reason_of(trouble)))


def exception_path_of(key: str) -> str:
    """The page on which it is noted who works on an exception, by its key."""
    return f"/exception?{urlencode({'key': key})}"


def _state_of(trouble: Trouble, taken: Mapping[str, Taken]) -> tuple[object, ...]:
    key = key_of(trouble)
    known = taken.get(key)
    if known is None:
        return State.OPEN.value, None, None, None, key
    return known.state.value, known.person or None, known.note or None, known.at_s, key


def reason_of(trouble: Trouble) -> str:
    """Why: a key of REASONS, or the name of a code that has no words of its own."""
    if trouble.kind is TroubleKind.REFUSED_ROW:
        return UNKNOWN_CODE if trouble.code is None else trouble.code.name
    return OWN_REASONS[trouble.kind] if trouble.held is None else trouble.held.method.value


def row_of(trouble: Trouble) -> tuple[object, ...]:
    """An exception under COLUMNS."""
    return (
        trouble.kind.value,
        trouble.stake_nano,
        trouble.basis.value,
        trouble.at_s,
        trouble.area or None,
        trouble.meter or None,
        reason_of(trouble),
        reason_of(trouble),
        trouble.rows,
        None if trouble.held is None else trouble.held.method.value,
        None if trouble.held is None else trouble.held.estimated_wh,
        _measured_wh(trouble),
        None if trouble.mark is None else trouble.mark.usual_wh,
        trouble.gateway or None,
        trouble.counter,
    )


def _measured_wh(trouble: Trouble) -> int | None:
    if trouble.mark is not None:
        return trouble.mark.energy_wh
    return None if trouble.held is None else trouble.held.measured_wh


def path_of(trouble: Trouble, areas: dict[str, AreaInfo]) -> str | None:
    """The page of a slot; of a register, the one on which it is corrected; of a measured energy, the meter's day."""
    if trouble.area not in areas:
        return None
    if trouble.kind in (TroubleKind.REFUSED_ROW, TroubleKind.MISSING_REGISTER):
        return correction_path(trouble.meter, trouble.at_s)
    if trouble.mark is not None:
        return f"/meters/{trouble.meter}?day={trouble.at_s}"
    return slot_path(trouble.area, trouble.at_s)
