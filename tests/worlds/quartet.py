"""Four validators of one chain in this process, driven height by height without an engine: what each is asked, a test decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridcore.governance.table import Action
from gridcore.governance.validators import VALIDATORS, ChangeValidators
from gridcore.sm3 import sm3
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content, SignedContent, sign_content
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.validator import Validator, encode_validators
from ledger.store.consortium import ConsortiumLedger
from simulators.consensus.conversation import Conversation
from simulators.consensus.founding import CLOCK_NAME, START_S, Founding, administrator, key_of
from simulators.consensus.home import Home
from simulators.consensus.messages import EngineBlock, Evidence, Member, Vote

FOUR = Founding((1, 1, 1, 1), "simulated")


@dataclass
class Quartet:
    """The four. extensions: of the newest height, by validator; wires: of the newest block, which is ``newest``."""

    homes: Sequence[Home]
    machines: list[Conversation]
    height: int = 0
    extensions: list[bytes] = field(default_factory=list)
    wires: tuple[bytes, ...] = ()
    newest: EngineBlock | None = None

    def ledger(self, number: int = 0) -> ConsortiumLedger:
        found = self.homes[number].ledger
        assert found is not None
        return found

    def sign(self, signer: str, content: Content) -> SignedContent:
        """A transaction of somebody."""
        return sign_content(content, chain=FOUR.chain, signer=signer, sign=key_of(signer).sign)

    def clock(self, to_s: int) -> bytes:
        """A step of the clock."""
        content = ClockAdvance(client_id=sm3(b"%d" % to_s)[:16], valid_until_s=START_S + 3_600, to_s=to_s)
        return self.sign(CLOCK_NAME, content).wire

    def vote_for(self, validators: Sequence[Validator]) -> list[bytes]:
        """What three organisations send so that another set waits."""
        ascending = sorted(validators, key=lambda found: found.public_key)
        return self.vote(Action(VALIDATORS, ChangeValidators(encode_validators(ascending))))

    def vote(self, action: Action) -> list[bytes]:
        """What organisations 0, 1 and 2 send so that it is done: a proposal and two votes, for blocks one after the other."""
        named: dict[str, Any] = {"client_id": bytes(16), "valid_until_s": START_S + 3_600}
        content = GovernancePropose(**named, action=action.encode(), open_until_s=START_S + 7_200)
        proposed = self.sign(administrator(0), content)
        vote = GovernanceVote(**named, in_favour=True, proposal=proposed.id)
        return [proposed.wire, *(self.sign(administrator(number), vote).wire for number in (1, 2))]

    def precommits(self, extensions: Sequence[bytes] | None = None) -> list[tuple[Member, Vote | None]]:
        """The commit of the newest height, with these extensions instead of the true ones."""
        return [
            (
                Member(home.address, 1),
                Vote(True, self.height, 0, home.address, bytes(32), extension),
            )
            for home, extension in zip(self.homes, extensions or self.extensions, strict=False)
        ]

    def prepare(self, wires: Sequence[bytes] = (), extensions: Sequence[bytes] | None = None) -> tuple[bytes, ...]:
        """What validator 0 proposes for the next height."""
        return self.machines[0].prepare(self.height + 1, self.time_ms, wires, self.precommits(extensions), [])

    @property
    def time_ms(self) -> int:
        """Of the next block."""
        return FOUR.start_ms + 1_000 * (self.height + 1)

    def block(self, wires: Sequence[bytes], evidence: Sequence[Evidence] = ()) -> EngineBlock:
        """The next block, of these transactions."""
        return EngineBlock(self.height + 1, self.time_ms, b"", b"", tuple(wires), tuple(evidence), ())

    def verdicts(self, wires: Sequence[bytes]) -> set[bool]:
        """What all four say of a proposal."""
        return {machine.process(self.block(wires)) for machine in self.machines}

    def decide(
        self,
        wires: Sequence[bytes] = (),
        *,
        proposed: Sequence[bytes] | None = None,
        evidence: Sequence[Evidence] = (),
    ) -> bytes:
        """One height: proposed by validator 0 (or as given), accepted, voted on, applied and kept by all; returns the app hash."""
        block = self.block(self.prepare(wires) if proposed is None else proposed, evidence)
        assert self.verdicts(block.transactions) == {True}
        self.extensions = [machine.extend(block) for machine in self.machines]
        hashes = {machine.finalize(block).app_hash for machine in self.machines}
        for machine in self.machines:
            machine.commit()
        self.height, self.wires, self.newest = block.height, block.transactions, block
        (app_hash,) = hashes
        return app_hash


@contextmanager
def quartet(folder: Path, snapshot_blocks: int = 0) -> Iterator[Quartet]:
    """Four new ones; closed at the end. snapshot_blocks: see ``Home``."""
    homes = [Home(FOUR, number, folder / f"node-{number}", snapshot_blocks) for number in range(4)]
    try:
        yield Quartet(homes, [Conversation(home.open()) for home in homes])
    finally:
        for home in homes:
            home.close()
