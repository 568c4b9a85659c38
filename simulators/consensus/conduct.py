"""How a node behaves as a validator: as it should, or as a byzantine one does, which has the node's keys and all that it knows."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from gridcore import cbor
from gridcore.header import certificate_message, decode_header
from gridcore.sm3 import sm3
from ledger.engines.cometbft.payloads import (
    NOTHING_INJECTED,
    Injected,
    Vote,
    decode_injected,
    decode_vote,
    encode_wish,
)
from ledger.store.snapshot_format import Head, Leaves, Manifest, decode_manifest, decode_part
from simulators.consensus.conversation import Conversation
from simulators.consensus.founding import Founding, key_of
from simulators.consensus.messages import News, Offer, Proposal

Wires = tuple[bytes, ...]


class Conduct:
    """As it should."""

    def transactions(self, height: int, wires: Wires) -> Wires:
        """What it proposes, out of what its machine prepared."""
        return wires

    def extension(self, height: int, extension: bytes) -> bytes:
        """What it sends with its precommit of a height, out of what its machine gave."""
        return extension

    def told(self, receiver: int, news: News) -> News:
        """What it tells one of the others of what it tells all."""
        return news

    def offers(self, machine: Conversation) -> Sequence[Offer]:
        """The snapshots that it offers."""
        return machine.snapshots()

    def chunk(self, machine: Conversation, offer: Offer, index: int) -> bytes:
        """A chunk of one of them; empty where it has none."""
        return machine.chunk(offer, index)


class Silent(Conduct):
    """Votes without extensions, as one whose signing module does not answer."""

    def extension(self, height: int, extension: bytes) -> bytes:
        """See ``Conduct``."""
        return b""


class TwoFaced(Conduct):
    """Proposes one block to half of the others, and another one to the rest."""

    def told(self, receiver: int, news: News) -> News:
        """See ``Conduct``."""
        return news if receiver % 2 else replace(news, proposals=tuple(map(_shortened, news.proposals)))


def _shortened(proposal: Proposal) -> Proposal:
    """The same proposal with one transaction less, of those behind the certificate."""
    wires = proposal.block.transactions
    return replace(proposal, block=replace(proposal.block, transactions=wires[:-1] if len(wires) > 1 else wires))


class BadProposer(Conduct):
    """Proposes what it should not. foreign: draws a transaction that does not belong into a block."""

    def __init__(self, rng: random.Random, foreign: Callable[[], bytes | None], note: Callable[[str], None]) -> None:
        self._rng = rng
        self._foreign = foreign
        self._note = note
        self._earlier: list[bytes] = []

    def transactions(self, height: int, wires: Wires) -> Wires:
        """See ``Conduct``."""
        first, rest = wires[0], wires[1:]
        foreign, another = self._foreign() or b"", self._foreign() or b""
        tricks: dict[str, Wires] = {
            "nothing at all": (),
            "no certificate at its beginning": rest,
            "its certificate twice": (first, *wires),
            "its certificate at the end": (*rest, first),
            "a certificate without signatures": (NOTHING_INJECTED.encode(), *rest),
            "a certificate of before": (self._rng.choice([*self._earlier, first]), *rest),
            "a spoilt certificate": (self._spoil(first), *rest),
            "garbage at its beginning": (self._rng.randbytes(200), *rest),
            "a foreign transaction": (*wires, foreign),
            "foreign transactions in front": (first, another, foreign, *rest),
            "a transaction twice": (*wires, *rest[:1]),
            "its transactions backwards": (first, *reversed(rest)),
            "a wish among its transactions": (*wires, encode_wish(height - 1)),
            "5 MB of garbage": (*wires, bytes(5 << 20)),
        }
        trick = self._rng.choice(sorted(tricks))
        self._earlier.append(first)
        self._note(f"proposes {trick} at height {height}")
        return tricks[trick]

    def _spoil(self, first: bytes) -> bytes:
        injected = decode_injected(first)
        if injected is None or injected == NOTHING_INJECTED:
            return first + b"\0"
        header, certificate = injected
        key, signature = certificate[0]
        other = replace(decode_header(header), state_root=bytes(32)).encode()
        return self._rng.choice(
            [
                Injected(header, certificate[1:]),
                Injected(header, certificate[:1]),
                Injected(header, certificate[::-1]),
                Injected(header, [certificate[0], *certificate]),
                Injected(header, [(key, bytes(64)), *certificate[1:]]),
                Injected(header, [(key, signature[::-1]), *certificate[1:]]),
                Injected(header, sorted([*certificate, (key_of("outsider").public_key, signature)])),
                Injected(header, []),
                Injected(b"", certificate),
                Injected(other, certificate),
            ]
        ).encode()


class BadVoter(Conduct):
    """Sends extensions that hold something else, or nothing. name: of its validator."""

    def __init__(self, rng: random.Random, founding: Founding, name: str) -> None:
        self._rng = rng
        self._founding = founding
        self._name = name
        self._earlier: list[bytes] = []

    def extension(self, height: int, extension: bytes) -> bytes:
        """See ``Conduct``."""
        rng, vote = self._rng, decode_vote(extension)
        self._earlier.append(extension)
        choices: list[bytes] = [
            b"",
            rng.randbytes(rng.randrange(1, 512)),
            bytes(513),
            bytes(1 << 20),
            *self._earlier[-4:],
        ]
        if vote is not None:
            choices += [
                extension[:-1],
                extension + b"\0",
                vote._replace(signature=bytes(64)).encode(),
                vote._replace(signature=vote.signature[::-1]).encode(),
                self._signed(vote._replace(digest=rng.randbytes(32)), self._founding.chain),
                self._signed(vote._replace(height=height + 1), self._founding.chain),
                self._signed(vote, "another chain"),
                *self._in_other_names(vote),
            ]
        return rng.choice(choices)

    def _signed(self, vote: Vote, chain: str) -> bytes:
        """This validator's true signature over something else."""
        message = certificate_message(chain, vote.height, vote.digest)
        return vote._replace(signature=key_of(self._name).sign(message)).encode()

    def _in_other_names(self, vote: Vote) -> Sequence[bytes]:
        """Votes that name the key of another validator, with a signature that is none of it."""
        keys = [found.public_key for found in self._founding.validators if found.name != self._name]
        return [vote._replace(public_key=key).encode() for key in keys]


class LyingServer(Conduct):
    """Offers snapshots that are false, or sends chunks that are. note: is told which of them it does."""

    def __init__(self, rng: random.Random, note: Callable[[str], None]) -> None:
        lies = {
            "loses every chunk": self._lost,
            "spoils every chunk": self._spoilt,
            "offers snapshots with other leaves": self._other_leaves,
            "offers snapshots with a signature less": self._less_signed,
            "offers snapshots of a height too high": self._too_high,
        }
        trick = rng.choice(sorted(lies))
        note(trick)
        self._lie = lies[trick]
        self._false: dict[Offer, Sequence[bytes]] = {}
        """Chunks of what it offers."""

    def offers(self, machine: Conversation) -> Sequence[Offer]:
        """See ``Conduct``."""
        self._false = {}
        for offer in machine.snapshots():
            told, chunks = self._lie(offer, [machine.chunk(offer, index) for index in range(offer.chunks)])
            self._false[told] = chunks
        return list(self._false)

    def chunk(self, machine: Conversation, offer: Offer, index: int) -> bytes:
        """See ``Conduct``."""
        return self._false[offer][index] if index < offer.chunks else b""

    def _lost(self, offer: Offer, chunks: list[bytes]) -> tuple[Offer, Sequence[bytes]]:
        return offer, [b""] * len(chunks)

    def _spoilt(self, offer: Offer, chunks: list[bytes]) -> tuple[Offer, Sequence[bytes]]:
        return offer, [chunk[:-1] + bytes([chunk[-1] ^ 1]) for chunk in chunks]

    def _other_leaves(self, offer: Offer, chunks: list[bytes]) -> tuple[Offer, Sequence[bytes]]:
        for index, part in enumerate(map(decode_part, chunks)):
            if isinstance(part, Leaves):
                other = replace(part, leaves=list(map(_raised, part.leaves))).encode()
                return _offered(offer, [*chunks[:index], other, *chunks[index + 1 :]])
        return offer, chunks

    def _less_signed(self, offer: Offer, chunks: list[bytes]) -> tuple[Offer, Sequence[bytes]]:
        head = decode_part(chunks[0])
        if not isinstance(head, Head):
            return offer, chunks
        return _offered(offer, [replace(head, certificate=head.certificate[:1]).encode(), *chunks[1:]])

    def _too_high(self, offer: Offer, chunks: list[bytes]) -> tuple[Offer, Sequence[bytes]]:
        return _offered(offer._replace(height=offer.height + 1), chunks)


def _raised(leaf: bytes) -> bytes:
    """The same leaf, in which every number of its record is more by one."""
    key, record = cbor.decode(leaf, items_max=len(leaf))
    return cbor.encode([key, {name: value + 1 if type(value) is int else value for name, value in record.items()}])


def _offered(offer: Offer, chunks: Sequence[bytes]) -> tuple[Offer, Sequence[bytes]]:
    """Chunks with a manifest that lists them."""
    chain = decode_manifest(offer.metadata).chain
    manifest = Manifest(chain, offer.height, tuple(map(sm3, chunks)))
    return offer._replace(digest=manifest.digest, metadata=manifest.encode()), chunks
