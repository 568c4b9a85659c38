"""Queries that their asker signs: what is signed, and the header that carries it (docs/spec/http.md, "Access")."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gridcore import cbor
from gridcore.sm import Signer

SCHEME: Final = "GridLedger"
NONCE_BYTES: Final = 16
INSTANCE_BYTES: Final = 16


@dataclass(frozen=True)
class Audience:
    """Whom a signed query is meant for: ``chain``, and ``instance``: 16 bytes that the node draws at each start."""

    chain: str
    instance: bytes


def query_message(
    audience: Audience, method: str, path: str, pairs: Iterable[tuple[str, str]], issued_s: int, nonce: bytes
) -> bytes:
    """The bytes that authorise one query: path and pairs are those of the URL, percent-decoded; pairs in any order."""
    ordered = sorted(([name, value] for name, value in pairs), key=lambda pair: [part.encode() for part in pair])
    return cbor.encode(["query/2", audience.chain, audience.instance, method, path, ordered, issued_s, nonce])


def authorization(
    signer_id: str,
    signer: Signer,
    *,
    audience: Audience,
    method: str,
    path: str,
    pairs: Iterable[tuple[str, str]],
    issued_s: int,
) -> str:
    """The value of the ``Authorization`` header for one query, with a fresh nonce; valid once, for a minute."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    signature = signer.sign(query_message(audience, method, path, pairs, issued_s, nonce))
    return f"{SCHEME} signer={signer_id}, issued={issued_s}, nonce={nonce.hex()}, signature={signature.hex()}"
