"""One block as its node keeps it, in ``blocks.log`` and in the segments of an archive: a frame and a payload.

    magic ``GLB1`` | height u64 | payload length u32 | CRC-32 of payload u32 | CRC-32 of the frame so far u32 | payload

(big-endian). The payload is canonical CBOR

    ["block/2", height, time_s, S_(h-1), certified_height, certificate, offenders, transactions]

``certificate`` is that of header ``certified_height``, [] where this block brings none; ``offenders``: pairs [consensus address,
height]. Headers are chained, so a block is certified by the first later one that brings a certificate of its height or above.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.header import Certificate
from ledger.application import Decided
from ledger.state.block import Block, Offence
from ledger.store.errors import StoreError

RECORD_BYTES_MAX: Final = 64 * 1024 * 1024
BLOCK_MAGIC: Final = b"GLB1"
_TYPE = "block/2"
_FRAME = struct.Struct(">4sQIII")
_FRAME_CHECKED_BYTES = _FRAME.size - 4
FRAME_BYTES: Final = _FRAME.size


@dataclass(frozen=True)
class BlockRecord:
    """A block as stored. previous: S_(height-1); certificate: of header ``certified_height``, [] where the block brings none.

    See ``Block`` for the rest.
    """

    height: int
    time_s: int
    previous: bytes
    certified_height: int
    certificate: Certificate
    offenders: tuple[Offence, ...]
    transactions: tuple[bytes, ...]

    @classmethod
    def of(cls, decided: Decided, certificate: Certificate) -> BlockRecord:
        """The record of a block. certificate: of header ``decided.block.certified``, where it brings one."""
        block = decided.block
        return cls(
            height=block.height,
            time_s=block.time_s,
            previous=decided.header.previous,
            certified_height=block.certified,
            certificate=certificate,
            offenders=block.offenders,
            transactions=block.transactions,
        )

    def block(self) -> Block:
        """What is to be applied."""
        return Block(
            height=self.height,
            time_s=self.time_s,
            transactions=self.transactions,
            certified_height=self.certified_height,
            offenders=self.offenders,
        )


class DamagedRecordError(StoreError):
    """The bytes at an offset are not a whole record."""


class StoredRecord(NamedTuple):
    """A block and where its record begins and ends in the log."""

    record: BlockRecord
    offset: int
    end: int


class CertifiedBlock(NamedTuple):
    """A block that is certified. certificate: of its own header, [] where that of a later one covers it."""

    record: BlockRecord
    certificate: Certificate


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
    return cbor.encode(
        [
            _TYPE,
            record.height,
            record.time_s,
            record.previous,
            record.certified_height,
            [list(entry) for entry in record.certificate],
            [list(offence) for offence in record.offenders],
            list(record.transactions),
        ]
    )


def decode_record(payload: bytes) -> BlockRecord:
    """Inverse of encode_record. EncodingError for anything else."""
    value = cbor.decode(payload)
    if not isinstance(value, list) or len(value) != 8 or value[0] != _TYPE:
        raise EncodingError(f"a block record is an array of eight items that begins with {_TYPE!r}")
    kinds = (int, int, bytes, int, list, list, list)
    if any(type(item) is not kind for item, kind in zip(value[1:], kinds, strict=True)):
        raise EncodingError("a block record's items are of the types that its module says")
    height, time_s, previous, certified_height, certificate, offenders, transactions = value[1:]
    if not all(_is_pair(pair, bytes, bytes) for pair in certificate):
        raise EncodingError("a block record's certificate is an array of pairs of bytes")
    if not all(_is_pair(pair, bytes, int) for pair in offenders):
        raise EncodingError("a block record's offenders are pairs of bytes and height")
    if not all(isinstance(transaction, bytes) for transaction in transactions):
        raise EncodingError("a block record's transactions are bytes")
    return BlockRecord(
        height=height,
        time_s=time_s,
        previous=previous,
        certified_height=certified_height,
        certificate=[(key, signature) for key, signature in certificate],
        offenders=tuple(Offence(*pair) for pair in offenders),
        transactions=tuple(transactions),
    )


def _is_pair(value: Any, first: type, second: type) -> bool:
    return isinstance(value, list) and len(value) == 2 and (type(value[0]), type(value[1])) == (first, second)


class WaitingBlocks:
    """Blocks in order of height that are not certified yet: the first later one that brings a certificate of their height or above does."""

    def __init__(self) -> None:
        self._records: deque[BlockRecord] = deque()

    def follow(self, record: BlockRecord) -> list[CertifiedBlock]:
        """Take the next block; those that it certifies."""
        certified = self.certify(record.certified_height, record.certificate) if record.certificate else []
        self._records.append(record)
        return certified

    def certify(self, height: int, certificate: Certificate) -> list[CertifiedBlock]:
        """The blocks up to ``height``, of whose header this is the certificate."""
        certified = []
        while self._records and self._records[0].height <= height:
            record = self._records.popleft()
            certified.append(CertifiedBlock(record, certificate if record.height == height else []))
        return certified
