"""What takes longer than a request: jobs that work beside the pages, each of who started it, kept with what came out for a day.

class Exports(Jobs[Export]): ...   # says what there may be at once (``Bounds``) and what one does (``begin``)
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from gridcore.clock import Clock
from gridcore.serving.problems import Problem
from gridweb.i18n import N_

KEPT_OF_ONE_MAX: Final = 8
"""The oldest of one person goes when a further one begins."""
KEPT_S: Final = 86_400
STATE_TITLES: Final = {
    "working": N_("working"),
    "done": N_("ready"),
    "failed": N_("failed"),
    "stopped": N_("stopped"),
}


@dataclass(kw_only=True)
class Job:
    """One job. ``job``: its id, by itself one that nobody guesses; ``started_s``: UTC seconds; ``state``: working, done, failed or stopped.

    ``reason``: why it failed, in the language it was started in.
    """

    owner: str
    started_s: int
    job: str = field(default_factory=lambda: secrets.token_hex(16))
    state: str = "working"
    reason: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_working(self) -> bool:
        """Whether it goes on by itself."""
        return self.state == "working"


AnyJob = TypeVar("AnyJob", bound=Job)


class Bounds(NamedTuple):
    """How many jobs may work at the same time: of all people, and of one; what is said beyond each, and to who asks for a job that is not his."""

    working: int
    working_of_one: int
    busy: str
    busy_of_one: str
    missing: str


class Jobs(Generic[AnyJob]):
    """The jobs of one process. To be closed: what works then stops."""

    def __init__(self, clock: Clock, bounds: Bounds) -> None:
        self.on_broken: Callable[[BaseException], None] = lambda _error: None
        """What is told of a broken promise in a job: the process is to end."""
        self.clock = clock
        self._bounds = bounds
        self._jobs: dict[str, AnyJob] = {}

    def of(self, owner: str) -> list[AnyJob]:
        """The jobs of a person, the newest first."""
        return [job for job in reversed(self.kept()) if job.owner == owner]

    def kept(self) -> list[AnyJob]:
        """The jobs of all people, the newest last."""
        oldest_s = self.clock.now_s() - KEPT_S
        for job in [one for one in self._jobs.values() if not one.is_working and one.started_s < oldest_s]:
            self.remove(job)
        return list(self._jobs.values())

    def find(self, owner: str, job: str) -> AnyJob:
        """A job of a person. Problem 404 for anything else, somebody else's too."""
        found = next((one for one in self.of(owner) if one.job == job), None)
        if found is None:
            raise Problem("not-found", self._bounds.missing)
        return found

    def check_room(self, owner: str) -> None:
        """Problem 503 while as many work as there may be."""
        working = [job for job in self.kept() if job.is_working]
        if sum(job.owner == owner for job in working) >= self._bounds.working_of_one:
            raise Problem("busy", self._bounds.busy_of_one)
        if len(working) >= self._bounds.working:
            raise Problem("busy", self._bounds.busy)

    def begin(self, job: AnyJob, work: Coroutine[Any, Any, None]) -> AnyJob:
        """Let a job work, for which there is room; the oldest of who started it gives way. ``work`` says in the job what becomes of it."""
        for old in self.of(job.owner)[KEPT_OF_ONE_MAX - 1 :]:
            self.remove(old)
        self._jobs[job.job] = job
        job.task = asyncio.get_running_loop().create_task(work)
        job.task.add_done_callback(self._look_at_end)
        return job

    def remove(self, job: AnyJob) -> None:
        """Stop a job, if it works, and forget it."""
        if job.task is not None:
            job.task.cancel()
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
