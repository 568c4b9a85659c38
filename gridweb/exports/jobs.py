"""Exports that take longer than a request: one table after the other, each a file of its own in one ZIP file.

A job (``gridweb.jobs``) has its file in a folder that goes with the process; what is kept is bounded. A job that fails leaves no file and says why.
"""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gridcore.clock import Clock
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.serving.problems import Problem
from gridweb.exports.format import Format, Provenance
from gridweb.exports.names import cleaned
from gridweb.i18n import _
from gridweb.jobs import Bounds, Job, Jobs
from gridweb.source import SourceAway, SourceBusy
from gridweb.tables import Table

BOUNDS: Final = Bounds(
    working=2,
    working_of_one=1,
    busy="exports of other people are at work: try again later",
    busy_of_one="an export of yours is at work: wait for it, or stop it",
    missing="there is no such export of yours; files are kept for a day",
)
BYTES_MAX: Final = 512 * 1024 * 1024
"""Of one file; a job that grows beyond fails."""
BYTES_OF_ONE_MAX: Final = 1024 * 1024 * 1024
"""Of all files of a person; while they hold that much, it begins no further job, and others may."""
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


@dataclass(kw_only=True)
class Export(Job):
    """One export: ``done`` of ``total`` files are in it; ``path``: of its own file, once all are."""

    title: str
    file_name: str
    total: int
    done: int = 0
    bytes: int = 0
    path: Path | None = None


class Exports(Jobs[Export]):
    """The exports of one process, their files in ``folder``, which is its own."""

    def __init__(self, clock: Clock, folder: Path) -> None:
        super().__init__(clock, BOUNDS)
        self._folder = folder

    def start(
        self, owner: str, title: str, file_name: str, parts: Sequence[Part], form: Format, where: Provenance
    ) -> Export:
        """Begin an export. Problem 503 while as many work, or as much is kept, as there may be."""
        self.check_room(owner)
        if sum(export.bytes for export in self.of(owner)) >= BYTES_OF_ONE_MAX:
            raise Problem("busy", "your exports hold as much as those of one person may: remove one of them")
        if sum(export.bytes for export in self.kept()) >= BYTES_KEPT_MAX:
            raise Problem("busy", "as much is kept as there may be: remove exports of yours, or try again later")
        if not 0 < len(parts) <= FILES_MAX:
            raise Problem("bad-request", f"an export has 1 to {FILES_MAX} files, this one {len(parts)}")
        export = Export(
            owner=owner,
            started_s=int(self.clock.now_s()),
            title=title,
            file_name=file_name,
            total=len(parts),
        )
        return self.begin(export, self._work(export, parts, form, where))

    def remove(self, job: Export) -> None:
        """Stop an export, if it works, and forget it with its file."""
        super().remove(job)
        if job.path is not None:
            job.path.unlink(missing_ok=True)

    async def _work(self, job: Export, parts: Sequence[Part], form: Format, where: Provenance) -> None:
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
                    entry = zipfile.ZipInfo(f"{cleaned(part.name)}{form.suffix}")
                    await _to_its_end(partial(file.writestr, entry, data, zipfile.ZIP_DEFLATED))
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


async def _to_its_end(write: Callable[[], None]) -> None:
    """Write in a thread, and when the job is stopped meanwhile wait for it: a file into which something is being written cannot be closed."""
    writing = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


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
