"""``/flow``: the energy of an area's day as streams, from what entered its feeder to where it went."""

from __future__ import annotations

from typing import Final

from quart import Blueprint

from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_
from gridweb.pages.scope import read_scope, wanted
from gridweb.sankey import HEIGHT, NODE, WIDTH, sankey_of
from gridweb.site import source
from gridweb.views import render_page

pages = Blueprint("flow", __name__)
TITLES: Final = {
    "from-grid": N_("from the grid above"),
    "fed-in": N_("fed in by its points"),
    "taken": N_("taken by its points"),
    "to-grid": N_("to the grid above"),
    "lost": N_("lost in the lines"),
}
"""Of streams, by the name of their colour."""


@pages.get("/flow")
@requires(*READS_ALL)
async def show_flow() -> str:
    """The streams of each area of the request on its day."""
    scope = await read_scope(source(), *wanted())
    streams = [(day, sankey_of(day.balance)) for day in scope.days.areas]
    size = {"width": WIDTH, "height": HEIGHT, "node": NODE}
    return await render_page("flow/flow.html", scope=scope, streams=streams, titles=TITLES, size=size)
