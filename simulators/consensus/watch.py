"""What is seen of all nodes while a simulation runs: a journal for people, and whatever breaks a promise at once."""

from __future__ import annotations

from typing import Protocol

from simulators.consensus.conversation import Finalized
from simulators.consensus.messages import EngineBlock
from simulators.consensus.schedule import Schedule


class Watched(Protocol):
    """A node, as far as it is watched."""

    number: int


class Watch:
    """journal: one line an event. violations: what must never be, empty after a good run."""

    def __init__(self, schedule: Schedule) -> None:
        self.journal: list[str] = []
        self.violations: list[str] = []
        self.rejected = 0
        """Proposals that were found unacceptable."""
        self.crashes = 0
        self._schedule = schedule
        self._decided: dict[int, tuple[bytes, Finalized]] = {}
        self._verdicts: dict[bytes, tuple[int, bool]] = {}

    def note(self, what: str) -> None:
        """Write down an event."""
        self.journal.append(f"{self._schedule.now_ms / 1000:7.2f} s  {what}")

    def violate(self, what: str) -> None:
        """Write down that a promise is broken."""
        self.note(f"VIOLATION: {what}")
        self.violations.append(what)

    def started(self, node: Watched, height: int) -> None:
        """A node runs again; its machine had ``height``."""
        self.note(f"node {node.number} starts at height {height}")

    def ended(self, node: Watched, why: str) -> None:
        """A node is down."""
        self.crashes += 1
        self.note(f"node {node.number} ends: {why}")

    def judged(self, node: Watched, block: EngineBlock, *, is_acceptable: bool) -> None:
        """A proposal was judged: all nodes that judge it have the same state, and must say the same."""
        self.rejected += not is_acceptable
        other, verdict = self._verdicts.setdefault(block.digest, (node.number, is_acceptable))
        if verdict != is_acceptable:
            self.violate(
                f"ProcessProposal of height {block.height}: node {node.number} says {is_acceptable}, node {other} {verdict}"
            )

    def finalized(self, node: Watched, block: EngineBlock, finalized: Finalized) -> None:
        """A block was applied: by all nodes the same one, with the same app hash, codes and validators (I1)."""
        known = self._decided.setdefault(block.height, (block.digest, finalized))
        if known[0] != block.digest:
            self.violate(f"height {block.height}: node {node.number} has decided another block")
        if known[1] != finalized:
            self.violate(f"FinalizeBlock of height {block.height}: node {node.number} has another result")
