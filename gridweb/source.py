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
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from gridcore.errors import GridError
from gridseries.series import (
    SLOTS,
    AnySeries,
    Columns,
    Row,
    Series,
    SeriesReader,
    SeriesUnavailable,
    Tags_co,
    Values_co,
)
from gridweb.answer_cache import AnswerCache, Fetched, Key, held_bytes
from gridweb.contract_words import ContractWords, contract_words
from gridweb.format import said_instant
from gridweb.freshness import Freshness, News, freshness_of
from gridweb.health import STALLS, Health, Outage
from gridweb.i18n import N_
from gridweb.kept import note_kept
from gridweb.ledger_side import NodeClient, Progress
from ledger.client import Answer, NodeBusy, NodeRefused, NodeStatus, NodeUnreachable, parse_answer

STATUS_AGE_S_MAX: Final = 1.0
RETRY_AFTER_S: Final = 1.0
"""After a failure the node is left alone this long: pages do not wait for it one after the other."""
PAGES: Final = "pages"
"""Who reports what is noticed here (``Health.report``)."""
LOOK_S: Final = 3.0
"""How long the node may take to say what it is when it is looked at (``Source.look``); longer, and it is away for everybody who waits."""
MISSING_KEPT_MAX: Final = 10_000
"""Questions of which it is kept that the node had no answer."""
KEPT_ROWS_MAX: Final = 100_000
"""Rows of the time series in memory, about 300 bytes each, for pages that are asked for while the store is away."""
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


MARKS: Final[Mapping[str, str]] = {"simulated": N_("SIMULATED"), "imported": N_("IMPORTED")}
"""By the clock of a chain."""


@dataclass(frozen=True)
class AsOf:
    """What a page's figures rest on. ``height``: projected; ``newest``: of the node; times in UTC seconds; ``clock``: of the chain.

    ``told_s``: the ledger time up to which the time series tell what is there and what is not: that of the block at ``height``.
    """

    chain: str
    height: int
    newest: int
    ledger_time_s: int
    told_s: int
    clock: str
    currency: str
    slot_s: int

    @property
    def mark(self) -> str:
        """What every page of a chain says whose energies no meter signed: a message id, "" for one of meters."""
        return MARKS.get(self.clock, "")

    @property
    def is_behind(self) -> bool:
        """Whether the ledger has more than the time series have read."""
        return self.height < self.newest

    @property
    def now_s(self) -> int | None:
        """Ledger time where the series are behind the ledger, None where they tell all there is (``day_figures.state_of``)."""
        return self.ledger_time_s if self.is_behind else None


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
    traders: int

    def day_around(self, instant_s: int) -> tuple[int, int]:
        """Start and end of the local day that holds an instant. SourceMissing outside the calendar."""
        at = bisect_right(self.days, instant_s) - 1
        if not 0 <= at < len(self.days) - 1:
            raise SourceMissing(f"the calendar of area {self.area} has no day around {said_instant(instant_s)}")
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


class _KeptRows(NamedTuple):
    """What the store answered last to a question, when (UTC seconds), and how many rows that keeps in memory."""

    asked_s: int
    rows: int
    value: Any


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
        self._status_s = 0
        self._news = News(-1, 0, 0)
        self._asking: set[asyncio.Future[Any]] = set()
        self._curves: OrderedDict[Hashable, _KeptRows] = OrderedDict()
        self._missing: OrderedDict[Key, tuple[int, SourceMissing]] = OrderedDict()
        """What the node did not know when it was asked last, and when."""
        self._told = (0, 0)
        """A projected height and the ledger time at it."""

    async def query(self, path: str, **params: str | int) -> Any:
        """The node's JSON answer. SourceAway, SourceBusy, SourceMissing; NodeRefused for a malformed question."""
        return (await self._ask(self._answer(path, params))).value

    async def ask_about(self, path: str, body: bytes) -> Any:
        """The node's JSON answer to a question about a body (CBOR), not kept. Raises as ``query`` does."""
        return await self._ask(self._node.query_about(path, body))

    async def submit(self, wire: bytes) -> Answer:
        """What became of a transaction that its party signed elsewhere. Raises as ``query`` does."""
        return (await self._ask(self._node.submit([wire])))[0]

    async def bytes(self, path: str, **params: str | int) -> bytes:
        """The node's answer as bytes: bundles, books. Raises as ``query`` does."""
        return await self._ask(self._node.fetch_bytes(path, **params))

    async def cached(self, path: str, **params: str | int) -> Any:
        """As ``query``, asked once for many until a newer height was seen. Do not change what you get.

        While the node is away or busy the last answer is given, if it is still kept; the page then says how old it is (``kept_since``).
        """
        key = (path, tuple(sorted(params.items())))
        try:
            value = await self._cache.get(key, self.progress.newest, lambda: self._ask(self._answer(path, params)))
        except SourceMissing as missing:
            self._note_missing(key, missing)
            raise
        except SourceNotYet:
            raise
        except (SourceAway, SourceBusy) as without:
            kept = self._cache.kept(key)
            if kept is None and isinstance(without, SourceAway) and key in self._missing:
                asked_s, known = self._missing[key]
                note_kept(asked_s)
                raise known from None
            if kept is None:
                raise
            note_kept(self._health.now_s() - int(time.monotonic() - kept.asked_s))
            return kept.value
        self._missing.pop(key, None)
        return value

    def _note_missing(self, key: Key, missing: SourceMissing) -> None:
        self._missing[key] = (self._health.now_s(), missing)
        while len(self._missing) > MISSING_KEPT_MAX:
            self._missing.popitem(last=False)

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
        """Rows of the time series with start_s <= time_s < end_s and these tags, ascending by instant, then tags.

        While the store is away, as they were read last, if that is still kept (as ``cached``); else SourceAway.
        """
        return await self._read(
            ("rows", series.name, start_s, end_s, *sorted(tags.items())),
            len,
            self._series.read(series, start_s, end_s, tags),
        )

    async def columns(
        self, series: AnySeries, start_s: int, end_s: int, fields: Sequence[str] | None = None, **tags: str
    ) -> Columns:
        """The same rows as columns: for those who want a year; ``fields``: the values that are wanted, by themselves all."""
        key = ("columns", series.name, start_s, end_s, *(fields or ()), *sorted(tags.items()))
        return await self._read(
            key, lambda found: len(found.time_s), self._series.read_columns(series, start_s, end_s, tags, fields)
        )

    async def _read(self, key: Hashable, count: Callable[[T], int], question: Awaitable[T]) -> T:
        """What the store answers; while it is away, what it answered last. ``count``: of rows in an answer."""
        try:
            found = await question
        except SeriesUnavailable as error:
            away = _away(self._health, "series", str(error))
            if key not in self._curves:
                raise away from None
            kept = self._curves[key]
            note_kept(kept.asked_s)
            answer: T = kept.value
            return answer
        self._health.report("series", None, PAGES)
        self._curves.pop(key, None)
        if count(found) <= KEPT_ROWS_MAX:
            self._curves[key] = _KeptRows(self._health.now_s(), 1 + count(found), found)
        while sum(kept.rows for kept in self._curves.values()) > KEPT_ROWS_MAX:
            self._curves.popitem(last=False)
        return found

    async def status(self) -> NodeStatus:
        """What the node says of itself, at most a second old; while it is away or busy, as last known. SourceAway, SourceBusy if it never was."""
        height, asked_s = self._status_key
        now_s = time.monotonic()
        if self._status is None or height != self.progress.newest or now_s - asked_s > STATUS_AGE_S_MAX:
            try:
                self._status = await self._ask(self._node.status())
            except (SourceAway, SourceBusy):
                if self._status is None:
                    raise
                note_kept(self._status_s)
                return self._status
            self._status_key = (self.progress.newest, now_s)
            self._note_status(self._status)
        return self._status

    def _note_status(self, status: NodeStatus) -> None:
        stall, self._status_s = status.stall, self._health.now_s()
        self._health.report("blocks", STALLS.get(stall, stall) if stall else None, PAGES)
        if status.height != self._news.height:
            self._news = News(status.height, self._health.now_s(), status.ledger_time_s)

    async def look(self) -> None:
        """See whether node and store answer; a node that takes longer than LOOK_S is away, for all who wait for it, too."""
        try:
            async with asyncio.timeout(LOOK_S):
                self._note_status(await self._node.status())
        except NodeBusy:
            self._health.report("node", None, PAGES)
        except (NodeUnreachable, NodeRefused, TimeoutError) as error:
            self._failed_s = time.monotonic()
            self._health.report("node", str(error) or f"it has not answered for {LOOK_S:.0f} s", PAGES)
            for question in list(self._asking):
                question.cancel()
        else:
            self._health.report("node", None, PAGES)
        await part_of(self._read_nothing())

    async def _read_nothing(self) -> None:
        """Ask the store for rows that nobody wrote."""
        try:
            await self._series.read(SLOTS, 0, 1, {})
        except SeriesUnavailable as error:
            raise _away(self._health, "series", str(error)) from None
        self._health.report("series", None, PAGES)

    def freshness(self) -> Freshness | None:
        """How fresh what pages show is, by the one rule (``gridweb.freshness``); None before the node's first answer."""
        if self._status is None and self._news.height < 0:
            return None
        slot_s, clock = (self._status.slot_s, self._status.clock) if self._status is not None else (0, "")
        return freshness_of(self._news, clock, slot_s, self._health.now_s(), self.outages(), self._areas)

    async def as_of(self) -> AsOf:
        """What figures rest on now; while the node is away or busy, as last known. SourceAway, SourceBusy if it never was."""
        status = await self.status()
        height, newest = min(self.progress.height, status.height), max(status.height, self.progress.newest)
        if height == status.height:
            self._told = (height, status.ledger_time_s)
        return AsOf(
            chain=status.chain,
            height=height,
            newest=newest,
            ledger_time_s=status.ledger_time_s,
            told_s=await self._time_at(height),
            clock=status.clock,
            currency=status.currency,
            slot_s=status.slot_s,
        )

    async def _time_at(self, height: int) -> int:
        """The ledger time of the block at a projected height; while nobody can say, the last one that was known, or 0."""
        if height != self._told[0]:
            try:
                self._told = (height, (await self.cached(f"blocks/{height}"))["ledger_time_s"])
            except (SourceAway, SourceBusy, SourceMissing):
                return self._told[1] if self._told[0] < height else 0
        return self._told[1]

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
                    traders=value["traders"],
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
            answer = await self._answered(question)
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

    async def _answered(self, question: Awaitable[T]) -> T:
        """The node's answer; NodeUnreachable as soon as ``look`` finds the node away, however patient the question is."""
        asking = asyncio.ensure_future(question)
        self._asking.add(asking)
        try:
            return await asking
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if asking.cancelled() and not (task and task.cancelling()):
                raise NodeUnreachable(f"the node has not answered for {LOOK_S:.0f} s") from None
            raise
        finally:
            self._asking.discard(asking)


def _away(health: Health, name: str, reason: str) -> SourceAway:
    health.report(name, reason, PAGES)
    return SourceAway(health.outage(name) or Outage(name, 0, reason))
