"""A ledger that is moved on block by block from genesis, without log, guard or key: what checks and benchmarks replay with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gridcore.genesis import Genesis
from ledger.application import Application, Decided, Tip
from ledger.contract import Contract
from ledger.origin import Origin
from ledger.protocol import VERSIONS
from ledger.signatures import SignatureChecker
from ledger.state.block import Block
from ledger.state.memory import MemoryState
from ledger.state.protocol_rules import ProtocolRules
from ledger.tiles import MemoryTiles, empty_tree


class Replay:
    """A state machine and ``keep``, which saves leaves and tiles of a decided block where the state machine reads them."""

    def __init__(self, application: Application, keep: Callable[[Decided], None]) -> None:
        self.application = application
        self._keep = keep

    def advance(self, block: Block) -> Decided:
        """Apply the next block and take it over."""
        decided = self.application.apply(block)
        self._keep(decided)
        self.application.commit(decided)
        return decided


def replay_in_memory(
    genesis: Genesis,
    contracts: Mapping[str, Contract],
    checker: SignatureChecker,
    versions: Mapping[int, ProtocolRules] = VERSIONS,
) -> Replay:
    """A replay that keeps everything in memory."""
    state, history = MemoryState(genesis), MemoryTiles()
    origin = Origin.of(genesis, state.root())

    def keep(decided: Decided) -> None:
        state.leaves.save(decided.state)
        history.tiles.update(decided.history.tiles)

    application = Application(
        origin,
        contracts,
        checker,
        state=state,
        history=empty_tree(history),
        tip=Tip.of(origin.header),
        versions=versions,
    )
    return Replay(application, keep)
