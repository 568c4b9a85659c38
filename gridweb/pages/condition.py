"""``/condition``: what the pages rest on, the status board, and what is away. The example of a page."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from quart import Blueprint

from gridweb import format as shown
from gridweb.access import READS_ALL, requires
from gridweb.format import iso
from gridweb.freshness import Freshness
from gridweb.health import PARTS
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.board import read_board
from gridweb.reasons import said
from gridweb.site import site, source
from gridweb.source import Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_fragment, render_page, site_zone
from ledger.client import NodeStatus

pages = Blueprint("condition", __name__)

NAVIGATION = (Entry("/condition", N_("Condition"), READS_ALL, 90),)

FOLLOWING: Final = "projection"
"""The part that does not answer but follows."""
HISTORY: Final = "history"
"""What gateways dispute that hold receipts of another one."""
BLOCKS: Final = "blocks"
"""What a node makes, unless something holds it up."""
NEWS: Final = "news"
"""The row about how fresh what pages show is."""
SHORTAGES: Final = {
    "calendar": N_("a calendar"),
    "disk": N_("the disk of the ledger node"),
    "prices": N_("published prices"),
}
"""What can run out, by the node's word for it."""
STATES: Final = {
    "away": N_("away"),
    "answers": N_("answers"),
    "stands_still": N_("stands still"),
    "follows": N_("follows it"),
    "disputed": N_("disputed"),
    "runs_out": N_("runs out"),
    "goes_on": N_("go on"),
    "current": N_("current"),
    "resting": N_("at rest"),
    "late": N_("late"),
    "standing": N_("stands still"),
}
COLUMNS = (
    Column(
        "part",
        N_("Part"),
        words={
            **PARTS,
            HISTORY: N_("the history of the ledger node"),
            NEWS: N_("the newest block"),
            **SHORTAGES,
        },
    ),
    Column("state", N_("State"), words=STATES),
    Column("since_s", N_("Since"), "instant"),
)
"""But the reason, whose words are those of the moment."""


@serves_table("/condition", *READS_ALL)
async def condition_table(source: Source) -> Table:
    """Every part that the pages rest on, and whether it answers."""
    status = (await part_of(source.status())).value  # an outage is noticed by asking
    outages = {outage.name: outage for outage in source.outages()}
    rows = [
        _Row(
            name,
            _state(name, is_away=True),
            outages[name].since_s,
            _Reason(outages[name].reason, said(outages[name].reason)),
        )
        if name in outages
        else _Row(name, _state(name, is_away=False))
        for name in site().health.known()
        if name != BLOCKS or "node" not in outages
    ]
    fresh, tz = source.freshness(), await site_zone(source)
    rows += [] if fresh is None else [_Row(NEWS, fresh.pulse.value, fresh.as_of_s, _said_of(fresh, tz))]
    rows += [] if status is None else _alarms(status)
    words = {row.reason.code: row.reason.words for row in rows if row.reason is not None}
    columns = (*COLUMNS, Column("reason", N_("Reason"), words=words))
    values = [(*row[:-1], None if row.reason is None else row.reason.code) for row in rows]
    return Table("condition", columns, values, title=_("What these pages rest on"), tz=tz)


class _Reason(NamedTuple):
    """Why: ``code``, the same in every language, for programs; ``words``: as people read it."""

    code: str
    words: str


class _Row(NamedTuple):
    part: str
    state: str
    since_s: int | None = None
    reason: _Reason | None = None


def _alarms(status: NodeStatus) -> list[_Row]:
    """What the node itself says is wrong, or will be within a month."""
    rows = []
    if status.disputed_by:
        many = _("%(count)s gateways hold receipts of another history", count=shown.count(status.disputed_by))
        code = f"{status.disputed_by} gateways hold receipts of another history"
        rows.append(_Row(HISTORY, "disputed", None, _Reason(code, many)))
    for shortage in status.shortages:
        left = _("%(count)s days left", count=shown.count(shortage.days_left))
        texts = (
            f"{shortage.subject}: {words}".removeprefix(": ") for words in (f"{shortage.days_left} days left", left)
        )
        rows.append(_Row(shortage.kind, "runs_out", None, _Reason(*texts)))
    return rows


def _said_of(fresh: Freshness, tz: str) -> _Reason | None:
    """What was expected when: for people by the local clock."""
    if fresh.expected_s is None:
        return None
    code = f"the next one by {iso(fresh.expected_s)}"
    words = _("the next one by %(time)s", time=shown.moment(fresh.expected_s, tz))
    if not fresh.late_s:
        return _Reason(code, words)
    late = _("%(count)s s late", count=shown.count(fresh.late_s))
    return _Reason(f"{code}; {fresh.late_s} s late", f"{words}; {late}")


def _state(name: str, *, is_away: bool) -> str:
    """How a part is: a key of STATES."""
    if name == BLOCKS:
        return "stands_still" if is_away else "goes_on"
    if name == FOLLOWING:
        return "stands_still" if is_away else "follows"
    return "away" if is_away else "answers"


@pages.get("/condition")
@requires(*READS_ALL)
async def show_condition() -> str:
    """The page."""
    return await render_page("condition.html", **await _read())


@pages.get("/condition/part")
@requires(*READS_ALL)
async def show_condition_part() -> str:
    """The content of the page by itself."""
    return await render_fragment("condition-part.html", **await _read())


async def _read() -> dict[str, Any]:
    table = await condition_table(source())
    return {"table": table, "table_url": table_url(condition_table), "board": await read_board(source())}
