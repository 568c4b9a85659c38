"""A whole ledger in memory, moved on block by block: what checks, benchmarks and tests replay with."""

from __future__ import annotations

from collections.abc import Mapping

from gridcore.genesis import Genesis
from ledger.application import Application, Decided, Tip
from ledger.contract import Contract
from ledger.origin import Origin
from ledger.protocol import VERSIONS
from ledger.signatures import SignatureChecker
from ledger.state.block import Block
from ledger.state.memory import MemoryState
from ledger.state.rules import Rules
from ledger.tiles import MemoryTiles, empty_tree


class Replay:
    """The state machine of a genesis with everything that it keeps. ``state``, ``history``: of the newest block."""

    def __init__(
        self,
        genesis: Genesis,
        contracts: Mapping[str, Contract],
        checker: SignatureChecker,
        versions: Mapping[int, Rules] = VERSIONS,
    ) -> None:
        self.state = MemoryState(genesis)
        origin = Origin.of(genesis, self.state.root())
        self.history = MemoryTiles()
        self.application = Application(
            origin,
            contracts,
            checker,
            state=self.state,
            history=empty_tree(self.history),
            tip=Tip.of(origin.header),
            versions=versions,
        )

    def advance(self, block: Block) -> Decided:
        """Apply the next block and take it over."""
        decided = self.application.apply(block)
        self.state.leaves.save(decided.state)
        self.history.tiles.update(decided.history.tiles)
        self.application.commit(decided)
        return decided
