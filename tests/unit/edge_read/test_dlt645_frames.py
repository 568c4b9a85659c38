"""Frames of DL/T 645: a frame is read back as it was built, and any changed byte is refused or another frame."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dlt645 import ANSWER, LoadRecord, decode_frame, decode_load_record, encode_record_request
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


STAMP = "2603291230"
ENERGIES = bytes.fromhex("78563412" + "89000000" + "ff" * 8)
RECORD = b"\xa0\xa0" + bytes((5 + 16 + 6,)) + bytes.fromhex(STAMP)[::-1] + b"\xaa" * 3 + ENERGIES + b"\xaa" * 3


def ended(record: bytes) -> bytes:
    """The record with its checksum and end."""
    return record + bytes((sum(record) % 256, 0xE5))


def test_load_record_of_one_class_is_read_with_its_stamp_and_a_further_one_behind_it_is_left() -> None:
    assert decode_load_record(ended(RECORD)) == LoadRecord(STAMP, ENERGIES)
    assert decode_load_record(ended(RECORD) + ended(RECORD)) == LoadRecord(STAMP, ENERGIES)
    assert encode_record_request(STAMP) == bytes.fromhex("01" + "3012290326")


def test_load_record_of_all_classes_is_told_apart_by_what_ends_them() -> None:
    content = (
        bytes.fromhex(STAMP)[::-1] + bytes(17) + b"\xaa" + bytes(24) + b"\xaa" + bytes(8) + b"\xaa" + ENERGIES + b"\xaa"
    )
    record = b"\xa0\xa0" + bytes((len(content) + 2,)) + content + b"\xaa\xaa"
    assert decode_load_record(ended(record)) == LoadRecord(STAMP, ENERGIES)


def test_load_record_without_energies_has_none() -> None:
    record = b"\xa0\xa0\x0b" + bytes.fromhex(STAMP)[::-1] + b"\xaa" * 6
    assert decode_load_record(ended(record)).energies == b""


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "begins with a0 a0, not nothing"),
        (b"\xe0\xe0" + RECORD[2:], "begins with a0 a0, not e0 e0"),  # what a meter marks as wrong
        (b"\xa0\xa0", "begins with a0 a0"),
        (RECORD[:-1], "27 bytes is announced"),
        (b"\xa0\xa0\x04\x30\x12\x29\x03", "4 bytes is announced"),
        (b"\xa0\xa0" + bytes((5 + 16,)) + bytes.fromhex(STAMP)[::-1] + ENERGIES, "has 0 classes"),
    ],
)
def test_load_record_that_is_none_is_refused(record: bytes, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        decode_load_record(ended(record) if record[2:] else record)


@given(st.integers(0, len(RECORD) + 1), st.integers(1, 255))
def test_load_record_with_one_changed_byte_is_refused(place: int, change: int) -> None:
    record = bytearray(ended(RECORD))
    record[place] ^= change
    with pytest.raises(EncodingError):
        decode_load_record(bytes(record))


@given(st.binary(max_size=80))
def test_load_record_of_any_bytes_is_refused_or_read(data: bytes) -> None:
    try:
        found = decode_load_record(b"\xa0\xa0" + data)
    except EncodingError:
        found = LoadRecord(STAMP, b"")
    assert len(found.stamp) == len(STAMP)
