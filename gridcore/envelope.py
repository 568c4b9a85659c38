"""The transaction envelope: what is signed, its identity and its digest (docs/spec/envelope.md).

A transaction is a value until it is signed and bytes from then on: whoever receives one hashes the bytes as received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.sm3 import sm3, sm3_each

SIGNED_BYTES_MAX = 65_536
ATTACHMENT_BYTES_MAX = 1_048_576
WIRE_BYTES_MAX = SIGNED_BYTES_MAX + ATTACHMENT_BYTES_MAX + 128
SIGNATURE_BYTES = 64
SIGNED_ITEMS_MAX = 256
"""CBOR items of the signed part; the largest body there is (a reading batch) has about 40."""
WIRE_ITEMS_MAX = 4
"""CBOR items of the wire form: an array of three byte strings."""
VERSION = 1
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_KEYS = {"body", "chain", "identity", "kind", "signer", "type", "version"}


@dataclass(frozen=True)
class Transaction:
    """A decoded transaction together with the bytes it came from.

    ``signed``, ``signature`` and ``attachment`` are the bytes as received; the rest is decoded from ``signed``.
    ``id`` = SM3(signed); ``digest`` = SM3 of canonical [signed, signature, SM3(attachment)].
    """

    signed: bytes
    signature: bytes
    attachment: bytes
    chain: str
    kind: str
    signer: str
    identity: Mapping[str, Any]
    body: Mapping[str, Any]
    id: bytes
    digest: bytes


def encode_signed(*, chain: str, kind: str, signer: str, identity: Mapping[str, Any], body: Mapping[str, Any]) -> bytes:
    """The bytes that a signer signs. Raises EncodingError when they would exceed SIGNED_BYTES_MAX."""
    signed = cbor.encode(
        {
            "body": body,
            "chain": chain,
            "identity": identity,
            "kind": kind,
            "signer": signer,
            "type": "transaction",
            "version": VERSION,
        }
    )
    if len(signed) > SIGNED_BYTES_MAX:
        raise EncodingError(
            f"a transaction's signed part has {len(signed)} bytes; at most {SIGNED_BYTES_MAX} are allowed"
        )
    return signed


def encode_transaction(signed: bytes, signature: bytes, attachment: bytes = b"") -> bytes:
    """The wire form: canonical [signed, signature, attachment]."""
    return cbor.encode([signed, signature, attachment])


def malformed_digest(wire: bytes) -> bytes:
    """Digest under which a block records bytes that are not a transaction at all."""
    return sm3(cbor.encode(["malformed", sm3(wire)]))


def decode_transaction(wire: bytes) -> Transaction:
    """Decode and check the envelope (not body and identity). Raises EncodingError naming the field at fault."""
    (transaction,) = _hashed([_opened(wire)])
    return transaction


def decode_transactions(wires: Iterable[bytes]) -> list[Transaction | None]:
    """``decode_transaction`` of many, which are hashed together; None for bytes that are no transaction."""
    opened: list[_Opened | None] = []
    for wire in wires:
        try:
            opened.append(_opened(wire))
        except EncodingError:
            opened.append(None)
    hashed = iter(_hashed([parts for parts in opened if parts is not None]))
    return [None if parts is None else next(hashed) for parts in opened]


class _Opened(NamedTuple):
    """A checked envelope: the bytes as received, and ``signed`` decoded."""

    signed: bytes
    signature: bytes
    attachment: bytes
    value: Mapping[str, Any]


def _hashed(opened: Sequence[_Opened]) -> list[Transaction]:
    ids = sm3_each([parts.signed for parts in opened])
    attachments = sm3_each([parts.attachment for parts in opened])
    recorded = [
        cbor.encode([parts.signed, parts.signature, digest]) for parts, digest in zip(opened, attachments, strict=True)
    ]
    return [
        Transaction(
            signed=parts.signed,
            signature=parts.signature,
            attachment=parts.attachment,
            chain=parts.value["chain"],
            kind=parts.value["kind"],
            signer=parts.value["signer"],
            identity=parts.value["identity"],
            body=parts.value["body"],
            id=signed_digest,
            digest=digest,
        )
        for parts, signed_digest, digest in zip(opened, ids, sm3_each(recorded), strict=True)
    ]


def _opened(wire: bytes) -> _Opened:
    signed, signature, attachment = _split(wire)
    value = cbor.decode(signed, items_max=SIGNED_ITEMS_MAX)
    if not isinstance(value, dict) or set(value) != _KEYS:
        raise EncodingError(f"a transaction's signed part has exactly the keys {', '.join(sorted(_KEYS))}")
    for key, kind in (("chain", str), ("kind", str), ("signer", str), ("body", dict), ("identity", dict)):
        if not isinstance(value[key], kind):
            raise EncodingError(f"transaction field {key!r} is a {kind.__name__}")
    if value["type"] != "transaction" or type(value["version"]) is not int or value["version"] != VERSION:
        raise EncodingError(f"transaction type and version are 'transaction' and {VERSION}")
    if not NAME.fullmatch(value["signer"]):
        raise EncodingError("transaction field 'signer' has 1 to 64 of A-Z a-z 0-9 . _ -")
    return _Opened(signed, signature, attachment, value)


def _split(wire: bytes) -> tuple[bytes, bytes, bytes]:
    if len(wire) > WIRE_BYTES_MAX:
        raise EncodingError(f"a transaction has at most {WIRE_BYTES_MAX} bytes")
    parts = cbor.decode(wire, items_max=WIRE_ITEMS_MAX)
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, bytes) for part in parts):
        raise EncodingError("a transaction is an array of three byte strings: signed, signature, attachment")
    signed, signature, attachment = parts
    if len(signed) > SIGNED_BYTES_MAX or len(attachment) > ATTACHMENT_BYTES_MAX:
        raise EncodingError(
            f"a transaction has at most {SIGNED_BYTES_MAX} signed bytes and {ATTACHMENT_BYTES_MAX} bytes of attachment"
        )
    if len(signature) != SIGNATURE_BYTES:
        raise EncodingError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    return signed, signature, attachment
