"""How fresh what pages show is: as of when, what is expected next, how late it is. One rule for every page, ``/readyz`` and metrics.

- A chain of block time follows the wall clock: at each slot boundary gateways send readings, so a block is expected GRACE_S after
  the next boundary. Later than that, somebody is silent. Where no area has meters, or its first slot is still to come, nobody sends,
  and the chain makes a block each HEARTBEAT_S.
- A simulated chain has its own clock: while that moves there is a block every few seconds; without one for QUIET_S it is at rest,
  and nobody can say for how long.
- An imported chain is complete as it is; nothing is expected.
- A node that says what holds it up, and a part that is away, stands still, whatever the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from gridcore.genesis import BLOCK_TIME, HEARTBEAT_S
from gridweb.health import Outage

GRACE_S: Final = 60
QUIET_S: Final = 10
SIMULATED: Final = "simulated"
INFORMATIONAL: Final = frozenset({"broker"})
"""Parts without which every figure goes on."""


class Pulse(StrEnum):
    """What a page may call itself."""

    CURRENT = "current"
    RESTING = "resting"
    LATE = "late"
    STANDING = "standing"


@dataclass(frozen=True)
class News:
    """The newest block as the pages know it. ``seen_s``: when they saw it first, UTC seconds of the wall clock."""

    height: int
    seen_s: int
    ledger_time_s: int


class Metered(Protocol):
    """An area: how many meters it has, and from when on they are read (UTC seconds)."""

    @property
    def meters(self) -> int:
        """How many."""
        ...

    @property
    def first_slot_start_s(self) -> int:
        """When its first slot starts."""
        ...


@dataclass(frozen=True)
class Freshness:
    """``as_of_s``: when the newest block came; ``expected_s``: by when the next one should be there, None where nobody can say;
    ``late_s``: how long that is over, 0 while it is not; ``since_s``: of what stands still. UTC seconds of the wall clock.
    """

    pulse: Pulse
    as_of_s: int
    expected_s: int | None
    late_s: int
    since_s: int | None = None

    @property
    def is_current(self) -> bool:
        """Whether what is shown may be called live, and what nobody has complained about in time."""
        return self.pulse is Pulse.CURRENT

    @property
    def overdue_s(self) -> int:
        """``late_s`` where somebody has to look: not of a simulated clock at rest."""
        return self.late_s if self.pulse is not Pulse.RESTING else 0


def freshness_of(
    news: News, clock: str, slot_s: int, now_s: int, outages: Sequence[Outage], areas: Sequence[Metered] | None
) -> Freshness:
    """The one rule. ``outages``: of what figures rest on; ``areas``: None while nobody knows which there are."""
    expected_s = _expected_s(news, clock, slot_s, areas)
    late_s = 0 if expected_s is None else max(0, now_s - expected_s)
    since_s = min((outage.since_s for outage in outages if outage.name not in INFORMATIONAL), default=None)
    if since_s is not None:
        return Freshness(Pulse.STANDING, news.seen_s, expected_s, late_s, since_s)
    pulse = Pulse.CURRENT
    if expected_s is None:
        pulse = Pulse.RESTING
    elif late_s:
        pulse = Pulse.LATE if clock == BLOCK_TIME else Pulse.RESTING
    return Freshness(pulse, news.seen_s, expected_s, late_s)


def _expected_s(news: News, clock: str, slot_s: int, areas: Sequence[Metered] | None) -> int | None:
    if clock == BLOCK_TIME:
        boundary_s = news.ledger_time_s - news.ledger_time_s % slot_s + slot_s
        if areas is None or any(area.meters and area.first_slot_start_s <= boundary_s for area in areas):
            return boundary_s + GRACE_S
        return news.ledger_time_s + HEARTBEAT_S + GRACE_S
    return news.seen_s + QUIET_S if clock == SIMULATED else None
