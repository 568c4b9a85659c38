"""The node that the projection follows: its questions, and what is kept of the answers."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, Protocol

from gridseries.answers import (
    AnswerError,
    Changes,
    Coverage,
    KindSum,
    LocalDay,
    Point,
    Position,
    Registers,
    read_changes,
    read_party_kinds,
    read_points,
    read_positions,
    read_registers,
    understood,
)
from gridseries.rows import observation_rows, touched_slots
from gridseries.series import ObservationRow
from ledger.client import NodeRefused, NodeStatus

POINTS_MAX: Final = 200_000
"""Installations in memory, beside the page in use; they never change. Those used last stay."""
REGISTER_PAGES_MAX: Final = 4
"""Pages of registers in memory during one answer's work: the end of a slot is the start of the next."""
NOT_FOUND: Final = 404
GONE: Final = 410
"""What the node has pruned."""


class NodeClient(Protocol):
    """What the projection uses of ``ledger.client.Client``, which signs as somebody who reads all."""

    async def status(self) -> NodeStatus:
        """What the node says of its chain."""

    async def query(self, path: str, **params: str | int) -> Any:
        """The JSON answer of ``/api/v1/<path>``."""


class FollowedNode:
    """A node's answers, read; what is registered is kept, within bounds, until the next ``read_registered``."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self._points: OrderedDict[tuple[str, int], tuple[list[Point], int | None]] = OrderedDict()
        self._registers: OrderedDict[tuple[str, int, int], dict[str, Registers | None]] = OrderedDict()
        self._first_slot_start_s: dict[str, int] = {}
        self._calendar_of: dict[str, str] = {}
        self._days: dict[str, list[int]] = {}
        self.areas_of: dict[str, tuple[str, ...]] = {}
        self.slot_s = 0

    async def start(self) -> NodeStatus:
        """What a chain says once and for all: its slots."""
        status = await self._client.status()
        self.slot_s = status.slot_s
        return status

    async def read_registered(self) -> None:
        """Areas and gateways as they are registered now; what was kept of points and registers goes."""
        self._points.clear()
        self._registers.clear()
        self._days.clear()
        areas = await self._client.query("areas")
        with understood("areas"):
            self._first_slot_start_s = {entry["area"]: int(entry["first_slot_start_s"]) for entry in areas["areas"]}
            self._calendar_of = {entry["area"]: str(entry["calendar"]) for entry in areas["areas"]}
        areas_of: dict[str, tuple[str, ...]] = {}
        start: int | None = 0
        while start is not None:
            gateways = await self._client.query("gateways", start=start)
            with understood("gateways"):
                areas_of |= {entry["gateway"]: tuple(entry["areas"]) for entry in gateways["gateways"]}
            start = _next(gateways, start)
        self.areas_of = areas_of

    async def changes(self, after_height: int, wait_s: int) -> Changes:
        """What was written after a height, once there is something or ``wait_s`` have passed."""
        return read_changes(await self._client.query("changes", after_height=after_height, wait_s=wait_s))

    async def touched(self, changes: Changes) -> list[tuple[str, int]]:
        """(area, start) of the slots whose rows may be different now, ascending."""
        with understood("changes"):
            return touched_slots(changes, self._first_slot_start_s, self.areas_of, self.slot_s)

    async def observations(self, gateway: str, boundary_s: int) -> list[ObservationRow]:
        """The observation rows of a gateway at a boundary."""
        answer = await self._query_or_none(f"gateways/{gateway}/observations", boundary_s=boundary_s)
        return [] if answer is None else observation_rows(gateway, boundary_s, answer)

    async def points(self, area: str, slot_start_s: int) -> AsyncIterator[tuple[int, list[Point]]]:
        """(first row, points) page by page, ascending by installation: those at which a meter hung when a slot began.

        They are those of today but where one was exchanged, came or went since.
        """
        start: int | None = 0
        while start is not None:
            meters = list(await self.registers(area, slot_start_s, start))
            points, following = await self._points_now(area, start)
            if [point.meter for point in points] != meters:
                answer = await self._client.query(f"areas/{area}/installations", time_s=slot_start_s, start=start)
                points, following = read_points(answer), _next(answer, start)
            if [point.meter for point in points] != meters:
                raise AnswerError(f"installations: at {slot_start_s} others than the meters whose registers there are")
            yield start, points
            start = following

    async def _points_now(self, area: str, start: int) -> tuple[list[Point], int | None]:
        """A page of today's points, and where the next one begins."""
        page = self._points.get((area, start))
        if page is None:
            answer = await self._client.query(f"areas/{area}/installations", start=start)
            page = (read_points(answer), _next(answer, start))
            self._points[area, start] = page
            while len(self._points) > 1 and sum(len(points) for points, _ in self._points.values()) > POINTS_MAX:
                self._points.popitem(last=False)
        else:
            self._points.move_to_end((area, start))
        return page

    async def registers(self, area: str, boundary_s: int, start: int) -> dict[str, Registers | None]:
        """A page of the registers of an area at a boundary, by meter; it begins at row ``start``."""
        key = (area, boundary_s, start)
        page = self._registers.get(key)
        if page is None:
            page = read_registers(
                await self._client.query(f"areas/{area}/registers", boundary_s=boundary_s, start=start)
            )
            self._registers[key] = page
            if len(self._registers) > REGISTER_PAGES_MAX:
                self._registers.popitem(last=False)
        return page

    async def coverage(self, area: str, boundary_s: int) -> Coverage:
        """Of which meters of an area there is a register at a boundary."""
        answer = await self._client.query(f"areas/{area}/coverage", boundary_s=boundary_s)
        with understood("coverage"):
            return Coverage(int(answer["expected"]), int(answer["committed"]), int(answer["borders_elsewhere"]))

    async def clearing(self, area: str, slot_start_s: int) -> Any:
        """The clearing of a slot, None before."""
        return await self._query_or_none(f"areas/{area}/slots/{slot_start_s}/clearing")

    async def runs(self, area: str, slot_start_s: int) -> int:
        """How many runs a slot has."""
        answer = await self._client.query(f"areas/{area}/slots/{slot_start_s}/runs")
        with understood("runs"):
            return len(answer["runs"])

    async def positions(self, area: str, slot_start_s: int) -> AsyncGenerator[tuple[str, Position]]:
        """(meter, position) of the billed points of a settled slot; none before."""
        start: int | None = 0
        while start is not None:
            answer = await self._query_or_none(f"areas/{area}/slots/{slot_start_s}/positions", start=start)
            if answer is None:
                return
            for entry in read_positions(answer):
                yield entry
            start = _next(answer, start)

    async def day_of(self, area: str, instant_s: int) -> LocalDay | None:
        """The local day of an area around an instant; None outside its calendar."""
        calendar = self._calendar_of[area]
        if calendar not in self._days:
            answer = await self._client.query(f"calendars/{calendar}")
            with understood("calendars"):
                self._days[calendar] = list(map(int, answer["days"]))
        days = self._days[calendar]
        at = bisect_right(days, instant_s) - 1
        if not 0 <= at < len(days) - 1:
            return None
        slots = range(max(days[at], self._first_slot_start_s[area]), days[at + 1], self.slot_s)
        return LocalDay(days[at], days[at + 1], slots)

    async def party_kinds(self, area: str, day: LocalDay) -> dict[tuple[str, str], KindSum] | None:
        """The sums of a day's lines by party and kind; None unless every slot is settled, and of a day that the node has pruned."""
        sums: dict[tuple[str, str], KindSum] = {}
        start: int | None = 0
        while start is not None:
            answer = await self._query_or_none(f"areas/{area}/days/{day.start_s}/party-kinds", start=start)
            if answer is None:
                return None
            for key, found in read_party_kinds(answer):  # the points of a party may stand on several pages
                sums[key] = sums[key].plus(found) if key in sums else found
            with understood("party-kinds"):
                is_whole = int(answer["slots_settled"]) == len(day.slots)
            if not is_whole:
                return None
            start = _next(answer, start)
        return sums

    async def _query_or_none(self, path: str, **params: int) -> Any:
        """The answer; None where there is no such thing yet, or not any more."""
        try:
            return await self._client.query(path, **params)
        except NodeRefused as refused:
            if refused.status in (NOT_FOUND, GONE):
                return None
            raise


def _next(answer: Any, start: int) -> int | None:
    """Where the page after the one from row ``start`` begins. AnswerError where that leads no further."""
    with understood("pages"):
        following = answer["next"]
        if following is not None and following <= start:
            raise ValueError(f"the page from row {start} is followed by the one from row {following}")
        return None if following is None else int(following)
