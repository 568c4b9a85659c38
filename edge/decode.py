"""From raw 16-bit registers to exact values. Pure: no devices, no clock, no rounding but the two named below.

``decode_register`` is handler ``register_decode/1`` of the conformance vectors. ``register_wh`` is what a billing register
becomes before it is signed:

* integer and BCD types: floor of the exactly decoded value, in Wh;
* float types: the multiple of the profile's ``resolution_wh`` nearest to the exactly decoded value. A float whose own step
  there is more than half of the resolution cannot tell two neighbouring multiples apart: out of range.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from firmware_profiles.formats import NATURE, ORDERS, ORDERS_64, WORDS, parse_scale
from firmware_profiles.schema import Point
from gridcore.column import I64_MAX, I64_MIN
from gridcore.errors import EncodingError

WORD_MAX = 0xFFFF

_FLOAT_FORMATS = {"f32": (">I", ">f", 23), "f64": (">Q", ">d", 52)}
_EXPONENT_BIAS = {"f32": 127, "f64": 1023}


@dataclass(frozen=True, slots=True)
class Decoded:
    """What some registers say: ``value`` in base units (None: missing), ``raw`` the reordered bits as an unsigned number.

    ``step`` is the distance to the next representable float above, in base units; None for types that are not floats.
    """

    value: Fraction | None
    raw: int
    step: Fraction | None = None


def decode_register(
    words: Sequence[int],
    type: str,  # noqa: A002 (the vectors' own key)
    order: str,
    scale: str,
    nan: Sequence[int] = (),
) -> Fraction | None:
    """Return the exact value in base units (Wh, W, V, A), or None when the registers say "no value".

    Raises EncodingError for an unknown type or order, a wrong word count, a word outside 0..65535, a BCD digit above 9.
    """
    return decode_words(words, type, order, parse_scale(scale), nan).value


def decode_words(words: Sequence[int], type_name: str, order: str, scale: Fraction, nan: Sequence[int] = ()) -> Decoded:
    """Decode ``words`` as sent by the meter; see ``decode_register``. ``nan`` is compared modulo 2^width, before all else."""
    raw = _reordered_bits(words, type_name, order)
    modulus = 1 << (16 * len(words))
    for entry in nan:
        if not _is_whole(entry, I64_MIN, I64_MAX):
            raise EncodingError(f"nan entry {entry!r} is no integer of 64 bits; write all ones as -1")
        if entry % modulus == raw:
            return Decoded(None, raw)
    nature = NATURE[type_name]
    if nature == "float":
        return _decoded_float(raw, type_name, scale)
    if nature == "bcd":
        return Decoded(bcd(raw) * scale, raw)
    if nature == "signed" and raw >= modulus >> 1:
        return Decoded((raw - modulus) * scale, raw)
    return Decoded(raw * scale, raw)


def decode_point(words: Sequence[int], point: Point) -> Decoded:
    """Decode the registers of one profile ``point``."""
    return decode_words(words, point.type, point.order, point.ratio, point.nan)


def register_wh(words: Sequence[int], point: Point) -> int | None:
    """Return a billing register in whole (secondary) Wh, or None when the meter says "no value".

    Raises EncodingError when the value is negative, at or above the roll-over, or beyond what a float can resolve.
    """
    decoded = decode_point(words, point)
    if decoded.value is None:
        return None
    if decoded.step is None:
        register = decoded.value.numerator // decoded.value.denominator
    else:
        register = nearest_multiple(decoded.value, decoded.step, point.resolution_wh)
    if register < 0:
        raise EncodingError(f"{point.obis}: {register} Wh is negative; a cumulative register never is")
    if register > I64_MAX or (point.modulus_wh and register >= point.modulus_wh):
        raise EncodingError(f"{point.obis}: {register} Wh is at or above the roll-over")
    return register


def nearest_multiple(value: Fraction, step: Fraction, resolution_wh: int) -> int:
    """Return the multiple of ``resolution_wh`` nearest to ``value`` (half-way: the upper one).

    Raises EncodingError when ``step``, the distance between neighbouring floats there, is above half the resolution.
    """
    if 2 * step > resolution_wh:
        raise EncodingError(f"a float near {int(value)} Wh has a step of {step} Wh: too coarse for {resolution_wh} Wh")
    doubled = 2 * value / resolution_wh + 1
    return doubled.numerator // (2 * doubled.denominator) * resolution_wh


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _reordered_bits(words: Sequence[int], type_name: str, order: str) -> int:
    count = WORDS.get(type_name)
    if count is None:
        raise EncodingError(f"unknown type {type_name!r}; known: {', '.join(WORDS)}")
    orders = ORDERS_64 if count == 4 else ORDERS
    if order not in orders:
        raise EncodingError(f"order {order!r} does not fit {type_name}; choose {', '.join(orders)}")
    if len(words) != count:
        raise EncodingError(f"{type_name} takes {count} words, not {len(words)}")
    reverse_words, swap_bytes = orders[order]
    raw = 0
    for word in reversed(words) if reverse_words else words:
        if not _is_whole(word, 0, WORD_MAX):
            raise EncodingError(f"word {word!r} is not in 0..65535")
        raw = raw << 16 | (((word & 0xFF) << 8 | word >> 8) if swap_bytes else word)
    return raw


def _decoded_float(raw: int, type_name: str, scale: Fraction) -> Decoded:
    integer_format, float_format, fraction_bits = _FLOAT_FORMATS[type_name]
    (number,) = struct.unpack(float_format, struct.pack(integer_format, raw))
    if not isfinite(number):
        return Decoded(None, raw)
    exponent = max(1, raw >> fraction_bits & (2 * _EXPONENT_BIAS[type_name] + 1))  # 0: subnormal, same step as 1
    power = exponent - _EXPONENT_BIAS[type_name] - fraction_bits
    ulp = Fraction(1 << power) if power >= 0 else Fraction(1, 1 << -power)
    return Decoded(Fraction(number) * scale, raw, ulp * abs(scale))


def bcd(raw: int) -> int:
    """The number whose decimal digits are the hexadecimal digits of ``raw``; EncodingError for one above 9."""
    text = f"{raw:x}"
    if not text.isdecimal():
        raise EncodingError(f"{text!r} is no binary-coded decimal: each digit is 0..9")
    return int(text)
