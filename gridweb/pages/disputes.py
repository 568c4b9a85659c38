"""``/disputes``: what parties contest, how far each is, and the next act in each, which whoever may do it signs in the browser."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

from quart import Blueprint, Response, request

from gridcore.codes import Code
from gridcore.quality import quality_words
from gridcore.serving.problems import Problem
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeStep, DisputeWithdrawal
from gridweb.access import EVERY_ROLE, READS_ALL, Role, Viewer, check_party, requires
from gridweb.acts import act_frame, is_taken, read_act, told
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.document_versions import PART_TITLES, document_versions
from gridweb.pages.household_tables import line_url
from gridweb.points import find_point
from gridweb.site import site, source, viewer
from gridweb.source import AreaInfo, Source, SourceAway, SourceBusy, SourceMissing, part_of
from gridweb.tables import TABLE_ROWS_MAX, Column, Table, serves_table, table_url
from gridweb.views import render_page, site_zone

pages = Blueprint("disputes", __name__)
NAVIGATION = (Entry("/disputes", N_("Disputes"), READS_ALL, 35),)

_ID: Final = re.compile(r"[0-9a-f]{64}")
GROUND_TITLES: Final[Mapping[str, str]] = {
    "reading": N_("a reading is wrong"),
    "energy": N_("the energy is wrong"),
    "trade": N_("a trade is wrong"),
    "price": N_("the price is wrong"),
    "tariff": N_("the tariff is wrong"),
    "other": N_("something else"),
}
STATUS_TITLES: Final[Mapping[str, str]] = {
    "open": N_("waits for an answer"),
    "overdue": N_("not answered in time"),
    "rejected": N_("rejected; a regulator decides"),
    "agreed": N_("agreed: will be corrected"),
    "upheld": N_("upheld: is to be corrected"),
    "dismissed": N_("dismissed"),
    "withdrawn": N_("withdrawn"),
}
STATUS_STATES: Final[Mapping[str, str]] = {
    "open": "live", "overdue": "bad", "rejected": "warn", "agreed": "good", "upheld": "good", "dismissed": "idle", "withdrawn": "idle",
}  # fmt: skip
"""As in ``gridweb.format.badge``."""
COLUMNS: Final = (
    Column("dispute", N_("Dispute"), "digest"),
    Column("status", N_("Status"), words=STATUS_TITLES),
    Column("party", N_("Party"), "name"),
    Column("point", N_("Point"), "name"),
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("month", N_("Month"), "month"),
    Column("part", N_("Of the documents"), words=PART_TITLES),
    Column("line_kind", N_("Line"), "name"),
    Column("ground", N_("Ground"), words=GROUND_TITLES),
    Column("amount_nano", N_("Frozen"), "amount_nano"),
    Column("opened_s", N_("Opened"), "instant"),
    Column("answer_by_s", N_("Answer by"), "instant"),
    Column("later_runs", N_("Corrected since"), "count"),
)
VERSION_COLUMNS: Final = (
    Column("run", N_("Run"), "run"),
    Column("import_wh", N_("Import"), "energy_wh"),
    Column("export_wh", N_("Export"), "energy_wh"),
    Column("quality", N_("Quality"), "quality"),
    Column("pays_nano", N_("To pay (minus: to get)"), "amount_nano"),
    Column("difference_nano", N_("Difference to the contested run"), "amount_nano"),
)
VERSIONS_MAX: Final = 16
"""Later runs of a slot that are put beside the contested one: the newest."""
STEP_KINDS: Final[Mapping[Role, type[DisputeStep]]] = {
    Role.UTILITY: DisputeAnswer,
    Role.REGULATOR: DisputeDecision,
    Role.HOUSEHOLD: DisputeWithdrawal,
}
STEPS_IN: Final[Mapping[str, Sequence[Role]]] = {
    "open": (Role.UTILITY, Role.HOUSEHOLD),
    "overdue": (Role.UTILITY, Role.REGULATOR, Role.HOUSEHOLD),
    "rejected": (Role.REGULATOR, Role.HOUSEHOLD),
}
"""Who may act in a dispute, by its status; nobody in one that is over."""
COMMANDS: Final[Mapping[Role, str]] = {Role.UTILITY: "answer", Role.REGULATOR: "decide", Role.HOUSEHOLD: "withdraw"}
OUTCOME_TITLES: Final[Mapping[str, str]] = {
    "agreed": N_("agree: it will be corrected"),
    "rejected": N_("reject: a regulator decides then"),
    "upheld": N_("uphold: it is to be corrected"),
    "dismissed": N_("dismiss"),
    "withdrawn": N_("withdraw"),
}
ANSWERS: Final[Mapping[int, str]] = {
    Code.ACCEPTED: N_("It stands in the dispute."),
    Code.DISPUTE_CLOSED: N_("The dispute is over, or was answered already."),
    Code.NOT_ANSWERED_YET: N_("The organisation still has time to answer."),
    Code.NOT_PERMITTED: N_(
        "A utility of the household's organisation answers, a regulator decides: this signer is neither."
    ),
    Code.NOTHING_TO_DISPUTE: N_("The ledger knows no such dispute."),
}
"""What the node's answer to a step means, by code."""


@serves_table("/disputes", *READS_ALL)
async def disputes_table(source: Source) -> Table:
    """Every dispute: those that are open first, by the amount that is frozen."""
    return await _table(source, await _read_all(source), "disputes", _("Disputes"))


@serves_table("/households/<party>/disputes", *EVERY_ROLE)
async def household_disputes_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The disputes of a party."""
    check_party(viewer, party)
    own = await read_of_party(source, party)
    return await _table(source, own, f"{party}-disputes", _("Disputes of %(party)s", party=party))


async def area_disputes_table(source: Source, area: AreaInfo, parties: Container[str]) -> Table:
    """The disputes of an area's parties."""
    own = [one for one in await _read_all(source) if one["party"] in parties]
    return await _table(source, own, f"{area.area}-disputes", _("Disputes of area %(area)s", area=area.area))


async def read_of_party(source: Source, party: str) -> list[Mapping[str, Any]]:
    """What the node says of the disputes of a party."""
    return [one for one in await _read_all(source) if one["party"] == party]


async def _read_all(source: Source) -> list[Mapping[str, Any]]:
    pages_found = await source.pages("disputes", rows_max=TABLE_ROWS_MAX)
    return [one for page in pages_found for one in page["disputes"]]


async def _table(source: Source, disputes: Sequence[Mapping[str, Any]], name: str, title: str) -> Table:
    found = sorted(disputes, key=lambda one: (one["is_closed"], -abs(one["amount_nano"])))
    rows = [(*(one[column.key] for column in COLUMNS[:-1]), len(one["later_runs"])) for one in found]
    frozen_nano = sum(one["amount_nano"] for one in found if not one["is_closed"])
    note = _(
        "Frozen is what the point pays in the contested run, or what the party says that the line comes to in its documents. While the dispute is open it is not due: account and documents show it as disputed, with its tax."
    )
    return Table(
        name,
        COLUMNS,
        rows,
        title=title,
        note=note if rows else "",
        links=[f"/disputes/{one['dispute']}" for one in found],
        totals=(*[None] * 9, frozen_nano, None, None, None) if rows else None,
        tz=await site_zone(source),
        currency=(await source.as_of()).currency,
    )


@pages.get("/disputes")
@requires(*READS_ALL)
async def show_disputes() -> str:
    """Every dispute."""
    table = await part_of(disputes_table(source()))
    return await render_page(
        "disputes/disputes.html", table=table, table_url=table_url(disputes_table), title=_("Disputes")
    )


@pages.get("/households/<party>/disputes")
@requires(*EVERY_ROLE)
async def show_disputes_of_party(party: str) -> str:
    """The disputes of a party."""
    check_party(viewer(), party)
    await find_point(source(), party)
    table = await part_of(household_disputes_table(source(), viewer(), party))
    url = table_url(household_disputes_table, party=party)
    return await render_page(
        "disputes/disputes.html", table=table, table_url=url, title=_("Disputes of %(party)s", party=party)
    )


@serves_table("/disputes/<dispute>/versions", *EVERY_ROLE)
async def dispute_versions_table(source: Source, viewer: Viewer, dispute: str) -> Table:
    """What a contested point has and pays in the contested run, and in each run of the slot since."""
    one = await _read(source, dispute)
    check_party(viewer, one["party"])
    return await (document_versions(source, one) if one["month"] else _versions(source, one))


async def _versions(source: Source, one: Mapping[str, Any]) -> Table:
    rows: list[tuple[object, ...]] = []
    for run in (one["run"], *one["later_runs"][-VERSIONS_MAX:]):
        found = await _row_of(source, one, run)
        difference = None if found is None or not rows else found["pays_nano"] - one["amount_nano"]
        values = [None] * 4 if found is None else [found[column.key] for column in VERSION_COLUMNS[1:5]]
        rows.append((run, *values, difference))
    return Table(
        "versions",
        VERSION_COLUMNS,
        rows,
        title=_("The contested run, and those since"),
        tz=await site_zone(source),
        currency=(await source.as_of()).currency,
    )


async def _row_of(source: Source, one: Mapping[str, Any], run: str) -> Mapping[str, Any] | None:
    """The row of a dispute's point in a run; None where it is not here any more."""
    area = (await find_point(source, one["party"])).area.area
    try:
        path = f"areas/{area}/slots/{one['slot_start_s']}/positions"
        found = await source.pages(path, run=run, party=one["party"], rows_max=TABLE_ROWS_MAX)
    except SourceMissing:
        return None
    names = ("points", "import_wh", "export_wh", "pays_nano", "quality")
    rows = (row for page in found for row in zip(*(page[name] for name in names), strict=True))
    for point, import_wh, export_wh, pays_nano, quality in rows:
        if point == one["point"]:
            energies = {"import_wh": import_wh, "export_wh": export_wh}
            return {**energies, "pays_nano": pays_nano, "quality": quality_words(quality)[0]}
    return None


async def _read(source: Source, dispute: str) -> Mapping[str, Any]:
    """What the node says of a dispute, asked anew, for somebody may just have acted in it; while the node is away, what it said last."""
    if _ID.fullmatch(dispute) is None:
        raise Problem("not-found", "a dispute's id is 64 hex digits")
    try:
        answer: Mapping[str, Any] = await source.query(f"disputes/{dispute}")
    except (SourceAway, SourceBusy):
        answer = await source.cached(f"disputes/{dispute}")
    return answer


@pages.get("/disputes/<dispute>")
@requires(*EVERY_ROLE)
async def show_dispute(dispute: str) -> str:
    """One dispute: what is contested, what was said, both versions, and the act that is next, for who may do it."""
    one = await _read(source(), dispute)
    check_party(viewer(), one["party"])
    as_of, role, kind = await source().as_of(), viewer().role, one["line_kind"]
    point = await part_of(find_point(source(), one["party"]))
    may_act = role in STEPS_IN.get(one["status"], ())
    return await render_page(
        "disputes/dispute.html",
        one=one,
        dispute=dispute,
        tz=await site_zone(source()),
        currency=as_of.currency,
        slot_s=as_of.slot_s,
        left_s=max(one["answer_by_s"] - as_of.ledger_time_s, 0),
        point=point.value,
        line_address=line_url(one["party"], one["slot_start_s"], kind, one["point"])
        if kind and not one["month"]
        else None,
        line_title=point.value.area.contract.line_title(kind) if kind and point.value else kind,
        part_title=PART_TITLES.get(one["part"], ""),
        month_address=f"/households/{one['party']}/month?month={one['month']}",
        words_kept=_words_kept(one["party"]),
        versions=await part_of(document_versions(source(), one) if one["month"] else _versions(source(), one)),
        versions_url=table_url(dispute_versions_table, dispute=dispute),
        ground_titles=GROUND_TITLES,
        status_titles=STATUS_TITLES,
        status_states=STATUS_STATES,
        step_kind=STEP_KINDS[role] if may_act else None,
        command=COMMANDS.get(role),
        outcome_titles=OUTCOME_TITLES,
        act=act_frame(as_of, keeps_words=site().people is not None),
    )


def _words_kept(party: str) -> Mapping[str, str]:
    """What this site keeps of the words of a party's disputes, by their SM3 in hex digits."""
    people = site().people
    return {} if people is None else {digest.hex(): words for digest, words in people.words_of(party).items()}


def keep_words(party: str, words: str) -> None:
    """Keep what was written in a dispute of a party, where this site keeps such things."""
    people = site().people
    if people is not None:
        people.keep_words(party, words)


@pages.post("/disputes/<dispute>/steps")
@requires(*STEP_KINDS)
async def take_step(dispute: str) -> Response:
    """Pass on a step of a dispute that was signed in the browser: of the kind that the role of who is signed in may sign."""
    one = await _read(source(), dispute)
    check_party(viewer(), one["party"])
    act = read_act(await request.body, request.mimetype, STEP_KINDS[viewer().role], viewer().party)
    if act.content.dispute.hex() != dispute:
        raise Problem("bad-request", "the transaction is of another dispute")
    answer = await source().submit(act.wire)
    if is_taken(answer):
        keep_words(one["party"], act.words)
    return told(answer, ANSWERS, f"/disputes/{dispute}")
