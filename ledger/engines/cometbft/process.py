"""The engine's process beside a node: started, started again when it dies, ended first when the node stops.

What it says goes into ``engine.log`` of its home, which is kept within LOG_BYTES_MAX and one older file. Its death is one line in
the node's own log, with the last error that it named.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.processes import end_with_parent
from ledger.engines.cometbft.home import has_voted, let_vote_after, may_vote

LOG_NAME: Final = "engine.log"
LOG_BYTES_MAX: Final = 8 * 1024 * 1024
RESTART_S_MIN: Final = 0.25
RESTART_S_MAX: Final = 30.0
STEADY_S: Final = 60.0
"""An engine that ran so long had come up: its next death is a first one again."""
FAILURES_MAX: Final = 20
"""Deaths in a row, each before it was steady: about five minutes of trying."""
STOP_S_MAX: Final = 15.0
LOOK_EVERY_S: Final = 0.5
DOUBLE_SIGN_BLOCKS: Final = 10
"""A home that has not voted yet looks so many blocks back for votes by its own key: another node may be running with it."""
_IN_USE: Final = "address already in use"
_SAME_KEY: Final = "signature from the same key"
"""In the engine's words: somebody voted with its key, and it was not this home."""
LINE_BYTES_MAX: Final = 64 * 1024
LINES_KEPT: Final = 200

log = get_logger(__name__)


class EngineLostError(GridError):
    """The engine does not stay alive."""


class EngineProcess:
    """One engine. ``program``: from ``find_engine``; ``home``: as ``write_home`` left it; ``options``: of its start, besides
    those of the home, such as ``--rpc.laddr=…``.

    position: the height and the round in which the others are too (most of them, by power), None while that is not known. A home whose disk was
    lost, and with it what its key has voted for, follows without a vote until then, and votes from the round after the next on.
    """

    def __init__(
        self,
        program: Path,
        home: Path,
        options: Sequence[str] = (),
        *,
        position: Callable[[], tuple[int, int] | None] = lambda: None,
        restart_s_min: float = RESTART_S_MIN,
    ) -> None:
        self._program = program
        self._home = home
        self._options = tuple(options)
        self._position = position
        self._vote_after: tuple[int, int] | None = None
        self._restart_s_min = restart_s_min
        self._process: asyncio.subprocess.Process | None = None
        self._stop = asyncio.Event()
        self._last: deque[bytes] = deque(maxlen=LINES_KEPT)
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self) -> None:
        """Keep the engine alive until ``stop``. EngineLostError when it does not stay alive."""
        failures, pause_s = 0, self._restart_s_min
        while not self._stop.is_set():
            started_s = time.monotonic()
            status = await self._run_once()
            if self._stop.is_set():
                return
            if self._vote_after is not None:
                self._let_vote(*self._vote_after)
                continue
            reason = self.last_words()
            if _SAME_KEY in reason:
                reason = f"{reason}. Another node votes with this validator's key, or did {DOUBLE_SIGN_BLOCKS} blocks ago: stop that one"
            if _IN_USE in reason:
                reason = f"{reason}. It is rpc_port under [engine] of the node's file, or laddr under [p2p] in {self._home}/config/config.toml"
            if time.monotonic() - started_s >= STEADY_S:
                failures, pause_s = 0, self._restart_s_min
            failures += 1
            if failures == FAILURES_MAX:
                raise EngineLostError(
                    f"{self._home}: the engine died {failures} times in a row, status {status}: {reason}"
                )
            self.restarts += 1
            log.warning("engine_restarts", status=status, reason=reason, restarts=self.restarts, pause_s=pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_s)
            pause_s = min(2 * pause_s, RESTART_S_MAX)

    async def stop(self) -> None:
        """End the engine: SIGTERM, then SIGKILL when it does not listen. ``run`` returns soon after."""
        self._stop.set()
        await self._end()

    async def _end(self) -> None:
        """End the process that runs now, whether it listens or not."""
        process = self._process
        if process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S_MAX)
        except TimeoutError:
            log.warning("engine_killed", reason=f"did not end within {STOP_S_MAX:.0f} s")
            self._signal(signal.SIGKILL)
            await process.wait()

    def last_words(self) -> str:
        """What its newest line that names an error says; of a panic the first line."""
        for line in reversed(self._last):
            words = _error_of(line)
            if words:
                return words
        return f"see {self._home / LOG_NAME}"

    async def _run_once(self) -> int:
        self._last.clear()
        look_back = 0 if has_voted(self._home) else DOUBLE_SIGN_BLOCKS
        process = await asyncio.create_subprocess_exec(
            str(self._program),
            "start",
            f"--home={self._home}",
            f"--consensus.double_sign_check_height={look_back}",
            *self._options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_BYTES_MAX,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        self._process = process
        if self._stop.is_set():  # while it was being started
            self._signal(signal.SIGTERM)
        following = None if may_vote(self._home) else asyncio.create_task(self._follow())
        try:
            if process.stdout is not None:
                await self._keep_lines(process.stdout)
            return await process.wait()
        finally:
            if following is not None:
                following.cancel()

    async def _follow(self) -> None:
        """End the engine as soon as it is known where the others are."""
        log.warning(
            "engine_follows_without_a_vote", reason="nobody knows what its key has voted for: its disk was lost"
        )
        while (position := self._position()) is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(LOOK_EVERY_S)
        self._vote_after = position
        await self._end()

    def _let_vote(self, height: int, round_number: int) -> None:
        """All that its key may have voted for before is of this round or the next at most: the others are no further."""
        self._vote_after = None
        let_vote_after(self._home, height, round_number + 1)
        log.warning("engine_votes_again", after_height=height, after_round=round_number + 1)

    async def _keep_lines(self, lines: asyncio.StreamReader) -> None:
        """Write what the engine says into its log until it ends; a disk that takes nothing costs the lines, not the engine."""
        path = self._home / LOG_NAME
        while data := await lines.read(LINE_BYTES_MAX):
            self._last.extend(line[:LINE_BYTES_MAX] for line in data.splitlines() if line.strip())
            with contextlib.suppress(OSError):
                if path.exists() and path.stat().st_size + len(data) > LOG_BYTES_MAX:
                    path.replace(path.with_suffix(".log.old"))
                with path.open("ab") as file:
                    file.write(data)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def _error_of(line: bytes) -> str:
    """The error that a line of the engine's log names, "" for others."""
    text = line.decode(errors="replace").strip()
    if text.startswith(("panic:", "ERROR:", "Error:", "error")):
        return text[:500]
    try:
        entry = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(entry, dict) or entry.get("level") not in ("error", "fatal", "panic"):
        return ""
    return " ".join(f"{entry.get('_msg', '')} {entry.get('err', '')}".split())[:500]
