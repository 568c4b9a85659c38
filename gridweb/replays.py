"""Settlement runs that are made again beside the pages: one at a time, each kept with what came out for a day.

What makes a run again (``Remake``) is given by the composition root: it works on a copy of the ledger's blocks in a process of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gridcore.clock import Clock
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.serving.problems import Problem
from gridweb.i18n import N_

RUNNING_MAX: Final = 1
"""At work at the same time, of all people: the copy of the ledger is one, and a processor is the node's."""
KEPT_OF_ONE_MAX: Final = 8
"""The oldest of one person goes when a further one begins."""
KEPT_S: Final = 86_400

STATE_TITLES: Final = {
    "working": N_("working"),
    "done": N_("ready"),
    "failed": N_("failed"),
}
STEP_TITLES: Final[Mapping[str, str]] = {
    "archive": N_("copying the blocks"),
    "restore": N_("applying new blocks of the copy, and comparing them with their certificates"),
    "rerun": N_("making the run again from the first block"),
}

log = get_logger(__name__)


class RunWanted(NamedTuple):
    """A run of the slot of an area, by its name; height: of the block that made it, as the node says."""

    area: str
    slot_start_s: int
    run: str
    height: int


@dataclass(frozen=True)
class Made:
    """A run made again. run_id, state_root, contract_pin, rows_root: hex digits; state_root: of the header of ``as_of_height``, from which it follows.

    points: how many it settles; received_nano: by account, of all areas of the zone; compared: how many leaves of the copy's state, of which
    ``differing`` (the first ones, by key) are not the same; differing_total: how many.
    """

    zone: str
    run: str
    run_id: str
    height: int
    as_of_height: int
    state_root: str
    contract: str
    contract_pin: str
    points: int
    rows_root: str
    received_nano: Mapping[str, int]
    compared: int
    differing: tuple[str, ...]
    differing_total: int


class Progress(NamedTuple):
    """A key of STEP_TITLES, and blocks done of how many."""

    step: str
    done: int
    of: int


BEGUN: Final = Progress("archive", 0, 0)

Remake = Callable[[RunWanted, Callable[[Progress], None]], Awaitable[Made]]
"""Make a run again. GridError in one line where it cannot be."""
Compare = Callable[[RunWanted, Made], Awaitable[Mapping[str, bool]]]
"""What was made again beside what the node answers: whether it is the same, by what was compared."""


@dataclass
class Replay:
    """One job. state: a key of STATE_TITLES; reason: why it failed; same_as_node: of ``Compare``, once it is done."""

    replay: str
    owner: str
    wanted: RunWanted
    started_s: int
    state: str = "working"
    progress: Progress = BEGUN
    reason: str = ""
    made: Made | None = None
    same_as_node: Mapping[str, bool] = field(default_factory=dict)
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_working(self) -> bool:
        """Whether it goes on by itself."""
        return self.state == "working"

    @property
    def is_same(self) -> bool:
        """Whether all that was compared is the same."""
        return self.made is not None and not self.made.differing_total and all(self.same_as_node.values())


class Replays:
    """The jobs of one process. To be closed: what works then stops."""

    def __init__(self, clock: Clock, remake: Remake) -> None:
        self.on_broken: Callable[[BaseException], None] = lambda _error: None
        """What is told of a broken promise in a job: the process is to end."""
        self._clock = clock
        self._remake = remake
        self._jobs: dict[str, Replay] = {}

    def of(self, owner: str) -> list[Replay]:
        """The jobs of a person, the newest first."""
        self._forget_old()
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def start(self, owner: str, wanted: RunWanted, compare: Compare) -> Replay:
        """Begin a job. Problem 503 while another one works."""
        if sum(job.is_working for job in self._jobs.values()) >= RUNNING_MAX:
            raise Problem("busy", "another run is being made again: wait until that is done")
        for old in self.of(owner)[KEPT_OF_ONE_MAX - 1 :]:
            self._jobs.pop(old.replay)
        job = Replay(secrets.token_hex(16), owner, wanted, int(self._clock.now_s()))
        self._jobs[job.replay] = job
        job.task = asyncio.get_running_loop().create_task(self._work(job, compare))
        job.task.add_done_callback(self._look_at_end)
        return job

    def stop(self, owner: str, replay: str) -> None:
        """Stop a job of a person, if it works, and forget it. Problem 404 for anything else, somebody else's too."""
        job = self._jobs.get(replay)
        if job is None or job.owner != owner:
            raise Problem("not-found", "no such run of yours is being made again; they are kept for a day")
        if job.task is not None:
            job.task.cancel()
        self._jobs.pop(replay)

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
            self._jobs.pop(job.replay)

    async def _work(self, job: Replay, compare: Compare) -> None:
        def show(progress: Progress) -> None:
            job.progress = progress

        try:
            made = await self._remake(job.wanted, show)
            job.same_as_node = await compare(job.wanted, made)
            job.made, job.state = made, "done"
        except (GridError, Problem) as error:
            job.state, job.reason = "failed", str(error)
            log.warning("replay_failed", wanted=job.wanted._asdict(), reason=job.reason)
