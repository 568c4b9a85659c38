"""The engine of a node without a key: nothing is decided here, and time stands where the restored blocks left it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final, Self

from ledger.engines.base import INSIDE, Outcome, Sender, StandbyError
from ledger.store.standby import Standby

STANDBY: Final = (
    "a standby: it answers from the blocks that were restored, and makes none; submit to the node that has the key"
)


class StandbyEngine:
    """An Engine over a ``Standby``; use it with ``async with``, in one event loop."""

    def __init__(self, ledger: Standby) -> None:
        self._ledger = ledger
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed.set()

    async def submit(self, transactions: Sequence[bytes], sender: Sender = INSIDE) -> list[Outcome]:
        """StandbyError, whatever it is."""
        raise StandbyError(STANDBY)

    @property
    def disputed_by(self) -> int:
        """None: no batch is examined here."""
        return 0

    @property
    def stall(self) -> str:
        """Nothing: it is not meant to go on."""
        return ""

    @property
    def stands_s(self) -> int:
        """None: a standby's time moves with the blocks that are restored."""
        return 0

    @property
    def gauges(self) -> Mapping[str, tuple[str, int]]:
        """See ``Engine``: none."""
        return {}

    async def wait_clock(self, after_s: int, timeout_s: float) -> int:
        """See ``Engine``."""
        return await self._reached(self._ledger.ledger_time_s, after_s, timeout_s)

    async def wait_height(self, after_height: int, timeout_s: float) -> int:
        """See ``Engine``."""
        return await self._reached(self._ledger.height, after_height, timeout_s)

    async def wait_stopped(self) -> None:
        """See ``Engine``."""
        await self._closed.wait()

    async def _reached(self, value: int, after: int, timeout_s: float) -> int:
        """``value``, which never changes here: at once, or after the time that was asked for where it is not beyond ``after``."""
        if value <= after:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), timeout_s)
        return value
