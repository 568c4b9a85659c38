"""``blocks.log``: every block as it was decided, appended and on the disk before anything follows from it.

The log is the truth; the state database is derived from it. A record is a frame and a payload:

    magic ``GLB1`` | height u64 | payload length u32 | CRC-32 of payload u32 | CRC-32 of the frame so far u32 | payload

(big-endian). The payload is canonical CBOR ``["block/1", height, time_s, S_(h-1), certificate of S_(h-1), transactions]``:
with the certificate of the block before, the log alone restores everything but the newest certificate, which the guard has.

Opening looks at what follows the last indexed record. A record that is not whole is a *torn tail* when it belongs to a
height that this node has never signed: a crash in the middle of writing, nobody was told of it, it is cut. At or below the
signed height it is damage: the node refuses to start and changes nothing.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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


class BlockLog:
    """The open log of heights 1 ... ``height``. Used by one thread at a time, except ``read``, which any thread may call."""

    def __init__(self, path: Path, descriptor: int, files: Files, offsets: Iterable[int]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._files = files
        self._offsets = array("Q", offsets)
        self._size = 0
        self._is_dirty = False

    @classmethod
    def open(cls, path: Path, files: Files, *, signed_height: int, offsets: Iterable[int] = ()) -> Self:
        """Open or create the log.

        ``signed_height``: the guard's; blocks up to it must be there. ``offsets``: where heights 1, 2, ... begin, as known
        from an index; scanning starts at the last of them (0 known: at the beginning). StoreError when a block that was
        signed is missing or damaged; then nothing has been changed. OSError when the file cannot be opened.
        """
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self = cls(path, descriptor, files, offsets)
        try:
            if is_new:
                files.sync_directory(path.parent)
            self._scan(signed_height)
        except BaseException:
            os.close(descriptor)
            raise
        return self

    @classmethod
    def inspect(cls, path: Path) -> tuple[Self, DamagedRecordError | None]:
        """Open an existing log for reading only, from its beginning; with the first damage, after which nothing is read."""
        self = cls(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC), Files(), ())
        return self, self._find_records(os.fstat(self._descriptor).st_size)

    @property
    def height(self) -> int:
        """Height of the last block, 0 when there is none."""
        return len(self._offsets)

    def offset(self, height: int) -> int:
        """Where the record of ``height`` begins."""
        return self._offsets[height - 1]

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
        self._offsets.append(offset)
        return offset

    def read(self, height: int) -> BlockRecord:
        """The block of ``height`` (1 ... height of the log). StoreError naming file and offset when it is damaged."""
        require(1 <= height <= self.height, f"block {height} is in the log of {self.height}")
        return self._read_at(self._offsets[height - 1], height)[0]

    def records(self, first: int = 1) -> Iterator[BlockRecord]:
        """Blocks from height ``first`` to the last one there is when iteration gets there."""
        height = first
        while height <= self.height:
            yield self.read(height)
            height += 1

    def _scan(self, signed_height: int) -> None:
        size = os.fstat(self._descriptor).st_size
        self._forget_index_unless_it_fits()
        damage = self._find_records(size)
        if self.height < signed_height:
            raise StoreError(self._explain_loss(signed_height, damage))
        if damage is None:
            return
        if size - self._size > _FRAME.size + RECORD_BYTES_MAX:
            raise damage
        log.info(
            "block_log_tail_cut",
            file=str(self._path),
            offset=self._size,
            cut_bytes=size - self._size,
            height=self.height,
        )
        self._cut(self._size)

    def _find_records(self, size: int) -> DamagedRecordError | None:
        """Index whole records from the last known one on; returns the damage that ends them before ``size``, if any."""
        position = self._read_at(self._offsets[-1], self.height)[1] if self._offsets else 0
        damage: DamagedRecordError | None = None
        while position < size and damage is None:
            try:
                _, end = self._read_at(position, self.height + 1)
            except DamagedRecordError as error:
                damage = error
            else:
                self._offsets.append(position)
                position = end
        self._size = position
        return damage

    def _forget_index_unless_it_fits(self) -> None:
        try:
            if self._offsets:
                self._read_at(self._offsets[-1], self.height)
        except DamagedRecordError:
            # Either the log or the index is not what it was: the log itself says how far it is whole.
            log.warning("block_log_index_does_not_fit", file=str(self._path), height=self.height)
            self._offsets = array("Q")

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

    def _read_at(self, offset: int, height: int) -> tuple[BlockRecord, int]:
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
            return decode_record(payload), offset + _FRAME.size + length
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
