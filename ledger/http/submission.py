"""The body of a submission: an array of wire bytes, refused in one line where it is none."""

from __future__ import annotations

from typing import Final

from gridcore import cbor
from gridcore.node_interface import TRANSACTIONS_MAX
from gridcore.serving.problems import Problem

_BYTES: Final = 2
_ARRAY: Final = 4


def decode_submission(body: bytes) -> list[bytes]:
    """The wire bytes in a body. Problem 400 for anything but a canonical array of byte strings.

    Read head by head: a general decoder could be kept busy for seconds by millions of small items.
    """
    count, at = _head(body, 0, _ARRAY)
    if count > TRANSACTIONS_MAX:
        raise Problem("too-large", f"a submission has at most {TRANSACTIONS_MAX} transactions, not {count}")
    wires = []
    for _ in range(count):
        size, start = _head(body, at, _BYTES)
        at = start + size
        wires.append(body[start:at])
    if cbor.encode(wires) != body:
        raise _malformed(at)
    return wires


def _head(body: bytes, at: int, major: int) -> tuple[int, int]:
    """(argument, offset after the head) of a CBOR item of a major type; lengths in any form, the caller encodes again."""
    if at >= len(body) or body[at] >> 5 != major or body[at] & 31 > 27:
        raise _malformed(at)
    extra = {24: 1, 25: 2, 26: 4, 27: 8}.get(body[at] & 31, 0)
    argument = int.from_bytes(body[at + 1 : at + 1 + extra], "big") if extra else body[at] & 31
    return argument, at + 1 + extra


def _malformed(at: int) -> Problem:
    return Problem(
        "bad-request", f"the body is a canonical CBOR array of byte strings, one a transaction: byte {at} is not"
    )
