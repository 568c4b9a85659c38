"""SM3 (GB/T 32905-2016), the only hash of the ledger: 32-byte digests, of one message or of many rows at once.

One interface, several implementations that give the same digests:

- of one message (``hashers``): the first of hashlib (present when its OpenSSL has SM3), ``cryptography`` and pure Python that
  gives the standard's digest;
- of many (``ROWS``): the native kernel (``native``, built at set-up), else a loop over the former (``rows``).

The choice is made once, at import; the environment variable GRIDLEDGER_SM3 forces one (see ``native.WANTED``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridcore.errors import UsageError
from gridcore.sm3 import native
from gridcore.sm3.hashers import DIGEST_BYTES, HASHERS, Hasher, choose, factory
from gridcore.sm3.rows import LoopKernel, RowKernel

__all__ = ["BACKEND", "DIGEST_BYTES", "ROWS", "Hasher", "RowKernel", "hasher", "sm3", "sm3_each"]

_FEW: Final = 3
"""Fewer messages than this are hashed one after the other: a kernel would leave most of its width empty."""

BACKEND, _new = choose() if native.WANTED not in HASHERS else (native.WANTED, factory(native.WANTED))
"""Name of what hashes one message: ``hashlib``, ``cryptography`` or ``python``."""

_EMPTY = _new(b"")


def _choose_rows() -> RowKernel:
    kernel = native.load() if native.WANTED in ("", *native.KERNELS) else None
    if kernel is not None:
        return kernel
    if native.WANTED in ("", *HASHERS):
        return LoopKernel(BACKEND, _new)
    choices = ", ".join((*native.KERNELS, *HASHERS))
    raise UsageError(f"GRIDLEDGER_SM3={native.WANTED}: there is none here; one of {choices}, or not set")


ROWS: Final = _choose_rows()
"""What hashes many rows at once; ``ROWS.name`` says which."""


def sm3(data: bytes) -> bytes:
    """The 32-byte SM3 digest of ``data``."""
    running = _EMPTY.copy()  # half the cost of a new object
    running.update(data)
    return running.digest()


def sm3_each(messages: Sequence[bytes]) -> list[bytes]:
    """``sm3`` of each of some messages of any lengths."""
    if len(messages) < _FEW:
        return [sm3(message) for message in messages]
    digests = ROWS.messages(b"", messages)
    return [digests[start : start + DIGEST_BYTES] for start in range(0, len(digests), DIGEST_BYTES)]


def hasher(data: bytes = b"") -> Hasher:
    """A computation that has taken in ``data``; copy it to hash many messages with one prefix."""
    running = _EMPTY.copy()
    running.update(data)
    return running
