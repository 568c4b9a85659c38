"""A database out of a snapshot that somebody else made: everything in it is compared with certificates, from genesis on.

1. The head: each set of validators that took over is named by a header which the set before it has certified, the first one is that of
   genesis; the header of the snapshot is certified by the last of them. So nobody is believed but our own genesis.
2. Leaves and history: their roots are those of that header. Registry rows: by the digests that the leaves hold.

What does not hold is a SnapshotError, and nothing is left of the database. docs/spec/snapshot.md has every rule.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.genesis import Genesis
from gridcore.header import Signers, VerificationError, check_certificate, signers_digest
from gridcore.validator import powers_of
from ledger.leaves.families import FAMILIES
from ledger.leaves.pending import PENDING
from ledger.leaves.validators import VALIDATORS
from ledger.origin import Origin
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.state.genesis import genesis_change
from ledger.state.state import LeafChange, StateChange
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.directory import digest_of_genesis
from ledger.store.errors import ForkError, SnapshotError, StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.guard import Guard
from ledger.store.rows import Certified
from ledger.store.schema import is_disk_refusal
from ledger.store.snapshot_format import Bodies, Head, History, Leaves, Part, decode_part
from ledger.store.snapshot_source import headers_of
from ledger.store.state_db import DB_NAME, StateDb, remove_db
from ledger.tiles import TileTree, TreeChange, empty_tree


def build_joined(path: Path, genesis: Genesis, chunks: Iterable[bytes], guard: Guard | None = None) -> Head:
    """Make the database of a snapshot at ``path``, in the place of whatever is there, and close it; what it is of.

    SnapshotError: the chunks are not what a snapshot of this chain is. ForkError: ``guard`` has signed another header. StoreWriteError:
    the disk.
    """
    change = genesis_change(genesis)
    try:
        db = StateDb.create(path, Origin.of(genesis, change.tree.root), change)
        try:
            joining = _Joining(db, change.tree)
            head = joining.take(map(_decoded, chunks))
            if guard is not None:
                joining.check_promise(head, guard)
            db.save_head(head)
            return head
        finally:
            db.close()
    except BaseException as error:
        remove_db(path)
        if isinstance(error, sqlite3.Error) and not is_disk_refusal(error):
            raise SnapshotError(f"leaves that are no state: {error}") from error
        if isinstance(error, (sqlite3.Error, OSError)):
            raise StoreWriteError(f"{path}: the snapshot cannot be written: {error}") from error
        raise


def install(built: Path, blocks: BlockLog, height: int, files: Files) -> None:
    """Put a database that was built in the place of the one beside an (empty, closed) log, which then begins after ``height``. OSError.

    A crash before the database is there leaves a node that begins with genesis: its log is empty. After that the next start goes on
    with ``finish_install``.
    """
    target = blocks.folder / DB_NAME
    remove_db(target)
    files.reach("state_removed")
    files.replace(built, target)
    files.sync_directory(blocks.folder)
    _begin_log(blocks, height, files)


def finish_install(data_dir: Path, files: Files) -> None:
    """Let the log begin where the database does, if a crash came between the two. StoreError for damage of the log, OSError."""
    if not (data_dir / LOG_NAME).exists() or not (data_dir / DB_NAME).exists():
        return
    with closing(BlockLog.inspect(data_dir / LOG_NAME)) as blocks:
        if not blocks.is_empty:
            return
        try:
            with closing(StateDb.open(data_dir / DB_NAME, digest_of_genesis(data_dir))) as db:
                height = db.joined_height
        except StoreError:
            return  # of no use: the start that follows says so, or makes it again
        if height >= blocks.first:
            _begin_log(blocks, height, files)


def _begin_log(blocks: BlockLog, height: int, files: Files) -> None:
    with files.replacing(blocks.folder / LOG_NAME) as descriptor:
        blocks.write_from(height + 1, 0, descriptor, files)


def check_head(head: Head, origin: Origin) -> None:
    """Compare the head of a snapshot with certificates, from the set of genesis on. SnapshotError for what does not hold."""
    try:
        _check_head(head, origin)
    except VerificationError as error:
        raise SnapshotError(str(error)) from None


def _check_head(head: Head, origin: Origin) -> None:
    height, headers = head.header.height, {header.height: header for header in head.headers}
    certified = {change.named_height for change in head.sets} | (
        {head.certified_height} if head.certified_height else set()
    )
    if any(header.chain != origin.chain for header in head.headers):
        raise SnapshotError("a header of another chain")
    if [*headers] != headers_of(height, certified) or max(certified, default=0) >= height:
        raise SnapshotError(f"not the headers that come with a snapshot of height {height}")
    if [one.height for one in head.certificates] != sorted(certified):
        raise SnapshotError("not the certificates that come with these headers")
    if any(change.named_height > head.certified_height for change in head.sets):
        raise SnapshotError("a set of validators took over by a header above the certified height")
    taken_height = 0
    for change in head.sets:
        named = headers[change.named_height]
        if not taken_height < change.named_height < change.height <= height:
            raise SnapshotError(f"a set of validators took over in block {change.height}, out of order")
        if signers_digest(powers_of(change.validators)) not in (named.signers, named.signers_pending):
            raise SnapshotError(f"header {named.height} does not name the set that took over in block {change.height}")
        taken_height = change.height
    for one in (*head.certificates, Certified(height, head.certificate)):
        check_certificate(headers[one.height], one.certificate, _signers_at(head, origin, one.height))


def _signers_at(head: Head, origin: Origin, height: int) -> Signers:
    """Who certifies the header of a height, as the head tells it."""
    earlier = [change for change in head.sets if change.height < height]
    return powers_of(earlier[-1].validators) if earlier else origin.signers


class _Joining:
    """Chunks that are being written into a database, which holds genesis at first."""

    def __init__(self, db: StateDb, genesis: TreeChange) -> None:
        self._db = db
        self._tree = TileTree(db.leaves, genesis.size, genesis.root)
        self._genesis_leaves = genesis.size
        self._history = empty_tree(db.history)
        self._leaves = 0
        self._last_body = b""
        self._bodies = 0

    def take(self, parts: Iterator[Part]) -> Head:
        """Every chunk, in order."""
        head = next(parts, None)
        if not isinstance(head, Head):
            raise SnapshotError("does not begin with its head")
        check_head(head, self._db.origin)
        order = (History, Leaves, Bodies)
        before = 0
        for part in parts:
            if isinstance(part, Head) or order.index(type(part)) < before:
                raise SnapshotError("its chunks are not in order")
            before = order.index(type(part))
            self._take(part, head)
        self._check_end(head)
        return head

    def check_promise(self, head: Head, guard: Guard) -> None:
        """ForkError where a node has signed a header that is none of this history."""
        height = head.header.height
        if guard.height > height:
            return
        has = head.header.digest() == guard.digest if guard.height == height else self._has(guard.height, guard.digest)
        if not has:
            raise ForkError(
                f"{guard.path}: this node has signed header {guard.digest.hex()} of height {guard.height}, which is none of the history of "
                f"the snapshot of height {height}. Not gone on, nothing signed: find out which nodes ran other code"
            )

    def _has(self, height: int, digest: bytes) -> bool:
        return self._history.leaf(height) == merkle.leaf_hash(digest)

    def _take(self, part: History | Leaves | Bodies, head: Head) -> None:
        if isinstance(part, History):
            if part.first != self._history.size or part.first + len(part.hashes) > head.header.height:
                raise SnapshotError("its history does not go on where it ended")
            change = self._history.changed({}, part.hashes)
            self._db.save_history(change)
            self._history.take(change)
        elif isinstance(part, Leaves):
            self._take_leaves(part, head)
        else:
            self._take_bodies(part, head)

    def _take_leaves(self, part: Leaves, head: Head) -> None:
        if part.first != self._leaves or part.first + len(part.leaves) > head.leaves:
            raise SnapshotError("its leaves do not go on where they ended")
        hashes = list(merkle.leaf_hashes(part.leaves))
        numbered = range(part.first, part.first + len(hashes))
        updates = {
            number: found
            for number, found in zip(numbered, hashes, strict=True)
            if number < self._genesis_leaves and found != self._tree.leaf(number)
        }
        appended = hashes[max(0, self._genesis_leaves - part.first) :]
        tree = self._tree.changed(updates, appended)
        leaves = [
            LeafChange(number, _key_of(leaf), leaf)
            for number, leaf in zip(numbered, part.leaves, strict=True)
            if number in updates or number >= self._genesis_leaves
        ]
        self._db.save_leaves(StateChange(tuple(leaves), {}, tree), head.header.height)
        self._tree.take(tree)
        self._leaves = numbered.stop

    def _take_bodies(self, part: Bodies, head: Head) -> None:
        hashes = list(merkle.leaf_hashes(part.bodies))
        if hashes != sorted(set(hashes)) or hashes[0] <= self._last_body:
            raise SnapshotError("its registry rows are not in order")
        self._last_body = hashes[-1]
        self._bodies += len(hashes)
        nothing = self._tree.changed({}, ())
        bodies = list(zip(hashes, part.bodies, strict=True))
        self._db.save_leaves(StateChange((), {}, nothing, bodies), head.header.height)

    def _check_end(self, head: Head) -> None:
        header = head.header
        if (self._leaves, self._tree.root) != (head.leaves, header.state_root):
            raise SnapshotError(f"its leaves do not lead to the state root of header {header.height}")
        if (self._history.size, self._history.root) != (header.height, header.history_root):
            raise SnapshotError(f"its history does not lead to the history root of header {header.height}")
        for earlier in head.headers[:-1]:
            if not self._has(earlier.height, earlier.digest()):
                raise SnapshotError(f"header {earlier.height} is none of its history")
        if head.headers[-1].previous != self._before(head):
            raise SnapshotError(f"header {header.height} does not follow the one before it")
        self._check_validators(head)
        self._check_bodies()

    def _before(self, head: Head) -> bytes:
        return head.headers[-2].digest() if head.header.height > 1 else self._db.origin.header.digest()

    def _check_validators(self, head: Head) -> None:
        found = self._db.leaves.load_leaf(VALIDATORS.key())
        leaf = VALIDATORS.decode(**cbor.decode(found[1])[1]) if found else None
        newest = head.sets[-1] if head.sets else None
        told = (0, self._db.origin.validators) if newest is None else (newest.height, newest.validators)
        if leaf is None or told != (leaf.current_height, leaf.current):
            raise SnapshotError("the newest set of validators is not the one that the state has")
        if leaf.pending and leaf.pending_height <= head.certified_height:
            raise SnapshotError("a set of validators waits whose header has a certificate: it would have taken over")

    def _check_bodies(self) -> None:
        """Every registry row that a leaf names is there, those of genesis too."""
        if self._bodies != sum(1 for _ in self._db.leaves.bodies()):
            raise SnapshotError("registry rows of genesis are missing")
        for _, key, leaf in self._db.leaves.each():
            digests = _rows_named_by(key, leaf or b"")
            if digests and len(self._db.leaves.load_bodies(digests)) < len(set(digests)):
                raise SnapshotError(f"a registry row of {key} is missing")


def _decoded(chunk: bytes) -> Part:
    try:
        return decode_part(chunk)
    except EncodingError as error:
        raise SnapshotError(str(error)) from None


def _key_of(leaf: bytes) -> str:
    try:
        value = cbor.decode(leaf, items_max=len(leaf))
    except EncodingError as error:
        raise SnapshotError(f"a leaf that is none: {error}") from None
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        raise SnapshotError("a leaf that is no pair of key and value")
    key: str = value[0]
    if key.partition("/")[0] not in FAMILIES:
        raise SnapshotError("a leaf of a kind that there is not")
    return key


def _rows_named_by(key: str, leaf: bytes) -> Sequence[bytes]:
    """Digests of the registry rows that a leaf, which the state root covers, holds."""
    kind = key.partition("/")[0]
    if kind != PENDING.name and kind not in ENTITY_FAMILIES:
        return ()
    value = cbor.decode(leaf, items_max=len(leaf))[1]
    if kind == PENDING.name:
        return PENDING.decode(**value).rows
    return [entry.digest for entry in ENTITY_FAMILIES[kind].decode(**value).entries]
