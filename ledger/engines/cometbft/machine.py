"""The application that the consensus engine drives: one method for each message of ABCI 2.0, and no clock, no thread, no socket.

    check_tx               may this transaction wait for a block?            mempool
    prepare_proposal       what this node proposes                         consensus, the proposer alone
    process_proposal       whether a proposed block is acceptable            consensus
    extend_vote            this node's vote on the header of the block before    consensus
    finalize_block         what the decided block does (nothing is kept)          consensus
    commit                 keep it                                           consensus

Source: CometBFT 0.38, spec/abci. Method names are the engine's. GridError, InvariantError: the engine must stop, which is what the
server answers. Methods of the consensus and snapshot connections are called by one thread at a time, the others by any, and so are
those that read snapshots for peers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from gridcore.codes import Code
from gridcore.errors import GridError, UsageError
from gridcore.header import VerificationError, certificate_message
from gridcore.logs import get_logger
from gridcore.serving.door import Seldom
from gridcore.sm import is_valid_signature
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.validator import Validator
from ledger.application import Decided, Examined
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.certificates import Certificates
from ledger.engines.cometbft.examined import ExaminedTransactions
from ledger.engines.cometbft.payloads import (
    NOTHING_INJECTED,
    VOTE_BYTES_MAX,
    Vote,
    decode_injected,
    decode_wish,
    encode_wish,
)
from ledger.engines.cometbft.proposals import Proposals, framed_bytes
from ledger.engines.cometbft.state_sync import StateSync
from ledger.engines.cometbft.waiting import Waiting
from ledger.engines.earlier import FINAL, INADMISSIBLE
from ledger.engines.order import batch_place
from ledger.engines.pool import HELD_BATCHES_MAX
from ledger.engines.refusals import RefusalLimits, RefusalShares
from ledger.signatures import decode_candidates
from ledger.state.block import Block, Offence
from ledger.store.consortium import ConsortiumLedger

APP_VERSION: Final = 0
"""Stands in the engine's headers from the first block on; rules are switched by our own protocol version."""
HURRIED_BLOCKS: Final = 8
"""Blocks that are made in a hurry for the certificate of one, where votes are missing; later ones come at the engine's pace."""
SOON_S: Final = 15
"""The newest block is at most about so old where blocks are made: the next one is later."""
NOTHING_TO_CERTIFY: Final = 1
NO_SUCH_QUERY: Final = 1
UNKNOWN_PEER: Final = 2
PEER_FILTER: Final = "/p2p/filter/"

log = get_logger(__name__)


class Listener(Protocol):
    """Who waits for what becomes of transactions. Called by the thread that calls the machine: be brief."""

    def committed(self, decided: Decided) -> None:
        """A block was committed."""
        ...

    def dropped(self, entry: Examined, code: Code) -> None:
        """The engine was told to keep this transaction no longer: it would get ``code``."""
        ...


class Nobody:
    """A listener that does nothing."""

    def committed(self, decided: Decided) -> None:
        """See ``Listener``."""

    def dropped(self, entry: Examined, code: Code) -> None:
        """See ``Listener``."""


class Machine:
    """See the module. peers: node ids that may connect, None where everybody may."""

    def __init__(
        self,
        ledger: ConsortiumLedger,
        *,
        listener: Listener | None = None,
        peers: frozenset[str] | None = None,
        refusals: RefusalLimits | None = None,
    ) -> None:
        self.ledger = ledger
        self.examined = ExaminedTransactions(ledger.application)
        self._listener = listener or Nobody()
        self._peers = peers
        self._seldom = Seldom()
        self._waiting = Waiting()
        self._certificates = Certificates(ledger)
        self._time_at = (-1, 0)
        refused = RefusalShares(refusals or RefusalLimits(), self.newest_time_s)
        self._proposals = Proposals(ledger, self.examined, refused)
        self._state_sync = StateSync(ledger)
        self._busy_height = self._newest_with_transactions()

    # ---------------------------------------------------------------------------------------------------- query

    def info(self, request: abci.InfoRequest) -> abci.InfoResponse:
        """Where this node stands: the engine gives what follows again."""
        height = self.ledger.height
        root = self.ledger.state_root() if height else b""
        return abci.InfoResponse(
            data="gridledger", app_version=APP_VERSION, last_block_height=height, last_block_app_hash=root
        )

    def query(self, request: abci.QueryRequest) -> abci.QueryResponse:
        """Whether a peer may connect; everything else is asked over HTTP."""
        kind, _, name = request.path.removeprefix(PEER_FILTER).partition("/")
        if not request.path.startswith(PEER_FILTER) or kind not in ("id", "addr"):
            return abci.QueryResponse(code=NO_SUCH_QUERY, log="ask the node over HTTP")
        if kind == "id" and self._peers is not None and name.lower() not in self._peers:
            self._seldom.warn("peer_refused", node_id=name)
            return abci.QueryResponse(code=UNKNOWN_PEER, log="not a validator of this consortium")
        return abci.QueryResponse()

    # -------------------------------------------------------------------------------------------------- mempool

    def check_tx(self, request: abci.CheckTxRequest) -> abci.CheckTxResponse:
        """Whether a transaction may wait for a block, or, once a block was made, go on waiting."""
        return self.check_txs([request])[0]

    def check_txs(self, requests: Sequence[abci.CheckTxRequest]) -> list[abci.CheckTxResponse]:
        """``check_tx`` of several: signatures are checked in parallel."""
        wires = [request.tx for request in requests if decode_wish(request.tx) is None]
        time_s = self.newest_time_s()
        new = [wire for wire in wires if self.examined.find(wire) is None]
        if new:
            self.examined.remember(self.ledger.examine(new, time_s))
        return [abci.CheckTxResponse(code=self._mempool_code(request)) for request in requests]

    def wish(self) -> bytes | None:
        """The transaction by which this node asks for another block now, None while nothing waits for one."""
        return encode_wish(self._busy_height) if self._is_hurried(self._busy_height) else None

    def newest_time_s(self) -> int:
        """The time of the newest block, UTC seconds: the next one is not earlier."""
        height, (known_height, time_s) = self.ledger.height, self._time_at
        if known_height != height:
            time_s = self.ledger.header(height).time_s
            self._time_at = height, time_s
        return time_s

    # ------------------------------------------------------------------------------------------------ consensus

    def init_chain(self, request: abci.InitChainRequest) -> abci.InitChainResponse:
        """Compare the engine's genesis with ours. UsageError naming what differs."""
        chain = self.ledger.chain
        if request.chain_id != chain:
            raise UsageError(f"the engine's genesis is of chain {request.chain_id}, this ledger is {chain}")
        if request.initial_height not in (0, 1):
            raise UsageError(f"the engine's genesis begins at height {request.initial_height}, not 1")
        if request.consensus_params.abci.vote_extensions_enable_height != 1:
            raise UsageError(
                "the engine's genesis does not enable vote extensions at height 1: nothing would be certified"
            )
        origin = self.ledger.application.origin
        named = {(one.consensus_key, one.power) for one in origin.validators}
        if origin.has_consensus and named != {(one.pub_key.ed25519, one.power) for one in request.validators}:
            raise UsageError(
                "the engine's genesis has other validators than the ledger's: make it again with consortium found"
            )
        return abci.InitChainResponse(app_hash=self.ledger.state_root())

    def prepare_proposal(self, request: abci.PrepareProposalRequest) -> abci.PrepareProposalResponse:
        """The certificate of two blocks before, and transactions of the mempool."""
        votes = request.local_last_commit.votes
        first = self._certificates.gather(request.height, [vote.vote_extension for vote in votes]).encode()
        if framed_bytes(first) > request.max_tx_bytes:
            first = NOTHING_INJECTED.encode()
        room_bytes = request.max_tx_bytes - framed_bytes(first)
        chosen = self._proposals.choose(request.txs, room_bytes, request.time.seconds)
        return abci.PrepareProposalResponse(txs=[first, *chosen])

    def process_proposal(self, request: abci.ProcessProposalRequest) -> abci.ProcessProposalResponse:
        """Whether a proposed block is acceptable: the same answer on every node."""
        response = abci.ProcessProposalResponse
        injected = decode_injected(request.txs[0]) if request.txs else None
        if injected is None:
            log.error("proposal_rejected", height=request.height, reason="it does not begin with a certificate")
            return response(status=response.REJECT)
        try:
            self._certificates.check(request.height, injected)
        except VerificationError as error:
            log.error("proposal_rejected", height=request.height, reason=str(error))
            return response(status=response.REJECT)
        if not self._proposals.are_acceptable(request.txs[1:], request.time.seconds):
            log.error("proposal_rejected", height=request.height, reason="a transaction that may enter no block")
            return response(status=response.REJECT)
        return response(status=response.ACCEPT)

    def extend_vote(self, request: abci.ExtendVoteRequest) -> abci.ExtendVoteResponse:
        """This node's vote on the header of the block before; empty where it cannot or may not sign."""
        try:
            return abci.ExtendVoteResponse(vote_extension=self._vote(request.height - 1))
        except (GridError, OSError, sqlite3.Error) as error:
            log.error("vote_without_signature", height=request.height - 1, reason=str(error))
            return abci.ExtendVoteResponse()

    def verify_vote_extension(self, request: abci.VerifyVoteExtensionRequest) -> abci.VerifyVoteExtensionResponse:
        """Everything is taken that is not too long: what does not hold counts for nothing when certificates are gathered."""
        response = abci.VerifyVoteExtensionResponse
        is_short = len(request.vote_extension) <= VOTE_BYTES_MAX
        return response(status=response.ACCEPT if is_short else response.REJECT)

    def finalize_block(self, request: abci.FinalizeBlockRequest) -> abci.FinalizeBlockResponse:
        """What a decided block does. It may come without having been proposed here, and again after a crash."""
        injected = decode_injected(request.txs[0]) if request.txs else None
        wires = request.txs if injected is None else request.txs[1:]
        try:
            brought = self._certificates.check(request.height, injected or NOTHING_INJECTED)
        except VerificationError as error:
            log.error("certificate_ignored", height=request.height, reason=str(error))
            brought = None
        entries = {wire: entry for wire in wires if (entry := self.examined.find(wire)) is not None}
        verdicts = {key: verdict for entry in entries.values() for key, verdict in entry.verdicts.items()}
        decided = self.ledger.decide(self._block(request, wires, entries), brought, verdicts)
        codes = [result.code for result in decided.results]
        return abci.FinalizeBlockResponse(
            tx_results=[abci.ExecTxResult(code=code) for code in ([] if injected is None else [0]) + codes],
            validator_updates=_updates(self.ledger.application.validators, decided.validators_changed),
            app_hash=decided.header.state_root,
        )

    def commit(self, request: abci.CommitRequest) -> abci.CommitResponse:
        """Keep the block. StoreWriteError while the disk refuses: call it again."""
        decided = self.ledger.commit()
        self.examined.forget(decided.block.transactions)
        self._waiting.leave(decided.block.transactions)
        self._waiting.sweep(decided.header.height - 1)
        if decided.block.transactions:
            self._busy_height = decided.header.height
        self._listener.committed(decided)
        return abci.CommitResponse()

    # ------------------------------------------------------------------------------------------------- snapshot

    def list_snapshots(self, request: abci.ListSnapshotsRequest) -> abci.ListSnapshotsResponse:
        """Those that this node offers."""
        return self._state_sync.list_snapshots()

    def offer_snapshot(self, request: abci.OfferSnapshotRequest) -> abci.OfferSnapshotResponse:
        """Whether this node, which has no blocks yet, would begin with a snapshot that others offer."""
        return self._state_sync.offer(request)

    def load_snapshot_chunk(self, request: abci.LoadSnapshotChunkRequest) -> abci.LoadSnapshotChunkResponse:
        """A chunk of a snapshot that this node offers; empty where it has gone."""
        return self._state_sync.load_chunk(request)

    def apply_snapshot_chunk(self, request: abci.ApplySnapshotChunkRequest) -> abci.ApplySnapshotChunkResponse:
        """A chunk of the snapshot that was taken; with the last one the ledger begins there."""
        return self._state_sync.apply_chunk(request)

    # ------------------------------------------------------------------------------------------------- internal

    def _vote(self, height: int) -> bytes:
        """A vote extension; empty for genesis, which nobody needs to certify, and for a height that is not the newest."""
        if height < 1 or height != self.ledger.height:
            return b""
        signed, digest = self.ledger.sign(height), self.ledger.digest(height)
        if signed is None:
            return b""
        public_key, signature = signed
        message = certificate_message(self.ledger.chain, height, digest)
        if not is_valid_signature(public_key, message, signature):
            log.error("own_signature_does_not_hold", height=height)
            return b""
        return Vote(height, digest, public_key, signature).encode()

    def _block(
        self, request: abci.FinalizeBlockRequest, wires: Sequence[bytes], known: Mapping[bytes, Examined]
    ) -> Block:
        new = iter(decode_candidates([wire for wire in wires if wire not in known]))
        candidates = [known[wire].candidate if wire in known else next(new) for wire in wires]
        return Block(
            height=request.height,
            time_s=request.time.seconds,
            transactions=tuple(wires),
            offenders=tuple(Offence(one.validator.address, one.height) for one in request.misbehavior),
            examined=tuple(candidate.transaction for candidate in candidates),
            attached={
                entry.candidate.transaction.digest: entry.attached
                for entry in known.values()
                if entry.candidate.transaction is not None and entry.attached is not None
            },
        )

    def _mempool_code(self, request: abci.CheckTxRequest) -> int:
        """0 where a transaction may wait (any longer); it waits for the batches before it, within bounds."""
        height = decode_wish(request.tx)
        if height is not None:
            # Not of every height that waits: the newest block always does, so whoever wishes would never let the chain rest.
            return 0 if height == self._busy_height and self._is_hurried(height) else NOTHING_TO_CERTIFY
        entry = self.examined.find(request.tx)
        if entry is None:
            return Code.NODE_BUSY
        code = entry.code if entry.code is not Code.ACCEPTED else self._wait(entry)
        if code is not Code.ACCEPTED:
            self._waiting.leave([request.tx])
            if code is not Code.NODE_BUSY:  # else it comes again, and its signature is not to be checked again
                self.examined.forget([request.tx])
            self._listener.dropped(entry, code)
        return code

    def _wait(self, entry: Examined) -> Code:
        """ACCEPTED where an admissible transaction waits now, NODE_BUSY where it has no room, else the code with which it enters no block."""
        place, last = batch_place(entry), INADMISSIBLE
        if place is None:
            last = FINAL | INADMISSIBLE
        else:
            progress = self.ledger.application.gateway_progress(place.gateway)
            if place[1:] <= progress:
                return Code.COUNTER_PASSED
            ahead = place.counter - progress.counter if place.epoch == progress.epoch else 1
            if ahead > HELD_BATCHES_MAX:
                return Code.COUNTER_GAP
            if ahead > 1:
                return self._place(entry, is_ready=self._waiting.has_before(entry))
        code = self._foreseen(entry)
        if code is not Code.ACCEPTED and (code in last or not self._proposals.may_take(entry, code)):
            return code  # it would wait in vain: no block takes it, or not this refusal again
        return self._place(entry, is_ready=code is Code.ACCEPTED)

    def _place(self, entry: Examined, *, is_ready: bool) -> Code:
        """ACCEPTED where there is room for it to wait, else NODE_BUSY."""
        may_wait = self._waiting.may_wait(entry, self.ledger.height, self.newest_time_s(), is_ready=is_ready)
        return Code.ACCEPTED if may_wait else Code.NODE_BUSY

    def _foreseen(self, entry: Examined) -> Code:
        """What a transaction would get in the next block, alone; a batch of a boundary that comes so soon is not too early."""
        time_s, content = self.newest_time_s(), entry.content
        code = self.ledger.application.foresee([entry], time_s)[0]
        is_due = isinstance(content, ReadingBatch) and content.boundary_s <= time_s + SOON_S
        return Code.ACCEPTED if code is Code.FUTURE_BOUNDARY and is_due else code

    def _is_hurried(self, height: int) -> bool:
        """Whether another block is to be made at once, so that a certificate covers ``height``."""
        tip = self.ledger.height
        return self.ledger.certified_height < height <= tip < height + HURRIED_BLOCKS

    def _newest_with_transactions(self) -> int:
        """Of the blocks that may be hurried for, the newest that has transactions; 0 without one."""
        tip = self.ledger.height
        uncertified = max(self.ledger.certified_height, self.ledger.joined_height, tip - HURRIED_BLOCKS)
        return next((height for height in range(tip, uncertified, -1) if self.ledger.results(height)), 0)


def _updates(before: Sequence[Validator], after: Sequence[Validator] | None) -> list[abci.ValidatorUpdate]:
    """What the engine is told of a set that took over: power 0 of who is no longer in it, and everybody's power."""
    if after is None:
        return []
    powers = {one.consensus_key: 0 for one in before} | {one.consensus_key: one.power for one in after}
    return [
        abci.ValidatorUpdate(pub_key=abci.PublicKey(ed25519=key), power=power) for key, power in powers.items() if key
    ]
