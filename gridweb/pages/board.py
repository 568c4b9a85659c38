"""The status board of ``/condition``: versions, how far everything is, certificates, disks and clocks, as facts under five heads."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gridweb import format as shown
from gridweb.i18n import N_, _, translate
from gridweb.pages.fleet import KNOWN_COLUMNS, FleetGateway, read_fleet
from gridweb.site import site
from gridweb.source import AsOf, Source, SourceMissing, part_of
from gridweb.views import site_zone
from ledger.client import NodeStatus

DISK_FREE_PERCENT_MIN: Final = 10
"""With less of the pages' own disk free somebody should look at it."""
DAY_S: Final = 86_400
AUTHORITY_DAYS_MIN: Final = 30
CLOCK_WORDS: Final = next(column.words for column in KNOWN_COLUMNS if column.key == "clock")
MIB: Final = 1024 * 1024
T = TypeVar("T")
ENGINE_TITLES: Final = {
    "engine_peers": N_("Validators connected"),
    "pool_transactions": N_("Transactions that wait"),
    "mempool_transactions": N_("Transactions that wait"),
    "oldest_wait_seconds": N_("The oldest waits (s)"),
}
"""Numbers of the engine that have words; the others stand under their own names."""


@dataclass(frozen=True)
class Fact:
    """A line of the board. ``text``: as shown; ``state``: as in ``gridweb.format.badge``, "" for one that says nothing about right or wrong."""

    title: str
    text: str
    state: str = ""


async def read_board(source: Source) -> dict[str, list[Fact]]:
    """Facts by head, in the order of the page; a head whose facts are away has none."""
    status, as_of, fleet = await known(source.status()), await known(source.as_of()), await known(read_fleet(source))
    gateways = fleet[0] if fleet is not None else []
    return {
        N_("Versions"): _versions(status, gateways),
        N_("How far"): [] if status is None or as_of is None else _lag(status, as_of),
        N_("Certificates"): await _certificates(source, status),
        N_("Disks"): _disks(status),
        N_("Clocks"): [] if as_of is None else _clocks(as_of, gateways, await site_zone(source)),
    }


async def known(work: Awaitable[T]) -> T | None:
    """What the node says; None while it is away, and of what a node of another version does not know: the board stands all the same."""
    try:
        return (await part_of(work)).value
    except SourceMissing:
        return None


def _versions(status: NodeStatus | None, gateways: list[FleetGateway]) -> list[Fact]:
    found = [Fact(_("These pages"), site().version)]
    if status is not None:
        found.append(Fact(_("The ledger node"), status.version, "good" if status.version == site().version else "warn"))
    agents = Counter(one.newest["agent"] for one in gateways if one.newest is not None)
    found += [
        Fact(_("Gateways with %(agent)s", agent=agent), shown.count(count)) for agent, count in agents.most_common()
    ]
    return found


def _lag(status: NodeStatus, as_of: AsOf) -> list[Fact]:
    behind = as_of.newest - as_of.height
    own = [
        Fact(translate(ENGINE_TITLES.get(name, name)), shown.count(number))
        for name, number in sorted(status.engine.items())
    ]
    return [
        Fact(_("Height of the ledger node"), shown.count(status.height)),
        Fact(_("Blocks that the time series have not read"), shown.count(behind), "warn" if behind else "good"),
        *own,
    ]


async def _certificates(source: Source, status: NodeStatus | None) -> list[Fact]:
    found: list[Fact] = []
    if status is not None:
        waiting = status.height - status.certified_height
        found.append(Fact(_("Newest block with a certificate"), shown.count(status.certified_height)))
        found.append(Fact(_("Blocks after it"), shown.count(waiting), "good" if waiting <= 1 else "warn"))
        power = _(
            "%(signed)s of %(all)s", signed=shown.count(status.certificate_power), all=shown.count(status.signers_power)
        )
        found.append(Fact(_("Voting power behind it"), power))
        found.append(_authorities(await known(source.cached("organisations")), status, await site_zone(source)))
    return found


def _authorities(answer: Any, status: NodeStatus, tz: str) -> Fact:
    ends = (
        []
        if answer is None
        else [
            (one["authority_until_s"], one["organisation"])
            for one in answer["organisations"]
            if one["authority_until_s"] is not None and not one["removed"]
        ]
    )
    title = _("First certificate authority to end")
    if not ends:
        return Fact(title, shown.NO_VALUE)
    until_s, name = min(ends)
    is_near = until_s - status.ledger_time_s < AUTHORITY_DAYS_MIN * DAY_S
    return Fact(title, f"{name}: {shown.instant(until_s, tz)}", "warn" if is_near else "good")


def _disks(status: NodeStatus | None) -> list[Fact]:
    found: list[Fact] = []
    if status is not None:
        short = [one for one in status.shortages if one.kind == "disk"]
        left = _("full in %(days)s days", days=short[0].days_left) if short else _("lasts for over 30 days")
        found.append(Fact(_("The ledger node"), left, "bad" if short else "good"))
    usage = shutil.disk_usage(site().config.users.parent)
    percent = usage.free * 100 // usage.total
    text = _("%(free)s MiB free, %(percent)s %%", free=shown.count(usage.free // MIB), percent=percent)
    found.append(Fact(_("These pages"), text, "good" if percent >= DISK_FREE_PERCENT_MIN else "bad"))
    return found


def _clocks(as_of: AsOf, gateways: list[FleetGateway], tz: str) -> list[Fact]:
    found = [
        Fact(_("Ledger time"), f"{shown.moment(as_of.ledger_time_s, tz)} {tz}"),
        Fact(_("This machine"), f"{shown.moment(int(site().clock.now_s()), tz)} {tz}"),
    ]
    states = Counter(one.newest["clock_state"] for one in gateways if one.newest is not None)
    for state, count in states.most_common():
        words = translate(CLOCK_WORDS.get(state, state))
        found.append(
            Fact(_("Gateways: %(state)s", state=words), shown.count(count), "bad" if state == "unsynced" else "")
        )
    offsets = [one.newest["clock_offset_ms"] for one in gateways if one.newest is not None]
    if offsets:
        found.append(Fact(_("Largest offset of a gateway (ms)"), shown.count(max(offsets, key=abs))))
    return found
