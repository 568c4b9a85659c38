"""The ledger as a state machine without disk, key or clock. Every engine drives this object; in brackets what ABCI calls a step.

    examine(wires)      before a block: decoded, signatures checked, which of them may enter one (CheckTx)
    apply(block)        what a decided block does, up to the header that states it; nothing changes yet (FinalizeBlock)
    commit(decided)     take it over, once it is where it cannot be lost (Commit)

Replay is ``apply`` and ``commit`` of stored blocks, whoever does it. The owner saves leaves and tiles of a decided
block before ``commit``: from then on the state is read from where they were saved.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gridcore import merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import broken, require
from gridcore.genesis import BLOCK_TIME, HEARTBEAT_S
from gridcore.header import Header, data_leaf, signers_digest
from gridcore.registry.signer import SIGNER
from gridcore.transactions.content import Content
from gridcore.transactions.reading_batch import ReadingBatch, VerifiedHeader
from gridcore.validator import Validator, powers_of
from ledger.contract import Contract
from ledger.leaves.contracts import CONTRACTS
from ledger.leaves.delivery import DELIVERY
from ledger.leaves.family import Value
from ledger.leaves.protocol import PROTOCOL
from ledger.leaves.validators import VALIDATORS, ValidatorsLeaf
from ledger.origin import Origin
from ledger.protocol import VERSIONS, Installed, check_approved, rules_at
from ledger.registry.bodies import newest
from ledger.signatures import Candidate, SignatureChecker, decode_candidates
from ledger.state.block import Block, Result
from ledger.state.draft import Draft
from ledger.state.ledger_time import Moment, follow_block_time
from ledger.state.protocol_rules import ProtocolRules
from ledger.state.state import State, StateChange
from ledger.state.transition import apply_block, apply_transactions, begun_draft, check_admission
from ledger.state.verdicts import SignatureCheck, Verdicts, checks_of, keys_of
from ledger.tiles import TileTree, TreeChange


class Progress(NamedTuple):
    """How far a gateway has come. counter: of the last batch that was applied in the open ``epoch``."""

    epoch: int
    counter: int


@dataclass(frozen=True)
class Examined:
    """A candidate with the verdict on its signature.

    code: ACCEPTED means admissible: well-formed, for this chain, signed by a registered signer whose role allows the kind, and
    with the attachment that was signed. What fails here fails in every state, and never enters a block.
    content: then what it says, else None. progress: of a reading batch, what the state has of its gateway; else None.
    missing: the header that a batch names as verified and that this history does not have; else None.
    organisation: of the signer, where it is admissible.
    attached: what its attachment says, where its kind has one.
    """

    candidate: Candidate
    verdicts: Verdicts
    code: Code
    content: Content | None
    progress: Progress | None
    missing: VerifiedHeader | None = None
    organisation: str = ""
    attached: object | None = None


@dataclass(frozen=True)
class Tip:
    """The newest block: its height (0: none, only genesis), digest S_h, ledger time (UTC seconds), what it left to do.

    work_pending: due work is left over, so that another block should follow at once.
    """

    height: int
    digest: bytes
    ledger_time_s: int
    work_pending: bool

    @classmethod
    def of(cls, header: Header, *, work_pending: bool = False) -> Tip:
        """The newest block, by its header."""
        return cls(header.height, header.digest(), header.ledger_time_s, work_pending)


@dataclass(frozen=True)
class Decided:
    """A block with everything that follows from it: results in block order, header and its digest S_h, and the new state.

    validators_changed: the set that certifies the next header, where this block took one over; else None.
    """

    block: Block
    results: tuple[Result, ...]
    header: Header
    digest: bytes
    state: StateChange
    history: TreeChange
    work_pending: bool
    validators_changed: tuple[Validator, ...] | None


class Application:
    """The state machine at one height. ``apply`` and ``commit`` are called by one thread at a time, the rest by any.

    state: to be looked at under ``lock`` alone. history: the tree over S_0 ... S_(h-1), whose root header h has.
    versions: the rules that this program has, by protocol version; pins: of the code of ``contracts``, see ``Installed``.
    """

    def __init__(
        self,
        origin: Origin,
        contracts: Mapping[str, Contract],
        checker: SignatureChecker,
        *,
        state: State,
        history: TileTree,
        tip: Tip,
        versions: Mapping[int, ProtocolRules] = VERSIONS,
        pins: Mapping[str, bytes] | None = None,
    ) -> None:
        self.origin = origin
        self.state = state
        self.history = history
        self.tip = tip
        self.lock = threading.RLock()
        self._contracts = contracts
        self._checker = checker
        self._versions = versions
        self._installed = Installed(contracts, pins)

    @property
    def pins(self) -> Mapping[str, bytes]:
        """Pins of the code of this program's contracts, by id; empty where they are not compared."""
        return self._installed.pins or {}

    @property
    def validators(self) -> tuple[Validator, ...]:
        """The set that certifies the next header."""
        with self.lock:
            return VALIDATORS.must(self.state).current

    @property
    def is_handing_over(self) -> bool:
        """Whether a set of validators waits, or took over in the newest block, whose header the set before has certified."""
        with self.lock:
            leaf = VALIDATORS.must(self.state)
            return bool(leaf.pending) or 0 < leaf.current_height == self.tip.height

    def rules(self) -> ProtocolRules:
        """The rules of the next block. ProtocolError where this program does not have them, or not the contracts that zones may name by
        then: nothing may be signed any more.
        """
        with self.lock:
            height = self.tip.height + 1
            check_approved(CONTRACTS.must(self.state), self._installed, height)
            return rules_at(self._versions, PROTOCOL.must(self.state), height)

    def examine(self, wires: Iterable[bytes], time_s: int) -> list[Examined]:
        """Decode transactions, check their signatures in parallel, and say which may enter the next block, of ``time_s``."""
        return self._examine_all(decode_candidates(list(wires)), time_s, {}, {})

    def examine_again(self, entries: Sequence[Examined], time_s: int) -> list[Examined]:
        """The same of what was examined for an earlier block: nothing is decoded and no signature checked twice."""
        verdicts = {key: verdict for entry in entries for key, verdict in entry.verdicts.items()}
        attached = {
            entry.candidate.transaction.digest: entry.attached
            for entry in entries
            if entry.candidate.transaction is not None and entry.attached is not None
        }
        return self._examine_all([entry.candidate for entry in entries], time_s, verdicts, attached)

    def foresee(self, entries: Sequence[Examined], time_s: int) -> list[Code]:
        """The code that each of these would get in a block of ``time_s`` that holds them in this order; nothing changes."""
        block = self.next_block(entries, time_s)
        known = {key: verdict for entry in entries for key, verdict in entry.verdicts.items()}
        with self.lock:
            before_s, rules = self._ledger_time_s(time_s), self.rules()
            checks = self._checks(block.decoded, before_s, max(before_s, block.steps_to_s))
            verdicts = self._checker.check(checks, known)
            draft = begun_draft(self.state, block, before_s, self._contracts, self._checker.is_signed)
            return [Code(result.code) for result in apply_transactions(draft, block, rules, verdicts)]

    def next_block(self, entries: Sequence[Examined], time_s: int) -> Block:
        """The next block, if it is of ``time_s`` and holds these in this order."""
        return Block(
            height=self.tip.height + 1,
            time_s=time_s,
            transactions=tuple(entry.candidate.wire for entry in entries),
            examined=tuple(entry.candidate.transaction for entry in entries),
            attached={
                entry.candidate.transaction.digest: entry.attached
                for entry in entries
                if entry.candidate.transaction is not None and entry.attached is not None
            },
        )

    def apply(self, block: Block, known: Verdicts | None = None) -> Decided:
        """What the next block does. ``known``: verdicts on signatures that were checked before."""
        require(block.height == self.tip.height + 1, f"block {block.height} follows block {self.tip.height}")
        with self.lock:
            before_s = self._ledger_time_s(block.time_s)
            rules, protocol = self.rules(), PROTOCOL.must(self.state)
            checks = self._checks(block.decoded, before_s, max(before_s, block.steps_to_s))
        verdicts = self._checker.check(checks, known)
        with self.lock:
            applied = apply_block(
                self.state,
                block,
                rules,
                ledger_time_s=self.tip.ledger_time_s,
                genesis_time_s=self.origin.header.ledger_time_s,
                contracts=self._contracts,
                verdicts=verdicts,
                is_signed=self._checker.is_signed,
            )
            state = self.state.changed(applied.changes, applied.bodies)
            history = self.history.changed({}, [merkle.leaf_hash(self.tip.digest)])
            validators = self._validators_after(applied.changes)
        header = Header(
            chain=self.origin.chain,
            height=block.height,
            time_s=block.time_s,
            ledger_time_s=applied.ledger_time_s,
            previous=self.tip.digest,
            history_root=history.root,
            data_root=merkle.root_of_hashes(data_hashes((entry.digest, entry.code) for entry in applied.results)),
            state_root=state.tree.root,
            signers=signers_digest(powers_of(validators.current)),
            signers_pending=signers_digest(powers_of(validators.pending)) if validators.pending else b"",
            protocol_version=protocol.version_at(block.height),
        )
        return Decided(
            block=block,
            results=applied.results,
            header=header,
            digest=header.digest(),
            state=state,
            history=history,
            work_pending=applied.work_pending,
            validators_changed=validators.current if validators.current_height == block.height else None,
        )

    def commit(self, decided: Decided) -> None:
        """Take over the block that ``apply`` decided last; its leaves and tiles have been saved."""
        with self.lock:
            self.state.commit(decided.state)
            self.history.take(decided.history)
            self.tip = Tip.of(decided.header, work_pending=decided.work_pending)

    def restart(self, state: State, history: TileTree, tip: Tip) -> None:
        """Go on from another height, whose state and headers were compared with certificates."""
        with self.lock:
            self.state, self.history, self.tip = state, history, tip

    def is_work_due(self, time_s: int) -> bool:
        """Whether a block of ``time_s`` without transactions would do something: work left over, or fallen due since.

        On a chain with block time also where ledger time falls behind, so that a quiet chain stays within reach of its clock.
        """
        if self.tip.work_pending or self.origin.clock != BLOCK_TIME:
            return self.tip.work_pending
        with self.lock:
            now_s, before_s = self._ledger_time_s(time_s), self.tip.ledger_time_s
            if now_s > before_s and time_s >= before_s + HEARTBEAT_S:
                return True
            return self.rules().is_due(Draft(self.state, self.tip.height + 1, now_s))

    def stands_s(self, time_s: int) -> int:
        """By how many seconds ledger time is behind ``time_s`` and waits for ``clock/accept``; 0 while it moves."""
        if self.origin.clock != BLOCK_TIME or not self._moment(time_s).is_ahead:
            return 0
        with self.lock:
            has_moved = self._ledger_time_s(time_s) > self.tip.ledger_time_s
        return 0 if has_moved else time_s - self.tip.ledger_time_s

    def gateway_progress(self, gateway: str) -> Progress:
        """How far a gateway has come; epoch 0 for one that is not registered."""
        with self.lock:
            known = DELIVERY.load(self.state, gateway)
        return Progress(0, 0) if known is None else Progress(known.epoch, known.counter)

    def _validators_after(self, changes: Mapping[str, Value]) -> ValidatorsLeaf:
        value = changes.get(VALIDATORS.key()) or self.state.get(VALIDATORS.key()) or broken("leaf validators exists")
        return VALIDATORS.decode(**value)

    def _ledger_time_s(self, time_s: int) -> int:
        """Ledger time at the beginning of the next block, if it is of ``time_s``."""
        if self.origin.clock != BLOCK_TIME:
            return self.tip.ledger_time_s
        return follow_block_time(self.state, self._moment(time_s))

    def _checks(self, transactions: Sequence[Transaction | None], from_s: int, to_s: int) -> list[SignatureCheck]:
        """The signatures of these transactions."""
        return checks_of(self.state, transactions, from_s, to_s)

    def _moment(self, time_s: int) -> Moment:
        return Moment(time_s, self.tip.ledger_time_s, self.origin.header.ledger_time_s)

    def _examine_all(
        self, candidates: Sequence[Candidate], time_s: int, known: Verdicts, attached: Mapping[bytes, object]
    ) -> list[Examined]:
        transactions = [candidate.transaction for candidate in candidates]
        with self.lock:
            height, now_s = self.tip.height, self._ledger_time_s(time_s)
            checks = self._checks(transactions, now_s, now_s)
        verdicts = self._checker.check(checks, known)
        with self.lock:
            if height != self.tip.height:  # a block that was committed meanwhile may have given somebody another key
                now_s = self._ledger_time_s(time_s)
                verdicts = self._checker.check(self._checks(transactions, now_s, now_s), verdicts)
            draft, rules = Draft(self.state, self.tip.height + 1, now_s), self.rules()
            examined = [self._examine(candidate, draft, rules, verdicts) for candidate in candidates]
        return [_with_attached(one, rules, attached) for one in examined]

    def _examine(self, candidate: Candidate, draft: Draft, rules: ProtocolRules, verdicts: Verdicts) -> Examined:
        transaction = candidate.transaction
        if transaction is None:
            return Examined(candidate, {}, Code.NOT_CANONICAL, None, None)
        code, content = check_admission(draft, transaction, rules, verdicts)
        keys = keys_of(draft, transaction.signer, draft.ledger_time_s, draft.ledger_time_s)
        own = {(transaction.digest, key): verdicts[transaction.digest, key] for key in keys}
        signer = None if content is None else draft.in_force(SIGNER, transaction.signer)
        organisation = "" if signer is None else signer.organisation
        if not isinstance(content, ReadingBatch):
            return Examined(candidate, own, code, content, None, organisation=organisation)
        is_strange = content.receipt is not None and not self._has_header(content.receipt)
        missing = content.receipt if is_strange else None
        progress = self.gateway_progress(transaction.signer)
        return Examined(candidate, own, code, content, progress, missing, organisation)

    def organisation_of(self, signer: str) -> str:
        """Whose a signer is that was ever registered."""
        with self.lock:
            found = newest(self.state, SIGNER, signer)
        return "" if found is None else found.record.organisation

    def _has_header(self, header: VerifiedHeader) -> bool:
        """Whether a header is of this history, up to the tip.

        In a consortium a gateway may have been at a node that is ahead of this one: what lies above the tip is nothing strange there.
        """
        if header.height > self.tip.height and self.origin.has_consensus:
            return True
        if header.height == self.tip.height:
            return header.digest == self.tip.digest
        is_earlier = 0 <= header.height < self.tip.height
        return is_earlier and merkle.leaf_hash(header.digest) == self.history.leaf(header.height)


def _with_attached(examined: Examined, rules: ProtocolRules, known: Mapping[bytes, object]) -> Examined:
    """``examined`` with what is attached, refused where that is not what was signed. known: by transaction digest."""
    transaction, content = examined.candidate.transaction, examined.content
    if transaction is None or content is None or (decode := rules.kinds[transaction.kind].attached) is None:
        return examined
    attached = known.get(transaction.digest)
    if attached is None and (attached := decode(transaction, content)) is None:
        return Examined(examined.candidate, examined.verdicts, Code.ROWS_MISMATCH, None, None)
    return replace(examined, attached=attached)


def data_hashes(decisions: Iterable[tuple[bytes, int]]) -> Sequence[bytes]:
    """Leaf hashes of the tree under a header's data_root, from the (digest, code) of each transaction."""
    return merkle.leaf_hashes([data_leaf(digest, code) for digest, code in decisions])
