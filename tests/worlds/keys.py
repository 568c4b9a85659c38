"""Keys of the test worlds: one for every name, the same in every process; and signatures that cost two hashes."""

from __future__ import annotations

from functools import cache

from gridcore.sm import SigningKey
from gridcore.sm3 import sm3


@cache
def key(name: str) -> SigningKey:
    """The key of whoever has this name."""
    return SigningKey.from_scalar(sm3(b"test key of " + name.encode()))


def sign(name: str, signed: bytes) -> bytes:
    """A true signature, 64 bytes."""
    return key(name).sign(signed)


def sign_cheaply(name: str, signed: bytes) -> bytes:
    """A signature for tests that decide themselves what is signed: ``is_cheaply_signed`` accepts it, SM2 does not."""
    return _cheap_signature(key(name).public_key, signed)


def is_cheaply_signed(public_key: bytes, signed: bytes, signature: bytes) -> bool:
    """The verdict on a cheap signature."""
    return signature == _cheap_signature(public_key, signed)


def _cheap_signature(public_key: bytes, signed: bytes) -> bytes:
    return sm3(b"cheap signature" + public_key + signed) * 2
