"""SM3 (GB/T 32905-2016)."""

from __future__ import annotations

import hashlib


def _rotated(word: int, count: int) -> int:
    return ((word << count % 32) | (word >> (32 - count % 32))) & 0xFFFFFFFF


def _sm3_python(data: bytes) -> bytes:
    """SM3 without any library; slow, and only used where this Python's hashlib has none."""
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    state = [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E]
    for start in range(0, len(padded), 64):
        words = [int.from_bytes(padded[i : i + 4], "big") for i in range(start, start + 64, 4)]
        for j in range(16, 68):
            mixed = words[j - 16] ^ words[j - 9] ^ _rotated(words[j - 3], 15)
            mixed ^= _rotated(mixed, 15) ^ _rotated(mixed, 23)
            words.append(mixed ^ _rotated(words[j - 13], 7) ^ words[j - 6])
        a, b, c, d, e, f, g, h = state
        for j in range(64):
            ss1 = _rotated((_rotated(a, 12) + e + _rotated(0x79CC4519 if j < 16 else 0x7A879D8A, j)) & 0xFFFFFFFF, 7)
            ff, gg = (a ^ b ^ c, e ^ f ^ g) if j < 16 else ((a & b) | (a & c) | (b & c), (e & f) | (~e & g))
            tt1 = ff + d + (ss1 ^ _rotated(a, 12)) + (words[j] ^ words[j + 4])
            tt2 = (gg + h + ss1 + words[j]) & 0xFFFFFFFF
            a, b, c, d = tt1 & 0xFFFFFFFF, a, _rotated(b, 9), c
            e, f, g, h = tt2 ^ _rotated(tt2, 9) ^ _rotated(tt2, 17), e, _rotated(f, 19), g
        state = [old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]
    return b"".join(word.to_bytes(4, "big") for word in state)


try:  # not every interpreter's OpenSSL has SM3; where it gives the standard's digest of "abc" it is the faster one
    _IN_HASHLIB = hashlib.new("sm3", b"abc").hexdigest()[:32] == "66c7f0f462eeedd9d1f2d46bdc10e4e2"  # noqa: TID251
except ValueError:
    _IN_HASHLIB = False


def sm3(data: bytes) -> bytes:
    """The 32-byte SM3 digest."""
    return hashlib.new("sm3", data).digest() if _IN_HASHLIB else _sm3_python(data)  # noqa: TID251
