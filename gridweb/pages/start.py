"""``/``: everybody's own first page, by role."""

from __future__ import annotations

from quart import Blueprint, redirect
from quart.typing import ResponseReturnValue

from gridweb.access import EVERY_ROLE, requires
from gridweb.site import viewer

pages = Blueprint("start", __name__)


@pages.get("/")
@requires(*EVERY_ROLE)
async def start() -> ResponseReturnValue:
    """A household to its own page, all others to the overview."""
    party = viewer().party
    return redirect("/overview" if party is None else f"/households/{party}", 303)
