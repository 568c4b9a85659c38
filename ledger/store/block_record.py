"""One block as its node keeps it, in ``blocks.log`` and in the segments of an archive: a frame and a payload.

    magic ``GLB1`` | height u64 | payload length u32 | CRC-32 of payload u32 | CRC-32 of the frame so far u32 | payload

(big-endian). The payload is canonical CBOR ``["block/1", height, time_s, S_(h-1), certificate of S_(h-1), transactions]``.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.header import Certificate
from ledger.store.errors import StoreError

RECORD_BYTES_MAX: Final = 64 * 1024 * 1024
BLOCK_MAGIC: Final = b"GLB1"
_TYPE = "block/1"
_FRAME = struct.Struct(">4sQIII")
_FRAME_CHECKED_BYTES = _FRAME.size - 4
FRAME_BYTES: Final = _FRAME.size


@dataclass(frozen=True)
class BlockRecord:
    """A block as stored. ``previous``: S_(height-1); ``previous_certificate``: its certificate, empty at height 1."""

    height: int
    time_s: int
    previous: bytes
    previous_certificate: Certificate
    transactions: tuple[bytes, ...]


class DamagedRecordError(StoreError):
    """The bytes at an offset are not a whole record."""


class StoredRecord(NamedTuple):
    """A block and where its record begins and ends in the log."""

    record: BlockRecord
    offset: int
    end: int


class Payload(NamedTuple):
    """What a frame holds, and where it ends in its file."""

    data: bytes
    end: int


def peek_frame(descriptor: int, offset: int) -> tuple[bytes, int]:
    """Magic and height of the frame at ``offset``, unchecked; of no frame at all b"", 0."""
    frame = os.pread(descriptor, _FRAME.size, offset)
    return (frame[:4], int.from_bytes(frame[4:12], "big")) if len(frame) == _FRAME.size else (b"", 0)


def read_payload(descriptor: int, path: Path, height: int, offset: int, magic: bytes = BLOCK_MAGIC) -> Payload:
    """What stands at ``offset`` under a frame of ``height``. DamagedRecordError naming ``path`` when it is not whole, or another one."""
    where = f"{path}: block {height} at byte {offset}"
    frame = os.pread(descriptor, _FRAME.size, offset)
    if len(frame) < _FRAME.size:
        raise DamagedRecordError(f"{where} is cut off")
    magic_found, height_found, length, payload_check, frame_check = _FRAME.unpack(frame)
    if magic_found != magic or frame_check != zlib.crc32(frame[:_FRAME_CHECKED_BYTES]) or length > RECORD_BYTES_MAX:
        raise DamagedRecordError(f"{where} is damaged: its frame does not hold")
    payload = os.pread(descriptor, length, offset + _FRAME.size)
    if len(payload) < length:
        raise DamagedRecordError(f"{where} is cut off")
    if payload_check != zlib.crc32(payload):
        raise DamagedRecordError(f"{where} is damaged: its checksum does not hold")
    if height_found != height:
        raise DamagedRecordError(f"{where} is damaged: it says that it is block {height_found}")
    return Payload(payload, offset + _FRAME.size + length)


def read_record(descriptor: int, path: Path, height: int, offset: int) -> StoredRecord:
    """The block of ``height`` that stands at ``offset``. DamagedRecordError naming ``path`` and offset when it does not."""
    payload = read_payload(descriptor, path, height, offset)
    try:
        return StoredRecord(decode_record(payload.data), offset, payload.end)
    except EncodingError as error:
        raise DamagedRecordError(f"{path}: block {height} at byte {offset} is damaged: {error}") from None


def encode_frame(height: int, payload: bytes, magic: bytes = BLOCK_MAGIC) -> bytes:
    """The bytes before a payload."""
    frame = _FRAME.pack(magic, height, len(payload), zlib.crc32(payload), 0)[:_FRAME_CHECKED_BYTES]
    return frame + zlib.crc32(frame).to_bytes(4, "big")


def frame_record(record: BlockRecord) -> bytes:
    """A record as it stands in a file: frame and payload."""
    payload = encode_record(record)
    return encode_frame(record.height, payload) + payload


def encode_record(record: BlockRecord) -> bytes:
    """The payload of a record."""
    certificate = [list(entry) for entry in record.previous_certificate]
    return cbor.encode([_TYPE, record.height, record.time_s, record.previous, certificate, list(record.transactions)])


def decode_record(payload: bytes) -> BlockRecord:
    """Inverse of encode_record. EncodingError for anything else."""
    value = cbor.decode(payload)
    if not isinstance(value, list) or len(value) != 6 or value[0] != _TYPE:
        raise EncodingError(f"a block record is an array of six items that begins with {_TYPE!r}")
    kinds = (int, int, bytes, list, list)
    if any(type(item) is not kind for item, kind in zip(value[1:], kinds, strict=True)):
        raise EncodingError("a block record's items are height, time, digest, certificate, transactions")
    certificate, transactions = value[4], value[5]
    if not all(isinstance(p, list) and len(p) == 2 and all(isinstance(x, bytes) for x in p) for p in certificate):
        raise EncodingError("a block record's certificate is an array of pairs of bytes")
    if not all(isinstance(transaction, bytes) for transaction in transactions):
        raise EncodingError("a block record's transactions are bytes")
    return BlockRecord(
        height=value[1],
        time_s=value[2],
        previous=value[3],
        previous_certificate=[(key, signature) for key, signature in certificate],
        transactions=tuple(transactions),
    )
