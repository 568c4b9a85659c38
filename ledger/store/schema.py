"""The tables of ``state.db`` and the connection to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gridcore.files import make_private
from ledger.store.errors import OlderDatabaseError, StoreError

SCHEMA_VERSION: Final = 15
SCHEMA: Final = """
CREATE TABLE origin (genesis BLOB NOT NULL, clock TEXT NOT NULL, header BLOB NOT NULL);
CREATE TABLE validator_sets (height INTEGER PRIMARY KEY, named_height INTEGER NOT NULL, validators BLOB NOT NULL);
CREATE TABLE blocks (height INTEGER PRIMARY KEY, log_offset INTEGER NOT NULL, header BLOB NOT NULL, digest BLOB NOT NULL,
  certificate BLOB NOT NULL, results BLOB NOT NULL, work_pending INTEGER NOT NULL, leaves INTEGER NOT NULL,
  keys_check INTEGER NOT NULL, registered INTEGER NOT NULL);
CREATE TABLE leaves (number INTEGER PRIMARY KEY, key TEXT NOT NULL, leaf BLOB, height INTEGER NOT NULL);
CREATE UNIQUE INDEX leaves_by_key ON leaves (key);
CREATE INDEX leaves_by_height ON leaves (height, key);
CREATE TABLE bodies (digest BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE meters (code TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (code, number)) WITHOUT ROWID;
CREATE TABLE folded_entries (key TEXT NOT NULL, from_s INTEGER NOT NULL, height INTEGER NOT NULL, digest BLOB NOT NULL,
  PRIMARY KEY (key, from_s, height)) WITHOUT ROWID;
CREATE TABLE state_tiles (tile INTEGER PRIMARY KEY, digests BLOB NOT NULL);
CREATE TABLE history_tiles (tile INTEGER PRIMARY KEY, digests BLOB NOT NULL);
CREATE TABLE replaced_digests (height INTEGER NOT NULL, tile INTEGER NOT NULL, slots BLOB NOT NULL,
  PRIMARY KEY (height, tile)) WITHOUT ROWID;
CREATE TABLE replaced_leaves (height INTEGER NOT NULL, number INTEGER NOT NULL, leaf BLOB NOT NULL,
  PRIMARY KEY (height, number)) WITHOUT ROWID;
CREATE TABLE genesis_digests (tile INTEGER NOT NULL, slot INTEGER NOT NULL, digest BLOB NOT NULL,
  PRIMARY KEY (tile, slot)) WITHOUT ROWID;
CREATE TABLE genesis_leaves (number INTEGER PRIMARY KEY, leaf BLOB NOT NULL);
CREATE TABLE transactions (id BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL,
  code INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (gateway TEXT NOT NULL, boundary_s INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
  id BLOB NOT NULL, observed INTEGER NOT NULL, PRIMARY KEY (gateway, boundary_s, height, position)) WITHOUT ROWID;
CREATE INDEX batches_by_height ON batches (height);
CREATE TABLE acts (height INTEGER NOT NULL, position INTEGER NOT NULL, id BLOB NOT NULL, signer TEXT NOT NULL,
  kind TEXT NOT NULL, code INTEGER NOT NULL, PRIMARY KEY (height, position)) WITHOUT ROWID;
CREATE TABLE refused_rows (gateway TEXT NOT NULL, epoch INTEGER NOT NULL, counter INTEGER NOT NULL, rows BLOB NOT NULL,
    PRIMARY KEY (gateway, epoch, counter)) WITHOUT ROWID;
CREATE TABLE pruned (height INTEGER NOT NULL, before_s INTEGER NOT NULL);
CREATE TABLE joined (height INTEGER NOT NULL);
CREATE TABLE kept_transactions (height INTEGER NOT NULL, position INTEGER NOT NULL, wire BLOB NOT NULL,
  PRIMARY KEY (height, position)) WITHOUT ROWID;
"""
"""``origin``: one row: digest of the genesis file, its clock, the header of height 0. ``validator_sets``: see ``SetChange``; height 0:
that of genesis. ``bodies``: salted registry rows. ``meters``: numbers of installations by the codes of their meters. ``folded_entries``:
of price series, what their leaves hold no more.
``blocks``: height 0 is genesis; ``leaves``, ``keys_check``: number of leaves, and sum over their keys, after the block;
``registered``: the height up to it that wrote an entity of the registry's columns last.

``acts``: transactions of kinds that are not prunable: who did what. ``leaves.height``: of the block that wrote it
last, 0: genesis. ``replaced_...``: what blocks of the last heights overwrote, by the height that did. ``pruned``: one
row once blocks up to a height and leaves of slots before an instant were pruned: then ``leaf`` of those is NULL, and
``kept_transactions`` has what is still needed of those blocks. ``genesis_...``: what was overwritten of genesis, for
ever: a key that it names is proved under it. ``joined``: one row where this began with the snapshot of a height: of blocks up to there
``blocks`` has the few headers that came with it, with empty ``results``.
"""

_PAGE_BYTES = 8_192  # three tiles to a page
# What the log may hold until it is written into the file and both are flushed. With SQLite's 1,000 pages each block of a large day did that; pages that
# several blocks write are written into the file once.
_LOG_PAGES = (64 << 20) // _PAGE_BYTES

_DISK_REFUSALS = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
)


def is_disk_refusal(error: sqlite3.Error) -> bool:
    """Whether the disk (not the content) is at fault, so that the same statement may work later."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK_REFUSALS


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the file. Write-ahead logging: a power cut may take the newest transactions, never tear one."""
    make_private(path)  # load curves are personal data; SQLite gives its journal the same mode
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of effect on a new file alone
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    return connection


def check_version(path: Path, connection: sqlite3.Connection) -> None:
    """StoreError unless the tables are of this version; OlderDatabaseError for an earlier one."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        kind = OlderDatabaseError if version < SCHEMA_VERSION else StoreError
        raise kind(f"{path}: version {version}, not {SCHEMA_VERSION}")


def in_transaction(connection: sqlite3.Connection, write: Callable[[], None]) -> None:
    """Do ``write`` wholly or not at all. sqlite3.Error when the disk does not take it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        write()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
