"""Frames of DL/T 645-2007, the protocol of Chinese electricity meters on a serial line (``dlt645_frame/1`` of the vectors).

Pure: no line, no clock. A frame is 68H, six bytes of address, 68H, a control byte, the length of the data, the data (33H added
to each byte), a checksum and 16H; FEH bytes may wake the meter before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from firmware_profiles.formats import bcd
from gridcore.errors import EncodingError

REQUEST: Final = 0x11
ANSWER: Final = 0x91
MORE: Final = 0x20
"""Bit of an answer's control byte: more of it could be asked for."""
ERROR_ANSWER: Final = 0xD1
FREEZE: Final = 0x16
EVERYBODY: Final = "99" * 6
"""The address that all meters obey and none answers."""
AT_ONCE: Final = b"\x99" * 4
"""Data of the command FREEZE: not each month, day or hour, but now."""

_WAKE, _START, _END, _OFFSET = 0xFE, 0x68, 0x16, 0x33
_ADDRESS = slice(1, 7)
_HEADER_BYTES, _TRAILER_BYTES, _DATA_ID_BYTES = 10, 2, 4
_TARIFF_MAX: Final = 0x3F
_RECORD_START, _RECORD_END, _CLASS_END = b"\xa0\xa0", 0xE5, b"\xaa"
_RECORD_HEADER_BYTES, _STAMP_BYTES, _ENERGY_CLASS = 3, 5, 3
LOAD_RECORD_BYTES: Final = 32
"""Of a load record of energies alone, with the ends of the empty classes."""


class _Quantity(NamedTuple):
    """How the value of a data id is written: bytes of BCD, divided by ``divisor``, the top bit a sign where ``is_signed``."""

    width: int
    divisor: int
    unit: str
    is_signed: bool


_ENERGIES: Final = {
    0: _Quantity(4, 100, "kWh", is_signed=True),
    1: _Quantity(4, 100, "kWh", is_signed=False),
    2: _Quantity(4, 100, "kWh", is_signed=False),
    3: _Quantity(4, 100, "kvarh", is_signed=True),
    4: _Quantity(4, 100, "kvarh", is_signed=True),
}
"""By the second byte of a data id 00 xx TT 00."""

_VOLTAGE, _CURRENT, _POWER = (
    _Quantity(2, 10, "V", is_signed=False),
    _Quantity(3, 1000, "A", is_signed=True),
    _Quantity(3, 10_000, "kW", is_signed=True),
)
_INSTANTANEOUS: Final = {
    **{bytes((2, 1, phase, 0)): _VOLTAGE for phase in (1, 2, 3)},
    **{bytes((2, 2, phase, 0)): _CURRENT for phase in (1, 2, 3)},
    **{bytes((2, 3, phase, 0)): _POWER for phase in (0, 1, 2, 3)},
}


class RawFrame(NamedTuple):
    """What any frame holds: ``address`` as a person reads it (12 digits), the control byte, and the data with 33H taken off."""

    address: str
    control: int
    data: bytes


def encode_frame(address: str, control: int, data: bytes = b"", wake_bytes: int = 0) -> bytes:
    """Return one frame to or from the meter ``address`` (12 digits) with so many FEH bytes before it."""
    frame = bytes((_START,)) + bytes.fromhex(address)[::-1] + bytes((_START, control, len(data)))
    frame += bytes((byte + _OFFSET) % 256 for byte in data)
    return bytes((_WAKE,)) * wake_bytes + frame + bytes((sum(frame) % 256, _END))


def next_frame(buffer: bytearray) -> RawFrame | None:
    """Take the first whole frame with a right checksum out of ``buffer``, and what stands before it; None: there is none yet."""
    for start in range(len(buffer) - _HEADER_BYTES - _TRAILER_BYTES + 1):
        if buffer[start] != _START or buffer[start + 7] != _START:
            continue
        end = start + _HEADER_BYTES + buffer[start + 9] + _TRAILER_BYTES
        frame = bytes(buffer[start:end])
        if len(frame) == end - start and frame[-1] == _END and sum(frame[:-2]) % 256 == frame[-2]:
            del buffer[:end]
            data = bytes((byte - _OFFSET) % 256 for byte in frame[_HEADER_BYTES:-_TRAILER_BYTES])
            return RawFrame(frame[_ADDRESS][::-1].hex(), frame[8], data)
    return None


class LoadRecord(NamedTuple):
    """One load record of a meter: ``stamp``, YYMMDDhhmm by its own clock, and its energies (class 4) as sent; b"": it holds none."""

    stamp: str
    energies: bytes


def encode_record_request(stamp: str) -> bytes:
    """What stands behind the data id to ask for the one load record of ``stamp``, YYMMDDhhmm (7.1, frame format 3)."""
    return b"\x01" + bytes.fromhex(stamp)[::-1]


def decode_load_record(data: bytes) -> LoadRecord:
    """Decode the first load record in ``data`` (annex B, 33H taken off).

    Its classes are told apart by what ends them, AAH, which is no digit of any value. EncodingError for one that the meter marks as
    wrong, and for a start, length, checksum, end or number of classes that is none.
    """
    if data[:2] != _RECORD_START or len(data) < _RECORD_HEADER_BYTES:
        raise EncodingError(f"a load record begins with a0 a0, not {data[:2].hex(' ') or 'nothing'}")
    size = _RECORD_HEADER_BYTES + data[2]
    record = data[:size]
    if len(data) < size + 2 or len(record) < _RECORD_HEADER_BYTES + _STAMP_BYTES:
        raise EncodingError(f"a load record of {data[2]} bytes is announced, {len(data)} came in all")
    checksum = sum(record) % 256
    if data[size] != checksum or data[size + 1] != _RECORD_END:
        raise EncodingError(f"a load record ends with {checksum:02x} e5, not {data[size : size + 2].hex(' ')}")
    stamp, content = record[_RECORD_HEADER_BYTES:][:_STAMP_BYTES], record[_RECORD_HEADER_BYTES + _STAMP_BYTES :]
    classes = content.split(_CLASS_END)
    if len(classes) <= _ENERGY_CLASS + 1:
        raise EncodingError(f"a load record has {len(classes) - 1} classes; the energies are the fourth of them")
    return LoadRecord(stamp[::-1].hex(), classes[_ENERGY_CLASS])


@dataclass(frozen=True, slots=True)
class Reading:
    """The value that an answer holds, in ``unit`` (kWh, kvarh, V, A, kW)."""

    value: Fraction
    unit: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: ``address`` as a person reads it (12 digits), the control byte, and what it holds by that.

    A request has a ``data_id`` (4 bytes, most significant first), an answer a ``reading`` too, an error answer the ``error``.
    """

    address: str
    control: int
    data_id: bytes | None = None
    reading: Reading | None = None
    error: int | None = None


def decode_frame(data: bytes) -> Frame:
    """Decode one whole frame, FEH bytes before it skipped.

    EncodingError for a wrong start, length, checksum or end, bytes after it, a control or data id that is not known, a value
    of another width, and a digit that is not decimal.
    """
    frame = data.lstrip(bytes((_WAKE,)))
    _check_envelope(frame)
    address = frame[_ADDRESS][::-1].hex()
    if not address.isdecimal():
        raise EncodingError(f"the address {address} is not decimal")
    control = frame[8]
    content = bytes((byte - _OFFSET) % 256 for byte in frame[_HEADER_BYTES:-_TRAILER_BYTES])
    data_id, value = content[:_DATA_ID_BYTES][::-1], content[_DATA_ID_BYTES:]
    if control == ANSWER:
        return Frame(address, control, data_id=data_id, reading=_reading(data_id, value))
    if control == REQUEST:
        _quantity(data_id)
        if value:
            raise EncodingError(f"{len(value)} bytes after the data id of a request")
        return Frame(address, control, data_id=data_id)
    if control == ERROR_ANSWER:
        if len(content) != 1:
            raise EncodingError(f"an error answer holds one byte, not {len(content)}")
        return Frame(address, control, error=content[0])
    raise EncodingError(f"control byte {control:02x} is not known")


def _check_envelope(frame: bytes) -> None:
    if len(frame) < _HEADER_BYTES + _TRAILER_BYTES or frame[0] != _START or frame[7] != _START:
        raise EncodingError("no frame: it begins with 68, six bytes of address and 68")
    if len(frame) != _HEADER_BYTES + frame[9] + _TRAILER_BYTES:
        raise EncodingError(f"{frame[9]} bytes of data are announced, the frame has {len(frame)} bytes")
    if frame[-1] != _END:
        raise EncodingError(f"the frame ends with {frame[-1]:02x}, not 16")
    checksum = sum(frame[:-_TRAILER_BYTES]) % 256
    if frame[-2] != checksum:
        raise EncodingError(f"checksum {frame[-2]:02x}, computed {checksum:02x}")


def _reading(data_id: bytes, value: bytes) -> Reading:
    quantity = _quantity(data_id)
    if len(value) != quantity.width:
        raise EncodingError(f"the value of {data_id.hex()} takes {quantity.width} bytes, not {len(value)}")
    raw = int.from_bytes(value, "little")
    sign_bit = 1 << (8 * quantity.width - 1) if quantity.is_signed else 0
    magnitude = Fraction(bcd(raw & ~sign_bit), quantity.divisor)
    return Reading(-magnitude if raw & sign_bit else magnitude, quantity.unit)


def _quantity(data_id: bytes) -> _Quantity:
    if len(data_id) == _DATA_ID_BYTES:
        first, kind, tariff, last = data_id
        if first == 0 and last == 0 and kind in _ENERGIES and tariff <= _TARIFF_MAX:
            return _ENERGIES[kind]
        if data_id in _INSTANTANEOUS:
            return _INSTANTANEOUS[data_id]
    raise EncodingError(f"data id {data_id.hex()!r} is not known")
