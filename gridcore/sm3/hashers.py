"""SM3 of one message: three implementations of one small protocol, and the choice between them.

Interpreters differ in what their OpenSSL was built with, so nothing here assumes that ``hashlib`` knows the name.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import Final, Protocol

from gridcore.errors import require

DIGEST_BYTES: Final = 32
"""Length of a digest in bytes."""

HASHERS: Final = ("hashlib", "cryptography", "python")
"""Names of the implementations, the fastest first."""

_ABC_DIGEST = bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")


class Hasher(Protocol):
    """An SM3 computation in progress. ``digest`` may be called at any time and changes nothing."""

    def copy(self) -> Hasher:
        """An independent computation that starts with what this one has taken in (cheaper than a new one)."""
        ...

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""
        ...

    def digest(self) -> bytes:
        """The 32-byte digest of everything taken in so far."""
        ...


# -------------------------------------------------------------------------------------------------------- pure Python

_MASK = 0xFFFFFFFF
_IV = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)


def _rotated(word: int, count: int) -> int:
    return ((word << count) | (word >> (32 - count))) & _MASK


_ROUND_CONSTANTS = tuple(_rotated(0x79CC4519 if j < 16 else 0x7A879D8A, j % 32) for j in range(64))


def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    """One application of the compression function CF to a 64-byte block (GB/T 32905 section 5.3)."""
    words = [int.from_bytes(block[i : i + 4], "big") for i in range(0, 64, 4)]
    for j in range(16, 68):
        mixed = words[j - 16] ^ words[j - 9] ^ _rotated(words[j - 3], 15)
        mixed ^= _rotated(mixed, 15) ^ _rotated(mixed, 23)
        words.append(mixed ^ _rotated(words[j - 13], 7) ^ words[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        a12 = _rotated(a, 12)
        ss1 = _rotated((a12 + e + _ROUND_CONSTANTS[j]) & _MASK, 7)
        if j < 16:
            ff, gg = a ^ b ^ c, e ^ f ^ g
        else:
            ff, gg = (a & b) | (a & c) | (b & c), (e & f) | (~e & _MASK & g)
        tt1 = (ff + d + (ss1 ^ a12) + (words[j] ^ words[j + 4])) & _MASK
        tt2 = (gg + h + ss1 + words[j]) & _MASK
        a, b, c, d = tt1, a, _rotated(b, 9), c
        e, f, g, h = tt2 ^ _rotated(tt2, 9) ^ _rotated(tt2, 17), e, _rotated(f, 19), g
    return tuple(old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True))


class PythonHasher:
    """SM3 in plain Python: the last fallback, and an independent reference for the others (about 3 k digests/s)."""

    __slots__ = ("_length", "_state", "_tail")

    def __init__(self, data: bytes = b"") -> None:
        self._state: tuple[int, ...] = _IV
        self._tail = b""
        self._length = 0
        self.update(data)

    def copy(self) -> PythonHasher:
        """An independent computation with the same prefix."""
        twin = PythonHasher()
        twin._state, twin._tail, twin._length = self._state, self._tail, self._length
        return twin

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""
        self._length += len(data)
        buffered = self._tail + data
        whole = len(buffered) & ~63
        for start in range(0, whole, 64):
            self._state = _compress(self._state, buffered[start : start + 64])
        self._tail = buffered[whole:]

    def digest(self) -> bytes:
        """The 32-byte digest so far."""
        padding = b"\x80" + bytes((55 - self._length) % 64) + (8 * self._length).to_bytes(8, "big")
        state = self._state
        last = self._tail + padding
        for start in range(0, len(last), 64):
            state = _compress(state, last[start : start + 64])
        return b"".join(word.to_bytes(4, "big") for word in state)


# ----------------------------------------------------------------------------------------------------------- backends


def _hashlib_hasher(data: bytes = b"") -> Hasher:
    return hashlib.new("sm3", data)  # noqa: TID251 - this is the one place


def _cryptography_factory() -> Callable[[bytes], Hasher]:
    """A constructor over ``cryptography``; ImportError or its own error where it has no SM3."""
    from cryptography.hazmat.primitives.hashes import SM3, Hash

    class CryptographyHasher:
        __slots__ = ("_hash",)

        def __init__(self, data: bytes = b"", running: Hash | None = None) -> None:
            self._hash = Hash(SM3()) if running is None else running
            if data:
                self._hash.update(data)

        def copy(self) -> CryptographyHasher:
            return CryptographyHasher(running=self._hash.copy())

        def update(self, data: bytes, /) -> None:
            self._hash.update(data)

        def digest(self) -> bytes:
            # finalize() ends a Hash; a digest here may be followed by more updates.
            return self._hash.copy().finalize()

    return CryptographyHasher


def factory(backend: str) -> Callable[[bytes], Hasher]:
    """The constructor of one backend: ``hashlib``, ``cryptography`` or ``python``; raises what its absence raises."""
    if backend == "hashlib":
        return _hashlib_hasher
    if backend == "cryptography":
        return _cryptography_factory()
    require(backend == "python", "an SM3 backend is hashlib, cryptography or python")
    return PythonHasher


def choose() -> tuple[str, Callable[[bytes], Hasher]]:
    """Name and constructor of the fastest implementation that gives the standard's digest of ``abc``."""
    for name in ("hashlib", "cryptography"):
        # Builds without SM3 raise ValueError, ImportError or an error of their own; each only means "try the next".
        with contextlib.suppress(Exception):
            new = factory(name)
            if new(b"abc").digest() == _ABC_DIGEST:
                return name, new
    require(PythonHasher(b"abc").digest() == _ABC_DIGEST, "the pure-Python SM3 gives the standard's digest")
    return "python", PythonHasher
