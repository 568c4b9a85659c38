"""One node: the simulated engine with what it keeps on its disk, and the real machine that it drives.

As in CometBFT the two live and die together. A decided block is kept first, then given to the machine (FinalizeBlock, Commit); after
a start Info says from where on it is given again.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median_low
from typing import Final

from simulators.consensus.conduct import Conduct
from simulators.consensus.conversation import BrokenRuleError, Conversation, Finalized, changed
from simulators.consensus.disk import Crash
from simulators.consensus.home import Home
from simulators.consensus.joining import LOOK_MS, Joining
from simulators.consensus.messages import (
    Chunk,
    ChunkWanted,
    Decision,
    EngineBlock,
    Evidence,
    Gossip,
    Member,
    Members,
    Message,
    News,
    Offers,
    OffersWanted,
    Vote,
)
from simulators.consensus.network import Network
from simulators.consensus.rounds import Rounds, Step
from simulators.consensus.schedule import Schedule
from simulators.consensus.watch import Watch

COMMIT_MS: Final = 1_000
"""After a decision: late precommits are waited for (timeout_commit)."""
EMPTY_MS: Final = 10_000
"""Without transactions: until an empty block (create_empty_blocks_interval)."""
GOSSIP_MS: Final = 400
GOSSIP_FOR_MS: Final = 10_000
"""So long a transaction is told to the others again and again, as over connections that lose nothing for good."""
MEMPOOL_MAX: Final = 300


@dataclass
class EngineDisk:
    """What the engine of a node keeps. decisions: by height from 1; members: the sets of heights 1, 2, ..., two beyond the newest.

    app_hashes: before the first block, and after each; finalized: what each block did. voted_height: the newest one that this
    validator may have voted for: kept apart, so that no older copy makes it vote twice. is_joining: it has no blocks yet, and
    begins with a snapshot.
    """

    members: list[Members]
    decisions: list[Decision] = field(default_factory=list)
    app_hashes: list[bytes] = field(default_factory=list)
    finalized: list[Finalized] = field(default_factory=list)
    rounds: Rounds | None = None
    previous: Rounds | None = None
    voted_height: int = 0
    is_joining: bool = False

    @property
    def height(self) -> int:
        """Of the newest decided block."""
        return len(self.decisions)

    def forget(self, height: int) -> None:
        """Be as it was after ``height``, but for what it has voted for."""
        self.voted_height = max(self.voted_height, self.height + 1)
        del self.decisions[height:], self.finalized[height:], self.app_hashes[height + 1 :], self.members[height + 2 :]
        self.rounds = self.previous = None

    def begin_at(self, height: int, other: EngineDisk) -> None:
        """Be as another one was after ``height``: what a light client has verified, and older blocks for whoever asks for them."""
        self.decisions[:], self.finalized[:] = other.decisions[:height], other.finalized[:height]
        self.app_hashes[:], self.members[:] = other.app_hashes[: height + 1], other.members[: height + 2]
        self.is_joining = False

    def rounds_of(self, height: int, me: bytes) -> Rounds:
        """The rounds of a height that begins: ``me`` has a vote there unless it may have given one before."""
        return Rounds(height, self.members[height - 1], me if height > self.voted_height else b"")


class Node:
    """See the module. number: of the node; address: of its validator. ``skew_ms``: by how much its clock is wrong.

    verified: what light clients have of the chain up to a height, None where that is too new.
    """

    def __init__(
        self,
        number: int,
        home: Home,
        schedule: Schedule,
        network: Network,
        watch: Watch,
        verified: Callable[[int], EngineDisk | None],
    ) -> None:
        self.number = number
        self.home = home
        self.conduct = Conduct()
        self.skew_ms = 0
        self.slowness_ms = 0
        self.conversation: Conversation | None = None
        self.evidence: list[Evidence] = []
        self.disk = EngineDisk([home.founding.members] * 2)
        self._schedule = schedule
        self._network = network
        self._watch = watch
        self._verified = verified
        self._joining: Joining | None = None
        self._life = 0
        self._mempool: dict[bytes, int] = {}
        """Transactions that wait, with when they came."""
        self._heights: dict[int, int] = {}
        self._is_waiting = False
        network.receivers[number] = self.receive

    @property
    def ledger_time_s(self) -> int:
        """Ledger time after its newest block, UTC seconds; 0 where it does not run."""
        return 0 if self.home.ledger is None else self.home.ledger.ledger_time_s

    # ------------------------------------------------------------------------------------------------ life and death

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self.conversation is not None

    def start(self) -> None:
        """Open the machine whatever the last run left, give it the blocks that it lacks, and go on."""
        self._life += 1
        self._run(self._start)

    def end(self, why: str) -> None:
        """As by kill -9 between two steps."""
        self.conversation = self._joining = None
        self._life += 1
        self._mempool, self._heights, self._is_waiting = {}, {}, False
        self.home.close()
        self.home.disk.fall()
        self._watch.ended(self, why)

    def _run(self, action: Callable[[], None]) -> None:
        """Do something in this node's process, which may end by it."""
        try:
            action()
        except Crash as crash:
            self.end(f"crash at {crash}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the process ends by it
            if self.home.disk.refusal is None:
                self._watch.note(traceback.format_exc(limit=-6))
                self._watch.violate(f"node {self.number} has stopped: {error!r}")
            self.end(f"stopped: {error}")

    def _start(self) -> None:
        self.conversation = conversation = Conversation(self.home.open())
        disk, standing = self.disk, conversation.info()
        if disk.is_joining:
            self._watch.started(self, standing.height)
            self._joining = Joining(conversation, self, self._app_hash_of, self._joined)
            self._look_for_snapshots()
            return
        if standing.height > disk.height:
            raise BrokenRuleError(f"Info says height {standing.height}, decided are {disk.height}")
        if standing.height == 0:
            founding = self.home.founding
            disk.app_hashes[:1] = [conversation.init_chain(founding.chain, founding.start_ms, founding.validators)]
        elif standing.app_hash != disk.app_hashes[standing.height]:
            raise BrokenRuleError(f"Info has another app hash of height {standing.height} than before")
        for decision in disk.decisions[standing.height :]:
            self._apply(decision.block)
        self._watch.started(self, standing.height)
        self._take_part()

    def _take_part(self) -> None:
        """Go on with the height that is not decided yet."""
        disk = self.disk
        if disk.rounds is None or disk.rounds.height <= disk.height:
            self._next_height()
        else:
            disk.rounds.attach(self)
        self.set_timer(COMMIT_MS, partial(self._begin, disk.height))
        self.set_timer(GOSSIP_MS, self._tell)

    # ------------------------------------------------------------------------------------- begin with a snapshot

    def tell(self, receiver: int, message: Message) -> None:
        """See ``joining.Door``."""
        self._network.send(self.number, receiver, message)

    def tell_all(self, message: Message) -> None:
        """See ``joining.Door``."""
        self._network.broadcast(self.number, message)

    def note(self, what: str) -> None:
        """See ``joining.Door``."""
        self._watch.note(f"node {self.number} {what}")

    def _look_for_snapshots(self) -> None:
        if self._joining is not None:
            self._joining.look()
            self.set_timer(LOOK_MS, self._look_for_snapshots)

    def _app_hash_of(self, height: int) -> bytes | None:
        verified = self._verified(height)
        return None if verified is None else verified.app_hashes[height]

    def _joined(self, height: int) -> None:
        verified, standing = self._verified(height), self._machine.info()
        if verified is None or standing != (height, verified.app_hashes[height]):
            raise BrokenRuleError(
                f"after the snapshot of height {height} Info says height {standing.height}, or another app hash"
            )
        self.note(f"has joined at height {height}")
        self._joining = None
        self.disk.begin_at(height, verified)
        self._take_part()

    def _serve(self, receiver: int, message: OffersWanted | ChunkWanted) -> None:
        """Answer one that begins with a snapshot."""
        offers = self.conduct.offers(self._machine)
        if isinstance(message, OffersWanted):
            self.tell(receiver, Offers(tuple(offers)))
            return
        for offer in offers:
            if offer.height == message.height:
                data = self.conduct.chunk(self._machine, offer, message.index)
                self.tell(receiver, Chunk(message.height, message.index, data))

    # ------------------------------------------------------------------------------------------------------ messages

    def receive(self, sender: int, message: Message) -> None:
        """Take a message."""
        if self.is_up:
            life = self._life
            self._schedule.after(self.slowness_ms, lambda: self._run(lambda: self._receive(life, sender, message)))

    def submit(self, wire: bytes) -> int | None:
        """A client's transaction: the code of CheckTx, None where this node does not answer."""
        codes: list[int] = []
        if self.is_up and self._joining is None:
            self._run(lambda: codes.append(self._check(wire)))
        return codes[0] if codes else None

    def _receive(self, life: int, sender: int, message: Message) -> None:
        if life != self._life:
            return
        if self._joining is not None:
            if isinstance(message, Offers | Chunk):
                self._joining.take(sender, message)
            return
        match message:
            case OffersWanted() | ChunkWanted():
                self._serve(sender, message)
            case Gossip(wire):
                if wire not in self._mempool:
                    self._check(wire)
            case Decision(block, commit):
                if block.height == self.disk.height + 1:
                    self.decide(block, commit)
            case News():
                self._take_news(sender, message)

    def _take_news(self, sender: int, news: News) -> None:
        self._heights[sender] = news.height
        disk = self.disk
        if news.height == disk.height + 1 and disk.rounds is not None:
            disk.rounds.take(news)
        elif news.height == disk.height and disk.previous is not None:
            disk.previous.add_late(news.votes)
        if news.height <= disk.height:
            self._network.send(self.number, sender, disk.decisions[news.height - 1])

    def _check(self, wire: bytes) -> int:
        code = self._machine.check(wire)
        if code == 0 and wire not in self._mempool and len(self._mempool) < MEMPOOL_MAX:
            self._mempool[wire] = self._schedule.now_ms
            self._network.broadcast(self.number, Gossip(wire))
            if self._is_waiting:
                self._is_waiting = False
                self._rounds.begin()
        return code

    def _tell(self) -> None:
        self._network.broadcast(self.number, self._rounds.news())
        if self.disk.previous is not None:
            own = [vote for vote in self.disk.previous.news().votes if vote.is_precommit]
            self._network.broadcast(self.number, News(self.disk.height, votes=tuple(own)))
        for wire, came_ms in self._mempool.items():
            if self._schedule.now_ms < came_ms + GOSSIP_FOR_MS:
                self._network.broadcast(self.number, Gossip(wire))
        self.set_timer(GOSSIP_MS, self._tell)

    # ------------------------------------------------------------------------------------------------- what rounds ask

    def propose(self) -> EngineBlock:
        """See ``Duties``."""
        disk, height = self.disk, self.disk.height + 1
        commit = disk.decisions[-1].commit if disk.decisions else ()
        time_ms = _block_time_ms(commit, self.home.founding.start_ms)
        evidence = [found for found in self.evidence if not self._is_kept(found)]
        precommits = self._precommits_of_last_height()
        wires = self._machine.prepare(height, time_ms, list(self._mempool), precommits, evidence)
        return EngineBlock(
            height=height,
            time_ms=time_ms,
            proposer=self.home.address,
            app_hash=disk.app_hashes[-1],
            transactions=self.conduct.transactions(height, wires),
            evidence=tuple(evidence),
            commit=commit,
        )

    def accepts(self, block: EngineBlock) -> bool:
        """See ``Duties``."""
        if block.app_hash != self.disk.app_hashes[-1]:
            raise BrokenRuleError(f"app hash of height {block.height - 1}: another at another node")
        is_acceptable = self._machine.process(block)
        self._watch.judged(self, block, is_acceptable=is_acceptable)
        return is_acceptable

    def extend(self, block: EngineBlock) -> bytes:
        """See ``Duties``."""
        return self.conduct.extension(block.height, self._machine.extend(block))

    def takes(self, vote: Vote) -> bool:
        """See ``Duties``."""
        return self._machine.verify(vote)

    def clock_ms(self) -> int:
        """See ``Duties``; never before the newest block."""
        newest_ms = self.disk.decisions[-1].block.time_ms + 1 if self.disk.decisions else 0
        own_ms = self.home.founding.start_ms + self._schedule.now_ms * self.home.founding.pace + self.skew_ms
        return max(newest_ms, own_ms)

    def set_timer(self, delay_ms: int, action: Callable[[], None]) -> None:
        """See ``Duties``."""
        life = self._life

        def go_on() -> None:
            if life == self._life:
                self._run(action)

        self._schedule.after(delay_ms, go_on)

    def announce(self, news: News) -> None:
        """See ``Duties``."""
        for receiver in self._network.others(self.number):
            self._network.send(self.number, receiver, self.conduct.told(receiver, news))

    def decide(self, block: EngineBlock, commit: tuple[Vote, ...]) -> None:
        """See ``Duties``."""
        self._is_waiting = False
        self.disk.decisions.append(Decision(block, commit))
        self._apply(block)
        self._next_height()
        for wire in block.transactions:
            self._mempool.pop(wire, None)
        kept = [wire for wire in self._mempool if self._machine.check(wire, again=True) == 0]
        self._mempool = {wire: self._mempool[wire] for wire in kept}
        wish = self._machine.wish()
        if wish is not None:
            self._check(wish)
        self.set_timer(COMMIT_MS, partial(self._begin, self.disk.height))

    # ------------------------------------------------------------------------------------------------------- internal

    @property
    def _machine(self) -> Conversation:
        if self.conversation is None:
            raise BrokenRuleError(f"node {self.number} does not run")
        return self.conversation

    @property
    def _rounds(self) -> Rounds:
        if self.disk.rounds is None:
            raise BrokenRuleError(f"node {self.number} decides nothing")
        return self.disk.rounds

    def _apply(self, block: EngineBlock) -> None:
        """FinalizeBlock, what it gave kept by the engine, Commit."""
        disk = self.disk
        finalized = self._machine.finalize(block)
        self._watch.finalized(self, block, finalized)
        if len(disk.finalized) < block.height:
            disk.finalized.append(finalized)
            disk.app_hashes.append(finalized.app_hash)
            disk.members.append(changed(disk.members[-1], finalized.updates))
        elif disk.finalized[block.height - 1] != finalized:
            raise BrokenRuleError(f"block {block.height} given again: another result than before")
        self._machine.commit()

    def _next_height(self) -> None:
        disk, decision = self.disk, self.disk.decisions[-1] if self.disk.decisions else None
        if decision is not None:
            rounds = disk.rounds
            if rounds is None or rounds.height != disk.height or not rounds.is_decided:
                rounds = disk.rounds_of(disk.height, self.home.address)
            rounds.add_late(decision.commit)
            disk.previous = rounds
        disk.rounds = disk.rounds_of(disk.height + 1, self.home.address)
        disk.rounds.attach(self)

    def _begin(self, height: int) -> None:
        """Begin what follows ``height`` now if there is something to decide, else when there is or after a while."""
        disk = self.disk
        if height != disk.height:
            return
        is_new = len(disk.app_hashes) < 2 or disk.app_hashes[-1] != disk.app_hashes[-2]
        if self._mempool or is_new:
            self._rounds.begin()
        elif self._rounds.step is Step.WAIT:
            self._is_waiting = True
            self.set_timer(EMPTY_MS, partial(self._begin_empty, disk.height))

    def _begin_empty(self, height: int) -> None:
        if height == self.disk.height:
            self._is_waiting = False
            self._rounds.begin()

    def _precommits_of_last_height(self) -> list[tuple[Member, Vote | None]]:
        disk = self.disk
        if disk.previous is None:
            return []
        found = {vote.voter: vote for vote in disk.previous.precommits(disk.decisions[-1].commit[0].round)}
        return [(member, found.get(member.address)) for member in disk.members[disk.height - 1]]

    def _is_kept(self, evidence: Evidence) -> bool:
        return any(evidence in decision.block.evidence for decision in self.disk.decisions)


def _block_time_ms(commit: tuple[Vote, ...], start_ms: int) -> int:
    """The median of the clocks of those who decided the block before; that of genesis for the first."""
    return median_low(vote.time_ms for vote in commit if vote.digest is not None) if commit else start_ms
