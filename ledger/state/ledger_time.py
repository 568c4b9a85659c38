"""Ledger time of a chain whose clock is that of its blocks (docs/spec/state.md, "Ledger time")."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.chain import CHAIN
from ledger.leaves.clock import CLOCK
from ledger.leaves.family import Leaves

AHEAD_S_MAX: Final = 900
"""As far as one block may move ledger time by itself."""


class Moment(NamedTuple):
    """A block that is about to be made, by its time, and ledger time before it and of genesis (all UTC seconds)."""

    time_s: int
    before_s: int
    genesis_s: int

    @property
    def is_ahead(self) -> bool:
        """Whether block time is too far ahead for ledger time to follow. While it is that of genesis there is nothing to lose: an
        engine may give its first block the time of its own genesis.
        """
        return self.before_s > self.genesis_s and self.time_s > self.before_s + AHEAD_S_MAX


def follow_block_time(leaves: Leaves, at: Moment) -> int:
    """Ledger time (UTC seconds) at the beginning of a block, on a chain whose clock is block time."""
    if not at.is_ahead:
        return max(at.before_s, at.time_s)
    accepted = CLOCK.load(leaves)
    if accepted is None:
        return at.before_s
    return max(at.before_s, min(at.before_s + CHAIN.must(leaves).slot_s, accepted.to_s, at.time_s))
