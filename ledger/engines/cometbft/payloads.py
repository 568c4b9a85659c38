"""What the consensus engine carries for us beside transactions: votes on headers, certificates, wishes for another block.

Canonical CBOR, in docs/spec/certified.md: a vote extension, the first transaction of each block, and a transaction of the mempool
that is in no block. Decoding gives None for everything else: none of these bytes comes from somebody who is trusted.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.header import Certificate

VOTE_BYTES_MAX: Final = 512
"""Of a vote extension: a longer one makes its vote invalid, any other bytes are taken and may count for nothing."""
WISH_BYTES_MAX: Final = 32
INJECTED_ITEMS_MAX: Final = 1_024
"""CBOR items of a certificate of 256 signers, three each, with what is around them."""

_VOTE: Final = "vote/1"
_CERTIFIED: Final = "certified/1"
_CERTIFY: Final = "certify/1"


class Vote(NamedTuple):
    """One validator's signature over S_h: digest is S_h, public_key its SM2 key (65 bytes), signature 64 bytes."""

    height: int
    digest: bytes
    public_key: bytes
    signature: bytes

    def encode(self) -> bytes:
        """A vote extension."""
        return cbor.encode([_VOTE, *self])


class Injected(NamedTuple):
    """The header of two blocks before with its certificate: the first transaction of a block. Both empty: none is known."""

    header: bytes
    certificate: Certificate

    def encode(self) -> bytes:
        """The bytes of the transaction."""
        return cbor.encode([_CERTIFIED, self.header, [list(entry) for entry in self.certificate]])


NOTHING_INJECTED: Final = Injected(b"", [])
"""What a block begins with whose proposer has no certificate."""


def decode_vote(extension: bytes) -> Vote | None:
    """The vote that an extension holds."""
    if len(extension) > VOTE_BYTES_MAX:
        return None
    items = _items(extension, _VOTE, (int, bytes, bytes, bytes), items_max=6)
    return None if items is None else Vote(*items)


def decode_injected(transaction: bytes) -> Injected | None:
    """The header and certificate that a transaction holds."""
    items = _items(transaction, _CERTIFIED, (bytes, list), INJECTED_ITEMS_MAX)
    if items is None or not all(_is_pair(entry) for entry in items[1]):
        return None
    return Injected(items[0], [(key, signature) for key, signature in items[1]])


def encode_wish(height: int) -> bytes:
    """The transaction by which a node asks for another block, because that of ``height`` is not certified yet."""
    return cbor.encode([_CERTIFY, height])


def decode_wish(transaction: bytes) -> int | None:
    """The height for which another block is asked."""
    if len(transaction) > WISH_BYTES_MAX:
        return None
    items = _items(transaction, _CERTIFY, (int,), items_max=3)
    return None if items is None else int(items[0])


def _items(data: bytes, name: str, kinds: tuple[type, ...], items_max: int) -> list[Any] | None:
    """What follows ``name`` in a canonical array, where it is of these kinds."""
    try:
        value = cbor.decode(data, items_max=items_max)
    except EncodingError:
        return None
    if not isinstance(value, list) or len(value) != len(kinds) + 1 or value[0] != name:
        return None
    return value[1:] if all(type(item) is kind for item, kind in zip(value[1:], kinds, strict=True)) else None


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(item, bytes) for item in entry)
