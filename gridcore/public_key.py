"""Public keys of SM2 as points of the recommended curve (GB/T 32918.5-2017): form alone, so that consensus code may ask."""

from __future__ import annotations

from typing import Final

P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
PUBLIC_KEY_BYTES: Final = 65
PUBLIC_KEY_INFO_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
"""SubjectPublicKeyInfo up to the 65-byte point: id-ecPublicKey on the curve 1.2.156.10197.1.301 (RFC 5480)."""
_UNCOMPRESSED: Final = 0x04


def point_of(public_key: bytes) -> tuple[int, int] | None:
    """(x, y) of a 65-byte 04||x||y key, or None unless it is a point of the curve (never infinity, never compressed)."""
    if len(public_key) != PUBLIC_KEY_BYTES or public_key[0] != _UNCOMPRESSED:
        return None
    x = int.from_bytes(public_key[1:33], "big")
    y = int.from_bytes(public_key[33:], "big")
    if x >= P or y >= P or (y * y - (x * x + A) * x - B) % P:
        return None
    return x, y
