"""``/consortium/proposals``: what organisations are asked to decide, how each has voted, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from quart import Blueprint

from gridcore.serving.problems import Problem
from gridweb.access import READS_ALL, requires
from gridweb.governance_words import SORT_TITLES, STATUS_STATES, STATUS_TITLES, action_lines
from gridweb.i18n import N_, _
from gridweb.pages.households import cut
from gridweb.pages.proposing import WRITERS
from gridweb.site import source
from gridweb.source import Part, Source, part_of
from gridweb.tables import TABLE_ROWS_MAX, Column, Table, serves_table, table_url
from gridweb.views import render_fragment, render_page, site_zone

_ID: Final = re.compile(r"[0-9a-f]{64}")
VOTES: Final = {"in_favour": N_("in favour"), "against": N_("against"), "none": N_("not voted")}

pages = Blueprint("proposals", __name__)

COLUMNS: Final = (
    Column("proposal", N_("Proposal"), "digest"),
    Column("sort", N_("What it decides"), words=SORT_TITLES),
    Column("organisation", N_("Proposed by")),
    Column("status", N_("Status"), words=STATUS_TITLES),
    Column("in_favour", N_("In favour"), "count"),
    Column("against", N_("Against"), "count"),
    Column("needed", N_("Needed"), "count"),
    Column("open_until_s", N_("Open until"), "instant"),
    Column("proposed_height", N_("Proposed in block"), "count"),
    Column("decided_height", N_("Decided in block"), "count"),
)
VOTE_COLUMNS: Final = (
    Column("organisation", N_("Organisation")),
    Column("vote", N_("Vote"), words=VOTES),
)


@serves_table("/consortium/proposals", *READS_ALL)
async def proposals_table(source: Source) -> Table:
    """Every proposal, the newest first."""
    found = await source.pages("proposals", rows_max=TABLE_ROWS_MAX)
    proposals = [one for page in found for one in page["proposals"]][::-1]
    rows = [
        (
            one["proposal"],
            one["sort"],
            one["organisation"],
            one["status"],
            len(one["in_favour"]),
            len(one["against"]),
            one["needed"],
            one["open_until_s"],
            one["proposed_height"],
            one["decided_height"],
        )
        for one in proposals
    ]
    links = [f"/consortium/proposals/{one['proposal']}" for one in proposals]
    tz = await site_zone(source)
    return Table("proposals", COLUMNS, rows, title=_("Proposals"), links=links, tz=tz)


@serves_table("/consortium/proposals/<proposal>/votes", *READS_ALL)
async def votes_table(source: Source, proposal: str) -> Table:
    """How each organisation that may vote has voted on a proposal."""
    answer = await _read(source, proposal)
    return table_of_votes(answer, (await source.cached("permissions"))["voters"])


def table_of_votes(answer: Mapping[str, Any], voters: list[str]) -> Table:
    """Votes as a table; who voted and may vote no more stays in it."""
    names = sorted({*voters, *answer["in_favour"], *answer["against"]}, key=str.encode)
    sides = {**dict.fromkeys(answer["in_favour"], "in_favour"), **dict.fromkeys(answer["against"], "against")}
    rows = [(name, sides.get(name, "none")) for name in names]
    return Table("votes", VOTE_COLUMNS, rows, title=_("Votes by organisation"))


async def _read(source: Source, proposal: str) -> Mapping[str, Any]:
    if _ID.fullmatch(proposal) is None:
        raise Problem("not-found", "a proposal's id is 64 hex digits")
    found: Mapping[str, Any] = await source.cached(f"proposals/{proposal}")
    return found


async def _one(proposal: str) -> dict[str, Any]:
    """What the page of one proposal shows."""
    answer = await part_of(_read(source(), proposal))
    if answer.value is None:
        return {"proposal": proposal, "answer": answer}
    current = (await source().cached("validators"))["current"]
    votes = table_of_votes(answer.value, (await source().cached("permissions"))["voters"])
    return {
        "proposal": proposal,
        "answer": answer,
        "lines": action_lines(answer.value["action"], current if answer.value["status"] == "open" else ()),
        "is_set": answer.value["sort"] == "validators" and answer.value["status"] != "open",
        "votes": votes,
        "votes_url": table_url(votes_table, proposal=proposal),
        "sort_titles": SORT_TITLES,
        "status_titles": STATUS_TITLES,
        "status_states": STATUS_STATES,
    }


async def _all() -> dict[str, Any]:
    found = await part_of(proposals_table(source()))
    shown = found if found.value is None else Part(cut(found.value))
    return {"proposals": shown, "url": table_url(proposals_table)}


@pages.get("/consortium/proposals")
@requires(*READS_ALL)
async def show_proposals() -> str:
    """The page: all of them."""
    return await render_page("consortium/proposals.html", **await _all(), writers=WRITERS)


@pages.get("/consortium/proposals/part")
@requires(*READS_ALL)
async def show_proposals_part() -> str:
    """The list by itself."""
    return await render_fragment("consortium/proposal-list.html", **await _all())


@pages.get("/consortium/proposals/<proposal>")
@requires(*READS_ALL)
async def show_proposal(proposal: str) -> str:
    """The page of one."""
    return await render_page("consortium/proposal.html", **await _one(proposal))


@pages.get("/consortium/proposals/<proposal>/part")
@requires(*READS_ALL)
async def show_proposal_part(proposal: str) -> str:
    """How it stands, by itself."""
    return await render_fragment("consortium/proposal-state.html", **await _one(proposal))
