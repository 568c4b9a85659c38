"""Payloads of MQTT devices: numbers exactly as they were written, everything else refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles import MqttPoint
from firmware_profiles.payloads import PAYLOAD_BYTES_MAX, decode_payload, read_point, to_milli
from gridcore.column import I64_MAX, I64_MIN
from gridcore.errors import EncodingError

POINT = MqttPoint(obis="1.8.0", path="SML.Total_in", scale="1000/1", unit="Wh", min=0, max=10_000_000)


@pytest.mark.parametrize(
    ("written", "milli"),
    [
        (b"1234.5678", 1_234_567_800),
        (b"0.1", 100_000),
        (b"0.0000005", 1),  # half of a thousandth: the upper one
        (b"0.00000049", 0),
        (b"1e3", 1_000_000_000),
        (b"12.5E-1", 1_250_000),
        (b"0", 0),
        (b"-0", 0),
    ],
)
def test_number_is_read_exactly_and_rounded_once(written: bytes, milli: int) -> None:
    assert read_point(decode_payload(b'{"SML":{"Total_in":' + written + b"}}"), POINT) == milli


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=6))
def test_thousandths_are_the_nearest_and_half_way_the_upper_one(value: Decimal) -> None:
    exact = Fraction(value) * 1000
    milli = to_milli(Fraction(value))
    assert -Fraction(1, 2) < milli - exact <= Fraction(1, 2)
    assert decode_payload(json.dumps({"x": float(value)}).encode())["x"] == Fraction(repr(float(value)))


@pytest.mark.parametrize("value", [Fraction(I64_MAX + 1, 1000), Fraction(I64_MIN - 1, 1000)])
def test_value_beyond_64_bits_of_thousandths_is_refused(value: Fraction) -> None:
    with pytest.raises(EncodingError, match="beyond 64 bits"):
        to_milli(value)
    assert to_milli(value - Fraction(1, 1000) if value > 0 else value + Fraction(1, 1000)) in (I64_MAX, I64_MIN)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"{]", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\xff", "byte 0 is not UTF-8"),
        (b'{"a":NaN}', "NaN is no number"),
        (b'{"a":-Infinity}', "-Infinity is no number"),
        (b'{"a":1e999}', "has more exponent than a device's ever has"),
        (b'{"a":' + b"1" * 5000 + b"}", "is longer or has more exponent"),
        (b'{"a":1,"a":1}', "a key is given twice"),
        (b"[" * 10_000, "nested too deeply"),
        (b'{"a":' * 3000, "nested too deeply"),
        (b"[" * 65 + b"]" * 65, "nested too deeply"),
        (rb'{"\ud800":1}', "half of a surrogate pair"),
        (b" " * (PAYLOAD_BYTES_MAX + 1), f"at most {PAYLOAD_BYTES_MAX} are read"),
    ],
)
def test_hostile_payload_is_refused_in_one_line(payload: bytes, reason: str) -> None:
    with pytest.raises(EncodingError) as caught:
        decode_payload(payload)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "is not there"),
        ({"SML": []}, "is not there"),
        ({"SML": {"Total_in": None}}, "is not there"),
        ({"SML": {"Total_in": "12"}}, "is no number but '12'"),
        ({"SML": {"Total_in": "x" * 9000}}, "is no number but 'xxx"),
        ({"SML": {"Total_in": True}}, "is no number but of type bool"),
        ({"SML": {"Total_in": [Fraction(1)]}}, "is no number but of type list"),
        ({"SML": {"Total_in": Fraction(-1, 1000)}}, "is not plausible (0 to 10000000)"),
        ({"SML": {"Total_in": Fraction(10_001)}}, "is not plausible"),
    ],
)
def test_anything_but_a_plausible_number_is_refused(content: object, reason: str) -> None:
    with pytest.raises(EncodingError) as caught:
        read_point(content, POINT)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 200


def test_point_that_is_not_required_may_be_absent_but_not_wrong() -> None:
    optional = replace(POINT, required=False)
    assert read_point({"SML": {}}, optional) is None
    with pytest.raises(EncodingError, match="is no number"):
        read_point({"SML": {"Total_in": "1"}}, optional)


def test_path_leads_through_arrays_by_place() -> None:
    content = decode_payload(b'{"emeters":[{"total":7},{"total":8.5}]}')
    point = MqttPoint(obis="1.8.0", path="emeters.1.total", scale="1/1", unit="Wh")
    assert read_point(content, point) == 8500
    with pytest.raises(EncodingError, match="is not there"):
        read_point(content, replace(point, path="emeters.2.total"))
    with pytest.raises(EncodingError, match="is not there"):
        read_point(content, replace(point, path="emeters.-1.total"))
