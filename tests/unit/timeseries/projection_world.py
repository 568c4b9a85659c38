"""What tests of the projection share: stores that fail as told, and a projector that runs meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from gridseries.series import ALL_SERIES, AnyRow, AnySeries, Columns, Cursor, SeriesUnavailable
from tests.worlds.consortium import FIRST_S, SLOT_S

FAR_S = FIRST_S + 10_000 * SLOT_S


def new_store(tmp_path: Path, name: str = "series") -> EmbeddedSeries:
    """A store in a file."""
    return EmbeddedSeries(tmp_path / f"{name}.sqlite", 1024)


async def everything(store: Any) -> dict[str, list[AnyRow]]:
    """All rows by series."""
    return {series.name: await store.read(series, 0, FAR_S) for series in ALL_SERIES}


async def catch_up(projector: Projector) -> None:
    """Step until there is nothing new."""
    await projector.step()
    while projector.height < projector.newest:
        await projector.step()


class FaultyStore:
    """A store that fails once, at its ``at``-th call: before doing it, or after (then the answer was lost on its way)."""

    def __init__(self, inner: EmbeddedSeries, at: int, *, is_done: bool) -> None:
        self._inner, self._at, self._is_done = inner, at, is_done
        self.calls = 0
        self.kind = inner.kind

    async def _call(self, name: str, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == self._at and not self._is_done:
            raise SeriesUnavailable("not now")
        answer = await getattr(self._inner, name)(*arguments)
        if self.calls == self._at:
            raise SeriesUnavailable("no answer")
        return answer

    async def claim(self, chain: str) -> None:
        await self._call("claim", chain)

    async def write(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        await self._call("write", series, rows)

    async def read(self, *arguments: Any) -> list[Any]:
        found: list[Any] = await self._call("read", *arguments)
        return found

    async def read_columns(self, *arguments: Any) -> Columns:
        found: Columns = await self._call("read_columns", *arguments)
        return found

    async def load_cursor(self) -> Cursor:
        found: Cursor = await self._call("load_cursor")
        return found

    async def save_cursor(self, cursor: Cursor) -> None:
        await self._call("save_cursor", cursor)

    async def drop(self) -> None:
        await self._call("drop")

    async def close(self) -> None:
        await self._call("close")


@asynccontextmanager
async def running(projector: Projector) -> AsyncIterator[None]:
    """Let a projector run meanwhile."""
    stop = asyncio.Event()
    task = asyncio.create_task(projector.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task
