"""Opening what the last run left: guard, log and database are checked against one another before anything is changed.

Order of trust: the guard says up to where this node has signed; the log must hold every block up to there; the database is
derived and is made again from the log whenever it does not fit both.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridcore.errors import GridError, UsageError
from gridcore.genesis import genesis_digest
from gridcore.header import check_certificate, decode_header
from gridcore.logs import get_logger
from ledger.contract import Contract
from ledger.genesis import signer_set
from ledger.state.state import State, genesis_leaves
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.guard import GUARD_NAME, Guard
from ledger.store.state_db import DB_NAME, StateDb

log = get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """The open files of one data directory; ``db`` and ``state`` may be behind ``log``, which the ledger then replays."""

    guard: Guard
    log: BlockLog
    db: StateDb
    state: State


def open_parts(data_dir: Path, genesis: Mapping[str, Any], files: Files, resources: ExitStack) -> Parts:
    """Open guard, log and database; ``resources`` closes them. StoreError says in one line what does not fit."""
    guard = Guard.open(data_dir / GUARD_NAME, files)
    db_path, log_path = data_dir / DB_NAME, data_dir / LOG_NAME
    try:
        db = StateDb.open(db_path, genesis_digest(genesis))
    except StoreWriteError:
        raise
    except StoreError as error:
        blocks = _open_log(log_path, files, guard.height)
        if blocks.height or db_path.exists():
            log.warning("state_db_rebuilt", reason=str(error), blocks=blocks.height)
    else:
        resources.callback(db.close)
        if db.height() > guard.height:
            raise StoreError(
                f"{data_dir / GUARD_NAME}: stands at block {guard.height}, but {db_path.name} has the signed block {db.height()}: "
                "it is not the guard that this ledger left behind. Not started, nothing changed: put back the newest one"
            )
        blocks = _open_log(log_path, files, guard.height, db)
        reason, state = _load_state(db, blocks, guard, genesis)
        if state is not None:
            resources.callback(blocks.close)
            _check_guard_is_near(guard, blocks, data_dir)
            return Parts(guard, blocks, db, state)
        log.warning("state_db_rebuilt", reason=reason, blocks=blocks.height)
        db.close()
        blocks.close()
        blocks = _open_log(log_path, files, guard.height)
    resources.callback(blocks.close)
    _check_guard_is_near(guard, blocks, data_dir)
    try:
        db = StateDb.create(db_path, genesis_digest(genesis), genesis_leaves(genesis))
    except (sqlite3.Error, OSError) as error:
        raise StoreWriteError(f"{db_path}: cannot be made: {error}") from error
    resources.callback(db.close)
    return Parts(guard, blocks, db, State(db, genesis["chain"]))


def check_contracts(genesis: Mapping[str, Any], contracts: Mapping[str, Contract]) -> None:
    """Raise UsageError unless the node has the contract that each area names."""
    for key, value in genesis["leaves"]:
        if key.startswith("area/") and value["contract"] not in contracts:
            raise UsageError(
                f"genesis: {key} names contract {value['contract']!r}; this node has {', '.join(sorted(contracts)) or 'none'}"
            )


def check_signer(genesis: Mapping[str, Any], public_key: bytes) -> None:
    """Raise UsageError unless this key alone certifies: it holds more than 2/3 of the genesis signers' power."""
    powers: dict[bytes, int] = dict(genesis["signers"])
    if 3 * powers.get(public_key, 0) <= 2 * sum(powers.values()):
        raise UsageError(
            f"signing key {public_key.hex()[:18]}…: genesis gives it no power to certify alone; its signers are "
            f"{', '.join(key.hex()[:18] + '…' for key in powers)}"
        )


def _open_log(path: Path, files: Files, signed_height: int, db: StateDb | None = None) -> BlockLog:
    try:
        return BlockLog.open(path, files, signed_height=signed_height, offsets=db.load_offsets() if db else ())
    except OSError as error:
        raise StoreError(f"{path}: {os.strerror(error.errno or 0)}") from error


def _load_state(db: StateDb, blocks: BlockLog, guard: Guard, genesis: Mapping[str, Any]) -> tuple[str, State | None]:
    """The state that the database holds, or why it does not fit the log, the guard or itself."""
    height = db.height()
    state = State(db, genesis["chain"])
    if height == 0:
        fits = state.root() == State.from_genesis(genesis).root()
        return ("its leaves are not those of genesis", state if fits else None)
    try:
        header = decode_header(db.load_header(height) or b"")
        check_certificate(header, db.load_certificate(height) or [], signer_set(genesis))
        if header.height != height or header.state_root != state.root():
            return "its leaves are not those of its newest header", None
        known = (
            guard.digest
            if height == guard.height
            else blocks.read(height + 1).previous
            if height < blocks.height
            else None
        )
    except GridError as error:
        return str(error), None
    if known is not None and known != header.digest():
        return f"its block {height} is not the one in {LOG_NAME}", None
    return "", state


def _check_guard_is_near(guard: Guard, blocks: BlockLog, data_dir: Path) -> None:
    # Block h + 1 is written only after block h was signed, so at most one block can be ahead of the guard.
    if blocks.height > guard.height + 1:
        raise StoreError(
            f"{data_dir / GUARD_NAME}: stands at block {guard.height}, but {LOG_NAME} reaches block {blocks.height}: it is not "
            "the guard that this ledger left behind. Not started, nothing changed: put back the newest one"
        )
