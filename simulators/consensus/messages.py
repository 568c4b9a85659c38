"""What nodes of the simulated engine tell one another, and what they decide. Signatures of votes are taken for granted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple


class Member(NamedTuple):
    """A validator as the engine knows it. address: the first 20 bytes of SHA-256 of its Ed25519 key; power: 1 or more."""

    address: bytes
    power: int


Members = tuple[Member, ...]


class Evidence(NamedTuple):
    """That a validator voted twice in one round of a height. time_ms: of that height's block; total_power: of its set."""

    address: bytes
    power: int
    height: int
    time_ms: int
    total_power: int


@dataclass(frozen=True)
class EngineBlock:
    """A block of the engine. time_ms: UTC; app_hash: after the block before; commit: precommits of the height before.

    proposer: address of who made it, in whichever round it was decided.
    """

    height: int
    time_ms: int
    proposer: bytes
    app_hash: bytes
    transactions: tuple[bytes, ...]
    evidence: tuple[Evidence, ...]
    commit: tuple[Vote, ...]

    @cached_property
    def digest(self) -> bytes:
        """Its identity: SHA-256 over all it has."""
        parts = [self.proposer, self.app_hash, *self.transactions, *(item.address for item in self.evidence)]
        hashed = sha256(b"%d/%d/%d" % (self.height, self.time_ms, len(self.transactions)))
        for part in [*parts, *(vote.voter for vote in self.commit)]:
            hashed.update(sha256(part).digest())
        return hashed.digest()


@dataclass(frozen=True)
class Vote:
    """A prevote or a precommit. digest: of the block, None for none of them.

    extension: of a precommit for a block, b"" otherwise; time_ms: the voter's clock, UTC.
    """

    is_precommit: bool
    height: int
    round: int
    voter: bytes
    digest: bytes | None
    extension: bytes = b""
    time_ms: int = 0


@dataclass(frozen=True)
class Proposal:
    """A block for a round. valid_round: the earlier round in which it had 2/3 of the prevotes, or -1."""

    block: EngineBlock
    round: int
    valid_round: int


@dataclass(frozen=True)
class News:
    """What a node knows of the height that it is at: sent to everybody again and again, so that no loss lasts."""

    height: int
    proposals: tuple[Proposal, ...] = ()
    votes: tuple[Vote, ...] = ()


@dataclass(frozen=True)
class Decision:
    """A decided block and the precommits that decided it: what a node that is behind is sent."""

    block: EngineBlock
    commit: tuple[Vote, ...]


@dataclass(frozen=True)
class Gossip:
    """A transaction for everybody's mempool."""

    wire: bytes


class Offer(NamedTuple):
    """A snapshot that a node offers. digest: which it is; metadata: what the application says of it."""

    height: int
    format: int
    chunks: int
    digest: bytes
    metadata: bytes


@dataclass(frozen=True)
class OffersWanted:
    """Who begins with a snapshot asks which there are."""


@dataclass(frozen=True)
class Offers:
    """What a node offers."""

    offers: tuple[Offer, ...]


@dataclass(frozen=True)
class ChunkWanted:
    """A chunk of a snapshot is asked for."""

    height: int
    index: int


@dataclass(frozen=True)
class Chunk:
    """A chunk of a snapshot; data is empty where the node has none."""

    height: int
    index: int
    data: bytes


Message = News | Decision | Gossip | OffersWanted | Offers | ChunkWanted | Chunk
