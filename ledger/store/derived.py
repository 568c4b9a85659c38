"""A state that is derived again, in a database of its own that goes away with whoever asked: what checks and reruns replay into."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

from gridcore.errors import UsageError
from gridcore.genesis import Genesis
from gridcore.header import decode_header
from ledger.application import Application, Tip
from ledger.contract import Contract
from ledger.origin import Origin
from ledger.replay import Replay
from ledger.signatures import SignatureChecker
from ledger.state.genesis import genesis_change
from ledger.state.state import State
from ledger.store.archive import Archive
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.block_record import BlockRecord
from ledger.store.errors import StoreWriteError
from ledger.store.files import Files
from ledger.store.joining import build_joined
from ledger.store.snapshots import Snapshot, SnapshotFolder
from ledger.store.state_db import DB_NAME, StateDb
from ledger.tiles import TileTree, empty_tree


def snapshot_to_begin_with(data_dir: Path) -> Snapshot | None:
    """The oldest snapshot of a ledger that began with one; None of a ledger that began with genesis, or has no snapshot."""
    if not (data_dir / LOG_NAME).exists():
        return None
    with closing(BlockLog.inspect(data_dir / LOG_NAME)) as blocks:
        first = blocks.first
    kept = [one for one in SnapshotFolder(data_dir, Files()).all() if one.manifest.height >= first - 1 > 0]
    if not kept:
        return None
    return kept[0]


def derive(data_dir: Path, genesis: Genesis, begin: Snapshot | None, resources: ExitStack) -> StateDb:
    """A database of the state of genesis, or of a snapshot, in a folder that goes with ``resources``. SnapshotError."""
    try:
        folder = resources.enter_context(TemporaryDirectory(prefix="check-", dir=data_dir))
        if begin is not None:
            build_joined(Path(folder) / DB_NAME, genesis, begin.chunks())
            derived = StateDb.open(Path(folder) / DB_NAME, genesis.digest)
            resources.callback(derived.close)
            return derived
        change = genesis_change(genesis)
        derived = StateDb.create(Path(folder) / DB_NAME, Origin.of(genesis, change.tree.root), change)
    except (OSError, sqlite3.Error) as error:
        raise StoreWriteError(f"{data_dir}: has no room for what is derived again: {error}") from error
    resources.callback(derived.close)
    return derived


def replay_into(
    derived: StateDb, contracts: Mapping[str, Contract], pins: Mapping[str, bytes] | None, checker: SignatureChecker
) -> Replay:
    """A replay that goes on from where ``derived`` stands and keeps every block there."""
    origin, height = derived.origin, derived.height()
    header = decode_header(derived.load_header(height) or b"")
    tree = TileTree(derived.leaves, derived.leaves.count(height), header.state_root)
    history = TileTree(derived.history, height, header.history_root) if height else empty_tree(derived.history)
    application = Application(
        origin,
        contracts,
        checker,
        state=State(derived.leaves, origin.chain, tree),
        history=history,
        tip=Tip.of(header),
        pins=pins,
    )
    return Replay(application, lambda decided: derived.save_block(decided, certificate=[], log_offset=0))


def records(blocks: BlockLog, archive: Archive | None, after_height: int) -> Iterator[BlockRecord]:
    """Every block after a height: those that are not here out of the archive. UsageError where it is not given, or ends before."""
    if blocks.first - 1 > max(after_height, 0 if archive is None else archive.height):
        raise UsageError(f"blocks 1 to {blocks.first - 1} are not here; give --archive with an archive that has them")
    if archive is not None:
        for block in takewhile(lambda block: block.record.height < blocks.first, archive.blocks(0)):
            yield block.record
    for stored in blocks.scan():
        if stored.record.height > after_height:
            yield stored.record
