"""SM2 in plain Python: fallback for verification, and a reference whose arithmetic can be read.

Multiples of a fixed point come from a table of signed 8-bit windows (33 rows of 1..128 times 2^(8j) times the point), so a
multiplication is at most 33 additions and no doubling. The generator has such a table, and so has a public key from its
second use on; a key seen for the first time goes through a width-5 NAF ladder instead, which costs no table.

Nothing here runs in constant time. Verification handles public data only; signing with this backend is for simulators and
tests, and is chosen by name, never fallen back to.
"""

from __future__ import annotations

import functools
import platform
import secrets
from typing import Final, TypeAlias

from gridcore.errors import EncodingError
from gridcore.public_key import P
from gridcore.sm import curve
from gridcore.sm.backend import KEYS_CACHED_MAX, KeyCache
from gridcore.sm.curve import DISTINGUISHING_ID, G, N

Affine: TypeAlias = tuple[int, int]
Jacobian: TypeAlias = tuple[int, int, int]
"""(X, Y, Z) stands for (X/Z^2, Y/Z^3); Z = 0 is the point at infinity."""

Table: TypeAlias = list[list[Affine]]

KEY_TABLES_MAX: Final = 64
"""Public keys with a window table (about 0.7 MB each)."""

USES_PER_REBUILD: Final = 64
"""When all tables are taken: uses of a key between two chances to displace another one's table."""

_WINDOW_BITS = 8
_WINDOWS = 256 // _WINDOW_BITS + 1  # the signed digits of a 256-bit number may carry into one more window
_NAF_BITS = 5
_INFINITY: Jacobian = (1, 1, 0)


def _double(point: Jacobian) -> Jacobian:
    """2 * point, for a = -3."""
    x, y, z = point
    delta = z * z % P
    gamma = y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, 2 * y * z % P


def _add(point: Jacobian, x2: int, y2: int) -> Jacobian:
    """The sum point + (x2, y2), the second one affine."""
    x1, y1, z1 = point
    if not z1:
        return x2, y2, 1
    z1_squared = z1 * z1 % P
    h = (x2 * z1_squared - x1) % P
    slope = (y2 * z1_squared * z1 - y1) % P
    if not h:
        return _INFINITY if slope else _double(point)
    h_squared = h * h % P
    h_cubed = h * h_squared % P
    v = x1 * h_squared % P
    x3 = (slope * slope - h_cubed - 2 * v) % P
    return x3, (slope * (v - x3) - y1 * h_cubed) % P, z1 * h % P


def _affine(point: Jacobian) -> Affine:
    inverse = pow(point[2], -1, P)
    inverse_squared = inverse * inverse % P
    return point[0] * inverse_squared % P, point[1] * inverse_squared * inverse % P


def _all_affine(points: list[Jacobian]) -> list[Affine]:
    """Affine forms with a single inversion (Montgomery's trick); none of ``points`` is infinity."""
    products = [1]
    for point in points:
        products.append(products[-1] * point[2] % P)
    inverse = pow(products[-1], -1, P)
    out: list[Affine] = []
    for index in range(len(points) - 1, -1, -1):
        x, y, z = points[index]
        own = inverse * products[index] % P
        inverse = inverse * z % P
        own_squared = own * own % P
        out.append((x * own_squared % P, y * own_squared * own % P))
    out.reverse()
    return out


def window_table(point: Affine) -> Table:
    """table[j][d-1] = d * 2^(8j) * point for d = 1..128, affine."""
    half = 1 << (_WINDOW_BITS - 1)
    multiples: list[Jacobian] = []
    base: Affine = point
    for _ in range(_WINDOWS):
        current: Jacobian = (base[0], base[1], 1)
        multiples.append(current)
        for _ in range(half - 1):
            current = _add(current, *base)
            multiples.append(current)
        base = _affine(_double(current))
    flat = _all_affine(multiples)
    return [flat[start : start + half] for start in range(0, len(flat), half)]


def multiply_by_table(table: Table, scalar: int, start: Jacobian = _INFINITY) -> Jacobian:
    """The sum start + scalar * (the table's point), for 0 <= scalar < 2^256."""
    total = start
    half, full = 1 << (_WINDOW_BITS - 1), 1 << _WINDOW_BITS
    for row in table:
        digit = scalar & (full - 1)
        scalar >>= _WINDOW_BITS
        if digit > half:
            digit -= full
            scalar += 1
        if digit > 0:
            total = _add(total, *row[digit - 1])
        elif digit:
            x, y = row[-digit - 1]
            total = _add(total, x, P - y)
    return total


def multiply(point: Affine, scalar: int) -> Jacobian:
    """The product scalar * point without a table: width-5 non-adjacent form, one doubling a bit."""
    digits: list[int] = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar & ((1 << _NAF_BITS) - 1)
            if digit >= 1 << (_NAF_BITS - 1):
                digit -= 1 << _NAF_BITS
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    twice = _affine(_double((*point, 1)))
    odd: list[Jacobian] = [(*point, 1)]
    for _ in range((1 << (_NAF_BITS - 2)) - 1):
        odd.append(_add(odd[-1], *twice))
    multiples = _all_affine(odd)
    total = _INFINITY
    for digit in reversed(digits):
        total = _double(total)
        if digit > 0:
            total = _add(total, *multiples[digit >> 1])
        elif digit:
            x, y = multiples[-digit >> 1]
            total = _add(total, x, P - y)
    return total


@functools.cache
def _generator_table() -> Table:
    return window_table(G)


class _KnownKey:
    """A public key that was parsed: its point, and how often it was used."""

    __slots__ = ("point", "uses")

    def __init__(self, point: Affine) -> None:
        self.point = point
        self.uses = 0


_keys: KeyCache[_KnownKey] = KeyCache(KEYS_CACHED_MAX)
_tables: KeyCache[Table] = KeyCache(KEY_TABLES_MAX)


def _open_public_key(public_key: bytes) -> _KnownKey | None:
    point = curve.parse_public_key(public_key)
    return None if point is None else _KnownKey(point)


def _key_table(public_key: bytes, key: _KnownKey) -> Table | None:
    """The key's table, built when it will pay; None while the ladder is the cheaper way.

    A table costs about thirty verifications. With more keys in turn than tables fit, building one at each second use would
    only push another out, so then a key has to earn its place by more uses.
    """
    table = _tables.find(public_key)
    if table is None and key.uses >= 2 and (not _tables.is_full or key.uses % USES_PER_REBUILD == 0):
        point = key.point
        table = _tables.get(public_key, lambda _: window_table(point))
    return table


class PythonBackend:
    """SM2 in plain Python. Construct through ``gridcore.sm.load_backend``; all instances share their tables."""

    name: Final = "python"
    can_sign: Final = True

    @property
    def version(self) -> str:
        """The interpreter: there is no library."""
        return f"{platform.python_implementation()} {platform.python_version()}"

    def is_valid_signature(
        self, public_key: bytes, message: bytes, signature: bytes, distinguishing_id: bytes = DISTINGUISHING_ID
    ) -> bool:
        """As ``Backend.is_valid_signature`` (GB/T 32918.2 section 7.1)."""
        values = curve.signature_in_question(public_key, message, signature, distinguishing_id)
        if values is None:
            return False
        key = _keys.get(public_key, _open_public_key)
        if key is None:
            return False
        r, s = values
        t = (r + s) % N
        key.uses += 1
        table = _key_table(public_key, key)
        partial = multiply(key.point, t) if table is None else multiply_by_table(table, t)
        total = multiply_by_table(_generator_table(), s, partial)
        if not total[2]:
            return False
        e = curve.message_digest(public_key, message, distinguishing_id)
        return (int.from_bytes(e, "big") + _affine(total)[0]) % N == r

    def open_key(self, scalar: bytes) -> tuple[bytes, tuple[int, bytes]]:
        """As ``Backend.open_key``."""
        value = curve.parse_scalar(scalar)
        public_key = curve.encode_point(_affine(multiply_by_table(_generator_table(), value)))
        return public_key, (value, public_key)

    def sign(self, handle: tuple[int, bytes], message: bytes, distinguishing_id: bytes = DISTINGUISHING_ID) -> bytes:
        """As ``Backend.sign`` (GB/T 32918.2 section 6.1), with a nonce from the operating system. Not constant time."""
        curve.check_bytes(message, "message")
        if not curve.is_well_formed_id(distinguishing_id):
            raise EncodingError(f"a distinguishing ID has at most {curve.DISTINGUISHING_ID_BYTES_MAX} bytes")
        scalar, public_key = handle
        e = int.from_bytes(curve.message_digest(public_key, message, distinguishing_id), "big")
        while True:
            nonce = 1 + secrets.randbelow(N - 1)
            r = (e + _affine(multiply_by_table(_generator_table(), nonce))[0]) % N
            s = pow(1 + scalar, -1, N) * (nonce - r * scalar) % N
            if r and r + nonce != N and s:
                return curve.encode_signature(r, s)
