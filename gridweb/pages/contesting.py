"""``/households/<party>/contest/<slot>``: a household contests a line (``?line=``), a reading (``?reading=``) or all of a slot.

The ledger's dispute is of a slot's row, with the kind of line and the ground that the household names (ADR 0069); it is signed in the browser.
``/households/<party>/contest-document``: a line of a month's documents, their tax or their total (ADR 0113).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final, NamedTuple

from quart import Blueprint, Response, request

from gridcore.codes import Code
from gridcore.quality import quality_words
from gridcore.serving.problems import Problem
from gridcore.transactions.dispute_document import LINE, PARTS, DisputeDocument, stated_nano
from gridcore.transactions.dispute_open import DisputeOpen
from gridweb.access import Role, check_party, requires
from gridweb.acts import act_frame, is_taken, read_act, told
from gridweb.i18n import N_, _
from gridweb.pages.disputes import GROUND_TITLES, keep_words, read_of_party
from gridweb.pages.document_versions import PART_TITLES
from gridweb.pages.documents import documents_of_party
from gridweb.pages.household_tables import line_url
from gridweb.points import check_slot, find_point
from gridweb.site import site, source, viewer
from gridweb.source import AreaInfo, Source, SourceMissing
from gridweb.tables import TABLE_ROWS_MAX
from gridweb.views import render_page

pages = Blueprint("contesting", __name__)

ANSWERS: Final[Mapping[int, str]] = {
    Code.ACCEPTED: N_("The dispute is open, and the amount is frozen."),
    Code.NOTHING_TO_DISPUTE: N_(
        "There is nothing to contest here: the slot has a newer run by now, is closed, or is not on your bill."
    ),
    Code.DISPUTED_ALREADY: N_("You have contested this slot already."),
    Code.TOO_MANY_DISPUTES: N_("Sixteen disputes of yours are open, or you have opened sixty-four today."),
}
"""What the node's answer to a dispute means, by code."""


DOCUMENT_ANSWERS: Final[Mapping[int, str]] = {
    **ANSWERS,
    Code.NOTHING_TO_DISPUTE: N_(
        "There is nothing to contest here: no tariff of yours has this line, or the month has not begun, or is closed."
    ),
    Code.DISPUTED_ALREADY: N_("You have contested this already."),
}


class Row(NamedTuple):
    """What a point of the household has in the last run of a slot."""

    point: str
    meter: str
    import_wh: int
    export_wh: int
    pays_nano: int
    quality: str


class LastRun(NamedTuple):
    """The last run of a slot; ``name`` None, and no rows, before there is one. is_final: nothing of the slot changes any more."""

    name: str | None
    rows: tuple[Row, ...]
    is_final: bool


async def read_last_run(source: Source, area: AreaInfo, slot_start_s: int, party: str) -> LastRun:
    """The last run of a slot, with the rows of a party. SourceAway, SourceBusy."""
    path = f"areas/{area.area}/slots/{slot_start_s}"
    try:
        found = await source.pages(f"{path}/positions", party=party, rows_max=TABLE_ROWS_MAX)
        runs = await source.cached(f"{path}/runs", party=party)
    except SourceMissing:
        return LastRun(None, (), False)
    names = ("points", "meters", "import_wh", "export_wh", "pays_nano", "quality")
    columns = [[value for page in found for value in page[name]] for name in names]
    columns[-1] = [quality_words(byte)[0] for byte in columns[-1]]
    rows = tuple(Row._make(values) for values in zip(*columns, strict=True))
    return LastRun(found[0]["run"], rows, runs["next_run"] is None)


@pages.get("/households/<party>/contest/<int:slot>")
@requires(Role.HOUSEHOLD)
async def show_form(party: str, slot: int) -> str:
    """What is contested and what is frozen by it, and the form that is signed."""
    check_party(viewer(), party)
    point = await find_point(source(), party)
    check_slot(point.area, slot)
    line, reading_s = request.args.get("line", ""), request.args.get("reading", type=int)
    if line and line not in point.area.contract.lines:
        raise Problem("bad-request", "line: a kind of line of the area's contract, or nothing")
    if reading_s not in (None, slot, slot + point.area.slot_s):
        raise Problem("bad-request", "reading: UTC seconds of the start or the end of the slot")
    last = await read_last_run(source(), point.area, slot, party)
    chosen = [row for row in last.rows if request.args.get("at") in (None, "", row.point)]
    mine = await read_of_party(source(), party)
    open_now = [one["dispute"] for one in mine if not one["is_closed"] and one["slot_start_s"] == slot]
    as_of, row = await source().as_of(), chosen[0] if len(chosen) == 1 else None
    return await render_page(
        "disputes/contest.html",
        what=_("Contest a line") if line else _("Contest a reading") if reading_s is not None else _("Contest a slot"),
        party=party,
        point=point,
        slot=slot,
        line=line,
        line_title=point.area.contract.line_title(line),
        line_address=line_url(party, slot, line) if line else None,
        reading_s=reading_s,
        run=last.name,
        rows=last.rows,
        row=row,
        is_final=last.is_final,
        open=open_now[0] if open_now else None,
        currency=as_of.currency,
        kind=DisputeOpen.kind,
        ground_titles=GROUND_TITLES,
        act=act_frame(as_of, keeps_words=site().people is not None),
    )


@pages.get("/households/<party>/contest-document")
@requires(Role.HOUSEHOLD)
async def show_document_form(party: str) -> str:
    """A line of a month's documents, what it comes to in all of them, and the form that is signed."""
    check_party(viewer(), party)
    part, line = request.args.get("part", LINE), request.args.get("line", "")
    if part not in PARTS or (part == LINE) != (line != ""):
        raise Problem("bad-request", f"part: one of {', '.join(PARTS)}; line: the line's kind where part is {LINE}")
    point = await find_point(source(), party)
    _area, month, answer = await documents_of_party(source(), party, request.args.get("month"))
    is_of_contract = line in point.area.contract.lines
    mine = await read_of_party(source(), party)
    named = (month, part, line)
    open_now = [one for one in mine if not one["is_closed"] and (one["month"], one["part"], one["line_kind"]) == named]
    as_of = await source().as_of()
    return await render_page(
        "disputes/contest_document.html",
        party=party,
        point=point,
        month=month,
        part=part,
        line=line,
        line_argument=f" --line={shlex.quote(line)}" if line else "",
        part_title=PART_TITLES[part],
        amount_nano=None if is_of_contract else stated_nano(answer["documents"], part, line),
        is_of_contract=is_of_contract,
        open=open_now[0]["dispute"] if open_now else None,
        currency=as_of.currency,
        kind=DisputeDocument.kind,
        ground_titles=GROUND_TITLES,
        act=act_frame(as_of, keeps_words=site().people is not None),
    )


@pages.post("/households/<party>/disputes")
@requires(Role.HOUSEHOLD)
async def open_dispute(party: str) -> Response:
    """Pass on a dispute that the household signed in its browser; what became of it, as JSON."""
    return await _pass_on(party, DisputeOpen, ANSWERS)


@pages.post("/households/<party>/document-disputes")
@requires(Role.HOUSEHOLD)
async def open_document_dispute(party: str) -> Response:
    """The same of a dispute of a month's documents."""
    return await _pass_on(party, DisputeDocument, DOCUMENT_ANSWERS)


async def _pass_on(party: str, kind: type[DisputeOpen | DisputeDocument], answers: Mapping[int, str]) -> Response:
    check_party(viewer(), party)
    act = read_act(await request.body, request.mimetype, kind, party)
    answer = await source().submit(act.wire)
    if is_taken(answer):
        keep_words(party, act.words)
    return told(answer, answers, f"/disputes/{answer.id.hex()}")
