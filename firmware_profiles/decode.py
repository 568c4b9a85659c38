"""From raw 16-bit registers to exact values. Pure: no devices, no clock, no rounding but the two named below.

A point's words come in the order of its ``registers``: summand by summand, then the power of ten where it lies in a register.

``decode_register`` is handler ``register_decode/1`` of the conformance vectors. ``register_wh`` is what a billing register
becomes before it is signed:

* integer and BCD types: floor of the exactly decoded value, in Wh;
* float types: the multiple of the profile's ``resolution_wh`` nearest to the exactly decoded value. A float whose own step
  there is more than half of the resolution cannot tell two neighbouring multiples apart: out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple

from firmware_profiles.formats import NATURE, ORDERS, ORDERS_64, WORDS, bcd, parse_scale
from firmware_profiles.modbus import TEXT, ModbusClock, ModbusPoint
from gridcore.column import I64_MAX, I64_MIN
from gridcore.errors import EncodingError

WORD_MAX = 0xFFFF
POWER_MAX = 10
"""SunSpec allows powers of ten from -10 to 10."""


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


def decode_point(words: Sequence[int], point: ModbusPoint) -> Fraction | None:
    """Return the exact value of ``point`` in its unit, or None when the meter says "no value" of it or of a part. Raises as above."""
    return decode_with_step(words, point)[0]


def decode_with_step(words: Sequence[int], point: ModbusPoint) -> tuple[Fraction | None, Fraction]:
    """``decode_point``, and the distance to the next value that floats of its size could show (0 of other types)."""
    scale, parts = point.ratio, words
    if point.has_scale_register:
        power = _power_of_ten(words)
        if power is None:
            return None, Fraction(0)
        scale, parts = scale * Fraction(10) ** power, words[:-1]
    if len(parts) != len(point.registers) - point.has_scale_register:
        raise EncodingError(f"{point.obis} takes {len(point.registers)} words, not {len(words)}")
    value, step = Fraction(0), Fraction(0)
    for start in range(0, len(parts), point.words):
        decoded = decode_words(parts[start : start + point.words], point.type, point.order, point.nan)
        part = _value(decoded, scale)
        if part is None:
            return None, Fraction(0)
        value += part
        step += abs(scale) * Fraction(2) ** decoded.power if NATURE[point.type] == "float" else 0
    return value, step


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


def register_wh(words: Sequence[int], point: ModbusPoint) -> int | None:
    """Return a billing register in whole Wh as the meter counts, or None when the meter says "no value".

    Raises EncodingError when the value is negative, at or above the roll-over, or beyond what a float can resolve.
    """
    if len(point.registers) == point.words:
        register = _plain_register(words, point)
    else:
        value, step = decode_with_step(words, point)
        if value is None:
            return None
        register = _rounded_wh(value, step, point)
    if register is None:
        return None
    if register < 0:
        raise EncodingError(f"{point.obis}: {register} Wh is negative; a cumulative register never is")
    if register > I64_MAX or (point.modulus_wh and register >= point.modulus_wh):
        raise EncodingError(f"{point.obis}: {register} Wh is at or above the roll-over")
    return register


def _plain_register(words: Sequence[int], point: ModbusPoint) -> int | None:
    """A value in neighbouring registers. In integers, not Fractions: every register of every meter comes here twice a boundary."""
    (steps, power), scale = decode_words(words, point.type, point.order, point.nan), point.ratio
    if steps is None:
        return None
    numerator, denominator = steps * scale.numerator, scale.denominator
    if NATURE[point.type] != "float":
        return numerator // denominator
    up, down = max(power, 0), max(-power, 0)
    step = abs(scale.numerator) << up
    return nearest_multiple(numerator << up, step, denominator << down, point.resolution_wh)


def _rounded_wh(value: Fraction, step: Fraction, point: ModbusPoint) -> int:
    if NATURE[point.type] != "float":
        return value.numerator // value.denominator
    denominator = value.denominator * step.denominator
    return nearest_multiple(
        value.numerator * step.denominator, step.numerator * value.denominator, denominator, point.resolution_wh
    )


def _power_of_ten(words: Sequence[int]) -> int | None:
    """The power of ten in the last word (i16); None where the meter says that it has none. EncodingError beyond +-POWER_MAX."""
    power = decode_words(words[-1:], "i16", "ABCD", (-0x8000,)).steps
    if power is not None and abs(power) > POWER_MAX:
        raise EncodingError(f"power of ten {power} is beyond -{POWER_MAX} to {POWER_MAX}")
    return power


def decode_text(words: Sequence[int]) -> str:
    """The ASCII text in registers, high byte first, without spaces and zero bytes at its end. EncodingError for other bytes."""
    data = b"".join(word.to_bytes(2, "big") for word in words).rstrip(b"\0 ")
    if not all(0x20 <= byte < 0x7F for byte in data):
        raise EncodingError(f"{data[:32].hex()} is no text of printable ASCII")
    return data.decode("ascii").strip()


def decode_identity(words: Sequence[int], type_name: str, order: str) -> int | str | None:
    """What identity or serial-number registers hold: a whole number, a text, or None ("no value"). EncodingError otherwise."""
    return decode_text(words) if type_name == TEXT else decode_words(words, type_name, order).steps


def decode_clock(words: Sequence[int], clock: ModbusClock) -> int:
    """The meter's clock as seconds since 1970 if its ``zone`` were UTC. EncodingError for what is no date or time."""
    if clock.fields == ("unix_s",):
        return decode_words(words, "u32", "ABCD").steps or 0
    size = clock.field_bytes
    data = b"".join(word.to_bytes(2, "big") for word in words)
    values = {}
    for index, name in enumerate(clock.fields):
        raw = int.from_bytes(data[index * size : (index + 1) * size], "big")
        values[name] = bcd(raw) if clock.bcd else raw
    year = values["year"] + (2000 if values["year"] < 100 else 0)
    hour, minute, second = (values.get(name, 0) for name in ("hour", "minute", "second"))
    try:
        moment = datetime(year, values["month"], values["day"], hour, minute, second, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise EncodingError(f"the meter's clock shows no date and time: {error}") from None
    return int(moment.timestamp())


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
