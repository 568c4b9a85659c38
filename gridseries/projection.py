"""The projection: follows a node's ``changes`` and keeps the time series as they follow from its answers, for as long as it runs.

Rows first, then the cursor: a projection that dies anywhere goes on from its cursor and writes some rows again, which changes
nothing. It ends only when told to; a node or a store that is away is reported, and asked again with growing pauses.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final

from gridcore.errors import UsageError
from gridseries.answers import AnswerError, Changes, LocalDay, Point, Position
from gridseries.followed_node import GONE, FollowedNode, NodeClient
from gridseries.rows import SlotRows, voltages
from gridseries.series import (
    DAYS,
    INTERVALS,
    OBSERVATIONS,
    PARTY_DAYS,
    SLOTS,
    START,
    AnyRow,
    AnySeries,
    Cursor,
    DayTags,
    DayValues,
    ObservationRow,
    PartyDayTags,
    PartyDayValues,
    Row,
    SeriesUnavailable,
    TimeSeries,
)
from ledger.client import NodeBusy, NodeRefused, NodeUnreachable

WAIT_S: Final = 15
"""How long one question for changes is held by the node."""
PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 5.0
"""Before the next attempt after a failure, doubled each time."""
ROWS_AT_ONCE: Final = 10_000
"""Rows of a series that wait for a write; about so many are in memory, whatever the size of an area."""
OBSERVED_ROWS_MAX: Final = 100_000
"""Observations in memory during one answer's work, beside those of the boundary in use: every area at a boundary looks at them."""
REMEDY: Final = "drop the series and let them be made again, or bring the newer ledger back"

OnSlots = Callable[[list[tuple[str, int]]], None]
OnHealth = Callable[[str, str | None], None]


class Projector:
    """Keeps a store in step with a node. ``height``: projected up to here; ``newest``: the newest block seen."""

    def __init__(
        self,
        client: NodeClient,
        series: TimeSeries,
        on_slots: OnSlots = lambda _: None,
        on_health: OnHealth = lambda _name, _reason: None,
    ) -> None:
        """``on_slots`` gets the (area, slot_start_s) whose rows have just become durable; ``on_health`` the name of what is
        away and why, or None when it is not any more; both are called often, and in the loop of ``run``. "node": it does not
        answer; "projection": what it answers cannot be followed; "series": the store refuses.
        """
        self._series = series
        self._on_slots, self._on_health = on_slots, on_health
        self._node = FollowedNode(client)
        self._waiting: dict[AnySeries, list[AnyRow]] = {}
        self._observed: OrderedDict[int, list[ObservationRow]] = OrderedDict()
        self._is_open = False
        self._cursor = START
        self._told_s = 0
        self.newest = 0

    @property
    def height(self) -> int:
        """Projected up to here."""
        return self._cursor.height

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the node until ``stop``. What breaks a promise of ours comes out; nothing else does."""
        following, stopping = asyncio.ensure_future(self._follow()), asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    async def _follow(self) -> None:
        pause_s = PAUSE_S_MIN
        while True:
            try:
                await self.step(WAIT_S)
                pause_s = PAUSE_S_MIN
                continue
            except NodeBusy:
                self._on_health("node", None)  # it answers, only not this, now
            except NodeUnreachable as error:
                self._on_health("node", str(error))
            except (NodeRefused, AnswerError) as error:
                self._on_health("node", None)
                self._on_health("projection", str(error))
            except (SeriesUnavailable, UsageError) as error:
                self._on_health("series", str(error))
            # A store may come back emptied, or as of an older day: its cursor says so. And a node that is back says so at once,
            # where the first question after a failure does not wait for news.
            self._is_open = False
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def step(self, wait_s: int = 0) -> None:
        """Take one answer of ``changes``, waiting up to ``wait_s`` for news, and make it durable.

        Raises NodeUnreachable, NodeRefused, AnswerError; SeriesUnavailable, UsageError of the store. Nothing is lost then.
        """
        was_open = self._is_open
        if not was_open:
            status = await self._node.start()
            self._told_s = max(self._told_s, status.ledger_time_s)
            await self._series.claim(status.chain)
            self._cursor = await self._series.load_cursor()
            self._check_height(status.height)
        changes = await self._node.changes(self.height, wait_s if was_open else 0)
        self.newest = max(changes.newest, changes.height)
        self._on_health("node", None)
        self._check_same_ledger(changes)
        if changes.height == self.height and was_open:
            self._on_health("projection", None)
            return
        # A store that was away is back once it takes writes, so without news the cursor is written as it is.
        slots = await self._project(changes) if changes.height > self.height else []
        cursor = Cursor(changes.height, changes.digest)
        await self._series.save_cursor(cursor)
        self._cursor = cursor
        self._is_open = True
        self._on_health("projection", None)
        self._on_health("series", None)
        if slots:
            self._on_slots(slots)

    def _check_height(self, height: int) -> None:
        """AnswerError when the node has not even what the store was filled from."""
        if height < self.height:
            detail = f"is at height {height} and the series at {self.height}: it was set back, or is another one"
            raise AnswerError(f"the node {detail}; {REMEDY}")

    def _check_same_ledger(self, changes: Changes) -> None:
        """AnswerError unless the node's ledger is the one that the store was filled from."""
        self._check_height(changes.height)
        if self._cursor.digest not in (b"", changes.after_digest):
            detail = f"block {self.height} is another one than the series hold: it was set back and has grown anew"
            raise AnswerError(f"the node's {detail}; {REMEDY}")

    async def _project(self, changes: Changes) -> list[tuple[str, int]]:
        """Write the rows of everything that changed; return the slots that have rows."""
        self._waiting.clear()
        self._observed.clear()
        await self._node.read_registered()  # a block may have changed it
        for gateway, boundary_s in changes.batches:
            await self._keep(OBSERVATIONS, await self._node.observations(gateway, boundary_s))
        await self._flush()  # the slots below read the voltages
        written = []
        for area, slot_start_s in await self._node.touched(changes):
            try:
                if await self._project_slot(area, slot_start_s):
                    written.append((area, slot_start_s))
            except NodeRefused as refused:
                if refused.status != GONE:  # of a slot that the node has pruned, the series keep what they have
                    raise
        await self._flush()
        await self._project_days(written)
        await self._flush()
        return written

    async def _project_slot(self, area: str, slot_start_s: int) -> bool:
        """Write the rows of one slot; whether it has any. Points have rows once there is a register at its end, or a run."""
        end_s = slot_start_s + self._node.slot_s
        rows = SlotRows(area, slot_start_s, await self._node.coverage(area, end_s))
        runs = await self._node.runs(area, slot_start_s)
        if rows.committed or runs:
            await self._project_points(rows, area, slot_start_s, end_s)
        slot = rows.slot(await self._node.clearing(area, slot_start_s), runs)
        if slot is not None:
            await self._keep(SLOTS, [slot])
        return slot is not None

    async def _project_points(self, rows: SlotRows, area: str, slot_start_s: int, end_s: int) -> None:
        own, shared = voltages(await self._observations(end_s), self._node.areas_of, area)
        rows.see_voltages(own.values())
        async with aclosing(self._node.positions(area, slot_start_s)) as positions:
            async for start, points in self._node.points(area, slot_start_s):
                shown = [await self._node.registers(area, time_s, start) for time_s in (slot_start_s, end_s)]
                starts, ends = ([page.get(point.meter) for point in points] for page in shown)
                settled = await _positions_of(points, positions)
                rows.see_voltages(shared[point.meter] for point in points if point.meter in shared)
                await self._keep(INTERVALS, rows.intervals(points, starts, ends, settled))

    async def _project_days(self, slots: Sequence[tuple[str, int]]) -> None:
        """Write the sums of the days of these slots, whose rows are there, as far as every slot of the day is settled."""
        slot_s = self._node.slot_s
        self._told_s = max(self._told_s, *(slot_start_s + slot_s for _, slot_start_s in slots), 0)
        days: dict[tuple[str, int], LocalDay] = {}
        for area, slot_start_s in slots:
            day = await self._node.day_of(area, slot_start_s)
            if (
                day is not None and day.end_s <= self._told_s
            ):  # the day that is under way is not looked at, slot by slot
                days[area, day.start_s] = day
        for (area, _), day in days.items():
            if await self._is_settled(area, day):
                await self._project_day(area, day)

    async def _is_settled(self, area: str, day: LocalDay) -> bool:
        """Whether every slot of a day has a run, by the rows that are there."""
        rows = await self._series.read_columns(SLOTS, day.start_s, day.end_s, {"area": area}, ["settled"])
        settled = dict(zip(rows.time_s, rows.values["settled"], strict=True))
        return all(settled.get(slot_start_s) for slot_start_s in day.slots)

    async def _project_day(self, area: str, day: LocalDay) -> None:
        sums = await self._node.party_kinds(area, day)
        if sums is None:
            return
        known = await self._series.read_columns(PARTY_DAYS, day.start_s, day.start_s + 1, {"area": area}, [])
        gone = set(zip(known.tags["party"], known.tags["line_kind"], strict=True)) - sums.keys()
        rows = [Row(PartyDayTags(area, *key), day.start_s, PartyDayValues(*found)) for key, found in sums.items()]
        rows += [Row(PartyDayTags(area, *key), day.start_s, PartyDayValues(0, 0, 0)) for key in sorted(gone)]
        await self._keep(PARTY_DAYS, rows)
        parties = len({party for party, _ in sums})
        await self._keep(DAYS, [Row(DayTags(area), day.start_s, DayValues(len(day.slots), parties))])

    async def _observations(self, boundary_s: int) -> list[ObservationRow]:
        """The rows of all gateways at a boundary, read once for all areas."""
        rows = self._observed.get(boundary_s)
        if rows is None:
            rows = self._observed[boundary_s] = await self._series.read(OBSERVATIONS, boundary_s, boundary_s + 1)
            while len(self._observed) > 1 and sum(map(len, self._observed.values())) > OBSERVED_ROWS_MAX:
                self._observed.popitem(last=False)
        return rows

    async def _keep(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        waiting = self._waiting.setdefault(series, [])
        waiting += rows
        if len(waiting) >= ROWS_AT_ONCE:
            await self._flush()

    async def _flush(self) -> None:
        for series, rows in self._waiting.items():
            if rows:
                await self._series.write(series, rows)
        self._waiting.clear()


async def _positions_of(points: Sequence[Point], positions: AsyncIterator[tuple[str, Position]]) -> dict[str, Position]:
    """The positions of a page of points, out of those of the whole area, which come in the same order."""
    found: dict[str, Position] = {}
    for point in points:
        if point.is_billed:
            entry = await anext(positions, None)
            if entry is None:
                break
            if entry[0] != point.meter:
                raise AnswerError(f"positions: meter {entry[0]} stands where {point.meter} belongs")
            found[point.meter] = entry[1]
    return found
