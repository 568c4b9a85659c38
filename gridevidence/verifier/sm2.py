"""SM2 signatures (GB/T 32918.2 and .5): only their check, slow and without secrets."""

from __future__ import annotations

from gridevidence.verifier.sm3 import sm3

_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
_GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0
_Point = tuple[int, int] | None  # affine coordinates; None is the point at infinity


def _added(one: _Point, two: _Point) -> _Point:
    if one is None or two is None:
        return one or two
    (x1, y1), (x2, y2) = one, two
    if x1 == x2 and (y1 + y2) % _P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) if x1 == x2 else (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def is_public_key(key: bytes) -> bool:
    """Whether ``key`` is 04 || x || y of a point on the SM2 curve (its order is prime, so every point will do)."""
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    return len(key) == 65 and key[0] == 4 and x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0


def is_valid_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (r || s, 64 bytes) is the SM2 signature of ``message`` by ``key``; malformed input is False."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % _N
    if len(signature) != 64 or not is_public_key(key) or not (0 < r < _N and 0 < s < _N) or t == 0:
        return False
    curve = b"".join(number.to_bytes(32, "big") for number in (_P - 3, _B, _GX, _GY))
    za = sm3(b"\x00\x80" + b"1234567812345678" + curve + key[1:])
    e = int.from_bytes(sm3(za + message), "big")
    base, own = (_GX, _GY), (int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big"))
    table: tuple[_Point, ...] = (None, base, own, _added(base, own))
    point: _Point = None
    for bit in range(255, -1, -1):  # s*G + t*key, both at once
        point = _added(_added(point, point), table[(s >> bit & 1) | (t >> bit & 1) << 1])
    return point is not None and (e + point[0]) % _N == r
