"""ABCI as the simulated engine speaks it: the messages of each step, made for and read from the real machine.

What an engine cannot go on after is a ``BrokenRuleError``: CometBFT would stop there, or fork.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from gridcore.errors import GridError
from gridcore.validator import Validator
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.machine import Machine
from simulators.consensus.messages import EngineBlock, Evidence, Member, Members, Offer, Vote

BLOCK_BYTES_MAX = 4 << 20
EXTENSION_BYTES_MAX = 512
_PER_TRANSACTION_BYTES = 10
"""What CometBFT counts around each transaction of a block, at most."""


class BrokenRuleError(GridError):
    """The machine gave something that ABCI does not allow."""


class Standing(NamedTuple):
    """What the machine has of the chain: its last committed height (0: none) and the app hash after it."""

    height: int
    app_hash: bytes


class Finalized(NamedTuple):
    """What a block did. codes: one for each transaction; updates: (Ed25519 key, power) of changed validators."""

    app_hash: bytes
    codes: tuple[int, ...]
    updates: tuple[tuple[bytes, int], ...]


class Applied(NamedTuple):
    """What became of a chunk. is_snapshot_refused: nothing of that snapshot is wanted any more."""

    is_taken: bool
    is_snapshot_refused: bool
    refused_senders: frozenset[int]


class Conversation:
    """The calls of one engine to one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def info(self) -> Standing:
        """Info: asked first, after every start."""
        answer = self.machine.info(abci.InfoRequest(version="0.38.25"))
        return Standing(answer.last_block_height, answer.last_block_app_hash)

    def init_chain(self, chain: str, time_ms: int, validators: Iterable[Validator]) -> bytes:
        """InitChain: the app hash before the first block."""
        request = abci.InitChainRequest(
            time=_time(time_ms),
            chain_id=chain,
            consensus_params=abci.ConsensusParams(abci=abci.ABCIParams(vote_extensions_enable_height=1)),
            validators=[
                abci.ValidatorUpdate(pub_key=abci.PublicKey(ed25519=found.consensus_key), power=found.power)
                for found in validators
            ],
            initial_height=1,
        )
        return self.machine.init_chain(request).app_hash

    def check(self, wire: bytes, *, again: bool = False) -> int:
        """CheckTx: the code; 0 lets it into the mempool. again: it is there already."""
        kind = abci.CheckTxType.RECHECK if again else abci.CheckTxType.NEW
        return self.machine.check_tx(abci.CheckTxRequest(tx=wire, type=kind)).code

    def wish(self) -> bytes | None:
        """What this node's part outside the engine puts into the mempool, so that another block comes at once."""
        return self.machine.wish()

    def prepare(
        self,
        height: int,
        time_ms: int,
        wires: Sequence[bytes],
        commit: Sequence[tuple[Member, Vote | None]],
        evidence: Sequence[Evidence],
    ) -> tuple[bytes, ...]:
        """PrepareProposal: the transactions of a block. commit: of each validator its precommit of the height before."""
        request = abci.PrepareProposalRequest(
            max_tx_bytes=BLOCK_BYTES_MAX,
            txs=wires,
            local_last_commit=abci.ExtendedCommitInfo(votes=[_vote_info(member, vote) for member, vote in commit]),
            misbehavior=[_misbehavior(found) for found in evidence],
            height=height,
            time=_time(time_ms),
        )
        chosen = tuple(self.machine.prepare_proposal(request).txs)
        if sum(len(wire) + _PER_TRANSACTION_BYTES for wire in chosen) > BLOCK_BYTES_MAX:
            raise BrokenRuleError(f"PrepareProposal of height {height}: more than {BLOCK_BYTES_MAX} bytes")
        return chosen

    def process(self, block: EngineBlock) -> bool:
        """ProcessProposal: whether the block is acceptable."""
        request = abci.ProcessProposalRequest(
            txs=block.transactions,
            misbehavior=[_misbehavior(found) for found in block.evidence],
            hash=block.digest,
            height=block.height,
            time=_time(block.time_ms),
        )
        status = self.machine.process_proposal(request).status
        if status not in (abci.ProcessProposalResponse.ACCEPT, abci.ProcessProposalResponse.REJECT):
            raise BrokenRuleError(f"ProcessProposal of height {block.height}: status {status}")
        return status == abci.ProcessProposalResponse.ACCEPT

    def extend(self, block: EngineBlock) -> bytes:
        """ExtendVote: the extension of this node's precommit."""
        request = abci.ExtendVoteRequest(hash=block.digest, height=block.height)
        extension = self.machine.extend_vote(request).vote_extension
        if len(extension) > EXTENSION_BYTES_MAX:
            raise BrokenRuleError(f"ExtendVote of height {block.height}: {len(extension)} bytes")
        return extension

    def verify(self, vote: Vote) -> bool:
        """VerifyVoteExtension: whether somebody's precommit counts."""
        request = abci.VerifyVoteExtensionRequest(
            hash=vote.digest or b"", validator_address=vote.voter, height=vote.height, vote_extension=vote.extension
        )
        status = self.machine.verify_vote_extension(request).status
        if status not in (abci.VerifyVoteExtensionResponse.ACCEPT, abci.VerifyVoteExtensionResponse.REJECT):
            raise BrokenRuleError(f"VerifyVoteExtension of height {vote.height}: status {status}")
        return status == abci.VerifyVoteExtensionResponse.ACCEPT

    def finalize(self, block: EngineBlock) -> Finalized:
        """FinalizeBlock."""
        answer = self.machine.finalize_block(finalize_request(block))
        if len(answer.tx_results) != len(block.transactions):
            raise BrokenRuleError(f"FinalizeBlock of height {block.height}: a result is missing or one too many")
        updates = tuple((update.pub_key.ed25519, update.power) for update in answer.validator_updates)
        return Finalized(answer.app_hash, tuple(result.code for result in answer.tx_results), updates)

    def commit(self) -> None:
        """Commit."""
        self.machine.commit(abci.CommitRequest())

    # ------------------------------------------------------------------------------------------------- snapshots

    def snapshots(self) -> tuple[Offer, ...]:
        """ListSnapshots."""
        listed = self.machine.list_snapshots(abci.ListSnapshotsRequest()).snapshots
        return tuple(Offer(one.height, one.format, one.chunks, one.hash, one.metadata) for one in listed)

    def chunk(self, offer: Offer, index: int) -> bytes:
        """LoadSnapshotChunk."""
        request = abci.LoadSnapshotChunkRequest(height=offer.height, format=offer.format, chunk=index)
        return self.machine.load_snapshot_chunk(request).chunk

    def offer(self, offer: Offer, app_hash: bytes) -> bool:
        """OfferSnapshot: whether it is to be fetched. app_hash: after its height, as the engine's light client has it."""
        told = abci.Snapshot(
            height=offer.height, format=offer.format, chunks=offer.chunks, hash=offer.digest, metadata=offer.metadata
        )
        result = self.machine.offer_snapshot(abci.OfferSnapshotRequest(snapshot=told, app_hash=app_hash)).result
        if result == abci.OfferSnapshotResponse.ABORT:
            raise BrokenRuleError(f"OfferSnapshot of height {offer.height}: no snapshot is wanted")
        return result == abci.OfferSnapshotResponse.ACCEPT

    def apply(self, index: int, data: bytes, sender: int) -> Applied:
        """ApplySnapshotChunk."""
        request = abci.ApplySnapshotChunkRequest(index=index, chunk=data, sender=str(sender))
        answer = self.machine.apply_snapshot_chunk(request)
        kinds = abci.ApplySnapshotChunkResponse
        if answer.result not in (kinds.ACCEPT, kinds.RETRY, kinds.REJECT_SNAPSHOT):
            raise BrokenRuleError(f"ApplySnapshotChunk {index}: result {answer.result}")
        return Applied(
            is_taken=answer.result == kinds.ACCEPT,
            is_snapshot_refused=answer.result == kinds.REJECT_SNAPSHOT,
            refused_senders=frozenset(map(int, answer.reject_senders)),
        )


def finalize_request(block: EngineBlock) -> abci.FinalizeBlockRequest:
    """FinalizeBlock of a decided block."""
    return abci.FinalizeBlockRequest(
        txs=block.transactions,
        misbehavior=[_misbehavior(found) for found in block.evidence],
        hash=block.digest,
        height=block.height,
        time=_time(block.time_ms),
    )


def address_of(consensus_key: bytes) -> bytes:
    """The address of a validator: the first 20 bytes of SHA-256 of its Ed25519 key."""
    return sha256(consensus_key).digest()[:20]


def changed(members: Members, updates: Iterable[tuple[bytes, int]]) -> Members:
    """A set after updates of validators; power 0 takes one out. address: see ``Member``."""
    powers = dict(members)
    for key, power in updates:
        powers[address_of(key)] = power
    return tuple(Member(address, power) for address, power in sorted(powers.items()) if power)


def _vote_info(member: Member, vote: Vote | None) -> abci.ExtendedVoteInfo:
    validator = abci.Validator(address=member.address, power=member.power)
    if vote is None:
        return abci.ExtendedVoteInfo(validator=validator, block_id_flag=abci.BLOCK_ID_FLAG_ABSENT)
    if vote.digest is None:
        return abci.ExtendedVoteInfo(validator=validator, block_id_flag=abci.BLOCK_ID_FLAG_NIL)
    return abci.ExtendedVoteInfo(
        validator=validator,
        vote_extension=vote.extension,
        extension_signature=bytes(64),
        block_id_flag=abci.BLOCK_ID_FLAG_COMMIT,
    )


def _misbehavior(found: Evidence) -> abci.Misbehavior:
    return abci.Misbehavior(
        type=abci.DUPLICATE_VOTE,
        validator=abci.Validator(address=found.address, power=found.power),
        height=found.height,
    )


def _time(time_ms: int) -> abci.Time:
    return abci.Time(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)
