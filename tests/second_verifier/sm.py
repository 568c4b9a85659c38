"""SM3 (GB/T 32905-2016) and SM2 signatures (GB/T 32918, recommended curve), in plain Python."""

from functools import lru_cache
from typing import NamedTuple

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0
DISTINGUISHING_ID = b"1234567812345678"

_WORD = 0xFFFFFFFF
_START = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)


def _rotate(x: int, by: int) -> int:
    by %= 32
    return ((x << by) | (x >> (32 - by))) & _WORD


_ROUND = tuple(_rotate(0x79CC4519 if j < 16 else 0x7A879D8A, j) for j in range(64))


# Rotations are written out below: a call for each would take three quarters of the time of a digest.
def _expand(block: bytes) -> list[int]:
    w = [int.from_bytes(block[i : i + 4], "big") for i in range(0, 64, 4)]
    for j in range(16, 68):
        last, seventh = w[j - 3], w[j - 13]
        x = w[j - 16] ^ w[j - 9] ^ ((last << 15 | last >> 17) & _WORD)
        x ^= (x << 15 | x >> 17) ^ (x << 23 | x >> 9)
        w.append((x ^ (seventh << 7 | seventh >> 25) ^ w[j - 6]) & _WORD)
    return w


def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    w = _expand(block)
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        a12 = (a << 12 | a >> 20) & _WORD
        ss1 = (a12 + e + _ROUND[j]) & _WORD
        ss1 = (ss1 << 7 | ss1 >> 25) & _WORD
        if j < 16:
            ff, gg = a ^ b ^ c, e ^ f ^ g
        else:
            ff, gg = (a & b) | (a & c) | (b & c), (e & f) | (~e & g)
        tt1 = (ff + d + (ss1 ^ a12) + (w[j] ^ w[j + 4])) & _WORD
        tt2 = (gg + h + ss1 + w[j]) & _WORD
        a, b, c, d = tt1, a, (b << 9 | b >> 23) & _WORD, c
        e, f, g, h = (tt2 ^ (tt2 << 9 | tt2 >> 23) ^ (tt2 << 17 | tt2 >> 15)) & _WORD, e, (f << 19 | f >> 13) & _WORD, g
    return tuple(old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True))


@lru_cache(maxsize=1 << 16)
def sm3(data: bytes) -> bytes:
    """The 32-byte digest."""
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    state: tuple[int, ...] = _START
    for at in range(0, len(padded), 64):
        state = _compress(state, padded[at : at + 64])
    return b"".join(word.to_bytes(4, "big") for word in state)


class Point(NamedTuple):
    """Jacobian coordinates: the affine point is (x / z^2, y / z^3); z = 0 is the point at infinity."""

    x: int
    y: int
    z: int


INFINITY = Point(1, 1, 0)
G = Point(GX, GY, 1)


def double(a: Point) -> Point:
    if a.z == 0:
        return INFINITY
    yy = a.y * a.y % P
    s = 4 * a.x * yy % P
    zz = a.z * a.z % P
    m = 3 * (a.x - zz) * (a.x + zz) % P  # 3 x^2 + A z^4 with A = -3
    x = (m * m - 2 * s) % P
    return Point(x, (m * (s - x) - 8 * yy * yy) % P, 2 * a.y * a.z % P)


def add(a: Point, b: Point) -> Point:
    if a.z == 0:
        return b
    if b.z == 0:
        return a
    aa, bb = a.z * a.z % P, b.z * b.z % P
    u1, u2 = a.x * bb % P, b.x * aa % P
    s1, s2 = a.y * b.z * bb % P, b.y * a.z * aa % P
    if u1 == u2:
        return double(a) if s1 == s2 else INFINITY
    h, r = u2 - u1, s2 - s1
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x = (r * r - hhh - 2 * v) % P
    return Point(x, (r * (v - x) - s1 * hhh) % P, h * a.z * b.z % P)


def affine_x(a: Point) -> int:
    inverse = pow(a.z, -1, P)
    return a.x * inverse * inverse % P


def times(k: int, a: Point, m: int = 0, b: Point = INFINITY) -> Point:
    """k a + m b: one walk over the bits of both factors."""
    both = add(a, b)
    total = INFINITY
    for bit in range(max(k.bit_length(), m.bit_length()) - 1, -1, -1):
        total = double(total)
        chosen = (k >> bit & 1, m >> bit & 1)
        if chosen != (0, 0):
            total = add(total, {(1, 0): a, (0, 1): b, (1, 1): both}[chosen])
    return total


def is_public_key(key: bytes) -> bool:
    """65 bytes `04 || x || y` of a point of the curve."""
    if len(key) != 65 or key[0] != 4:
        return False
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    return x < P and y < P and (y * y - x * x * x - A * x - B) % P == 0


def message_digest(key: bytes, message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> int:
    """The number e of GB/T 32918.2: SM3 over the signer's Z and the message."""
    curve = b"".join(part.to_bytes(32, "big") for part in (A, B, GX, GY))
    z = sm3((8 * len(distinguishing_id)).to_bytes(2, "big") + distinguishing_id + curve + key[1:])
    return int.from_bytes(sm3(z + message), "big")


@lru_cache(maxsize=1 << 14)
def sm2_holds(key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> bool:
    """Whether the signature over the message is that of the key; False also for a malformed one."""
    if not is_public_key(key) or len(signature) != 64 or len(distinguishing_id) > 8191:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % N
    if not (0 < r < N and 0 < s < N) or t == 0:
        return False
    public = Point(int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big"), 1)
    point = times(s, G, t, public)
    return point.z % P != 0 and (message_digest(key, message, distinguishing_id) + affine_x(point)) % N == r
