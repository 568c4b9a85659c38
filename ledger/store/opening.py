"""Opening what the last run left: guard, log and database are checked against one another before anything is changed or signed.

Order of trust: the guard says up to where this node has signed; the log must hold every block up to there, each of them whole;
the database is derived and is made again from the log whenever it does not fit both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from gridcore.errors import GridError, UsageError, broken
from gridcore.header import check_certificate, decode_header
from gridcore.logs import get_logger
from gridcore.merkle import leaf_hashes
from gridcore.registry.zone import ZONE
from gridcore.sm3 import DIGEST_BYTES
from gridcore.validator import powers_of
from ledger.application import Application, Tip
from ledger.contract import Contract
from ledger.origin import Origin
from ledger.protocol import VERSIONS
from ledger.registry.bodies import open_entity
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.signatures import SignatureChecker
from ledger.state.genesis import genesis_state
from ledger.state.protocol_rules import ProtocolRules
from ledger.state.state import State
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.block_record import StoredRecord
from ledger.store.directory import digest_of_genesis, load_genesis, save_columns
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.guard import GUARD_NAME, Guard
from ledger.store.registry_file import REGISTRY_NAME, load_registry
from ledger.store.rows import Place
from ledger.store.state_db import DB_NAME, StateDb
from ledger.tiles import TILE_DIGESTS, TileId, TileTree, empty_tree

CHECKED_LEAVES_MAX: Final = 4_000_000
"""So many leaves are compared at a start, in a few seconds a million; those of a larger state when they are read."""

log = get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """The open files of one data directory, and where its database stands: it may be behind ``log``, which is then replayed.

    guard: None of a standby, which signs nothing.
    """

    origin: Origin
    guard: Guard | None
    log: BlockLog
    db: StateDb
    state: State
    history: TileTree
    tip: Tip

    def application(
        self,
        contracts: Mapping[str, Contract],
        checker: SignatureChecker,
        versions: Mapping[int, ProtocolRules] = VERSIONS,
        pins: Mapping[str, bytes] | None = None,
    ) -> Application:
        """The state machine where the database stands."""
        return Application(
            self.origin,
            contracts,
            checker,
            state=self.state,
            history=self.history,
            tip=self.tip,
            versions=versions,
            pins=pins,
        )


def open_parts(data_dir: Path, files: Files, resources: ExitStack, guard_file: Path | None) -> Parts:
    """Open guard (None: there is none), log and database; ``resources`` closes them. StoreError, UsageError: in one line what does not fit."""
    genesis_digest = digest_of_genesis(data_dir)
    guard = Guard.open(guard_file, files) if guard_file is not None else None
    if guard is not None:
        resources.callback(guard.close)
    blocks = _open_log(data_dir / LOG_NAME, files)
    resources.callback(blocks.close)
    with ExitStack() as of_db:
        db, reason = _open_db(data_dir / DB_NAME, genesis_digest, guard, of_db)
        misfit = _scan(blocks, db)
        if guard is None:
            blocks.accept(0 if db is None else db.height(), f"{DB_NAME} has block {{}}")
        else:
            blocks.accept(guard.height)
            _check_guard_is_near(guard, blocks)
        if db is not None:
            try:
                parts = _with_registry(_fit(db, blocks, guard, misfit), data_dir, files)
                resources.push(of_db.pop_all())
                return parts
            except GridError as error:
                reason = str(error)
    if blocks.first > 1:
        raise StoreError(
            f"{data_dir / DB_NAME}: {reason}, and cannot be made again: {LOG_NAME} begins with block {blocks.first}, those before it were "
            f"pruned. Not started, nothing changed: gridledger node restore --archive DIR --data {data_dir}"
        )
    if blocks.height or (data_dir / DB_NAME).exists():
        log.warning("state_db_rebuilt", reason=reason, blocks=blocks.height)
    decoded = load_genesis(data_dir)
    change, registered = genesis_state(decoded)
    db = StateDb.create(data_dir / DB_NAME, Origin.of(decoded, change.tree.root), change)
    resources.callback(db.close)
    del change  # leaves and tree of a million points: the columns need the room
    save_columns(data_dir, db, registered, files)
    return _with_registry(_fit(db, blocks, guard, ""), data_dir, files)


def check_contracts(state: State, contracts: Mapping[str, Contract], pins: Mapping[str, bytes] | None = None) -> None:
    """Raise UsageError unless the node has the contracts that each zone names.

    pins: contract id -> digest over its code in this node (32 bytes), which must be the one that the zone names; None: unchecked.
    """
    family = ENTITY_FAMILIES[ZONE.kind]
    for key in state.leaf_keys(family.prefix):
        found = open_entity(state, ZONE, *family.names(key)) or broken(f"leaf {key} exists")
        for entry in found.leaf.entries:
            zone = found.open(state, entry).record
            if zone.contract not in contracts:
                known = ", ".join(sorted(contracts)) or "none"
                raise UsageError(f"{key} names contract {zone.contract!r}; this node has {known}")
            pin = b"" if pins is None else pins.get(zone.contract, b"")
            if pins is not None and pin != zone.contract_pin:
                expected = zone.contract_pin.hex()
                raise UsageError(f"{key}: contract_pin of {zone.contract} is {pin.hex()} in this node, not {expected}")


def _open_log(path: Path, files: Files) -> BlockLog:
    try:
        return BlockLog.open(path, files)
    except OSError as error:
        raise StoreError(f"{path}: {os.strerror(error.errno or 0)}") from error


def _open_db(
    path: Path, genesis_digest: bytes, guard: Guard | None, resources: ExitStack
) -> tuple[StateDb | None, str]:
    """The database, or why it is of no use. StoreError when it has signed blocks that the guard knows nothing of."""
    try:
        db = StateDb.open(path, genesis_digest)
        resources.callback(db.close)
        height = db.height()
    except StoreWriteError:
        raise
    except StoreError as error:
        return None, str(error)
    if guard is not None and height > guard.height:
        raise StoreError(
            f"{guard.path}: stands at block {guard.height}, but {path.name} has the signed block {height}: "
            "it is not the guard that this ledger left behind. Not started, nothing changed: put back the newest one"
        )
    return db, ""


def _scan(blocks: BlockLog, db: StateDb | None) -> str:
    """Read the whole log once; returns where the database's list of blocks differs from it ("": nowhere)."""
    misfit = ""
    places = iter(()) if db is None else db.places(blocks.first - 1)
    try:
        before = next(places, None)
        for stored in blocks.scan():
            if before is None or misfit:
                continue
            misfit = _difference(stored, before, place := next(places, None))
            before = place
        return misfit
    except StoreError as error:
        for _ in blocks.scan():
            pass
        return str(error)


def _difference(stored: StoredRecord, before: Place, place: Place | None) -> str:
    height = stored.record.height
    if stored.record.previous != before.digest:
        return f"its block {before.height} is not the one in {LOG_NAME}"
    if place is not None and (place.height, place.log_offset) != (height, stored.offset):
        return f"its block {place.height} is not where {LOG_NAME} has block {height}"
    return ""


def _fit(db: StateDb, blocks: BlockLog, guard: Guard | None, misfit: str) -> Parts:
    """The database with the state it holds, read against its newest header. GridError says what does not fit."""
    if misfit:
        raise StoreError(misfit)
    origin, height = db.origin, db.height()
    if height > blocks.height:
        raise StoreError(f"it has block {height}, {LOG_NAME} ends with block {blocks.height}")
    db.leaves.check_keys()
    if height == 0:
        tree = TileTree(db.leaves, db.leaves.count(0), origin.header.state_root)
        history, tip = empty_tree(db.history), Tip.of(origin.header)
    else:
        header = decode_header(db.load_header(height) or b"")
        certificate = db.load_certificate(height) or []
        if certificate or guard is not None:  # the newest block of a consortium has none yet
            check_certificate(header, certificate, powers_of(db.validators.at(height)))
        digest = header.digest()
        if header.height != height or digest != db.load_digest(height):
            raise StoreError(f"its block {height} has another header than it says")
        if guard is not None and height == guard.height and digest != guard.digest:
            raise StoreError(f"its block {height} is not the one that {GUARD_NAME} has")
        tree = TileTree(db.leaves, db.leaves.count(height), header.state_root)
        history = TileTree(db.history, height, header.history_root)
        tip = Tip.of(header, work_pending=db.is_work_pending())
    if height:
        history.leaf(height - 1)  # reads the tiles of the right edge, up to the root that the header has
    _check_leaves(db, tree)
    return Parts(origin, guard, blocks, db, State(db.leaves, origin.chain, tree), history, tip)


def _check_leaves(db: StateDb, tree: TileTree) -> None:
    """Compare leaves with the tree, and the tree with its root: all of them where there are few enough, else the last one."""
    if tree.size > CHECKED_LEAVES_MAX:
        tree.leaf(tree.size - 1)
        return
    number = 0
    leaves = (leaf for _, _, leaf in db.leaves.each())
    while some := list(islice(leaves, TILE_DIGESTS)):
        expected = tree.tile(TileId(0, number // TILE_DIGESTS))
        if not _fits_tile(some, expected):
            raise db.damage(f"one of the leaves {number} to {number + len(some) - 1}")
        number += len(some)
    if number != tree.size:
        raise db.damage("the list of leaves")


def _fits_tile(leaves: Sequence[bytes | None], tile: bytes) -> bool:
    """Whether these are the leaves that a tile has the digests of; of those that were pruned (None) only it has them."""
    hashes = iter(leaf_hashes([leaf for leaf in leaves if leaf is not None]))
    known = (tile[start : start + DIGEST_BYTES] for start in range(0, len(leaves) * DIGEST_BYTES, DIGEST_BYTES))
    return (
        b"".join(digest if leaf is None else next(hashes) for leaf, digest in zip(leaves, known, strict=True)) == tile
    )


def _with_registry(parts: Parts, data_dir: Path, files: Files) -> Parts:
    registry = load_registry(data_dir / REGISTRY_NAME, parts.db, parts.state, files)
    return replace(parts, state=parts.state.with_registry(registry))


def _check_guard_is_near(guard: Guard, blocks: BlockLog) -> None:
    # Block h + 1 is written only after block h was signed, so at most one block can be ahead of the guard.
    if blocks.height > guard.height + 1:
        raise StoreError(
            f"{guard.path}: stands at block {guard.height}, but {LOG_NAME} reaches block {blocks.height}: it is not "
            "the guard that this ledger left behind. Not started, nothing changed: put back the newest one"
        )
