"""How a number lies in 16-bit registers: the types, the orders and the scales that profiles and decoder share.

Source of names and meaning: ``register_decode/1`` of the conformance vectors.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import gcd

from gridcore.errors import EncodingError

WORDS: dict[str, int] = {
    "u16": 1,
    "i16": 1,
    "u32": 2,
    "i32": 2,
    "u64": 4,
    "i64": 4,
    "f32": 2,
    "f64": 4,
    "bcd32": 2,
    "bcd48": 3,
}
"""Type name -> number of 16-bit words."""

NATURE: dict[str, str] = {
    "u16": "unsigned",
    "u32": "unsigned",
    "u64": "unsigned",
    "i16": "signed",
    "i32": "signed",
    "i64": "signed",
    "f32": "float",
    "f64": "float",
    "bcd32": "bcd",
    "bcd48": "bcd",
}
"""Type name -> how its bits are read."""

ORDERS: dict[str, tuple[bool, bool]] = {
    "ABCD": (False, False),
    "CDAB": (True, False),
    "BADC": (False, True),
    "DCBA": (True, True),
}
"""Order name -> (words reversed, bytes of each word swapped), for values of one to three words."""

ORDERS_64: dict[str, tuple[bool, bool]] = {
    "ABCDEFGH": (False, False),
    "GHEFCDAB": (True, False),
    "BADCFEHG": (False, True),
    "HGFEDCBA": (True, True),
}
"""The same four orders, as they are called for values of four words."""

_SCALE = re.compile(r"(0|-?[1-9][0-9]*)/([1-9][0-9]*)")


def orders_of(type_name: str) -> dict[str, tuple[bool, bool]]:
    """Return the order names that fit ``type_name`` with their meaning (see ORDERS)."""
    return ORDERS_64 if WORDS[type_name] == 4 else ORDERS


def order_for(type_name: str, order: str) -> str:
    """Return ``order`` (a four-letter name) under the name that it has for ``type_name``."""
    meaning = ORDERS[order]
    return next(name for name, flags in orders_of(type_name).items() if flags == meaning)


@lru_cache(maxsize=1024)
def parse_scale(text: str) -> Fraction:
    """Return the exact value of ``"num/den"``: base units (Wh, W, V, A, Hz) per raw count.

    Raises EncodingError unless it is in lowest terms with a positive denominator.
    """
    match = _SCALE.fullmatch(text)
    if match is None or gcd(int(match[1]), int(match[2])) != 1:
        raise EncodingError(f'scale {text!r} is not a fraction \'num/den\' in lowest terms, such as "1/10" or "1000/1"')
    return Fraction(int(match[1]), int(match[2]))


def bcd(raw: int) -> int:
    """The number whose decimal digits are the hexadecimal digits of ``raw``; EncodingError for one above 9."""
    text = f"{raw:x}"
    if not text.isdecimal():
        raise EncodingError(f"{text!r} is no binary-coded decimal: each digit is 0..9")
    return int(text)
