"""Frames of DL/T 645: a frame is read back as it was built, and any changed byte is refused or another frame."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dlt645 import ANSWER, decode_frame
from gridcore.errors import EncodingError


def answer(address: str, data_id: bytes, value: bytes) -> bytes:
    data = bytes((byte + 0x33) % 256 for byte in data_id[::-1] + value)
    body = b"\x68" + bytes.fromhex(address)[::-1] + b"\x68" + bytes((ANSWER, len(data))) + data
    return body + bytes((sum(body) % 256, 0x16))


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 0x3F), st.integers(0, 99_999_999))
def test_an_import_register_is_read_as_the_meter_shows_it(address: str, tariff: int, hundredths: int) -> None:
    data_id = bytes((0, 1, tariff, 0))
    frame = decode_frame(b"\xfe\xfe" + answer(address, data_id, bytes.fromhex(f"{hundredths:08}")[::-1]))
    assert (frame.address, frame.control, frame.data_id) == (address, ANSWER, data_id)
    assert frame.reading is not None
    assert (frame.reading.value, frame.reading.unit) == (Fraction(hundredths, 100), "kWh")


@given(st.integers(1, 19), st.integers(1, 255))
def test_a_frame_with_one_changed_byte_is_refused(place: int, change: int) -> None:
    frame = bytearray(answer("000000000123", bytes((0, 1, 0, 0)), bytes(4)))
    frame[place] ^= change
    with pytest.raises(EncodingError):
        decode_frame(bytes(frame))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_frame_or_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(EncodingError) as refused:
        decode_frame(b"\x68" + data)
    assert "\n" not in str(refused.value)
