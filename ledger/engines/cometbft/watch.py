"""What is watched beside a consensus engine: whether it is there, follows the others, has peers; and this machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gridcore.clock import Clock
from gridcore.logs import get_logger
from ledger.engines.cometbft.rpc import EngineRpc, EngineRpcError

AWAY_S: Final = 10.0
"""An engine that is started again answers after a second or two."""
FOLLOWED_S: Final = 5.0
"""After catching up with blocks, connected with enough of the others, an engine needs a moment until it is in their height and round."""
CLOCK_OFF_S: Final = 60
"""Block time is as old as the votes on the block before: up to two idle intervals."""

log = get_logger(__name__)


class ClockWatch:
    """Compares this machine's clock with the time of new blocks, which is the median of all validators' clocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_s = 0
        """By how much this machine's clock was ahead of the newest block when it came; a few seconds are the block's own age."""

    def compare(self, block_time_s: int) -> None:
        """A block has come. Says once that the clock is off, and once that it is not any more."""
        was_off = abs(self.offset_s) > CLOCK_OFF_S
        self.offset_s = self._clock.now_s() - block_time_s
        is_off = abs(self.offset_s) > CLOCK_OFF_S
        if is_off and not was_off:
            reason = "this machine's clock is not that of the other validators: set it right"
            log.error("clock_is_off", offset_s=self.offset_s, reason=reason)
        elif was_off and not is_off:
            log.warning("clock_is_right", offset_s=self.offset_s)


class EngineWatch:
    """See the module; used by one event loop. ``look`` is called again and again, the rest says what was seen last.

    powers: of the validators at the moment, ours among them.
    """

    def __init__(self, rpc: EngineRpc, powers: Callable[[], Sequence[int]]) -> None:
        self._rpc = rpc
        self._powers = powers
        self._answered_s = time.monotonic()
        self.is_behind = False
        """Whether it takes blocks over from others, and no part in new ones."""
        self._position: tuple[int, int] | None = None
        self._followed_s: float | None = None
        self._peers = 0
        self._waiting = 0

    async def look(self) -> None:
        """Ask it; no answer is an answer too."""
        try:
            status = await self._rpc.ask("status")
            network = await self._rpc.ask("net_info")
            mempool = await self._rpc.ask("num_unconfirmed_txs")
            # Costly, for it holds the block that is voted on: asked only while it is not known where the others are.
            told = {} if self.position is not None else await self._rpc.ask("dump_consensus_state")
            consensus = await self._rpc.ask("consensus_state")
        except EngineRpcError:
            self._followed_s = None
            return
        self._answered_s = time.monotonic()
        self.is_behind = bool(_inner(status, "sync_info").get("catching_up"))
        own = _position(_inner(consensus, "round_state").get("height/round/step"))
        self._peers = _number(network, "n_peers")
        own_power = _number(_inner(status, "validator_info"), "voting_power")
        if self.position is not None:
            self._position, followed = own, self._peers
        else:
            near = [] if own is None else [one for one in _peer_positions(told) if one[0] <= own[0] + 1]
            self._position, followed = own if own is None else max(own, *near), len(near)
        if self.is_behind or not are_enough(followed, self._powers(), own_power):
            self._followed_s = None
        elif self._followed_s is None:
            self._followed_s = time.monotonic()
        self._waiting = _number(mempool, "total")

    @property
    def is_away(self) -> bool:
        """Whether it has not answered for AWAY_S."""
        return time.monotonic() - self._answered_s > AWAY_S

    @property
    def position(self) -> tuple[int, int] | None:
        """The height and round in which it is, once it has followed enough of the others for FOLLOWED_S.

        It follows those of whom none is more than one height further; an engine that says it has caught up with blocks may still take
        dozens of them, one by one, from others' votes. A few that lag, and nobody else, would make it look as if the others were lower
        than what our key has voted for.
        """
        if self._followed_s is None or time.monotonic() - self._followed_s < FOLLOWED_S:
            return None
        return self._position

    @property
    def gauges(self) -> Mapping[str, tuple[str, int]]:
        """Numbers for metrics: name -> (help, value)."""
        return {
            "engine_peers": ("Validators that the consensus engine is connected with.", self._peers),
            "mempool_transactions": ("Transactions that wait in the consensus engine for a block.", self._waiting),
        }


def are_enough(peers: int, powers: Sequence[int], own_power: int) -> bool:
    """Whether so many connected validators have more than two thirds of all power, even if they are the weakest, or are all others.

    All others are enough where they have less together, as beside a validator that has a third of the power. own_power: 0 of who is none.
    """
    others = sorted(powers)
    if own_power in others:
        others.remove(own_power)
    return peers >= len(others) or 3 * sum(others[:peers]) > 2 * sum(powers)


def _position(text: Any) -> tuple[int, int] | None:
    """What the engine writes as 47/0/1 as (47, 0)."""
    parts = str(text).split("/")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def _peer_positions(told: Any) -> list[tuple[int, int]]:
    """Height and round of each peer that has said where it is, out of what ``dump_consensus_state`` answers."""
    peers = told.get("peers") if isinstance(told, dict) else None
    states = [_inner(_inner(peer, "peer_state"), "round_state") for peer in peers or ()]
    return [(height, _number(state, "round")) for state in states if (height := _number(state, "height"))]


def _inner(answer: Any, key: str) -> Mapping[str, Any]:
    found = answer.get(key) if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}


def _number(answer: Any, key: str) -> int:
    """A number that the engine writes as text; 0 where it is none."""
    text = str(answer.get(key, "")) if isinstance(answer, dict) else ""
    return int(text) if text.isdecimal() else 0
