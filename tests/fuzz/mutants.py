"""Mutants of examples: bytes that a decoder almost takes, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

TOKENS: Final = (
    b"", b"\0", b"\xff", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x80\0\0\0\0\0\0\0", b"\x1b" + b"\xff" * 8, b"\x5f", b"\x9b", b"\xbf",
    b"\xf6", b"\xfb", b"[", b"{", b'"', b"null", b"1e999", b"-0", b"NaN", b"\\ud800", b"=", b"\n[[", b"'''", b"\xc3", b"inf",
    b"1979-05-27T07:32:00Z", b"0x", b"999999999999999999999999999",
)  # fmt: skip
"""What decoders stumble over: ends of ranges, heads of CBOR, signs of JSON and TOML."""
CHANGES_MAX: Final = 4


def mutants(examples: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    """``count`` mutants, each of one of the examples with 1 to CHANGES_MAX changes."""
    draw = Random(seed)
    pool = [example for example in examples if example] or [b"\0"]
    for _ in range(count):
        data = bytearray(draw.choice(pool))
        for _ in range(draw.randint(1, CHANGES_MAX)):
            _change(data, draw, pool)
        yield bytes(data)


def _change(data: bytearray, draw: Random, pool: Sequence[bytes]) -> None:
    at = draw.randrange(len(data) + 1)
    end = min(len(data), at + draw.choice((0, 1, 1, 2, 4, 8, 64)))
    match draw.randrange(6):
        case 0 if at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        case 1:
            data[at:end] = draw.choice(TOKENS)
        case 2:
            data[at:at] = data[at:end] * draw.choice((1, 2, 30))
        case 3:
            del data[at:end]
        case 4:
            other = draw.choice(pool)
            begin = draw.randrange(len(other))
            data[at:end] = other[begin : begin + draw.choice((1, 4, 16, 200))]
        case _:
            data[at:end] = draw.randbytes(end - at)
