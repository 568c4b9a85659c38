"""From values to registers: the inverse of the edge's decoder, written on its own so that the two check each other."""

from __future__ import annotations

import struct
from collections.abc import Callable

from firmware_profiles.formats import NATURE, orders_of
from firmware_profiles.modbus import ModbusPoint

_FLOAT_MAX = {"f32": 3.4028234663852886e38, "f64": 1.7976931348623157e308}


def point_encoder(point: ModbusPoint) -> Callable[[float], bytes]:
    """Return the encoder of one ``point``, with all that can be decided beforehand decided.

    It turns a value (base units) into the bytes that the meter sends, big-endian word by word. Integers become exact (a register
    shows the floor of its own step), floats the nearest representable number. A value beyond the type's range saturates, as
    registers of real meters do.
    """
    ratio = point.ratio
    numerator, denominator = ratio.numerator, ratio.denominator
    size = 2 * point.words
    nature = NATURE[point.type]
    arrange = _arranger(point)

    if nature == "float":
        packer = struct.Struct(">f" if point.type == "f32" else ">d").pack
        limit = _FLOAT_MAX[point.type]

        def encode_float(value: float) -> bytes:
            return arrange(packer(max(-limit, min(limit, value * denominator / numerator))))

        return encode_float

    low, high = _integer_range(nature, size)

    def encode_integer(value: float) -> bytes:
        raw = value * denominator // numerator if isinstance(value, int) else round(value * denominator / numerator)
        raw = max(low, min(high, raw))
        if nature == "bcd":
            return arrange(bytes.fromhex(f"{raw:0{2 * size}d}"))
        return arrange(raw.to_bytes(size, "big", signed=nature == "signed"))

    return encode_integer


def no_value(point: ModbusPoint) -> bytes | None:
    """Return what the meter sends for "no value", or None if it has no way to say so."""
    size = 2 * point.words
    if point.nan:
        return _arranger(point)((point.nan[0] % (1 << (8 * size))).to_bytes(size, "big"))
    if NATURE[point.type] == "float":
        return _arranger(point)(struct.pack(">f" if point.type == "f32" else ">d", float("nan")))
    return None


def _integer_range(nature: str, size: int) -> tuple[int, int]:
    if nature == "bcd":
        return 0, 10 ** (2 * size) - 1
    if nature == "signed":
        return -(1 << (8 * size - 1)), (1 << (8 * size - 1)) - 1
    return 0, (1 << (8 * size)) - 1


def _arranger(point: ModbusPoint) -> Callable[[bytes], bytes]:
    """Return the function that brings big-endian bytes into the order of ``point``."""
    reverse_words, swap_bytes = orders_of(point.type)[point.order]
    size = 2 * point.words
    places = [index ^ 1 if swap_bytes else index for index in range(size)]
    if reverse_words:
        places = [size - 2 - (index & ~1) + (index & 1) for index in places]
    if places == list(range(size)):
        return bytes
    return lambda data: bytes([data[place] for place in places])
