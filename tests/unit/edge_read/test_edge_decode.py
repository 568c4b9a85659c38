"""The decoder over raw words: exact values, every type and order, and what is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_profiles import NATURE, WORDS, ModbusPoint, ModbusProfile, load_profile
from firmware_profiles.decode import decode_register, decode_words, nearest_multiple, register_wh
from firmware_profiles.formats import orders_of, parse_scale
from gridcore.errors import EncodingError
from simulators.meters.encode import no_value, point_encoder

Words = tuple[int, ...]


def _words(data: bytes) -> Words:
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def _point(type_name: str, order: str, **more: object) -> ModbusPoint:
    return ModbusPoint(obis="16.7.0", address=0, type=type_name, order=order, scale="1/1", unit="W", **more)  # type: ignore[arg-type] # free keywords


PAIRS = [(name, order) for name in WORDS for order in orders_of(name)]


@pytest.mark.parametrize(("type_name", "order"), PAIRS)
@given(data=st.data())
@settings(max_examples=15)
def test_encoded_value_decodes_to_itself(type_name: str, order: str, data: st.DataObject) -> None:
    size = 16 * WORDS[type_name]
    drawn: dict[str, Callable[[], float]] = {
        "unsigned": lambda: data.draw(st.integers(0, (1 << size) - 1)),
        "signed": lambda: data.draw(st.integers(-(1 << (size - 1)), (1 << (size - 1)) - 1)),
        "bcd": lambda: data.draw(st.integers(0, 10 ** (size // 4) - 1)),
        "float": lambda: data.draw(st.floats(width=32 if size == 32 else 64, allow_nan=False, allow_infinity=False)),
    }
    value = drawn[NATURE[type_name]]()
    words = _words(point_encoder(_point(type_name, order))(value))
    assert decode_register(words, type_name, order, "1/1") == Fraction(value)


def test_four_orders_mean_as_sent_reversed_swapped_and_both() -> None:
    for order, words in {"ABCD": (1, 2), "CDAB": (2, 1), "BADC": (256, 512), "DCBA": (512, 256)}.items():
        assert decode_register(words, "u32", order, "1/1") == 0x0001_0002
    sent = (0x0102, 0x0304, 0x0506, 0x0708)
    for order, expected in {
        "ABCDEFGH": 0x0102030405060708,
        "GHEFCDAB": 0x0708050603040102,
        "BADCFEHG": 0x0201040306050807,
        "HGFEDCBA": 0x0807060504030201,
    }.items():
        assert decode_register(sent, "u64", order, "1/1") == expected


def test_three_words_of_bcd_take_the_four_letter_orders() -> None:
    assert decode_register((0x1234, 0x5678, 0x9012), "bcd48", "ABCD", "1/100") == Fraction(123456789012, 100)
    assert decode_register((0x9012, 0x5678, 0x1234), "bcd48", "CDAB", "1/1") == 123456789012


@given(st.integers(0, 0xFFFF_FFFF))
@settings(max_examples=200)
def test_float_is_converted_exactly_or_missing(bits: int) -> None:
    words = (bits >> 16, bits & 0xFFFF)
    (number,) = struct.unpack(">f", bits.to_bytes(4, "big"))
    value = decode_register(words, "f32", "ABCD", "1000/1")
    if number != number or number in (float("inf"), float("-inf")):
        assert value is None
    else:
        assert value == Fraction(number) * 1000


def test_nan_list_is_compared_modulo_the_width_before_anything_else() -> None:
    assert decode_register((0xFFFF,), "u16", "ABCD", "1/1", [-1]) is None
    assert decode_register((0x8000,), "i16", "ABCD", "1/1", [-32768]) is None
    assert decode_register((0x7FFF,), "i16", "ABCD", "1/1", [-32768]) == 32767
    assert decode_register((0xFFFF, 0xFFFF), "bcd32", "ABCD", "1/1", [-1]) is None  # no digits, yet not refused
    assert decode_register((0x0000, 0x7F80), "u32", "CDAB", "1/1", [0x7F80_0000]) is None  # after reordering
    assert decode_register((5,), "u16", "ABCD", "1/1", [5 + (1 << 16)]) is None


@pytest.mark.parametrize(
    ("words", "type_name", "order", "scale", "nan"),
    [
        ((1,), "u32", "ABCD", "1/1", ()),
        ((1, 2, 3), "u32", "ABCD", "1/1", ()),
        ((), "u16", "ABCD", "1/1", ()),
        ((1, 65536), "u32", "ABCD", "1/1", ()),
        ((1, -1), "u32", "ABCD", "1/1", ()),
        ((1, True), "u32", "ABCD", "1/1", ()),
        ((1, 2), "u24", "ABCD", "1/1", ()),
        ((1, 2), "u32", "ACBD", "1/1", ()),
        ((1, 2), "u32", "ABCDEFGH", "1/1", ()),
        ((1, 2, 3, 4), "u64", "ABCD", "1/1", ()),
        ((0x1234, 0x56A8), "bcd32", "ABCD", "1/1", ()),
        ((1, 2), "u32", "ABCD", "2/4", ()),
        ((1, 2), "u32", "ABCD", "1/0", ()),
        ((1, 2), "u32", "ABCD", "1/-2", ()),
        ((1, 2), "u32", "ABCD", "0.1", ()),
        ((1, 2), "u32", "ABCD", "0/2", ()),
        ((1, 2), "u32", "ABCD", "-0/1", ()),
        ((1, 2), "u32", "ABCD", "1/1", (1 << 63,)),
    ],
)
def test_malformed_input_is_refused(words: Words, type_name: str, order: str, scale: str, nan: Words) -> None:
    with pytest.raises(EncodingError):
        decode_register(words, type_name, order, scale, nan)


def test_scale_may_be_negative_and_of_any_size() -> None:
    big = 10**30
    assert decode_register((0, 7), "i32", "ABCD", f"-{big}/7", ()) == -big
    assert parse_scale("0/1") == 0


def _register(type_name: str, scale: str, **more: object) -> ModbusPoint:
    point = ModbusPoint(obis="1.8.0", address=0, type=type_name, order="ABCD", scale=scale, unit="Wh", monotonic=True)
    return replace(point, **more)  # type: ignore[arg-type] # free keywords


@given(st.integers(0, 6_553_599))
@settings(max_examples=120)
def test_float_register_returns_every_step_that_the_meter_shows(steps: int) -> None:
    point = load_profile("eastron_sdm630", kind=ModbusProfile).point("1.8.0")
    shown_wh = steps * 10
    assert register_wh(_words(point_encoder(point)(shown_wh)), point) == shown_wh


def test_float_register_is_out_of_range_where_its_step_exceeds_half_the_resolution() -> None:
    point = load_profile("eastron_sdm630", kind=ModbusProfile).point("1.8.0")
    last_kwh, first_kwh = 65_535.99, 65_536.0
    assert register_wh(_words(struct.pack(">f", last_kwh)), point) == 65_535_990
    with pytest.raises(EncodingError, match="too coarse"):
        register_wh(_words(struct.pack(">f", first_kwh)), point)


def test_step_of_exactly_half_the_resolution_is_in_range() -> None:
    giga = 10**9
    assert nearest_multiple(20 * giga, 5 * giga, giga, 10) == 20
    with pytest.raises(
        EncodingError, match="a float near 20 Wh has a step of 5000000001/1000000000 Wh: too coarse for 10 Wh"
    ):
        nearest_multiple(20 * giga, 5 * giga + 1, giga, 10)


def test_nearest_multiple_takes_the_upper_one_half_way() -> None:
    values = [nearest_multiple(hundredths, 1, 100, 10) for hundredths in (1490, 1500, 1510, 0, 499)]
    assert values == [10, 20, 20, 0, 0]


@pytest.mark.parametrize(
    "bits", [0x0000_0000, 0x0000_0001, 0x007F_FFFF, 0x0080_0000, 0x3F80_0000, 0x4780_0000, 0x7F7F_FFFF]
)
def test_step_is_the_distance_to_the_next_float(bits: int) -> None:
    decoded = decode_words((bits >> 16, bits & 0xFFFF), "f32", "ABCD")
    following = bits + 1 if bits < 0x7F7F_FFFF else bits - 1
    (number,) = struct.unpack(">f", bits.to_bytes(4, "big"))
    (neighbour,) = struct.unpack(">f", following.to_bytes(4, "big"))
    assert Fraction(2) ** decoded.power == abs(Fraction(neighbour) - Fraction(number))


def test_integer_register_is_the_floor_in_wh() -> None:
    assert register_wh((0, 19), _register("u32", "1/10")) == 1
    assert register_wh((0, 19), _register("u32", "10/1")) == 190


def test_register_below_zero_or_at_its_modulus_is_refused() -> None:
    with pytest.raises(EncodingError, match="negative"):
        register_wh((0xFFFF, 0xFFFF), _register("i32", "1/1"))
    with pytest.raises(EncodingError, match="negative"):
        register_wh(_words(struct.pack(">f", -1.0)), _register("f32", "1/1", resolution_wh=1))
    assert register_wh((0, 999), _register("u32", "1/1", modulus_wh=1000)) == 999
    with pytest.raises(EncodingError, match="roll-over"):
        register_wh((0, 1000), _register("u32", "1/1", modulus_wh=1000))


def test_register_without_value_is_missing_not_zero() -> None:
    sdm = load_profile("eastron_sdm630", kind=ModbusProfile).point("1.8.0")
    missing = no_value(sdm)
    assert missing is not None
    assert register_wh(_words(missing), sdm) is None
    abb = _register("u32", "10/1", nan=(-1,))
    missing = no_value(abb)
    assert missing is not None
    assert register_wh(_words(missing), abb) is None
