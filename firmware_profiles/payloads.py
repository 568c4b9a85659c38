"""From an MQTT payload to exact values. Pure: no broker, no clock, no rounding but the one named below.

What arrives was written by whoever can reach the broker. A payload is bounded before it is parsed, its numbers are read
exactly as they were written, and anything else than a number where a number belongs is refused: EncodingError in one line.

``to_milli`` is the one rounding: thousandths of the base unit, the nearest one (half-way: the upper one).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from firmware_profiles.mqtt import MqttPoint
from gridcore.column import I64_MAX, I64_MIN
from gridcore.errors import EncodingError, excerpt
from gridcore.strict_json import decode_json

PAYLOAD_BYTES_MAX = 16_384
NUMBER_CHARACTERS_MAX = 40

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


def to_milli(value: Fraction) -> int:
    """``value`` in thousandths, rounded to the nearest (half-way: the upper one). EncodingError beyond 64 bits."""
    doubled = 2000 * value + 1
    milli = doubled.numerator // (2 * doubled.denominator)
    if not I64_MIN <= milli <= I64_MAX:
        raise EncodingError("a value lies beyond 64 bits of thousandths")
    return milli


def decode_payload(payload: bytes) -> Any:
    """Parse a payload of at most PAYLOAD_BYTES_MAX (``gridcore.strict_json``); every number becomes its exact Fraction.

    Raises EncodingError, also for numbers of more than NUMBER_CHARACTERS_MAX characters or with exponents beyond two digits.
    """
    return decode_json(payload, PAYLOAD_BYTES_MAX, _number)


def read_point(content: Any, point: MqttPoint) -> int | None:
    """The value of ``point`` in thousandths of its base unit; None where the device lacks a point that is not required.

    Raises EncodingError for a required point that is absent, for anything that is no number, for a value out of bounds.
    """
    value = exact_value(content, point)
    if value is None:
        if point.required:
            raise EncodingError(f"{_place(point)} is not there")
        return None
    if (point.min is not None and value < point.min) or (point.max is not None and value > point.max):
        raise EncodingError(
            f"{_place(point)} = {float(value):g} {point.unit} is not plausible ({point.min} to {point.max})"
        )
    return to_milli(value)


def exact_value(content: Any, point: MqttPoint) -> Fraction | None:
    """The value of ``point`` in its unit, None where nothing is there. EncodingError for anything that is no number."""
    found = _at(content, point.steps)
    if found is None:
        return None
    if not isinstance(found, Fraction):
        shown = excerpt(found) if isinstance(found, str) else f"of type {type(found).__name__}"
        raise EncodingError(f"{_place(point)} is no number but {shown}")
    return found * point.ratio


def _place(point: MqttPoint) -> str:
    return f"{point.obis} ({excerpt(point.path) if point.path else 'the payload'})"


def _at(content: Any, steps: Sequence[str]) -> Any:
    """What lies at the end of a path; None when it leads nowhere."""
    for step in steps:
        if isinstance(content, Mapping):
            content = content.get(step)
        elif isinstance(content, list) and step.isascii() and step.isdigit() and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content


def _number(text: str) -> Fraction:
    if len(text) > NUMBER_CHARACTERS_MAX or not _NUMBER.fullmatch(text):
        raise EncodingError(f"number {excerpt(text)} is longer or has more exponent than a device's ever has")
    return Fraction(text)
