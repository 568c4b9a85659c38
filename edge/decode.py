"""From raw 16-bit registers to exact values. Pure: no devices, no clock, no rounding but the two named below.

``decode_register`` is handler ``register_decode/1`` of the conformance vectors. ``register_wh`` is what a billing register
becomes before it is signed:

* integer and BCD types: floor of the exactly decoded value, in Wh;
* float types: the multiple of the profile's ``resolution_wh`` nearest to the exactly decoded value. A float whose own step
  there is more than half of the resolution cannot tell two neighbouring multiples apart: out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from firmware_profiles.formats import NATURE, ORDERS, ORDERS_64, WORDS, parse_scale
from firmware_profiles.schema import Point
from gridcore.column import I64_MAX, I64_MIN
from gridcore.errors import EncodingError

WORD_MAX = 0xFFFF


class _FloatFormat(NamedTuple):
    """Widths in bits of the fields of an IEEE 754 number behind its sign."""

    exponent: int
    fraction: int


_FLOAT_FORMATS = {"f32": _FloatFormat(8, 23), "f64": _FloatFormat(11, 52)}


class Decoded(NamedTuple):
    """What some registers hold, before the scale: ``steps`` times 2^``power`` (steps None: missing).

    power: 0, but of a float that of the distance to the next one above.
    """

    steps: int | None
    power: int = 0


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
    return _value(decode_words(words, type, order, nan), parse_scale(scale))


def decode_point(words: Sequence[int], point: Point) -> Fraction | None:
    """``decode_register`` of one profile ``point``."""
    return _value(decode_words(words, point.type, point.order, point.nan), point.ratio)


def decode_words(words: Sequence[int], type_name: str, order: str, nan: Sequence[int] = ()) -> Decoded:
    """Decode ``words`` as sent by the meter; see ``decode_register``. ``nan`` is compared modulo 2^width, before all else."""
    raw = _reordered_bits(words, type_name, order)
    modulus = 1 << (16 * len(words))
    for entry in nan:
        if not _is_whole(entry, I64_MIN, I64_MAX):
            raise EncodingError(f"nan entry {entry!r} is no integer of 64 bits; write all ones as -1")
        if entry % modulus == raw:
            return Decoded(None)
    nature = NATURE[type_name]
    if nature == "float":
        return _decoded_float(raw, _FLOAT_FORMATS[type_name])
    if nature == "bcd":
        return Decoded(bcd(raw))
    if nature == "signed" and raw >= modulus >> 1:
        return Decoded(raw - modulus)
    return Decoded(raw)


def register_wh(words: Sequence[int], point: Point) -> int | None:
    """Return a billing register in whole (secondary) Wh, or None when the meter says "no value".

    Raises EncodingError when the value is negative, at or above the roll-over, or beyond what a float can resolve.
    """
    (steps, power), scale = decode_words(words, point.type, point.order, point.nan), point.ratio
    if steps is None:
        return None
    # In integers, not Fractions: every register of every meter comes here twice a boundary.
    numerator, denominator = steps * scale.numerator, scale.denominator
    if NATURE[point.type] == "float":
        up, down = max(power, 0), max(-power, 0)
        step = abs(scale.numerator) << up
        register = nearest_multiple(numerator << up, step, denominator << down, point.resolution_wh)
    else:
        register = numerator // denominator
    if register < 0:
        raise EncodingError(f"{point.obis}: {register} Wh is negative; a cumulative register never is")
    if register > I64_MAX or (point.modulus_wh and register >= point.modulus_wh):
        raise EncodingError(f"{point.obis}: {register} Wh is at or above the roll-over")
    return register


def nearest_multiple(value: int, step: int, denominator: int, resolution_wh: int) -> int:
    """Return the multiple of ``resolution_wh`` nearest to ``value / denominator`` (half-way: the upper one).

    Raises EncodingError when ``step / denominator``, the distance between neighbouring floats there, is above half the resolution.
    """
    if 2 * step > resolution_wh * denominator:
        wh, step_wh = int(Fraction(value, denominator)), Fraction(step, denominator)
        raise EncodingError(f"a float near {wh} Wh has a step of {step_wh} Wh: too coarse for {resolution_wh} Wh")
    unit = resolution_wh * denominator
    return (2 * value + unit) // (2 * unit) * resolution_wh


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
        if type(word) is not int or not 0 <= word <= WORD_MAX:
            raise EncodingError(f"word {word!r} is not in 0..65535")
        raw = raw << 16 | (((word & 0xFF) << 8 | word >> 8) if swap_bytes else word)
    return raw


def _decoded_float(raw: int, bits: _FloatFormat) -> Decoded:
    """Every finite float is a whole number of the steps that floats have around it."""
    exponent_max = (1 << bits.exponent) - 1
    exponent = raw >> bits.fraction & exponent_max
    if exponent == exponent_max:  # infinite, or no number
        return Decoded(None)
    steps = raw & (1 << bits.fraction) - 1
    if exponent:  # else subnormal: no leading one, and the step of exponent 1
        steps |= 1 << bits.fraction
    is_negative = raw >> bits.exponent + bits.fraction
    return Decoded(-steps if is_negative else steps, max(1, exponent) - (exponent_max >> 1) - bits.fraction)


def _value(decoded: Decoded, scale: Fraction) -> Fraction | None:
    return None if decoded.steps is None else Fraction(2) ** decoded.power * decoded.steps * scale


def bcd(raw: int) -> int:
    """The number whose decimal digits are the hexadecimal digits of ``raw``; EncodingError for one above 9."""
    text = f"{raw:x}"
    if not text.isdecimal():
        raise EncodingError(f"{text!r} is no binary-coded decimal: each digit is 0..9")
    return int(text)
