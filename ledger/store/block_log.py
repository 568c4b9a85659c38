"""``blocks.log``: every block as it was decided, appended and on the disk before anything follows from it.

The log is the truth; the state database is derived from it. It is records (``ledger.store.block_record``) one after the other: with
the certificate of the block before in each, the log alone restores everything but the newest certificate, which the guard has.

Opening reads every record once. One that is not whole is a *torn tail* when it belongs to a height that this node has never
signed: a crash in the middle of writing, nobody was told of it, it is cut. At or below the signed height it is damage: the node
refuses to start and changes nothing. Where each record begins is kept by whoever reads them again, not here.

A log whose first blocks were pruned begins with a head: a frame as a record has, of the magic ``GLP1`` and the height of the last block
that is gone, over canonical ``["pruned/1", offset]``. The first record that is left has this offset, as it had before, and the others follow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from gridcore import cbor
from gridcore.errors import EncodingError, require
from gridcore.logs import get_logger
from ledger.store.block_record import (
    FRAME_BYTES,
    RECORD_BYTES_MAX,
    BlockRecord,
    DamagedRecordError,
    StoredRecord,
    encode_frame,
    encode_record,
    peek_frame,
    read_payload,
    read_record,
)
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files

LOG_NAME = "blocks.log"

_HEAD_MAGIC = b"GLP1"
_HEAD_TYPE = "pruned/1"
_PIECE_BYTES = 1 << 20

log = get_logger(__name__)


class _Head(NamedTuple):
    """What a log begins with. pruned_height: of the last block that is gone; offset: of the first record; size: of the head itself."""

    pruned_height: int
    offset: int
    size: int


class BlockLog:
    """The open log of heights ``first`` ... ``height``. Used by one thread at a time, except ``read``, which any thread may call.

    Offsets are those that records would have if nothing had been pruned: they never change.
    """

    def __init__(self, path: Path, descriptor: int, files: Files) -> None:
        self._path = path
        self._descriptor = descriptor
        self._files = files
        head = _read_head(path, descriptor)
        self._start = self._size = head.offset
        self._shift = head.offset - head.size
        self._is_dirty = False
        self.first = head.pruned_height + 1
        """Height of the first block: those before it were pruned."""
        self.height = head.pruned_height
        """Height of the last block, 0 when there is none."""
        self.damage: DamagedRecordError | None = None
        """What ended ``scan`` before the end of the file, if anything did."""

    @classmethod
    def open(cls, path: Path, files: Files) -> Self:
        """Open or create the log; ``scan`` and ``accept`` come next. OSError when the file cannot be opened, StoreError for a damaged head."""
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                files.sync_directory(path.parent)
            return cls(path, descriptor, files)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def inspect(cls, path: Path) -> Self:
        """Open an existing log for reading only."""
        return cls(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC), Files())

    @property
    def folder(self) -> Path:
        """The directory that holds it."""
        return self._path.parent

    @property
    def is_empty(self) -> bool:
        """Whether the file holds nothing but its head, if that."""
        return self._file_size() == self._start

    def scan(self) -> Iterator[StoredRecord]:
        """Every whole record from the beginning, checked; ``height`` follows. The first that is not whole ends it: ``damage``."""
        size = self._file_size()
        self.height, self._size, self.damage = self.first - 1, self._start, None
        while self._size < size:
            try:
                stored = self.stored(self.height + 1, self._size)
            except DamagedRecordError as error:
                self.damage = error
                return
            self.height, self._size = self.height + 1, stored.end
            yield stored

    def accept(self, kept_height: int, known: str = "this node has signed block {} (file guard)") -> None:
        """After a scan: cut a torn tail. StoreError when a block up to ``kept_height`` is missing or damaged; then nothing is changed.

        ``known``: what says so, with a place for the height.
        """
        size = self._file_size()
        if self.height < kept_height:
            raise StoreError(self._explain_loss(kept_height, known.format(kept_height)))
        if self.damage is None:
            return
        if size - self._size > FRAME_BYTES + RECORD_BYTES_MAX:
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
            os.lseek(self._descriptor, offset - self._shift, os.SEEK_SET)
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
        self._size = offset + FRAME_BYTES + len(payload)
        self.height = record.height
        return offset

    def read(self, height: int, offset: int) -> BlockRecord:
        """The block of ``height``, whose record begins at ``offset``. StoreError naming file and offset when it is damaged."""
        return self.stored(height, offset).record

    def records_after(self, height: int, offset: int = 0) -> Iterator[StoredRecord]:
        """Blocks after ``height`` (at least ``first`` - 1), whose record begins at ``offset`` if it is here, to the last one."""
        end = self.stored(height, offset).end if height >= self.first else self._start
        for following in range(height + 1, self.height + 1):
            stored = self.stored(following, end)
            end = stored.end
            yield stored

    def write_from(self, first: int, offset: int, target: int, files: Files) -> None:
        """Write a log that begins with block ``first``, whose record begins at ``offset``, to the descriptor ``target``. OSError."""
        payload = cbor.encode([_HEAD_TYPE, offset])
        files.write(target, encode_frame(first - 1, payload, _HEAD_MAGIC) + payload)
        self.copy_records(target, files, offset)

    def copy_records(self, target: int, files: Files, offset: int | None = None) -> None:
        """Write the records from ``offset`` on (all of them), once they were scanned, to the descriptor ``target``. OSError."""
        offset = self._start if offset is None else offset
        while offset < self._size:
            piece = os.pread(self._descriptor, min(_PIECE_BYTES, self._size - offset), offset - self._shift)
            files.write(target, piece)
            offset += len(piece)

    def _file_size(self) -> int:
        return os.fstat(self._descriptor).st_size + self._shift

    def _explain_loss(self, kept_height: int, known: str) -> str:
        what = (
            f"{self.damage}; the last whole block before it is {self.height}"
            if self.damage
            else f"{self._path}: ends with block {self.height}"
        )
        return (
            f"{what}, but {known}. Not started, nothing changed: put back a "
            f"{self._path.name} that reaches height {kept_height}, from another disk or a newer backup"
        )

    def stored(self, height: int, offset: int) -> StoredRecord:
        """``read``, with where the record ends."""
        stored = read_record(self._descriptor, self._path, height, offset - self._shift)
        return StoredRecord(stored.record, stored.offset + self._shift, stored.end + self._shift)

    def _cut(self, size: int) -> None:
        self._files.truncate(self._descriptor, size - self._shift)
        self._files.sync(self._descriptor)
        self._is_dirty = False

    def _try_to_cut(self, size: int) -> None:
        try:
            self._cut(size)
        except OSError as error:
            log.warning("block_log_tail_left", file=str(self._path), offset=size, reason=str(error))


def _read_head(path: Path, descriptor: int) -> _Head:
    """How a log begins. StoreError for a damaged head."""
    magic, pruned_height = peek_frame(descriptor, 0)
    if magic != _HEAD_MAGIC:
        return _Head(0, 0, 0)
    payload = read_payload(descriptor, path, pruned_height, 0, _HEAD_MAGIC)
    try:
        kind, offset = cbor.decode(payload.data)
    except (EncodingError, TypeError, ValueError):
        kind, offset = "", 0
    if kind != _HEAD_TYPE or type(offset) is not int:
        raise DamagedRecordError(f"{path}: its head is damaged")
    return _Head(pruned_height, offset, payload.end)
