"""How fast simulated time passes beside the clock on the wall."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable


class Pace:
    """``factor``: so many simulated seconds in one second at most; None: as fast as everything is decided."""

    def __init__(self, factor: int | None, clock: Callable[[], float] | None = None) -> None:
        self._factor = factor
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._is_to_pause = False

    def ask_to_pause(self) -> None:
        """Stop this process at the next boundary, where everything before it is decided; SIGCONT lets it go on."""
        self._is_to_pause = True

    async def wait_for(self, simulated_s: int) -> None:
        """Wait until a moment of simulated time (UTC seconds) may come; the first one that is asked for is now."""
        if self._is_to_pause:
            self._is_to_pause, self._began = False, None
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._factor is None:
            return
        now_s = (self._clock or asyncio.get_running_loop().time)()
        if self._began is None:
            self._began = (now_s, simulated_s)
        began_s, first_s = self._began
        await asyncio.sleep(max(0.0, began_s + (simulated_s - first_s) / self._factor - now_s))
