"""How long the disk of a data directory will do, at the rate at which the newest blocks have filled it."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.header import decode_header
from ledger.store.block_log import LOG_NAME
from ledger.store.errors import StoreWriteError
from ledger.store.files import Files
from ledger.store.state_db import StateDb

RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Left free by the node, so that it can be stopped, archived and pruned: it makes no block that begins with less."""
WINDOW_S: Final = 7 * 86_400
"""Blocks so far back tell the rate."""
_SPAN_S_MIN: Final = 3_600
"""A rate of less than that is a guess."""
_DAY_S: Final = 86_400


class Room(NamedTuple):
    """free_bytes: that the disk still takes; days_left: until only the reserve is left, None while the rate is not known."""

    free_bytes: int
    days_left: int | None


class _Rate(NamedTuple):
    """Bytes of blocks in so many seconds."""

    block_bytes: int
    span_s: int


def check_room(data_dir: Path, files: Files) -> None:
    """StoreWriteError while the disk has no more than the reserve, which is for stopping and pruning."""
    free_bytes = files.free_bytes(data_dir)
    if free_bytes < RESERVE_BYTES:
        raise StoreWriteError(
            f"{data_dir}: {free_bytes} bytes are free, less than the reserve of {RESERVE_BYTES}: make room, or stop the node and prune it"
        )


def room_of(data_dir: Path, db: StateDb, files: Files) -> Room:
    """What a data directory has left. All its files are taken to grow as its blocks do. OSError, StoreError."""
    free_bytes, rate = files.free_bytes(data_dir), _rate(db)
    if rate.span_s < _SPAN_S_MIN or rate.block_bytes <= 0:
        return Room(free_bytes, None)
    used = sum(path.stat().st_size for path in data_dir.iterdir() if path.is_file())
    blocks = (data_dir / LOG_NAME).stat().st_size
    daily_bytes = max(1, rate.block_bytes * used // max(1, blocks) * _DAY_S // rate.span_s)
    return Room(free_bytes, max(0, free_bytes - RESERVE_BYTES) // daily_bytes)


def _rate(db: StateDb) -> _Rate:
    height = db.height()

    def time_s(of_height: int) -> int:
        return decode_header(db.load_header(of_height) or b"").time_s

    heights = range(max(1, db.joined_height), height + 1)
    if not heights:
        return _Rate(0, 0)
    first = heights[bisect_left(heights, time_s(height) - WINDOW_S, key=time_s)]
    grown = (db.log_offset(height) or 0) - (db.log_offset(first) or 0)
    return _Rate(grown, time_s(height) - time_s(first))
