"""Child processes that are started again whenever they die, as a service manager would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Sequence
from pathlib import Path

from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.processes import end_with_parent

RESTART_PAUSE_S = 0.05
STOP_TIMEOUT_S = 20.0
RESTARTS_MAX = 1000
FAILURES_MAX = 5
EXIT_BAD_INPUT = 2

_log = get_logger(__name__)


class Supervised:
    """One child process. ``<run_dir>/<name>.pid`` holds its process id, ``<run_dir>/<name>.log`` what it says."""

    def __init__(self, name: str, command: Sequence[str], run_dir: Path) -> None:
        self.name = name
        self.restarts = 0
        self._command = list(command)
        self._pid_file = run_dir / f"{name}.pid"
        self._log_file = run_dir / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._stop = asyncio.Event()
        self._may_run = asyncio.Event()
        self._may_run.set()

    async def run(self) -> None:
        """Keep the process alive until ``stop``. GridError when it refuses to start (exit status 2) or dies for ever."""
        failures = 0  # in a row, by itself; a process that was killed (status < 0) is simply started again
        while await self._is_wanted():
            with self._log_file.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=end_with_parent,
                )
            self._write_pid(self._process.pid)
            if self._stop.is_set():  # while the process was being started
                self._terminate()
            status = await self._process.wait()
            if self._stop.is_set():
                break
            if not self._may_run.is_set():
                continue
            failures = failures + 1 if status > 0 else 0
            if status == EXIT_BAD_INPUT or failures == FAILURES_MAX or self.restarts == RESTARTS_MAX:
                raise GridError(f"{self.name} ended with status {status}: {self.last_line()}")
            self.restarts += 1
            _log.warning("process_restarted", process=self.name, status=status, restarts=self.restarts)
            await asyncio.sleep(RESTART_PAUSE_S)

    async def _is_wanted(self) -> bool:
        await self._may_run.wait()
        return not self._stop.is_set()

    async def pause(self) -> None:
        """Kill the process, as a power cut does, and start it again at ``resume`` only."""
        self._may_run.clear()
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def resume(self) -> None:
        """Start it again after a ``pause``; nothing where there was none."""
        self._may_run.set()

    async def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL when it does not listen. ``run`` returns soon after."""
        self._stop.set()
        self._may_run.set()
        process = self._process
        if process is None:
            return
        self._terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            _log.warning("process_killed", process=self.name)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._pid_file.unlink(missing_ok=True)

    def _terminate(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def times_said(self, event: str) -> int:
        """How often its log has a line of an event."""
        log = self._log_file.read_bytes() if self._log_file.exists() else b""
        return log.count(f'"event": "{event}"'.encode())

    def last_line(self) -> str:
        """The last line that the process left in its log, or of a logged event its name and reason."""
        lines = self._log_file.read_text(errors="replace").splitlines() if self._log_file.exists() else []
        if not lines:
            return f"see {self._log_file}"
        try:
            entry = json.loads(lines[-1])
            return f"{entry['event']}: {entry['reason']}"
        except (ValueError, KeyError, TypeError):
            return lines[-1]

    def _write_pid(self, pid: int) -> None:
        """Replace the pid file in one step: whoever reads it sees a whole number."""
        temporary = self._pid_file.with_suffix(".pid.new")
        temporary.write_text(f"{pid}\n")
        temporary.replace(self._pid_file)
