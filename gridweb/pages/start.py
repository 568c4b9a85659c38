"""``/``: everybody's own first page, by role."""

from __future__ import annotations

from quart import Blueprint, redirect
from quart.typing import ResponseReturnValue

from gridweb.access import EVERY_ROLE, requires
from gridweb.pages.balance_months import area_of_party
from gridweb.points import find_point
from gridweb.site import source, viewer
from gridweb.source import SourceMissing, part_of

pages = Blueprint("start", __name__)


@pages.get("/")
@requires(*EVERY_ROLE)
async def start() -> ResponseReturnValue:
    """A household to its own page, who has no point to what it answers for, all others to the overview."""
    party = viewer().party
    if party is None:
        return redirect("/overview", 303)
    return redirect(f"/households/{party}" + ("" if await _has_point(party) else "/balance"), 303)


async def _has_point(party: str) -> bool:
    """Whether a party is billed for a point; so too while nobody can say, or where it is not registered at all."""
    try:
        await part_of(find_point(source(), party))
    except SourceMissing:
        return not await _is_registered(party)
    return True


async def _is_registered(party: str) -> bool:
    try:
        await part_of(area_of_party(source(), party, None))
    except SourceMissing:
        return False
    return True
