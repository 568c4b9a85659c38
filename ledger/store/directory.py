"""A node's data directory: genesis.cbor, blocks.log, guard, state.db, and the lock that keeps a second node out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gridcore.errors import EncodingError, UsageError
from gridcore.genesis import Genesis, decode_genesis
from gridcore.header import genesis_header
from gridcore.sm3 import hasher
from ledger.genesis_check import check_genesis
from ledger.origin import Origin
from ledger.registry.columns import AllRegistered, read_columns
from ledger.state.genesis import genesis_change, genesis_state
from ledger.store.files import Files
from ledger.store.guard import GUARD_NAME, Guard
from ledger.store.registry_file import REGISTRY_NAME, save_registry
from ledger.store.state_db import DB_NAME, StateDb

GENESIS_NAME = "genesis.cbor"
LOCK_NAME = "lock"
_PIECE_BYTES = 1 << 20
_GENESIS_WAY_OUT = "put back the genesis that this ledger was made from, it is the same on every node"


def guard_path(data_dir: Path, guard: Path | None) -> Path:
    """Where the guard is: ``guard``, or in the data directory where none is given."""
    return data_dir / GUARD_NAME if guard is None else guard


def init_ledger(data_dir: Path, genesis: bytes, files: Files | None = None, *, guard: Path | None = None) -> bytes:
    """Make the data directory of a new node: genesis.cbor and the guard at height 0.

    ``genesis``: canonical bytes; ``guard``: see ``guard_path``. Running it again with the same genesis completes what a crash left undone and changes
    nothing else. UsageError when the bytes are no genesis or the directory holds another one.
    """
    decoded = _decode(genesis, "genesis")
    check_genesis(decoded)
    digest = genesis_header(decoded, genesis_change(decoded).tree.root).digest()
    _place(data_dir, genesis, digest, files or Files(), guard)
    return digest


def found_ledger(data_dir: Path, genesis: Genesis) -> AllRegistered:
    """The same of a genesis that was made here and has passed ``check_genesis``, or will have before it is used: nothing of it is decoded again,
    and its state is saved at once. What it registers is for ``save_columns``.
    """
    (change, registered), files = genesis_state(genesis), Files()
    origin = Origin.of(genesis, change.tree.root)
    _place(data_dir, genesis.encode(), origin.header.digest(), files, None)
    with locked(data_dir):
        StateDb.create(data_dir / DB_NAME, origin, change).close()
    return registered


def found_columns(data_dir: Path, registered: AllRegistered) -> None:
    """``save_columns`` of a ledger that was founded just now; of a million points their making needs much room. StoreError: its state is not there."""
    with locked(data_dir), closing(StateDb.open(data_dir / DB_NAME, digest_of_genesis(data_dir))) as db:
        save_columns(data_dir, db, registered, Files())


def save_columns(data_dir: Path, db: StateDb, registered: AllRegistered, files: Files) -> None:
    """The registry's columns beside a new ``state.db`` of a genesis: an opening reads no leaf for them. StoreWriteError: the disk refuses it."""
    save_registry(data_dir / REGISTRY_NAME, read_columns(registered), db, files)


def _place(data_dir: Path, genesis: bytes, digest: bytes, files: Files, guard: Path | None) -> None:
    """Write what a directory begins with. digest: of the header of height 0."""
    path = data_dir / GENESIS_NAME
    data_dir.mkdir(parents=True, exist_ok=True)
    ours = (LOCK_NAME, GUARD_NAME, f"{GUARD_NAME}.new", f"{GENESIS_NAME}.new")
    if not path.exists() and any(entry.name not in ours for entry in data_dir.iterdir()):
        raise UsageError(f"{data_dir}: not empty and no ledger; give a new or an empty directory")
    with locked(data_dir, is_new=True):
        if path.exists():
            check_same_genesis(data_dir, genesis)
        else:
            # The guard comes first: a directory with a genesis always has one, so a missing guard is never a fresh start.
            place = guard_path(data_dir, guard)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                Guard.create(place, 0, digest, files)
            files.write_durably(path, genesis)


def digest_of_genesis(data_dir: Path) -> bytes:
    """SM3 of the genesis file of a data directory, read piece by piece. UsageError naming the file when there is none."""
    path = _present_genesis(data_dir)
    running = hasher()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            running.update(piece)
    return running.digest()


def load_genesis(data_dir: Path) -> Genesis:
    """The genesis of a data directory. UsageError naming the file when there is none or it is damaged."""
    path = _present_genesis(data_dir)
    try:
        return _decode(path.read_bytes(), str(path))
    except UsageError as error:
        raise UsageError(f"{error}; {_GENESIS_WAY_OUT}") from None


def _present_genesis(data_dir: Path) -> Path:
    path = data_dir / GENESIS_NAME
    if not path.exists():
        raise UsageError(f"{path}: missing; make the data directory with: gridledger node init")
    if not path.stat().st_size:
        raise UsageError(f"{path}: empty; {_GENESIS_WAY_OUT}")
    return path


def check_same_genesis(data_dir: Path, genesis: bytes) -> None:
    """Raise UsageError unless the directory's genesis is ``genesis`` (canonical bytes)."""
    path = data_dir / GENESIS_NAME
    if path.read_bytes() != genesis:
        here, there = load_genesis(data_dir).chain, _decode(genesis, "genesis").chain
        raise UsageError(f"{path}: of chain {here}, not {there}; give the genesis of {here} or another data directory")


@contextmanager
def locked(data_dir: Path, *, is_new: bool = False) -> Iterator[None]:
    """Hold the directory's lock, as ``lock`` takes it."""
    descriptor = lock(data_dir, is_new=is_new)
    try:
        yield
    finally:
        os.close(descriptor)


def lock(data_dir: Path, *, is_new: bool = False) -> int:
    """Take the directory's lock and return its descriptor: closing it, or the end of the process, gives it back.

    is_new: it may have no genesis yet. UsageError when another process (or another ledger of this one) has the lock, and for a directory without
    a genesis, which is left as it is.
    """
    if data_dir.is_dir() and not is_new:
        _present_genesis(data_dir)
    path = data_dir / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{data_dir}: no such directory; make it with: gridledger node init") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(f"{data_dir}: in use by another node; stop that one or give another data directory") from None
    return descriptor


def _decode(data: bytes, where: str) -> Genesis:
    try:
        return decode_genesis(data)
    except (EncodingError, UsageError) as error:
        raise UsageError(f"{where}: {error}") from None
