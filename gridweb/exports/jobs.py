"""Exports that take longer than a request: one table after the other, each a file of its own in one ZIP file.

A job belongs to who started it and runs beside the pages. Its file lies in a folder that goes with the process, is kept for a day,
and what is kept is bounded; a job that fails leaves no file and says why.
"""

from __future__ import annotations

import asyncio
import secrets
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridcore.clock import Clock
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.serving.problems import Problem
from gridweb.exports.format import Format, Provenance
from gridweb.i18n import N_, _
from gridweb.source import SourceAway, SourceBusy
from gridweb.tables import Table

RUNNING_MAX: Final = 2
"""Jobs at work at the same time, of all people."""
RUNNING_OF_ONE_MAX: Final = 1
KEPT_OF_ONE_MAX: Final = 8
"""The oldest of one person goes when a further one begins."""
KEPT_S: Final = 86_400
BYTES_MAX: Final = 512 * 1024 * 1024
"""Of one file; a job that grows beyond fails."""
BYTES_KEPT_MAX: Final = 2 * 1024 * 1024 * 1024
"""Of all files; while they hold that much no further job begins."""
FILES_MAX: Final = 20_000
"""Tables of one job."""
RETRIES: Final = 5
RETRY_AFTER_S: Final = 2.0

log = get_logger(__name__)


@dataclass(frozen=True)
class Part:
    """One file of a job. ``read``: its table, when its turn comes; SourceAway and SourceBusy are waited for."""

    name: str
    read: Callable[[], Awaitable[Table]]


@dataclass
class Job:
    """One export. ``state``: working, done, failed, stopped; ``reason``: why it failed, in the language it was started in."""

    job: str
    owner: str
    title: str
    file_name: str
    total: int
    started_s: int
    state: str = "working"
    done: int = 0
    bytes: int = 0
    reason: str = ""
    path: Path | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_working(self) -> bool:
        """Whether it goes on by itself."""
        return self.state == "working"


STATE_TITLES: Final = {
    "working": N_("working"),
    "done": N_("ready"),
    "failed": N_("failed"),
    "stopped": N_("stopped"),
}


class Jobs:
    """The jobs of one process, their files in ``folder``, which is its own. To be closed: what works then stops."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        self.on_broken: Callable[[BaseException], None] = lambda _error: None
        """What is told of a broken promise in a job: the process is to end."""
        self._clock = clock
        self._folder = folder
        self._jobs: dict[str, Job] = {}

    def of(self, owner: str) -> list[Job]:
        """The jobs of a person, the newest first."""
        self._forget_old()
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def find(self, owner: str, job: str) -> Job:
        """A job of a person. Problem 404 for anything else, somebody else's too."""
        self._forget_old()
        found = self._jobs.get(job)
        if found is None or found.owner != owner:
            raise Problem("not-found", "there is no such export of yours; files are kept for a day")
        return found

    def start(
        self, owner: str, title: str, file_name: str, parts: Sequence[Part], form: Format, where: Provenance
    ) -> Job:
        """Begin a job. Problem 503 while as many work, or as much is kept, as there may be."""
        self._forget_old()
        working = [job for job in self._jobs.values() if job.is_working]
        if sum(job.owner == owner for job in working) >= RUNNING_OF_ONE_MAX:
            raise Problem("busy", "an export of yours is at work: wait for it, or stop it")
        if len(working) >= RUNNING_MAX or sum(job.bytes for job in self._jobs.values()) >= BYTES_KEPT_MAX:
            raise Problem("busy", "exports of other people are at work or kept: try again later")
        if not 0 < len(parts) <= FILES_MAX:
            raise Problem("bad-request", f"an export has 1 to {FILES_MAX} files, this one {len(parts)}")
        for old in self.of(owner)[KEPT_OF_ONE_MAX - 1 :]:
            self.remove(old)
        job = Job(secrets.token_hex(16), owner, title, file_name, len(parts), int(self._clock.now_s()))
        self._jobs[job.job] = job
        job.task = asyncio.get_running_loop().create_task(self._work(job, parts, form, where))
        job.task.add_done_callback(self._look_at_end)
        return job

    def remove(self, job: Job) -> None:
        """Stop a job, if it works, and forget it with its file."""
        if job.task is not None:
            job.task.cancel()
        if job.path is not None:
            job.path.unlink(missing_ok=True)
        self._jobs.pop(job.job, None)

    async def close(self) -> None:
        """Stop everything."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _look_at_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.on_broken(error)

    def _forget_old(self) -> None:
        oldest_s = self._clock.now_s() - KEPT_S
        for job in [one for one in self._jobs.values() if not one.is_working and one.started_s < oldest_s]:
            self.remove(job)

    async def _work(self, job: Job, parts: Sequence[Part], form: Format, where: Provenance) -> None:
        path = self._folder / f"{job.job}.zip"
        try:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
                for part in parts:
                    table = await _read(part)
                    if len(table.rows) > form.rows_max:
                        rows = len(table.rows)
                        text = _(
                            "%(name)s has %(rows)s rows, a file of this format at most %(most)s: choose another format"
                        )
                        raise _Failed(text % {"name": part.name, "rows": rows, "most": form.rows_max})
                    data = await asyncio.to_thread(form.encode, table, where)
                    # One date for all: the same rows give the same bytes.
                    entry = zipfile.ZipInfo(f"{part.name}{form.suffix}")
                    await asyncio.to_thread(file.writestr, entry, data, zipfile.ZIP_DEFLATED)
                    job.done += 1
                    job.bytes = path.stat().st_size
                    if job.bytes > BYTES_MAX:
                        raise _Failed(
                            _("the file would be larger than %(most)s MiB: choose a shorter span", most=BYTES_MAX >> 20)
                        )
            job.bytes, job.path, job.state = path.stat().st_size, path, "done"
        except asyncio.CancelledError:
            job.state = "stopped"
            path.unlink(missing_ok=True)
            raise
        except (GridError, Problem, OSError) as error:
            job.state, job.bytes = "failed", 0
            job.reason = str(error) if not isinstance(error, OSError) else _("the disk does not take the file")
            path.unlink(missing_ok=True)
            log.warning("export_failed", job=job.job, done=job.done, total=job.total, reason=str(error))


class _Failed(GridError):  # noqa: N818 - the name says what happened
    """A job cannot be completed; the text is shown."""


async def _read(part: Part) -> Table:
    """The table of a part; what is away for a moment is asked again a few times."""
    for _attempt in range(RETRIES):
        try:
            return await part.read()
        except (SourceAway, SourceBusy):
            await asyncio.sleep(RETRY_AFTER_S)
    return await part.read()
