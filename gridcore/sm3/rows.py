"""SM3 of many messages at once: what a row kernel offers, and the one in Python over any hasher.

Rows and digests stand back to back in one buffer, so that a kernel can take all of them in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, Protocol

from gridcore.sm3.hashers import DIGEST_BYTES, Hasher

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
"""RFC 9162 section 2.1.1: what the message of a leaf and of an inner node starts with."""

SALT_BYTES: Final = 16


class RowKernel(Protocol):
    """Digests of many messages, 32 bytes each, back to back and in order. Every kernel gives the same ones."""

    @property
    def name(self) -> str:
        """As GRIDLEDGER_SM3 names it."""
        ...

    @property
    def description(self) -> str:
        """For people: what computes, and how wide."""
        ...

    def rows(self, prefix: bytes, heads: bytes, head_bytes: int, rows: bytes, row_bytes: int) -> bytes:
        """SM3(prefix || head i || row i) of each of the ``len(rows) // row_bytes`` rows; ``heads`` holds as many."""
        ...

    def messages(self, prefix: bytes, messages: Sequence[bytes]) -> bytes:
        """SM3(prefix || message) of messages of any lengths."""
        ...

    def slices(self, prefix: bytes, data: bytes, offsets: bytes) -> bytes:
        """SM3(prefix || slice) of messages that stand back to back in ``data``: slice i ends where i + 1 begins.

        ``offsets``: where each begins and the last one ends, unsigned 64-bit integers in the machine's byte order.
        """
        ...

    def stream(self, seed: bytes, count: int) -> bytes:
        """``count`` digests of GB/T 32918.4's key-derivation stream: SM3(seed || counter), 32 bits big-endian from 1."""
        ...

    def level(self, digests: bytes) -> bytes:
        """The level above one or more digests: SM3(0x01 || left || right) of neighbours, an odd last one handed up."""
        ...

    def root(self, digests: bytes) -> bytes:
        """The one digest that is left when ``level`` is taken again and again."""
        ...

    def salted_root(self, seed: bytes, rows: bytes, row_bytes: int) -> bytes:
        """The root over one or more rows, their salts (16 bytes, two from each digest) from ``stream``."""
        ...


class LoopKernel:
    """A Python loop over one implementation of SM3: the fallback, and the oracle for the native kernel."""

    def __init__(self, name: str, new: Callable[[bytes], Hasher]) -> None:
        self.name: Final = name
        self.description: Final = f"{name}, one row at a time"
        self._new = new

    def rows(self, prefix: bytes, heads: bytes, head_bytes: int, rows: bytes, row_bytes: int) -> bytes:
        """As ``RowKernel.rows``."""
        copy = self._new(prefix).copy  # a copy of a prefixed hasher takes half the time of a new one
        digests = []
        for index in range(len(rows) // row_bytes):
            running = copy()
            running.update(
                heads[index * head_bytes : (index + 1) * head_bytes] + rows[index * row_bytes : (index + 1) * row_bytes]
            )
            digests.append(running.digest())
        return b"".join(digests)

    def messages(self, prefix: bytes, messages: Sequence[bytes]) -> bytes:
        """As ``RowKernel.messages``."""
        copy = self._new(prefix).copy
        digests = []
        for message in messages:
            running = copy()
            running.update(message)
            digests.append(running.digest())
        return b"".join(digests)

    def slices(self, prefix: bytes, data: bytes, offsets: bytes) -> bytes:
        """As ``RowKernel.slices``."""
        bounds = memoryview(offsets).cast("Q").tolist()
        return self.messages(prefix, [data[start:end] for start, end in pairwise(bounds)])

    def stream(self, seed: bytes, count: int) -> bytes:
        """As ``RowKernel.stream``."""
        return self.messages(seed, [counter.to_bytes(4, "big") for counter in range(1, count + 1)])

    def level(self, digests: bytes) -> bytes:
        """As ``RowKernel.level``."""
        paired = len(digests) // (2 * DIGEST_BYTES) * (2 * DIGEST_BYTES)
        return self.rows(NODE_PREFIX, b"", 0, digests[:paired], 2 * DIGEST_BYTES) + digests[paired:]

    def root(self, digests: bytes) -> bytes:
        """As ``RowKernel.root``."""
        while len(digests) > DIGEST_BYTES:
            digests = self.level(digests)
        return digests

    def salted_root(self, seed: bytes, rows: bytes, row_bytes: int) -> bytes:
        """As ``RowKernel.salted_root``."""
        salts = self.stream(seed, (len(rows) // row_bytes + 1) // 2)
        return self.root(self.rows(LEAF_PREFIX, salts, SALT_BYTES, rows, row_bytes))
