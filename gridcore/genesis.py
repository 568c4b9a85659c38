"""Genesis: the first state of a chain, and the name that follows from its digest (docs/spec/header.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridcore import cbor
from gridcore.errors import EncodingError, UsageError, excerpt
from gridcore.sm3 import sm3

SLOT_S_CHOICES = (300, 900, 1800, 3600)
GENESIS_BYTES_MAX = 256 * 1024 * 1024
GENESIS_ITEMS_MAX = 1 << 25
"""CBOR items of a genesis; an installation with its party and their signer has about 70."""


def chain_id(genesis: Mapping[str, Any]) -> str:
    """Name followed by the first 16 hex digits of SM3 of the genesis without ``chain``."""
    without = {key: value for key, value in genesis.items() if key != "chain"}
    return str(genesis["name"]) + sm3(cbor.encode(without)).hex()[:16]


def complete_genesis(genesis: Mapping[str, Any]) -> dict[str, Any]:
    """The genesis with its chain id filled in."""
    return {**genesis, "chain": chain_id(genesis)}


def genesis_digest(genesis: Mapping[str, Any]) -> bytes:
    """S_0, the digest that header 1 names as its previous one."""
    return sm3(cbor.encode(genesis))


def decode_genesis(data: bytes) -> dict[str, Any]:
    """Decode a genesis file and check its frame. Raises UsageError naming the key at fault (leaves: ledger.genesis)."""
    if len(data) > GENESIS_BYTES_MAX:
        raise UsageError(f"genesis: at most {GENESIS_BYTES_MAX} bytes")
    try:
        genesis = cbor.decode(data, items_max=GENESIS_ITEMS_MAX)
    except EncodingError as error:
        raise UsageError(f"genesis: {error}") from None
    shape: dict[str, type] = {
        "chain": str,
        "clock": str,
        "currency": str,
        "leaves": list,
        "ledger_time_s": int,
        "name": str,
        "signers": list,
        "slot_s": int,
        "type": str,
        "version": int,
    }
    if not isinstance(genesis, dict) or set(genesis) != set(shape):
        raise UsageError(f"genesis: has exactly the keys {', '.join(shape)}")
    for key, kind in shape.items():
        if not isinstance(genesis[key], kind) or isinstance(genesis[key], bool):
            raise UsageError(f"genesis: {key} is a {kind.__name__}")
    if genesis["type"] != "genesis" or genesis["version"] != 1:
        raise UsageError("genesis: type is 'genesis' and version 1")
    if genesis["clock"] not in ("block", "simulated"):
        raise UsageError(f"genesis: clock is 'block' or 'simulated', not {excerpt(genesis['clock'])}")
    if genesis["slot_s"] not in SLOT_S_CHOICES:
        raise UsageError(f"genesis: slot_s is one of {SLOT_S_CHOICES}, not {genesis['slot_s']}")
    if genesis["chain"] != chain_id(genesis):
        due, found = excerpt(chain_id(genesis)), excerpt(genesis["chain"])
        raise UsageError(f"genesis: chain is {due} for this content, not {found}")
    return genesis
