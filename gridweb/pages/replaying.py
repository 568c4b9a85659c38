"""``/replays``: a settlement run is made again from the blocks, beside the pages, and compared with what the ledger keeps and the node says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Blueprint, redirect, request
from quart.typing import ResponseReturnValue

from gridcore.serving.problems import Problem
from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_
from gridweb.jobs import STATE_TITLES
from gridweb.pages import Entry
from gridweb.points import check_slot
from gridweb.replays import STEP_TITLES, Made, Replays, RunWanted
from gridweb.site import site, source, viewer
from gridweb.source import Source, SourceMissing
from gridweb.views import render_fragment, render_page

pages = Blueprint("replaying", __name__)

NAVIGATION = (Entry("/replays", N_("Runs made again"), READS_ALL, 80, section="/runs"),)

SAME_TITLES: Final[Mapping[str, str]] = {
    "rows_root": N_("root of the positions"),
    "state_root": N_("state root before the run"),
}
"""What of a run made again is compared with what the node answers."""


async def find_wanted(source: Source, area: str, slot_start_s: int, run: str) -> RunWanted:
    """A run that the node has, the last one of its slot where ``run`` is "". SourceMissing where it has none; SourceAway, SourceBusy."""
    check_slot(await source.area(area), slot_start_s)
    found = (await source.cached(f"areas/{area}/slots/{slot_start_s}/runs"))["runs"]
    for one in reversed(found):
        if run in ("", one["run"]):
            return RunWanted(area, slot_start_s, one["run"], one["height"])
    raise SourceMissing("the slot has no such run")


async def compare_with_node(source: Source, wanted: RunWanted, made: Made) -> dict[str, bool]:
    """Whether a run made again is what the node answers, by the keys of SAME_TITLES. SourceAway, SourceBusy, SourceMissing."""
    found = await source.query(f"areas/{wanted.area}/slots/{wanted.slot_start_s}/run", run=wanted.run)
    before = await source.query(f"blocks/{made.as_of_height}")
    return {
        "rows_root": found["result"]["rows_root"] == made.rows_root,
        "state_root": before["state_root"] == made.state_root,
    }


@pages.get("/replays")
@requires(*READS_ALL)
async def show_replays() -> str:
    """What is being made again and what came out, of who asks; with ``?area=&slot=&run=`` the form for a run."""
    slot = request.args.get("slot", type=int)
    wanted = None
    if slot is not None:
        wanted = await find_wanted(source(), request.args.get("area", ""), slot, request.args.get("run", ""))
    return await render_page(
        "replays/replays.html", wanted=wanted, can_replay=site().replays is not None, **await _listed()
    )


@pages.get("/replays/list")
@requires(*READS_ALL)
async def show_list() -> str:
    """The list alone: asked for again while something is at work."""
    return await render_fragment("replays/list.html", **await _listed())


async def _listed() -> dict[str, Any]:
    replays = site().replays
    jobs = [] if replays is None else replays.of(viewer().name)
    areas = {area.area: area for area in await source().areas()}
    return {
        "jobs": jobs,
        "areas": areas,
        "currency": (await source().as_of()).currency,
        "state_titles": STATE_TITLES,
        "step_titles": STEP_TITLES,
        "same_titles": SAME_TITLES,
    }


@pages.post("/replays")
@requires(*READS_ALL)
async def start_replay() -> ResponseReturnValue:
    """Begin to make a run again; the list shows how far it is."""
    form, replays = await request.form, _replays()
    if not form.get("slot", "").isascii() or not form.get("slot", "").isdecimal():
        raise Problem("bad-request", "slot: its start, UTC seconds")
    wanted = await find_wanted(source(), form.get("area", ""), int(form["slot"][:12]), form.get("run", ""))
    asked = source()
    replays.start(viewer().name, wanted, lambda one, made: compare_with_node(asked, one, made))
    return redirect("/replays", 303)


@pages.post("/replays/<replay>/stop")
@requires(*READS_ALL)
async def stop_replay(replay: str) -> ResponseReturnValue:
    """Stop one that works, or forget what came out."""
    replays = _replays()
    replays.remove(replays.find(viewer().name, replay))
    return redirect("/replays", 303)


def _replays() -> Replays:
    found = site().replays
    if found is None:
        raise Problem(
            "not-found",
            "this site has no copy of the ledger's blocks; make the run again with gridledger settle replay",
        )
    return found
