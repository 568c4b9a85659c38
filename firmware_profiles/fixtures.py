"""Proof of a profile's decoding: raw content and value as a named source prints them, checked whenever the profile is loaded."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from firmware_profiles.decode import decode_with_step
from firmware_profiles.dlt645 import Dlt645Point, decode_value
from firmware_profiles.formats import NATURE
from firmware_profiles.modbus import ModbusPoint
from firmware_profiles.mqtt import MqttPoint
from firmware_profiles.payloads import decode_payload, exact_value
from firmware_profiles.schema import PRINTED_UNITS, Fixture, Point, Profile, ProfileError
from gridcore.errors import EncodingError, excerpt

_PRINTED = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,12})?")


class Proven(NamedTuple):
    """What a fixture's raw content decodes to, in base units (None: "no value"), and how far the printed value may be off."""

    value: Fraction | None
    tolerance: Fraction = Fraction(0)


def check_fixtures(profile: Profile) -> None:
    """Every fixture decodes to the value beside it, and every billing register has one. ProfileError names the fixture."""
    for index, fixture in enumerate(profile.fixtures):
        where = f"fixtures[{index}] ({fixture.obis})"
        point = next((point for point in profile.points if point.obis == fixture.obis), None)
        if point is None:
            raise ProfileError(f"{where}: obis is none of points; give the point that it proves")
        if fixture.source.strip() in ("", profile.id, f"{profile.id}.toml"):
            raise ProfileError(f"{where}: source is this profile; name the document or project that prints both")
        _check_fixture(fixture, point, where)
    proven = {
        fixture.obis for fixture in profile.fixtures if Fraction(fixture.value)
    }  # a zero looks alike in any coding
    for obis in profile.billing:
        if obis not in proven:
            raise ProfileError(
                f"billing names {obis}, but no fixture proves it; add [[fixtures]] with raw content and value from a "
                "named source, or take it out of billing"
            )


def _check_fixture(fixture: Fixture, point: Point, where: str) -> None:
    if not _PRINTED.fullmatch(fixture.value):
        raise ProfileError(f"{where}: value {excerpt(fixture.value)} is no decimal number, such as '1234.56'")
    if point.unit not in (fixture.unit, fixture.unit[1:]):
        raise ProfileError(f"{where}: unit {fixture.unit!r} is not the point's, which is {point.unit!r}")
    printed = Fraction(fixture.value) * PRINTED_UNITS[fixture.unit]
    try:
        proven = _decoded(point, fixture.raw)
    except EncodingError as error:
        raise ProfileError(f"{where}: raw does not decode: {error}") from None
    if proven.value is None or abs(proven.value - printed) > proven.tolerance:
        shown = "'no value'" if proven.value is None else f"{float(proven.value):.12g} {point.unit}"
        raise ProfileError(f"{where}: raw decodes to {shown}, but value says {float(printed):.12g} {point.unit}")


def _decoded(point: Point, raw: str) -> Proven:
    if isinstance(point, MqttPoint):
        return Proven(exact_value(decode_payload(raw.encode("utf-8")), point))
    try:
        data = bytes.fromhex(raw)
    except ValueError:
        raise EncodingError("it is not hex, such as '0001 86a0'") from None
    if isinstance(point, Dlt645Point):
        return Proven(decode_value(data, point))
    if not isinstance(point, ModbusPoint):
        raise EncodingError(f"points of {type(point).__name__} have no decoder")
    if len(data) % 2:
        raise EncodingError("a register has four digits")
    words = [int.from_bytes(data[start : start + 2], "big") for start in range(0, len(data), 2)]
    value, step = decode_with_step(words, point)
    # What a manual prints of a float is rounded to the digits of the meter's display.
    return Proven(value, max(step, Fraction(point.resolution_wh, 2)) if NATURE[point.type] == "float" else Fraction(0))
