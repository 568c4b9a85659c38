"""How one height is decided: Tendermint, algorithm 1 of arXiv:1807.04938, whose line numbers stand beside the rules.

A node keeps this object as it was whenever it ends, as CometBFT does by its write-ahead log: no vote is given twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Final, Protocol

from simulators.consensus.messages import EngineBlock, Members, News, Proposal, Vote

PROPOSE_MS: Final = 3_000
VOTE_MS: Final = 1_000
ROUND_MS: Final = 500
"""By how much each further round waits longer."""


class Step(IntEnum):
    """How far a round has come. WAIT: it has not begun, as where there is nothing to decide yet."""

    WAIT = 0
    PROPOSE = 1
    PREVOTE = 2
    PRECOMMIT = 3


class Duties(Protocol):
    """What a node does for its rounds."""

    def propose(self) -> EngineBlock:
        """A new block (PrepareProposal)."""

    def accepts(self, block: EngineBlock) -> bool:
        """Whether a proposed block is acceptable (ProcessProposal)."""

    def extend(self, block: EngineBlock) -> bytes:
        """The extension of an own precommit (ExtendVote)."""

    def takes(self, vote: Vote) -> bool:
        """Whether somebody's precommit counts (VerifyVoteExtension)."""

    def clock_ms(self) -> int:
        """This node's clock, UTC."""

    def set_timer(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Do ``action`` later, unless the node has ended meanwhile."""

    def announce(self, news: News) -> None:
        """Tell all others."""

    def decide(self, block: EngineBlock, commit: tuple[Vote, ...]) -> None:
        """The height is decided."""


class Rounds:
    """One height at one node. me: the node's address, which may be outside the set: then it only listens."""

    def __init__(self, height: int, members: Members, me: bytes) -> None:
        self.height = height
        self.round = 0
        self.step = Step.WAIT
        self.is_decided = False
        self._members = members
        self._powers = dict(members)
        self._me = me
        self._locked: EngineBlock | None = None
        self._locked_round = -1
        self._valid: EngineBlock | None = None
        self._valid_round = -1
        self._proposals: dict[int, Proposal] = {}
        self._blocks: dict[bytes, EngineBlock] = {}
        self._votes: dict[tuple[bool, int], dict[bytes, Vote]] = defaultdict(dict)
        self._duties: Duties | None = None
        self._verdicts: dict[bytes, bool] = {}
        self._timed: set[tuple[int, Step]] = set()

    @property
    def duties(self) -> Duties:
        """The node that runs this; it sets itself with ``attach``."""
        if self._duties is None:
            raise RuntimeError("no node runs these rounds")
        return self._duties

    def attach(self, duties: Duties) -> None:
        """Go on at a node that has just started: what was only in memory is asked for again."""
        self._duties, self._verdicts, self._timed = duties, {}, set()
        if self.step is not Step.WAIT:
            self._set_timer(self.step)
            self._advance()

    def begin(self) -> None:
        """Begin round 0, where it has not begun."""
        if self.step is Step.WAIT and not self.is_decided:
            self._start(0)
            self._advance()

    def take(self, news: News) -> None:
        """Take over what somebody else knows of this height."""
        for proposal in news.proposals:
            if proposal.block.height == self.height:
                self._proposals.setdefault(proposal.round, proposal)
                self._blocks.setdefault(proposal.block.digest, proposal.block)
        for vote in news.votes:
            self._take_vote(vote)
        self._advance()

    def add_late(self, votes: Iterable[Vote]) -> None:
        """Precommits that come after the decision: nobody verifies their extensions (as in CometBFT 0.38)."""
        for vote in votes:
            if vote.voter in self._powers and vote.is_precommit:
                self._votes[True, vote.round].setdefault(vote.voter, vote)

    def news(self) -> News:
        """All that this node knows of the height."""
        votes = [vote for found in self._votes.values() for vote in found.values()]
        return News(self.height, tuple(self._proposals.values()), tuple(votes))

    def precommits(self, round_number: int) -> tuple[Vote, ...]:
        """The precommits of a round, by voter."""
        return tuple(vote for _, vote in sorted(self._votes[True, round_number].items()))

    def proposer(self, round_number: int) -> bytes:
        """Who proposes in a round."""
        return self._members[(self.height + round_number) % len(self._members)].address

    def _take_vote(self, vote: Vote) -> None:
        known = self._votes[vote.is_precommit, vote.round]
        if vote.voter not in self._powers or vote.voter in known or vote.voter == self._me:
            return
        if vote.is_precommit and vote.digest is not None and not self.duties.takes(vote):
            return
        known[vote.voter] = vote

    def _advance(self) -> None:
        rules = (
            self._decide,
            self._skip,
            self._propose,
            self._prevote,
            self._see_majority,
            self._precommit,
            self._wait_for_votes,
        )
        while not self.is_decided and any(rule() for rule in rules):
            pass

    def _start(self, round_number: int) -> None:  # lines 11 to 21
        self.round, self.step = round_number, Step.PROPOSE
        self._set_timer(Step.PROPOSE)

    def _propose(self) -> bool:  # lines 14 to 19
        if self.step is not Step.PROPOSE or self.proposer(self.round) != self._me or self.round in self._proposals:
            return False
        block = self._valid or self.duties.propose()
        proposal = Proposal(block, self.round, self._valid_round)
        self._proposals[self.round] = proposal
        self._blocks[block.digest] = block
        self.duties.announce(News(self.height, (proposal,)))
        return True

    def _prevote(self) -> bool:  # lines 22 to 33
        proposal = self._proposals.get(self.round)
        if self.step > Step.PROPOSE or proposal is None:
            return False
        block, valid_round = proposal.block, proposal.valid_round
        if valid_round >= 0:
            majority = self._majority(is_precommit=False, round_number=valid_round)
            if valid_round >= self.round or majority is None or majority.digest != block.digest:
                return False
        is_free = self._locked_round <= valid_round or (
            self._locked is not None and self._locked.digest == block.digest
        )
        self._vote(is_precommit=False, digest=block.digest if is_free and self._accepts(block) else None)
        self.step = Step.PREVOTE
        return True

    def _see_majority(self) -> bool:  # lines 36 to 43
        majority = self._majority(is_precommit=False, round_number=self.round)
        block = None if majority is None or majority.digest is None else self._blocks.get(majority.digest)
        if block is None or self.step < Step.PREVOTE or self._valid_round == self.round or not self._accepts(block):
            return False
        if self.step is Step.PREVOTE:
            self._vote(is_precommit=True, digest=block.digest, extension=self._extend(block))
            self._locked, self._locked_round, self.step = block, self.round, Step.PRECOMMIT
        self._valid, self._valid_round = block, self.round
        return True

    def _precommit(self) -> bool:  # lines 44 to 46
        majority = self._majority(is_precommit=False, round_number=self.round)
        if self.step is not Step.PREVOTE or majority is None or majority.digest is not None:
            return False
        self._give_up_round()
        return True

    def _wait_for_votes(self) -> bool:  # lines 34, 35, 47, 48
        if self.step is Step.PREVOTE and self._are_enough(self._votes[False, self.round]):
            self._set_timer(Step.PREVOTE)
        if self._are_enough(self._votes[True, self.round]):
            self._set_timer(Step.PRECOMMIT)
        return False

    def _decide(self) -> bool:  # lines 49 to 54
        for is_precommit, round_number in sorted(self._votes):
            majority = self._majority(is_precommit, round_number) if is_precommit else None
            block = None if majority is None or majority.digest is None else self._blocks.get(majority.digest)
            if block is not None:
                self.is_decided, self.round = True, round_number
                self.duties.decide(block, self.precommits(round_number))
                return True
        return False

    def _skip(self) -> bool:  # lines 55 and 56
        for round_number in sorted({key[1] for key in self._votes if key[1] > self.round}):
            voters = self._votes[False, round_number].keys() | self._votes[True, round_number].keys()
            if 3 * sum(self._powers[voter] for voter in voters) > sum(self._powers.values()):
                self._start(round_number)
                return True
        return False

    def _set_timer(self, step: Step) -> None:
        """Lines 57 to 67: what happens where nothing else does."""
        round_number = self.round
        if (round_number, step) in self._timed:
            return
        self._timed.add((round_number, step))
        delay_ms = (PROPOSE_MS if step is Step.PROPOSE else VOTE_MS) + ROUND_MS * round_number
        self.duties.set_timer(delay_ms, lambda: self._time_out(round_number, step))

    def _time_out(self, round_number: int, step: Step) -> None:
        if self.is_decided or round_number != self.round:
            return
        if step is Step.PROPOSE and self.step is Step.PROPOSE:
            self._vote(is_precommit=False, digest=None)
            self.step = Step.PREVOTE
        elif step is Step.PREVOTE and self.step is Step.PREVOTE:
            self._give_up_round()
        elif step is Step.PRECOMMIT:
            self._start(round_number + 1)
        self._advance()

    def _give_up_round(self) -> None:
        self._vote(is_precommit=True, digest=None)
        self.step = Step.PRECOMMIT

    def _vote(self, *, is_precommit: bool, digest: bytes | None, extension: bytes = b"") -> None:
        if self._me not in self._powers:
            return
        vote = Vote(is_precommit, self.height, self.round, self._me, digest, extension, self.duties.clock_ms())
        self._votes[is_precommit, self.round].setdefault(self._me, vote)
        self.duties.announce(News(self.height, votes=(vote,)))

    def _extend(self, block: EngineBlock) -> bytes:
        return self.duties.extend(block) if self._me in self._powers else b""

    def _accepts(self, block: EngineBlock) -> bool:
        if block.digest not in self._verdicts:
            self._verdicts[block.digest] = self.duties.accepts(block)
        return self._verdicts[block.digest]

    def _are_enough(self, votes: Iterable[bytes]) -> bool:
        return 3 * sum(self._powers[voter] for voter in votes) > 2 * sum(self._powers.values())

    def _majority(self, is_precommit: bool, round_number: int) -> Vote | None:
        """A vote that more than 2/3 of the power have given in a round, or None."""
        votes = self._votes[is_precommit, round_number].values()
        for vote in votes:
            if self._are_enough(other.voter for other in votes if other.digest == vote.digest):
                return vote
        return None
