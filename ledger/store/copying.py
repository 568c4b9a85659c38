"""A copy of a ledger whose node runs: what the node has certified is applied in a standby's directory, and compared with its certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from ledger.contract import Contract
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.block_record import CertifiedBlock, WaitingBlocks
from ledger.store.directory import GENESIS_NAME, digest_of_genesis
from ledger.store.errors import StoreError
from ledger.store.files import Files
from ledger.store.standby import Standby, begin
from ledger.store.state_db import DB_NAME, StateDb


@contextmanager
def copy_of(
    data_dir: Path, copy_dir: Path, contracts: Mapping[str, Contract], pins: Mapping[str, bytes]
) -> Iterator[Standby]:
    """The copy in ``copy_dir`` (made if absent) of the ledger in ``data_dir``; ``take_new`` brings it up to it. UsageError, StoreError."""
    digest_of_genesis(data_dir)
    files = Files()
    begin(copy_dir, (data_dir / GENESIS_NAME).read_bytes(), files)
    with closing(Standby.open(copy_dir, contracts, pins=pins, files=files)) as copy:
        yield copy


def take_new(copy: Standby, data_dir: Path) -> int:
    """Apply every certified block of ``data_dir`` that the copy does not have; how many. StoreError where the two do not fit."""
    before = copy.height
    with (
        closing(StateDb.open(data_dir / DB_NAME, digest_of_genesis(data_dir))) as db,
        closing(BlockLog.inspect(data_dir / LOG_NAME)) as blocks,
    ):
        for block in _certified_after(db, blocks, before):
            copy.take(block.record, block.certificate)
    return copy.height - before


def _certified_after(db: StateDb, blocks: BlockLog, height: int) -> Iterator[CertifiedBlock]:
    """The certified blocks of a node above a height, ascending."""
    last, waiting = db.certified_height(), WaitingBlocks()
    for number in range(height + 1, last + 1):
        offset = db.log_offset(number)
        if offset is None:
            raise StoreError(
                f"{LOG_NAME}: has block {number} no more, or never had it; begin the copy with: gridledger node restore --archive DIR"
            )
        yield from waiting.follow(blocks.stored(number, offset).record)
    yield from waiting.certify(last, db.load_certificate(last) or [])
