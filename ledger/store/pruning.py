"""Pruning (``gridledger node prune``): what nobody may read or write any more goes, once it is in the archive.

A slot is final when every zone says so (``final_after_s``). Bodies of leaves of final slots go, and blocks in which there is nothing but
what is final; digests, headers, results, certificates and transactions of the registry stay. So the state root follows as before,
and whatever was not pruned is proved as before. Steps, and what a crash right after each of them leaves:

1. the archive has every block           nothing is pruned
2. one transaction in state.db           leaves are pruned, blocks are all there; the next call goes on
3. blocks.log anew without them, renamed the same, or all of it
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import UsageError
from gridcore.header import decode_header
from ledger.kinds.table import KINDS
from ledger.leaves.chain import CHAIN
from ledger.leaves.progress import PROGRESS
from ledger.registry.zones import NEVER, Timeline
from ledger.state.ranges import NEIGHBOUR_SLOTS_MAX
from ledger.state.references import REFERENCE_S_MAX
from ledger.store.archive import Archive, archive_blocks
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.block_record import BlockRecord, frame_record
from ledger.store.directory import digest_of_genesis, guard_path, locked
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.opening import Parts, open_parts
from ledger.store.pruned_tables import KeptTransaction, Pruned
from ledger.store.rows import decode_results
from ledger.store.state_db import DB_NAME, StateDb, remove_db

_READ_BACK_SLOTS = NEIGHBOUR_SLOTS_MAX + 4
"""A reading of a slot that is not final is compared with boundaries so many slots before it."""
_AROUND_GAP_SLOTS = 4
"""Slots before the begin of the longest gap, and of the days that give it its shape, that are kept with them."""


@dataclass(frozen=True)
class PruneReport:
    """What is pruned now, and what the data directory takes on the disk before and after."""

    pruned: Pruned
    bytes_before: int
    bytes_after: int


def prune(data_dir: Path, archive_dir: Path, *, guard: Path | None = None, files: Files | None = None) -> PruneReport:
    """Bring the archive up to date, then prune what is final and in it; the node must not run.

    UsageError (in use, a zone whose slots are never final), StoreError (the archive is not that of this ledger, damage),
    StoreWriteError (disk; nothing is lost).
    """
    files = files or Files()
    bytes_before = _size_of(data_dir)
    archive_blocks(data_dir, archive_dir, files)
    with ExitStack() as resources:
        resources.enter_context(locked(data_dir))
        place = guard_path(data_dir, guard)
        parts = open_parts(data_dir, files, resources, place if place.exists() else None)
        before = parts.db.pruned.extent()
        goal = Pruned(*map(max, _goal(parts), before))
        try:
            if goal != before:
                parts.db.prune(goal, _compared(parts, Archive(archive_dir), goal.height))
                files.reach("leaves_pruned")
            if parts.log.first <= goal.height:
                _cut_log(data_dir / LOG_NAME, parts, goal.height + 1, files)
            parts.db.give_back_room()
        except (OSError, sqlite3.Error) as error:
            raise StoreWriteError(
                f"{data_dir}: the disk does not take what pruning writes: {error}; nothing is lost"
            ) from error
    return PruneReport(goal, bytes_before, _size_of(data_dir))


def put_back(archive: Archive, data_dir: Path, files: Files) -> bool:
    """Give a pruned log its blocks again, and have ``state.db`` made anew from them at the next start; whether anything was pruned.

    StoreError when the archive lacks some of them. The next start compares every block with the one after it, up to the guard.
    """
    path = data_dir / LOG_NAME
    with closing(BlockLog.inspect(path)) as blocks:
        for _ in blocks.scan():
            pass
        if blocks.first > 1:
            if archive.height < blocks.first - 1:
                raise StoreError(
                    f"{archive.folder}: ends with block {archive.height}; blocks up to {blocks.first - 1} were pruned"
                )
            with files.replacing(path) as target:
                for block in takewhile(lambda block: block.record.height < blocks.first, archive.blocks(0)):
                    files.write(target, frame_record(block.record))
                blocks.copy_records(target, files)
    return _forget_pruned(data_dir) or blocks.first > 1


def _goal(parts: Parts) -> Pruned:
    """What can be pruned where the ledger stands. UsageError where a zone's slots are never final."""
    slot_s, now_s = CHAIN.must(parts.state).slot_s, parts.tip.ledger_time_s
    befores_s, opened_before_s = [now_s - _READ_BACK_SLOTS * slot_s], 0
    for zone in parts.state.registry.zones:
        timeline, progress = zone.timeline, PROGRESS.must(parts.state, zone.name)
        if timeline.final_after_s == NEVER:
            raise UsageError(
                f"zone {zone.name}: names no final_after_s, so its slots are never final and nothing is pruned"
            )
        first_open_s = min(now_s - timeline.final_after_s - slot_s, progress.run_slot_start_s)
        befores_s.append(first_open_s - _read_back_s(timeline, slot_s))
        opened_before_s = max(opened_before_s, timeline.open_before_start_s)
    before_s = max(0, min(befores_s))
    return Pruned(_last_height_before(parts, before_s - opened_before_s), before_s)


def _read_back_s(timeline: Timeline, slot_s: int) -> int:
    """How long before a slot that is not final lies what its runs and readings may read."""
    of_gap_s = (timeline.gap_slots_max + _AROUND_GAP_SLOTS) * slot_s + REFERENCE_S_MAX
    return max(_READ_BACK_SLOTS * slot_s, of_gap_s if timeline.gap_slots_max else 0)


def _last_height_before(parts: Parts, instant_s: int) -> int:
    """The last block after which ledger time was still before ``instant_s``: later ones alone speak of slots from it on."""

    def ledger_time_s(height: int) -> int:
        return decode_header(parts.db.load_header(height) or b"").ledger_time_s

    heights = range(parts.db.joined_height, parts.db.height())
    return max(heights.start, heights.start + bisect_left(heights, instant_s, key=ledger_time_s) - 1)


def _compared(parts: Parts, archive: Archive, last: int) -> Iterator[KeptTransaction]:
    """Transactions to keep of the blocks up to ``last`` that are still here, each of them compared with the archive's."""
    for block in takewhile(lambda block: block.record.height <= last, archive.blocks(parts.log.first - 1)):
        height = block.record.height
        if parts.log.read(height, parts.db.log_offset(height) or 0) != block.record:
            raise StoreError(f"{archive.folder}: its block {height} is not the one of {LOG_NAME}; nothing was pruned")
        yield from _kept(block.record, parts.db)


def _kept(record: BlockRecord, db: StateDb) -> Iterator[KeptTransaction]:
    """Accepted transactions that say more than what slots were metered and traded: those of the registry tie keys in bundles."""
    results = decode_results(db.load_results(record.height) or b"")
    for position, (wire, entry) in enumerate(zip(record.transactions, results, strict=True)):
        if entry.code == Code.ACCEPTED and not KINDS[decode_transaction(wire).kind].is_prunable:
            yield KeptTransaction(record.height, position, wire)


def _cut_log(path: Path, parts: Parts, first: int, files: Files) -> None:
    """Write the log anew from block ``first`` on."""
    with files.replacing(path) as target:
        parts.log.write_from(first, parts.db.log_offset(first) or 0, target, files)


def _forget_pruned(data_dir: Path) -> bool:
    """Remove a database that has pruned something; whether there was one."""
    path = data_dir / DB_NAME
    try:
        with closing(StateDb.open(path, digest_of_genesis(data_dir))) as db:
            if db.pruned.extent() == Pruned(0, 0):
                return False
    except StoreError:
        return False  # of no use: the next start makes it again
    remove_db(path)
    return True


def _size_of(data_dir: Path) -> int:
    """Bytes that the files of a data directory take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in data_dir.iterdir() if path.is_file())
