"""``/disputes``: what parties contest, how far each is, and what is to be done next. Nothing is signed here: the page gives the command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from quart import Blueprint

from gridcore.serving.problems import Problem
from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.household_tables import line_url
from gridweb.points import find_point
from gridweb.site import source, viewer
from gridweb.source import Source, part_of
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
    Column("ground", N_("Ground"), words=GROUND_TITLES),
    Column("amount_nano", N_("Frozen"), "amount_nano"),
    Column("opened_s", N_("Opened"), "instant"),
    Column("answer_by_s", N_("Answer by"), "instant"),
    Column("later_runs", N_("Corrected since"), "count"),
)
STEP_COLUMNS: Final = (
    Column("time_s", N_("Time"), "instant"),
    Column("outcome", N_("Outcome"), words=STATUS_TITLES),
    Column("signer", N_("Signer"), "name"),
    Column("height", N_("Block"), "count"),
    Column("statement", N_("Reasons (SM3)"), "digest"),
)


@serves_table("/disputes", *READS_ALL)
async def disputes_table(source: Source) -> Table:
    """Every dispute: those that are open first, by the amount that is frozen."""
    return await _table(source, await _read_all(source), "disputes", _("Disputes"))


@serves_table("/households/<party>/disputes", *EVERY_ROLE)
async def household_disputes_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The disputes of a party."""
    check_party(viewer, party)
    own = [one for one in await _read_all(source) if one["party"] == party]
    return await _table(source, own, f"{party}-disputes", _("Disputes of %(party)s", party=party))


async def _read_all(source: Source) -> list[Mapping[str, Any]]:
    pages_found = await source.pages("disputes", rows_max=TABLE_ROWS_MAX)
    return [one for page in pages_found for one in page["disputes"]]


async def _table(source: Source, disputes: Sequence[Mapping[str, Any]], name: str, title: str) -> Table:
    found = sorted(disputes, key=lambda one: (one["is_closed"], -abs(one["amount_nano"])))
    rows = [(*(one[column.key] for column in COLUMNS[:-1]), len(one["later_runs"])) for one in found]
    frozen_nano = sum(one["amount_nano"] for one in found if not one["is_closed"])
    note = _(
        "Frozen is what the point pays in the contested run. Amounts of disputes that are over are not due any more as such."
    )
    return Table(
        name,
        COLUMNS,
        rows,
        title=title,
        note=note if rows else "",
        links=[f"/disputes/{one['dispute']}" for one in found],
        totals=(*[None] * 6, frozen_nano, None, None, None) if rows else None,
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


@pages.get("/disputes/<dispute>")
@requires(*EVERY_ROLE)
async def show_dispute(dispute: str) -> str:
    """One dispute: what is contested, what was said, what has changed since, and who has to act."""
    if _ID.fullmatch(dispute) is None:
        raise Problem("not-found", "a dispute's id is 64 hex digits")
    answer = await source().cached(f"disputes/{dispute}")
    check_party(viewer(), answer["party"])
    tz = await site_zone(source())
    steps = [tuple(step[column.key] for column in STEP_COLUMNS) for step in answer["steps"]]
    kind = answer["line_kind"]
    return await render_page(
        "disputes/dispute.html",
        one=answer,
        dispute=dispute,
        tz=tz,
        currency=(await source().as_of()).currency,
        slot_s=(await source().as_of()).slot_s,
        line_address=line_url(answer["party"], answer["slot_start_s"], kind, answer["point"]) if kind else None,
        steps=Table("steps", STEP_COLUMNS, steps, title=_("What was said"), tz=tz),
        ground_titles=GROUND_TITLES,
        status_titles=STATUS_TITLES,
        status_states=STATUS_STATES,
    )
