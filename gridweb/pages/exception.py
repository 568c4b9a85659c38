"""``/exception?key=``: one exception of the worklist, what to do about it, and who has taken or done it."""

from __future__ import annotations

from typing import Final, NamedTuple

from quart import Blueprint, redirect, request
from quart.typing import ResponseReturnValue

from gridcore.serving.problems import Problem
from gridweb.access import Role, requires
from gridweb.i18n import N_
from gridweb.pages.day_figures import read_day
from gridweb.pages.stakes import Trouble, read_troubles
from gridweb.pages.troubles import COLUMNS, STATE_TITLES, exception_path_of, key_of, path_of, row_of, shown_to
from gridweb.points import day_of
from gridweb.site import site, source, viewer
from gridweb.source import AreaInfo, Source, SourceMissing, part_of
from gridweb.views import render_page
from gridweb.worklist import KEY_CHARACTERS_MAX, NOTE_CHARACTERS_MAX, State

pages = Blueprint("exception", __name__)

KEY_PARTS: Final = 5
NO_STATE: Final = "state: is one of open, taken, done"
DEEDS: Final = {
    State.TAKEN.value: N_("take it, or give it to somebody"),
    State.DONE.value: N_("it is done"),
    State.OPEN.value: N_("open it again"),
}


class Wanted(NamedTuple):
    """What a key says: the area, "" for none, and the boundary or slot, UTC seconds."""

    key: str
    area: str
    at_s: int


def read_key(text: str | None) -> Wanted:
    """A key as ``key_of`` makes them. Problem 400 for anything else."""
    parts = (text or "").split("/")
    if text is None or len(text) > KEY_CHARACTERS_MAX or len(parts) != KEY_PARTS:
        raise Problem("bad-request", "key: the key of an exception, as the column key of the table exceptions has it")
    _kind, area, _meter, at_s, _reason = parts
    if not (at_s.isascii() and at_s.isdecimal() and len(at_s) <= 12):
        raise Problem("bad-request", "key: its fourth part is an instant, UTC seconds")
    return Wanted(text, area, int(at_s))


async def find_trouble(source: Source, wanted: Wanted) -> Trouble | None:
    """The exception of a key as it is now; None where it is none any more. SourceAway, SourceBusy."""
    try:
        areas = [await source.area(wanted.area)] if wanted.area else await source.areas()
    except SourceMissing:
        return None
    for date in _dates(areas, wanted.at_s):
        days = await read_day(source, areas, date, await source.as_of())
        found = (await read_troubles(source, days, is_day_only=False)).items
        trouble = next((one for one in found if key_of(one) == wanted.key), None)
        if trouble is not None:
            return trouble
    return None


def _dates(areas: list[AreaInfo], at_s: int) -> list[str]:
    """The local days that an instant ends or begins: a boundary at midnight belongs to both."""
    dates = dict[str, None]()
    for instant_s in (at_s, at_s - 1):
        for area in areas[:1]:
            try:
                dates[day_of(area, instant_s).date] = None
            except SourceMissing:
                continue
    return list(dates)


@pages.get("/exception")
@requires(Role.UTILITY, Role.ADMINISTRATOR)
async def show_exception() -> str:
    """The exception, and for a utility the form by which it is taken or closed."""
    wanted = read_key(request.args.get("key"))
    trouble = await part_of(find_trouble(source(), wanted))
    area = await source().area(wanted.area) if trouble.value is not None and wanted.area else None
    facts = [] if trouble.value is None else list(zip(COLUMNS, row_of(trouble.value), strict=True))
    return await render_page(
        "quality/exception.html",
        wanted=wanted,
        trouble=trouble,
        facts=[(column, value) for column, value in facts if value is not None],
        leads_to=None if trouble.value is None or area is None else path_of(trouble.value, {area.area: area}),
        tz="UTC" if area is None else area.tz,
        currency=(await source().as_of()).currency,
        noted=site().worklist.find(wanted.key),
        state_titles=STATE_TITLES,
        deeds=DEEDS,
        people=people(),
        me=viewer().name,
        may_note=shown_to(viewer()).may_note,
        note_max=NOTE_CHARACTERS_MAX,
    )


def people() -> list[str]:
    """Who can take an exception: whoever works for the utility here, by name."""
    users = (user.name for user in site().users.all() if user.role is Role.UTILITY)
    return sorted({viewer().name, *users})


@pages.post("/exception")
@requires(Role.UTILITY)
async def note_exception() -> ResponseReturnValue:
    """Note who works on an exception or has done it, and show it again."""
    form = await request.form
    wanted = read_key(form.get("key"))
    state = form.get("state", "")
    if state not in STATE_TITLES:
        raise Problem("bad-request", NO_STATE)
    person = form.get("person", "")
    if person not in people():
        raise Problem("bad-request", "person: is a user of these pages who works for the utility")
    worklist = site().worklist
    if worklist.find(wanted.key) is None and await find_trouble(source(), wanted) is None:
        raise Problem("not-found", "there is no such exception, or it is none any more")
    worklist.note(wanted.key, State(state), person, form.get("note", "").strip(), viewer().name)
    return redirect(exception_path_of(wanted.key), 303)
