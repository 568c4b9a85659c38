"""The one way in which pages get data: queries to the node, curves from the time series, and what is away.

    source.cached("areas/a-1/coverage", boundary_s=…)   # JSON of the node, kept until a newer height was seen
    source.curves(SLOTS, start_s, end_s, area="a-1")    # rows of the time series
    await part_of(source.cached(…))                     # a part of a page that may be missing: .value or .away

Nothing here knows who looks: roles are checked by the views before they ask (``gridweb.access``).
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from gridcore.errors import GridError
from gridseries.series import Row, Series, SeriesReader, SeriesUnavailable, Tags_co, Values_co
from gridweb.answer_cache import AnswerCache, Fetched, held_bytes
from gridweb.contract_words import ContractWords, contract_words
from gridweb.health import Health, Outage
from gridweb.i18n import N_
from ledger.client import NodeBusy, NodeRefused, NodeStatus, NodeUnreachable, parse_answer

STATUS_AGE_S_MAX: Final = 1.0
RETRY_AFTER_S: Final = 1.0
"""After a failure the node is left alone this long: pages do not wait for it one after the other."""
PAGES: Final = "pages"
"""Who reports what is noticed here (``Health.report``)."""
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
GONE: Final = 410

T = TypeVar("T")


class SourceAway(GridError):  # noqa: N818 - the name says what happened
    """What was asked is away now. ``dependency``: "node" or "series"; ``since_s``: UTC seconds."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(outage.reason)
        self.outage = outage
        self.dependency = outage.name
        self.since_s = outage.since_s


class SourceMissing(GridError):  # noqa: N818
    """The node knows no such thing, or not yet (its 404)."""


class SourceGone(SourceMissing):
    """The node has pruned it (its 410): it lies in the operator's archive."""


class SourceBusy(GridError):  # noqa: N818
    """The node answers, but not this, now: its 503, or it does not take the pages' key, or is no node. Asking again can help.

    ``outage``: how a part of a page says so; it is of this moment and not among the outages that every page shows.
    """

    def __init__(self, outage: Outage) -> None:
        super().__init__(outage.reason)
        self.outage = outage


class SourceNotYet(SourceBusy):
    """The node has this not yet, and the next block brings it: a bill line whose proof needs that."""


class NodeClient(Protocol):
    """What pages use of ``ledger.client.Client``."""

    async def status(self) -> NodeStatus:
        """What the node says of its chain."""

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The answer of ``/api/v1/<path>``."""

    async def query_about(self, path: str, body: bytes) -> Any:
        """The JSON answer of ``/api/v1/<path>`` to a question about a body."""


class Progress(Protocol):
    """How far the projection of the ledger is: heights of blocks."""

    @property
    def height(self) -> int:
        """Up to here the time series holds everything."""

    @property
    def newest(self) -> int:
        """The newest height that was seen at the node."""


MARKS: Final[Mapping[str, str]] = {"simulated": N_("SIMULATED"), "imported": N_("IMPORTED")}
"""By the clock of a chain."""


@dataclass(frozen=True)
class AsOf:
    """What a page's figures rest on. ``height``: projected; ``newest``: of the node; times in UTC seconds; ``clock``: of the chain."""

    chain: str
    height: int
    newest: int
    ledger_time_s: int
    clock: str
    currency: str
    slot_s: int

    @property
    def mark(self) -> str:
        """What every page of a chain says whose energies no meter signed: a message id, "" for one of meters."""
        return MARKS.get(self.clock, "")


@dataclass(frozen=True)
class AreaInfo:
    """An area as pages need it. ``days``: starts of its local days, then the end of the last one, UTC seconds."""

    area: str
    tz: str
    days: tuple[int, ...]
    first_slot_start_s: int
    slot_s: int
    contract: ContractWords
    rules: Mapping[str, Any]
    meters: int
    settling: int

    def day_around(self, instant_s: int) -> tuple[int, int]:
        """Start and end of the local day that holds an instant. SourceMissing outside the calendar."""
        at = bisect_right(self.days, instant_s) - 1
        if not 0 <= at < len(self.days) - 1:
            raise SourceMissing(f"the calendar of area {self.area} has no day around {instant_s}")
        return self.days[at], self.days[at + 1]

    def slots_of(self, day_start_s: int) -> range:
        """Starts of the slots of the local day that begins at ``day_start_s``, from the area's first slot on."""
        start_s, end_s = self.day_around(day_start_s)
        return range(max(start_s, self.first_slot_start_s), end_s, self.slot_s)


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of a page: its ``value``, or what is ``away`` (then ``value`` is None)."""

    value: T | None
    away: Outage | None = None


async def part_of(work: Awaitable[T]) -> Part[T]:
    """The result of ``work``, or what keeps it from us, away or busy: the rest of the page is shown all the same."""
    try:
        return Part(await work)
    except (SourceAway, SourceBusy) as without:
        return Part(None, without.outage)


class Source:
    """Data for pages; used by one event loop alone."""

    def __init__(self, node: NodeClient, series: SeriesReader, progress: Progress, health: Health) -> None:
        self._node = node
        self._series = series
        self.progress = progress
        self._health = health
        self._failed_s = float("-inf")
        self._is_probing = False
        self._cache = AnswerCache()
        self._status: NodeStatus | None = None
        self._status_key: tuple[int, float] = (-1, float("-inf"))
        self._areas: list[AreaInfo] | None = None

    async def query(self, path: str, **params: str | int) -> Any:
        """The node's JSON answer. SourceAway, SourceBusy, SourceMissing; NodeRefused for a malformed question."""
        return (await self._ask(self._answer(path, params))).value

    async def ask_about(self, path: str, body: bytes) -> Any:
        """The node's JSON answer to a question about a body (CBOR), not kept. Raises as ``query`` does."""
        return await self._ask(self._node.query_about(path, body))

    async def bytes(self, path: str, **params: str | int) -> bytes:
        """The node's answer as bytes: bundles, books. Raises as ``query`` does."""
        return await self._ask(self._node.fetch_bytes(path, **params))

    async def cached(self, path: str, **params: str | int) -> Any:
        """As ``query``, asked once for many until a newer height was seen. Do not change what you get."""
        key = (path, tuple(sorted(params.items())))
        return await self._cache.get(key, self.progress.newest, lambda: self._ask(self._answer(path, params)))

    async def pages(self, path: str, *, rows_max: int | None = None, **params: str | int) -> list[Any]:
        """All pages of one of the node's lists, each as ``cached`` gives it; none that begins beyond ``rows_max`` rows."""
        found: list[Any] = []
        start: int | None = 0
        while start is not None and (rows_max is None or start < rows_max):
            found.append(await self.cached(path, **params, **({"start": start} if start else {})))
            following = found[-1]["next"]
            if following is not None and following <= start:
                raise self._busy(f"{path}: the page from row {start} is followed by the one from row {following}")
            start = following
        return found

    async def curves(
        self, series: Series[Tags_co, Values_co], start_s: int, end_s: int, **tags: str
    ) -> list[Row[Tags_co, Values_co]]:
        """Rows of the time series with start_s <= time_s < end_s and these tags, ascending by instant, then tags. SourceAway."""
        try:
            rows = await self._series.read(series, start_s, end_s, tags)
        except SeriesUnavailable as error:
            raise _away(self._health, "series", str(error)) from None
        self._health.report("series", None, PAGES)
        return rows

    async def status(self) -> NodeStatus:
        """What the node says of itself, at most a second old. SourceAway."""
        height, asked_s = self._status_key
        now_s = time.monotonic()
        if self._status is None or height != self.progress.newest or now_s - asked_s > STATUS_AGE_S_MAX:
            self._status = await self._ask(self._node.status())
            self._status_key = (self.progress.newest, now_s)
        return self._status

    async def as_of(self) -> AsOf:
        """What figures rest on now; while the node is away or busy, as last known. SourceAway, SourceBusy if it never was."""
        try:
            status = await self.status()
        except (SourceAway, SourceBusy):
            if self._status is None:
                raise
            status = self._status
        height = min(self.progress.height, status.height)
        return AsOf(
            chain=status.chain,
            height=height,
            newest=max(status.height, self.progress.newest),
            ledger_time_s=status.ledger_time_s,
            clock=status.clock,
            currency=status.currency,
            slot_s=status.slot_s,
        )

    async def areas(self) -> list[AreaInfo]:
        """All areas, ascending by id; while the node is away or busy, as last known. SourceAway, SourceBusy if they never were."""
        try:
            self._areas = await self._load_areas()
        except (SourceAway, SourceBusy):
            if self._areas is None:
                raise
        return self._areas

    async def area(self, area_id: str) -> AreaInfo:
        """One area. SourceMissing when there is none of this id."""
        for area in await self.areas():
            if area.area == area_id:
                return area
        raise SourceMissing(f"no area {area_id!r} on this chain")

    def outages(self) -> list[Outage]:
        """What is away now."""
        return self._health.outages()

    async def _load_areas(self) -> list[AreaInfo]:
        slot_s = (await self.status()).slot_s
        found = []
        answer = await self.cached("areas")
        contracts = {value["contract"]: contract_words(value) for value in answer["contracts"]}
        for value in answer["areas"]:
            calendar = await self.cached(f"calendars/{value['calendar']}")
            found.append(
                AreaInfo(
                    area=value["area"],
                    tz=calendar["tz"],
                    days=tuple(calendar["days"]),
                    first_slot_start_s=value["first_slot_start_s"],
                    slot_s=slot_s,
                    contract=contracts[value["contract"]],
                    rules=value["rules"],
                    meters=value["meters"],
                    settling=value["settling"],
                )
            )
        return found

    async def _answer(self, path: str, params: Mapping[str, str | int]) -> Fetched:
        data = await self._node.fetch_bytes(path, **params)
        return Fetched(parse_answer(data, "the node"), held_bytes(data))

    def _busy(self, reason: str) -> SourceBusy:
        return SourceBusy(self._health.moment("node", reason))

    async def _ask(self, question: Awaitable[T]) -> T:
        """Ask the node. While it is away one question at a time finds out whether it is back; the others do not wait."""
        outage = self._health.outage("node", PAGES)
        if outage is not None and (self._is_probing or time.monotonic() - self._failed_s < RETRY_AFTER_S):
            if asyncio.iscoroutine(question):
                question.close()
            raise SourceAway(outage)
        is_probe = outage is not None
        self._is_probing = self._is_probing or is_probe
        try:
            answer = await question
        except NodeBusy as busy:
            self._health.report("node", None, PAGES)
            kind = SourceNotYet if busy.word == "not-yet" else SourceBusy
            raise kind(self._health.moment("node", busy.detail)) from None
        except NodeUnreachable as error:
            self._failed_s = time.monotonic()
            raise _away(self._health, "node", str(error)) from None
        except NodeRefused as refused:
            self._health.report("node", None, PAGES)
            if refused.status == GONE:
                raise SourceGone(refused.detail) from None
            if refused.status == NOT_FOUND:
                raise SourceMissing(refused.detail) from None
            if refused.status != BAD_REQUEST:
                raise self._busy(str(refused)) from None
            raise
        finally:
            if is_probe:
                self._is_probing = False
        self._health.report("node", None, PAGES)
        return answer


def _away(health: Health, name: str, reason: str) -> SourceAway:
    health.report(name, reason, PAGES)
    return SourceAway(health.outage(name) or Outage(name, 0, reason))
