"""``blocks.log``: every block as it was decided, appended and on the disk before anything follows from it.

The log is the truth; the state database is derived from it. It is records (``ledger.store.block_record``) one after the other: with
the certificate of the block before in each, the log alone restores everything but the newest certificate, which the guard has.

Opening reads every record once. One that is not whole is a *torn tail* when it belongs to a height that this node has never
signed: a crash in the middle of writing, nobody was told of it, it is cut. At or below the signed height it is damage: the node
refuses to start and changes nothing. Where each record begins is kept by whoever reads them again, not here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from gridcore.errors import require
from gridcore.logs import get_logger
from ledger.store.block_record import (
    FRAME_BYTES,
    RECORD_BYTES_MAX,
    BlockRecord,
    DamagedRecordError,
    StoredRecord,
    encode_frame,
    encode_record,
    read_record,
)
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files

LOG_NAME = "blocks.log"

log = get_logger(__name__)


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
                stored = self._read(self.height + 1, self._size)
            except DamagedRecordError as error:
                self.damage = error
                return
            self.height, self._size = self.height + 1, stored.end
            yield stored

    def accept(self, kept_height: int, known: str = "this node has signed block {} (file guard)") -> None:
        """After a scan: cut a torn tail. StoreError when a block up to ``kept_height`` is missing or damaged; then nothing is changed.

        ``known``: what says so, with a place for the height.
        """
        size = os.fstat(self._descriptor).st_size
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
        self._size = offset + FRAME_BYTES + len(payload)
        self.height = record.height
        return offset

    def read(self, height: int, offset: int) -> BlockRecord:
        """The block of ``height``, whose record begins at ``offset``. StoreError naming file and offset when it is damaged."""
        return self._read(height, offset).record

    def records_after(self, height: int, offset: int = 0) -> Iterator[StoredRecord]:
        """Blocks after ``height``, whose record begins at ``offset`` (0: from the first), to the last one."""
        end = self._read(height, offset).end if height else 0
        for following in range(height + 1, self.height + 1):
            stored = self._read(following, end)
            end = stored.end
            yield stored

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

    def _read(self, height: int, offset: int) -> StoredRecord:
        return read_record(self._descriptor, self._path, height, offset)

    def _cut(self, size: int) -> None:
        self._files.truncate(self._descriptor, size)
        self._files.sync(self._descriptor)
        self._is_dirty = False

    def _try_to_cut(self, size: int) -> None:
        try:
            self._cut(size)
        except OSError as error:
            log.warning("block_log_tail_left", file=str(self._path), offset=size, reason=str(error))
