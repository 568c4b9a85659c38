"""Ledgers of test chains, driven block by block: in memory (the state machine alone) and on a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from gridcore.clock import Clock
from gridcore.genesis import BLOCK_TIME, Genesis
from ledger.leaves.protocol import PROTOCOL
from ledger.protocol import VERSIONS, rules_at
from ledger.state.block import Applied, Block, Offence
from ledger.state.ledger_time import Moment, follow_block_time
from ledger.state.memory import MemoryState
from ledger.state.protocol_rules import ProtocolRules
from ledger.state.transition import apply_block
from ledger.state.verdicts import checks_of
from ledger.store.directory import init_ledger
from ledger.store.files import Files
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import Consortium
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.feeders import FEEDERS
from tests.worlds.keys import is_cheaply_signed, key


class MemoryLedger:
    """The state machine alone. is_signed: (public key, signed bytes, signature) -> verdict; versions: the rules that it has."""

    def __init__(
        self,
        genesis: Genesis,
        is_signed: Callable[[bytes, bytes, bytes], bool] = is_cheaply_signed,
        versions: Mapping[int, ProtocolRules] = VERSIONS,
    ) -> None:
        self.state = MemoryState(genesis)
        self.height = 0
        self.ledger_time_s = self._genesis_time_s = genesis.ledger_time_s
        self._is_block_time = genesis.clock == BLOCK_TIME
        self._is_signed = is_signed
        self._versions = versions

    def apply(
        self,
        wires: Sequence[bytes],
        time_s: int = 0,
        certified_height: int | None = None,
        offenders: Sequence[tuple[bytes, int]] = (),
    ) -> Applied:
        """Apply the next block and keep its state."""
        self.height += 1
        block = Block(
            height=self.height,
            time_s=time_s,
            transactions=tuple(wires),
            certified_height=certified_height,
            offenders=tuple(Offence(*offence) for offence in offenders),
        )
        at = Moment(time_s, self.ledger_time_s, self._genesis_time_s)
        before_s = follow_block_time(self.state, at) if self._is_block_time else self.ledger_time_s
        verdicts = {
            (check.digest, check.public_key): self._is_signed(check.public_key, check.signed, check.signature)
            for check in checks_of(self.state, block.decoded, before_s, max(before_s, block.steps_to_s))
        }
        rules = rules_at(self._versions, PROTOCOL.must(self.state), self.height)
        applied = apply_block(
            self.state,
            block,
            rules,
            ledger_time_s=self.ledger_time_s,
            genesis_time_s=self._genesis_time_s,
            contracts=CONTRACTS,
            verdicts=verdicts,
            is_signed=self._is_signed,
        )
        self.state.advance(applied.changes, applied.bodies)
        self.ledger_time_s = applied.ledger_time_s
        return applied


def open_ledger(
    data_dir: Path, consortium: Consortium = FEEDERS, *, files: Files | None = None, clock: Clock | None = None
) -> Ledger:
    """Make (if new) and open a chain's ledger. ``files``: of the opened ledger; the directory is made without faults."""
    init_ledger(data_dir, consortium.genesis_file, UnsyncedFiles())
    return Ledger.open(
        data_dir,
        CONTRACTS,
        key(consortium.certifier),
        clock or ManualClock(consortium.start_s),
        genesis=consortium.genesis_file,
        files=files or UnsyncedFiles(),
    )


def decide(ledger: Ledger, wires: Sequence[bytes]) -> list[int]:
    """One block of these transactions; returns their codes."""
    return [result.code for result in ledger.make_block(ledger.examine(wires)).results]


@contextmanager
def ledger_with(data_dir: Path, consortium: Consortium, blocks: Iterable[Sequence[bytes]]) -> Iterator[Ledger]:
    """A ledger on a disk that decided these blocks and accepted every transaction; closed at the end."""
    with closing(open_ledger(data_dir, consortium)) as ledger:
        for wires in blocks:
            assert decide(ledger, wires) == [0] * len(wires)
        yield ledger
