"""Settlement runs that are made again beside the pages (``gridweb.jobs``), one at a time.

What makes a run again (``Remake``) is given by the composition root: it works on a copy of the ledger's blocks in a process of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gridcore.clock import Clock
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.serving.problems import Problem
from gridweb.i18n import N_
from gridweb.jobs import Bounds, Job, Jobs

_BUSY: Final = "another run is being made again: wait until that is done"
BOUNDS: Final = Bounds(
    working=1,
    working_of_one=1,
    busy=_BUSY,
    busy_of_one=_BUSY,
    missing="no such run of yours is being made again; they are kept for a day",
)
"""One of all people: the copy of the ledger is one, and a processor is the node's."""

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


@dataclass(kw_only=True)
class Replay(Job):
    """One run that is made again. same_as_node: of ``Compare``, once it is done."""

    wanted: RunWanted
    progress: Progress = BEGUN
    made: Made | None = None
    same_as_node: Mapping[str, bool] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        """Whether all that was compared is the same."""
        return self.made is not None and not self.made.differing_total and all(self.same_as_node.values())


class Replays(Jobs[Replay]):
    """The runs that one process makes again."""

    def __init__(self, clock: Clock, remake: Remake) -> None:
        super().__init__(clock, BOUNDS)
        self._remake = remake

    def start(self, owner: str, wanted: RunWanted, compare: Compare) -> Replay:
        """Begin to make a run again. Problem 503 while another one is."""
        self.check_room(owner)
        job = Replay(owner=owner, started_s=int(self.clock.now_s()), wanted=wanted)
        return self.begin(job, self._work(job, compare))

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
