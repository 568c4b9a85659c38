"""Headers: what is signed about a block (docs/spec/header.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gridcore import cbor, merkle
from gridcore.sm3 import sm3
from tests.twin.forms import ZEROS, decode_envelope


def transaction_digest(wire: bytes) -> bytes:
    """What a header's data_root says of a transaction: its bulk only by its digest."""
    tx = decode_envelope(wire)
    if tx is None:
        return sm3(cbor.encode(["malformed", sm3(wire)]))
    return sm3(cbor.encode([tx.signed, tx.signature, sm3(tx.attachment)]))


def data_root(transactions: Iterable[bytes], codes: Iterable[int]) -> bytes:
    """The tree over ``[transaction digest, code]``."""
    both = zip(transactions, codes, strict=True)
    return merkle.root(cbor.encode([transaction_digest(wire), code]) for wire, code in both)


def signers_digest(signers: Iterable[tuple[bytes, int]]) -> bytes:
    """The digest of a set of ``[public key, power]``."""
    return sm3(cbor.encode(["signers/1", [list(signer) for signer in sorted(signers)]]))


def header(
    chain: str,
    time_s: int,
    ledger_time_s: int,
    digests: Sequence[bytes],
    data: bytes,
    state: bytes,
    signers: bytes,
    protocol_version: int,
    signers_pending: bytes = b"",
) -> bytes:
    """The header after ``digests`` = S_0 ... S_{h-1}; S_h is its SM3. Without digests: the header of genesis."""
    height, previous = len(digests), digests[-1] if digests else ZEROS
    roots = [merkle.root(digests), data, state]
    sets = [signers, signers_pending]
    return cbor.encode(["header/2", chain, height, time_s, ledger_time_s, previous, *roots, *sets, protocol_version])
