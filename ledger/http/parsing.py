"""What a request says: query parameters and bodies, refused in one line where they cannot be understood."""

from __future__ import annotations

import re
from typing import Final

from quart import request

from gridcore import cbor
from gridcore.serving.problems import Problem
from ledger.client import TRANSACTIONS_MAX, WAIT_S_MAX

_BYTES: Final = 2
_ARRAY: Final = 4
_WHOLE = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_SECONDS = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6}))?", re.ASCII)


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


def text_of(name: str) -> str:
    """A query parameter that must be there. Problem 400 where it is not."""
    value = request.args.get(name)
    if not value:
        raise Problem("bad-request", f"the query parameter {name} is missing")
    return value


def whole_of(name: str, default: int | None = None) -> int:
    """A query parameter that is a whole number of at most 15 digits. Problem 400 where it is none, or absent without default."""
    text = request.args.get(name)
    if text is None and default is not None:
        return default
    if text is None or _WHOLE.fullmatch(text) is None:
        raise Problem("bad-request", f"the query parameter {name} is a whole number of at most 15 digits")
    return int(text)


def start_of() -> int:
    """The query parameter ``start``: the first row of a page, 0 where it is absent."""
    start = whole_of("start", default=0)
    if start < 0:
        raise Problem("bad-request", "the query parameter start is 0 or more")
    return start


def seconds_of(name: str) -> float:
    """A query parameter of seconds, 0 where it is absent, never more than WAIT_S_MAX."""
    text = request.args.get(name, "0")
    if _SECONDS.fullmatch(text) is None:
        raise Problem("bad-request", f"the query parameter {name} is a number of seconds, such as 20 or 0.5")
    return min(float(text), WAIT_S_MAX)


def slot_of(text: str, what: str = "slot") -> int:
    """A slot's (or a day's) start, UTC seconds, out of a path or parameter."""
    if _WHOLE.fullmatch(text) is None:
        raise Problem("bad-request", f"a {what} is named by its start, UTC seconds, not {text[:40]!r}")
    return int(text)


def height_of(text: str) -> int:
    """A block's height out of a path."""
    if _WHOLE.fullmatch(text) is None:
        raise Problem("bad-request", f"a block is named by its height, not {text[:40]!r}")
    return int(text)
