"""The trust root: whose word counts, read from a file that comes from outside and never out of a bundle."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from gridevidence.layout import TRUST, TRUST_BYTES_MAX, TRUST_TYPE
from gridevidence.verifier.answers import BAD_USAGE, CANNOT_BE_DECIDED, Halt, hold, plain
from gridevidence.verifier.shapes import conform, known_version
from gridevidence.verifier.sm2 import is_public_key


class Trust(NamedTuple):
    """Whose word counts: the chain, the digest of its genesis, its signers, and the keys that are pinned."""

    chain: str
    genesis: bytes
    signers: tuple[tuple[bytes, int, str], ...]
    """(public key, power, name)."""
    pins: tuple[tuple[str, str], ...]
    """(signer, fingerprint in lower-case hex digits); several of one signer: each of these keys will do."""

    def is_of(self, chain: str, genesis: bytes) -> bool:
        """Whether it is the trust root of this chain and this genesis."""
        return (self.chain, self.genesis) == (chain, genesis)


def decode_trust(data: bytes) -> Trust:
    """Read a trust root (JSON); halts with "bad usage" where it is malformed, "cannot be decided" at an unknown version."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        hold(len(dict(pairs)) == len(pairs), f"a key stands twice: {plain(', '.join(key for key, _ in pairs))}")
        return dict(pairs)

    try:
        hold(len(data) <= TRUST_BYTES_MAX, f"it has more than {TRUST_BYTES_MAX} bytes")
        root = json.loads(data.decode(), object_pairs_hook=distinct)
        root = known_version(root, TRUST_TYPE, "the trust root")
        conform(root, TRUST, "trust")
        signers = tuple((bytes.fromhex(one["public_key"]), one["power"], one["name"]) for one in root["signers"])
        hold(len({key for key, _, _ in signers}) == len(signers) > 0, "it names no signer, or one key twice")
        hold(all(is_public_key(key) for key, _, _ in signers), "a public key is no point of the SM2 curve")
    except (ValueError, RecursionError, Halt) as why:
        if why.args[0] == CANNOT_BE_DECIDED:
            raise
        place = f", at line {why.lineno}, column {why.colno}" if isinstance(why, json.JSONDecodeError) else ""
        reason = why.args[1] if isinstance(why, Halt) else f"it cannot be read as JSON in UTF-8{place}"
        raise Halt(BAD_USAGE, f"the trust file is malformed: {reason}") from None
    pins = tuple((pin["signer"], pin["fingerprint"].lower()) for pin in root["pins"])
    return Trust(root["chain"], bytes.fromhex(root["genesis"]), signers, pins)
