"""``blocks.log``: every block as it was decided, appended and on the disk before anything follows from it.

The log is the truth; the state database is derived from it. A record is a frame and a payload:

    magic ``GLB1`` | height u64 | payload length u32 | CRC-32 of payload u32 | CRC-32 of the frame so far u32 | payload

(big-endian). The payload is canonical CBOR ``["block/1", height, time_s, S_(h-1), certificate of S_(h-1), transactions]``:
with the certificate of the block before, the log alone restores everything but the newest certificate, which the guard has.

Opening reads every record once. One that is not whole is a *torn tail* when it belongs to a height that this node has never
signed: a crash in the middle of writing, nobody was told of it, it is cut. At or below the signed height it is damage: the node
refuses to start and changes nothing. Where each record begins is kept by whoever reads them again, not here.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from gridcore import cbor
from gridcore.errors import EncodingError, require
from gridcore.header import Certificate
from gridcore.logs import get_logger
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files

LOG_NAME = "blocks.log"
RECORD_BYTES_MAX = 64 * 1024 * 1024
_TYPE = "block/1"
_MAGIC = b"GLB1"
_FRAME = struct.Struct(">4sQIII")
_FRAME_CHECKED_BYTES = _FRAME.size - 4

log = get_logger(__name__)


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


class BlockLog:
    """The open log of heights 1 ... ``height``. Used by one thread at a time, except ``read``, which any thread may call."""

    def __init__(self, path: Path, descriptor: int, files: Files) -> None:
        self._path = path
        self._descriptor = descriptor
        self._files = files
        self._size = 0
        self._is_dirty = False
        self.height = 0
        """Height of the last block, 0 when there is none."""
        self.damage: DamagedRecordError | None = None
        """What ended ``scan`` before the end of the file, if anything did."""

    @classmethod
    def open(cls, path: Path, files: Files) -> Self:
        """Open or create the log; ``scan`` and ``accept`` come next. OSError when the file cannot be opened."""
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self = cls(path, descriptor, files)
        try:
            if is_new:
                files.sync_directory(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return self

    @classmethod
    def inspect(cls, path: Path) -> Self:
        """Open an existing log for reading only."""
        return cls(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC), Files())

    def scan(self) -> Iterator[StoredRecord]:
        """Every whole record from the beginning, checked; ``height`` follows. The first that is not whole ends it: ``damage``."""
        size = os.fstat(self._descriptor).st_size
        self.height, self._size, self.damage = 0, 0, None
        while self._size < size:
            try:
                stored = self._read_at(self._size, self.height + 1)
            except DamagedRecordError as error:
                self.damage = error
                return
            self.height, self._size = self.height + 1, stored.end
            yield stored

    def accept(self, signed_height: int) -> None:
        """After a scan: cut a torn tail. StoreError when a block that was signed is missing or damaged; then nothing is changed.

        ``signed_height``: the guard's.
        """
        size = os.fstat(self._descriptor).st_size
        if self.height < signed_height:
            raise StoreError(self._explain_loss(signed_height, self.damage))
        if self.damage is None:
            return
        if size - self._size > _FRAME.size + RECORD_BYTES_MAX:
            raise self.damage
        log.info(
            "block_log_tail_cut",
            file=str(self._path),
            offset=self._size,
            cut_bytes=size - self._size,
            height=self.height,
        )
        self._cut(self._size)

    def close(self) -> None:
        """Close the file; nothing is left to be written."""
        os.close(self._descriptor)

    def append(self, record: BlockRecord) -> int:
        """Put a block on the disk and return its offset. StoreWriteError: it is not in the log, and may be tried again."""
        require(record.height == self.height + 1, "blocks are appended in order of height")
        payload = encode_record(record)
        require(len(payload) <= RECORD_BYTES_MAX, f"a block record has at most {RECORD_BYTES_MAX} bytes")
        offset = self._size
        try:
            if self._is_dirty:
                self._cut(offset)
            self._is_dirty = True
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            self._files.write(self._descriptor, encode_frame(record.height, payload) + payload)
            self._files.reach("block_written")
            self._files.sync(self._descriptor)
        except OSError as error:
            # What a failed fsync has left on the disk is unknown: the bytes go, and are written again the next time.
            self._try_to_cut(offset)
            raise StoreWriteError(
                f"{self._path}: block {record.height} could not be written: {error.strerror}"
            ) from error
        self._is_dirty = False
        self._size = offset + _FRAME.size + len(payload)
        self.height = record.height
        return offset

    def read(self, height: int, offset: int) -> BlockRecord:
        """The block of ``height``, whose record begins at ``offset``. StoreError naming file and offset when it is damaged."""
        return self._read_at(offset, height).record

    def records_after(self, height: int, offset: int = 0) -> Iterator[StoredRecord]:
        """Blocks after ``height``, whose record begins at ``offset`` (0: from the first), to the last one."""
        end = self._read_at(offset, height).end if height else 0
        for following in range(height + 1, self.height + 1):
            stored = self._read_at(end, following)
            end = stored.end
            yield stored

    def _explain_loss(self, signed_height: int, damage: DamagedRecordError | None) -> str:
        what = (
            f"{damage}; the last whole block before it is {self.height}"
            if damage
            else f"{self._path}: ends with block {self.height}"
        )
        return (
            f"{what}, but this node has signed block {signed_height} (file guard). Not started, nothing changed: put back a "
            f"{self._path.name} that reaches height {signed_height}, from another disk or a newer backup"
        )

    def _read_at(self, offset: int, height: int) -> StoredRecord:
        where = f"{self._path}: block {height} at byte {offset}"
        frame = os.pread(self._descriptor, _FRAME.size, offset)
        if len(frame) < _FRAME.size:
            raise DamagedRecordError(f"{where} is cut off")
        magic, height_found, length, payload_check, frame_check = _FRAME.unpack(frame)
        if magic != _MAGIC or frame_check != zlib.crc32(frame[:_FRAME_CHECKED_BYTES]) or length > RECORD_BYTES_MAX:
            raise DamagedRecordError(f"{where} is damaged: its frame does not hold")
        payload = os.pread(self._descriptor, length, offset + _FRAME.size)
        if len(payload) < length:
            raise DamagedRecordError(f"{where} is cut off")
        if payload_check != zlib.crc32(payload):
            raise DamagedRecordError(f"{where} is damaged: its checksum does not hold")
        if height_found != height:
            raise DamagedRecordError(f"{where} is damaged: it says that it is block {height_found}")
        try:
            return StoredRecord(decode_record(payload), offset, offset + _FRAME.size + length)
        except EncodingError as error:
            raise DamagedRecordError(f"{where} is damaged: {error}") from None

    def _cut(self, size: int) -> None:
        self._files.truncate(self._descriptor, size)
        self._files.sync(self._descriptor)
        self._is_dirty = False

    def _try_to_cut(self, size: int) -> None:
        try:
            self._cut(size)
        except OSError as error:
            log.warning("block_log_tail_left", file=str(self._path), offset=size, reason=str(error))


def encode_frame(height: int, payload: bytes) -> bytes:
    """The bytes before a payload."""
    frame = _FRAME.pack(_MAGIC, height, len(payload), zlib.crc32(payload), 0)[:_FRAME_CHECKED_BYTES]
    return frame + zlib.crc32(frame).to_bytes(4, "big")


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
