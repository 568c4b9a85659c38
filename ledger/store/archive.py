"""An archive: genesis and certified blocks of one chain, in a folder beside no node. It is the backup of a ledger.

    genesis.cbor
    blocks-0000000001-0000000420      a segment: these blocks as ``blocks.log`` has them, then a closing record

A segment never changes once it has its name. The closing record has a frame as a block has, of the magic ``GLA1`` and the last
block's height; its payload is canonical ``["segment/1", first height, last height, S_last, certificate of S_last]``. So every
block of an archive is certified in it, and whoever replays it from genesis needs to believe nobody. The guard is never a part of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError, UsageError
from gridcore.files import locked
from gridcore.header import Certificate
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.block_record import (
    CertifiedBlock,
    WaitingBlocks,
    encode_frame,
    frame_record,
    read_payload,
    read_record,
)
from ledger.store.directory import GENESIS_NAME, check_same_genesis, digest_of_genesis
from ledger.store.errors import StoreError
from ledger.store.files import Files, opened
from ledger.store.state_db import DB_NAME, StateDb

SEGMENT_BYTES_MAX: Final = 256 * 1024 * 1024
"""A segment takes no further block beyond this."""
LOCK_NAME: Final = "lock"
_MAGIC: Final = b"GLA1"
_TYPE: Final = "segment/1"
_NAME: Final = re.compile(r"blocks-([0-9]{10})-([0-9]{10})")


class Segment(NamedTuple):
    """A file of whole blocks, ``first`` to ``last``."""

    path: Path
    first: int
    last: int


class _Closing(NamedTuple):
    """What ends a segment: S_last and its certificate, which is never empty."""

    digest: bytes
    certificate: Certificate


@dataclass(frozen=True)
class Archived:
    """What ``archive_blocks`` added: blocks ``first`` to ``last`` (none where ``last`` is before ``first``), in so many bytes."""

    first: int
    last: int
    added_bytes: int


class Archive:
    """The segments of a folder, one after the other without a gap. ``height``: of the last block, 0 when there is none."""

    def __init__(self, folder: Path) -> None:
        """Look at what there is. UsageError for a folder that is no archive, StoreError when a segment is missing."""
        self.folder = folder
        if not (folder / GENESIS_NAME).exists():
            raise UsageError(
                f"{folder / GENESIS_NAME}: missing, so this is no archive; make one with: gridledger node archive"
            )
        self._segments = sorted(_segments(folder), key=lambda segment: segment.first)
        self.height = 0
        for segment in self._segments:
            if segment.first != self.height + 1:
                raise StoreError(
                    f"{folder}: has no segment that begins with block {self.height + 1}; put it back from another copy"
                )
            self.height = segment.last

    def genesis(self) -> bytes:
        """The canonical genesis."""
        return (self.folder / GENESIS_NAME).read_bytes()

    def newest_digest(self) -> bytes | None:
        """S_h of the last block, or None when there is none. StoreError when its segment is damaged."""
        return _read_closing(self._segments[-1]).digest if self._segments else None

    def blocks(self, after_height: int) -> Iterator[CertifiedBlock]:
        """Every block above ``after_height``, ascending. StoreError naming segment and place when one is damaged."""
        for segment in self._segments:
            if segment.last > after_height:
                yield from (block for block in _read_blocks(segment) if block.record.height > after_height)


def archive_blocks(data_dir: Path, folder: Path, files: Files | None = None) -> Archived:
    """Bring the archive in ``folder`` (made if absent) up to the newest certified block of a ledger, whose node may be running.

    A crash leaves nothing but a file that the next call writes again. UsageError: no ledger, another chain, another archiver at
    work; StoreError: files of either do not fit; OSError: the disk.
    """
    files = files or Files()
    genesis_digest = digest_of_genesis(data_dir)
    _check_folder(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / LOCK_NAME, f"{folder}: another gridledger node archive is at work there; wait for it"):
        _give_genesis(data_dir, folder, files)
        archive = Archive(folder)
        with (
            closing(StateDb.open(data_dir / DB_NAME, genesis_digest)) as db,
            closing(BlockLog.inspect(data_dir / LOG_NAME)) as blocks,
        ):
            first, height, added = archive.height + 1, db.certified_height(), 0
            if archive.height < db.joined_height:
                raise StoreError(
                    f"{folder}: ends with block {archive.height}, but {data_dir} began with the snapshot of height {db.joined_height}: "
                    "take a copy of another node's archive, and bring that up to date"
                )
            if height < archive.height or (
                archive.height and db.load_digest(archive.height) != archive.newest_digest()
            ):
                raise StoreError(
                    f"{folder}: its block {archive.height} is not one of {data_dir}; give the archive of this ledger, or a new folder"
                )
            while archive.height < height:
                added += _write_segment(blocks, db, archive, height, files)
                archive = Archive(folder)
    return Archived(first, archive.height, added)


def _check_folder(folder: Path) -> None:
    """UsageError for a folder that holds anything but an archive; it is left as it is."""
    names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if GENESIS_NAME not in names and names - {LOCK_NAME, f"{GENESIS_NAME}.new"}:
        raise UsageError(f"{folder}: not empty and no archive; give a new or an empty directory")


def _give_genesis(data_dir: Path, folder: Path, files: Files) -> None:
    genesis = (data_dir / GENESIS_NAME).read_bytes()
    if (folder / GENESIS_NAME).exists():
        check_same_genesis(folder, genesis)
    else:
        files.write_durably(folder / GENESIS_NAME, genesis)


def _write_segment(blocks: BlockLog, db: StateDb, archive: Archive, height: int, files: Files) -> int:
    """Write the next segment of the archive, up to block ``height`` at most, which ``db`` has certified; returns its bytes."""
    first, size, number = archive.height + 1, 0, archive.height
    offset = db.log_offset(first) or 0
    temporary = archive.folder / "blocks.new"
    with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        while number < height and (size < SEGMENT_BYTES_MAX or not db.load_certificate(number)):
            stored = blocks.stored(number + 1, offset)
            if stored.record.previous != db.load_digest(number):
                raise StoreError(f"{LOG_NAME}: block {number + 1} is not the one that {DB_NAME} has")
            files.write(descriptor, frame_record(stored.record))
            number, size, offset = number + 1, size + stored.end - stored.offset, stored.end
        closing_payload = _encode_closing(first, number, db)
        files.write(descriptor, encode_frame(number, closing_payload, _MAGIC) + closing_payload)
        files.sync(descriptor)
    files.replace(temporary, archive.folder / f"blocks-{first:010}-{number:010}")
    files.sync_directory(archive.folder)
    return size


def _segments(folder: Path) -> Iterator[Segment]:
    for path in folder.iterdir():
        name = _NAME.fullmatch(path.name)
        if name is not None:
            yield Segment(path, int(name[1]), int(name[2]))


def _read_blocks(segment: Segment) -> Iterator[CertifiedBlock]:
    with opened(segment.path, os.O_RDONLY) as descriptor:
        waiting, end = WaitingBlocks(), 0
        for height in range(segment.first, segment.last + 1):
            stored = read_record(descriptor, segment.path, height, end)
            yield from waiting.follow(stored.record)
            end = stored.end
        yield from waiting.certify(segment.last, _closing_at(descriptor, segment, end).certificate)


def _read_closing(segment: Segment) -> _Closing:
    with opened(segment.path, os.O_RDONLY) as descriptor:
        end = 0
        for height in range(segment.first, segment.last + 1):
            end = read_payload(descriptor, segment.path, height, end).end
        return _closing_at(descriptor, segment, end)


def _encode_closing(first: int, last: int, db: StateDb) -> bytes:
    digest, certificate = db.load_digest(last), db.load_certificate(last)
    if digest is None or not certificate:
        raise db.damage(f"the header of height {last}")
    return cbor.encode([_TYPE, first, last, digest, [list(entry) for entry in certificate]])


def _closing_at(descriptor: int, segment: Segment, offset: int) -> _Closing:
    payload = read_payload(descriptor, segment.path, segment.last, offset, _MAGIC)
    try:
        kind, first, last, digest, certificate = cbor.decode(payload.data)
        if (kind, first, last) != (_TYPE, segment.first, segment.last):
            raise StoreError(f"{segment.path}: ends as a segment of blocks {first} to {last}; it was renamed")
        if not certificate:
            raise ValueError("its last block is certified by nothing")
        return _Closing(digest, [(key, signature) for key, signature in certificate])
    except (EncodingError, TypeError, ValueError):
        raise StoreError(f"{segment.path}: does not end as a segment does; put it back from another copy") from None
