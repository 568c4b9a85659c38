"""``/sample``: a regulator draws bill lines by a seed of his own, and his browser verifies each; ``…/rows/<row>`` has their bundles.

Which rows are drawn, and what their bundles are worth, is decided in the browser: here nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue

from gridweb.access import READS_ALL, Role, requires
from gridweb.i18n import N_, translate
from gridweb.pages import Entry
from gridweb.pages.line import BUNDLE_TYPE
from gridweb.pages.scope import choose_area, wanted
from gridweb.points import Day, day_of, parse_day, zone
from gridweb.site import source
from gridweb.source import AreaInfo, SourceMissing
from gridweb.verify_words import verify_words
from gridweb.views import render_page

pages = Blueprint("sample", __name__)
NAVIGATION = (Entry("/sample", N_("Sample"), (Role.REGULATOR,), 36),)

COUNT, COUNT_MAX = 10, 200
WORDS: Final[Mapping[str, str]] = {
    "about_unbilled": N_(
        "A row without a bill is a feeder's, or of a point that nobody is billed for: the operator says so, and nothing here proves it."
    ),
    "another": N_("another row, slot or run than was drawn"),
    "answer": N_("Answer"),
    "checking": N_("checking %(number)s of %(count)s"),
    "counts": N_(
        "verified: %(verified)s; not verified: %(refuted)s; cannot be decided: %(undecided)s; without a bill: %(unbilled)s"
    ),
    "made": N_("Made"),
    "no_bill": N_("no bill, says the operator"),
    "none_settled": N_("No slot of this area is settled then."),
    "print": N_("Print"),
    "proof_digest": N_("SM3 of the proof"),
    "protocol": N_("Protocol of a sample"),
    "row": N_("Row"),
    "rows": N_("Rows of the run"),
    "seed": N_("Seed"),
    "signature": N_("The sample was drawn and verified in this browser. Signature of who did it:"),
    "trust_digest": N_("SM3 of the trust root"),
}
"""Of the protocol, beside those of the verifier."""


class SlotChoice(NamedTuple):
    """A settled slot to draw from. ``start_s``: UTC seconds; ``words``: its start as the area's clock shows it, with its offset."""

    start_s: int
    words: str


@pages.get("/sample")
@requires(*READS_ALL)
async def show_sample() -> ResponseReturnValue:
    """The form, for the settled slots of an area's day (``?area=``, ``?day=``; else the newest); its script does the rest."""
    area_id, day_text = wanted()
    areas, area = await choose_area(source(), area_id)
    settled_s = (await source().cached(f"areas/{area.area}/progress"))["run_slot_start_s"]
    newest = day_of(area, min(max(settled_s - area.slot_s, area.first_slot_start_s), area.days[-1] - 1))
    day = parse_day(area, day_text) if day_text else newest
    words = {**verify_words(), **{name: translate(text) for name, text in WORDS.items()}}
    return await render_page(
        "sample/sample.html",
        areas=[one.area for one in areas],
        area=area,
        day=day,
        newest=newest,
        first=day_of(area, area.first_slot_start_s),
        slots=_settled_slots(area, day, settled_s),
        count=COUNT,
        count_max=COUNT_MAX,
        sample_words=words,
    )


def _settled_slots(area: AreaInfo, day: Day, settled_s: int) -> list[SlotChoice]:
    """The slots of a local day that begin before ``settled_s``, UTC seconds, the newest first: a repeated hour is there twice."""
    slots = [start_s for start_s in area.slots_of(day.start_s) if start_s < settled_s]
    return [SlotChoice(start_s, _with_offset(area, start_s)) for start_s in reversed(slots)]


def _with_offset(area: AreaInfo, start_s: int) -> str:
    """An instant by the area's clock: ``2026-06-21 07:15+08:00``."""
    return datetime.fromtimestamp(start_s, UTC).astimezone(zone(area)).isoformat(" ", "minutes")


@pages.get("/sample/areas/<area>/slots/<int:slot>/rows/<int:row>")
@requires(*READS_ALL)
async def row_bundle(area: str, slot: int, row: int) -> Response:
    """The bundle of a row of the area's zone; 204 where nobody is billed for it, or nothing is settled: that is no mistake of who asks."""
    which: dict[str, str | int] = {"area": area, "slot_start_s": slot, "row": row}
    run = request.args.get("run", "")
    which |= {"run": run} if run else {}
    try:
        return Response(await source().bytes("evidence/row", **which), content_type=BUNDLE_TYPE)
    except SourceMissing:
        return Response(status=204)
