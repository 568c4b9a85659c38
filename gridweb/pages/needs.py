"""What needs a person, the most urgent first: the first line of the overview. Each need leads to where something is done about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from gridweb import format as shown
from gridweb.i18n import _, translate
from gridweb.pages.accounts import read_accounts
from gridweb.pages.condition import SHORTAGES
from gridweb.pages.gateways import read_gateways
from gridweb.pages.scope import Scope
from gridweb.pages.stakes import read_troubles
from gridweb.pages.troubles import is_done, shown_to
from gridweb.reasons import said
from gridweb.site import viewer
from gridweb.source import Source, SourceMissing, part_of
from ledger.client import NodeStatus

URGENT: Final = "bad"
WAITS: Final = "warn"


@dataclass(frozen=True)
class Need:
    """One thing for a person. ``state``: URGENT or WAITS; ``text``: as shown; ``path``: where it is looked into."""

    state: str
    text: str
    path: str


async def read_needs(source: Source, scope: Scope) -> list[Need]:
    """What needs a person in the areas of a scope, urgent things first; of what is away or busy, that it is: what waits there nobody knows."""
    away, found = list(source.outages()), []
    for read in READERS:
        with suppress(SourceMissing):  # a node of another version: it has none of these
            part = await part_of(read(source, scope))
            found += part.value or []
            if part.away is not None and part.away.name not in {one.name for one in away}:
                away.append(part.away)
    found = [*(Need(URGENT, f"{translate(one.title)}: {said(one.reason)}", "/condition") for one in away), *found]
    return sorted(found, key=lambda need: need.state != URGENT)


async def _of_the_node(source: Source, scope: Scope) -> list[Need]:
    return needs_of_node(await source.status(), has_end=bool(scope.as_of.mark))


def needs_of_node(status: NodeStatus, *, has_end: bool) -> list[Need]:
    """What a node says itself. ``has_end``: of a simulation, or of imported data, whose calendar ends with it: work for nobody."""
    found = []
    if status.disputed_by:
        count = shown.count(status.disputed_by)
        found.append(
            Need(URGENT, _("Gateways that hold receipts of another history: %(count)s", count=count), "/condition")
        )
    for shortage in () if has_end else status.shortages:
        what = f"{translate(SHORTAGES.get(shortage.kind, shortage.kind))} {shortage.subject}".strip()
        text = _("Runs out in %(days)s days: %(what)s", days=shown.count(shortage.days_left), what=what)
        found.append(Need(WAITS if shortage.days_left else URGENT, text, "/condition"))
    return found


async def _of_the_book(source: Source, scope: Scope) -> list[Need]:
    accounts = await read_accounts(source, scope.areas)
    if accounts.is_balanced:
        return []
    areas = ", ".join(accounts.unbalanced)
    return [
        Need(URGENT, _("The book does not balance: %(areas)s", areas=areas), f"/overview{scope.query()}#title-money")
    ]


async def _of_the_gateways(source: Source, scope: Scope) -> list[Need]:
    own = {area.area for area in scope.areas}
    gateways = await read_gateways(source, scope.areas, scope.as_of.ledger_time_s)
    silent = [one for one in gateways if one.is_silent and own.intersection(one.areas)]
    if not silent:
        return []
    path = f"/gateways/{silent[0].gateway}" if len(silent) == 1 else "/fleet"
    meters = shown.count(sum(one.meters for one in silent))
    text = _("Silent gateways: %(count)s, with %(meters)s meters", count=shown.count(len(silent)), meters=meters)
    return [Need(URGENT, text, path)]


async def _of_the_data(source: Source, scope: Scope) -> list[Need]:
    noted = shown_to(viewer())
    found = (await read_troubles(source, scope.days, is_day_only=True)).items
    troubles = [trouble for trouble in found if not is_done(trouble, noted)]
    if not troubles:
        return []
    most = shown.money(max(one.stake_nano or 0 for one in troubles), scope.as_of.currency)
    text = _(
        "Exceptions of the day: %(count)s; at stake in the largest one: %(amount)s",
        count=shown.count(len(troubles)),
        amount=most,
    )
    return [Need(WAITS, text, f"/quality{scope.query()}")]


async def _of_the_registry(source: Source, scope: Scope) -> list[Need]:
    pending = (await source.cached("registry/pending"))["pending"]
    waits = [one for one in pending if scope.as_of.ledger_time_s <= one["valid_until_s"]]
    text = _("Registrations that wait for approval: %(count)s", count=shown.count(len(waits)))
    return [Need(WAITS, text, "/registry")] if waits else []


async def _of_disputes(source: Source, _scope: Scope) -> list[Need]:
    count = await _open_disputes(source)
    return [Need(WAITS, _("Open disputes: %(count)s", count=shown.count(count)), "/disputes")] if count else []


async def _open_disputes(source: Source) -> int:
    """How many disputes are open: those before the oldest open one are not asked for again. They never open anew."""
    closed, count = _closed.get(source, 0), 0
    start: int | None = closed
    while start is not None:
        page = await source.cached("disputes", start=start)
        for place, dispute in enumerate(page["disputes"], start):
            count += not dispute["is_closed"]
            closed = place + 1 if not count else closed
        start = page["next"]
    _closed[source] = closed
    return count


_closed: WeakKeyDictionary[Source, int] = WeakKeyDictionary()
"""How many of the oldest disputes are closed, all of them."""

READERS: Final[tuple[Callable[[Source, Scope], Awaitable[list[Need]]], ...]] = (
    _of_the_node,
    _of_the_book,
    _of_the_gateways,
    _of_the_data,
    _of_disputes,
    _of_the_registry,
)
"""In the order of equal urgency."""
