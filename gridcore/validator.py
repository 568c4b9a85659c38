"""Validators: who certifies headers, and votes where a chain has a consensus engine (docs/spec/header.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.forms import NAME, Form, integer
from gridcore.public_key import point_of

VALIDATORS_MAX: Final = 256
"""As many as one certificate may hold."""
VALIDATORS_BYTES_MAX: Final = 49_000
"""Of a set as canonical bytes, so that a proposal has room for every set that a genesis may have: 256 validators have about 30
characters each for name and organisation, 200 have 80."""
POWER_MAX: Final = 2**31
CONSENSUS_KEY_BYTES: Final = 32


class Validator(NamedTuple):
    """A member of the set that certifies headers.

    organisation: whose it is; public_key: SM2, 65 bytes; power: 1 to ``POWER_MAX``; consensus_key: Ed25519, 32 bytes, with which its
    engine votes; b"" where the chain has no consensus engine.
    """

    name: str
    organisation: str
    public_key: bytes
    power: int = 1
    consensus_key: bytes = b""

    @property
    def consensus_address(self) -> bytes:
        """By which the consensus engine names it: the first 20 bytes of the SHA-256 of its consensus key."""
        return hashlib.sha256(self.consensus_key).digest()[:20]


def powers_of(validators: Iterable[Validator]) -> tuple[tuple[bytes, int], ...]:
    """(public key, power) of each: what certificates are checked against."""
    return tuple((validator.public_key, validator.power) for validator in validators)


def encode_validators(validators: Iterable[Validator]) -> list[dict[str, Any]]:
    """The array of maps that genesis, leaves and transactions hold."""
    return [validator._asdict() for validator in validators]


def decode_validators(maps: Iterable[Mapping[str, Any]]) -> tuple[Validator, ...]:
    """Inverse of ``encode_validators``, of an array that has the form ``VALIDATOR_SET``."""
    return tuple(Validator(**fields) for fields in maps)


def _is_set(value: Any) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= VALIDATORS_MAX or not all(map(_is_validator, value)):
        return False
    validators = decode_validators(value)
    if len({validator.name for validator in validators}) < len(validators):
        return False
    return (
        _are_consensus_keys([validator.consensus_key for validator in validators])
        and all(before.public_key < after.public_key for before, after in pairwise(validators))
        and len(cbor.encode(value)) <= VALIDATORS_BYTES_MAX
    )


def _is_validator(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != set(Validator._fields):
        return False
    keys = (value["public_key"], value["consensus_key"])
    return (
        NAME.holds(value["name"])
        and NAME.holds(value["organisation"])
        and integer(1, POWER_MAX).holds(value["power"])
        and all(isinstance(key, bytes) for key in keys)
        and point_of(value["public_key"]) is not None
    )


def _are_consensus_keys(keys: Sequence[bytes]) -> bool:
    """Whether nobody has one, or each has its own."""
    return not any(keys) or (len(set(keys)) == len(keys) and all(len(key) == CONSENSUS_KEY_BYTES for key in keys))


VALIDATOR_SET: Final = Form(
    f"1 to {VALIDATORS_MAX} maps of {', '.join(Validator._fields)}, ascending by public_key (an SM2 key), names unique, power 1 to "
    f"{POWER_MAX}, consensus_key empty in all of them or {CONSENSUS_KEY_BYTES} bytes of its own in each, together at most "
    f"{VALIDATORS_BYTES_MAX} bytes (of many, names are short)",
    _is_set,
)
