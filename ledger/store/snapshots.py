"""The snapshots that a node offers to those who join: ``snapshots/<height>/`` in its data directory, the newest few.

    manifest      docs/spec/snapshot.md
    0, 1, ...     the chunks

A folder has its name once it is whole; ``<height>.new`` is what a crash left, and goes at the next start, as ``joining/`` does, where
chunks of a snapshot are put that this node fetches. They are made by a thread, out
of a read transaction that was begun when the database stood at their height: blocks go on meanwhile. Files are for their owner alone.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridcore.errors import GridError
from gridcore.header import Certificate
from gridcore.logs import get_logger
from gridcore.sm3 import sm3
from ledger.store.errors import StoreError
from ledger.store.files import Files
from ledger.store.rows import CERTIFICATE_LAG
from ledger.store.snapshot_format import Manifest, decode_manifest
from ledger.store.snapshot_source import chunks_of
from ledger.store.state_db import DB_NAME, StateDb

SNAPSHOTS_NAME: Final = "snapshots"
JOINING_NAME: Final = "joining"
MANIFEST_NAME: Final = "manifest"
KEPT: Final = 3
"""So many of the newest snapshots are kept: whoever fetches one has as long as two more take to be made."""

log = get_logger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """A folder with a whole snapshot, or one that is being fetched."""

    folder: Path
    manifest: Manifest

    def chunk(self, index: int) -> bytes:
        """A chunk. OSError where it is not there."""
        return (self.folder / str(index)).read_bytes()

    def chunks(self) -> Iterator[bytes]:
        """Every chunk, in order."""
        return map(self.chunk, range(len(self.manifest.chunks)))


class SnapshotFolder:
    """The snapshots of one data directory."""

    def __init__(self, data_dir: Path, files: Files) -> None:
        self._folder = data_dir / SNAPSHOTS_NAME
        self._fetched = data_dir / JOINING_NAME
        self._files = files

    def all(self) -> list[Snapshot]:
        """The snapshots, ascending by height; one whose manifest cannot be read is left out."""
        found = []
        for folder in self._folder.iterdir() if self._folder.exists() else ():
            try:
                manifest = decode_manifest((folder / MANIFEST_NAME).read_bytes())
            except (OSError, GridError):
                continue
            if folder.name == str(manifest.height):
                found.append(Snapshot(folder, manifest))
        return sorted(found, key=lambda snapshot: snapshot.manifest.height)

    def chunk(self, height: int, index: int) -> bytes:
        """A chunk of the snapshot of a height, without a look at its manifest. OSError where it is not there."""
        return (self._folder / str(height) / str(index)).read_bytes()

    def clean(self) -> None:
        """Remove what a crash left."""
        for left in (self._fetched, *self._folder.glob("*.new")):
            shutil.rmtree(left, ignore_errors=True)

    def fetch(self, manifest: Manifest) -> Snapshot:
        """A folder for the chunks of a snapshot that is to be fetched; what was fetched before goes. OSError."""
        shutil.rmtree(self._fetched, ignore_errors=True)
        self._fetched.mkdir(mode=0o700)
        return Snapshot(self._fetched, manifest)

    def keep_chunk(self, fetched: Snapshot, index: int, chunk: bytes) -> None:
        """Put a chunk of it where ``Snapshot.chunk`` finds it. OSError."""
        self._files.write_durably(fetched.folder / str(index), chunk)

    def write(self, chain: str, height: int, chunks: Iterable[bytes]) -> Snapshot:
        """Keep a snapshot, and of all the newest ``KEPT``. OSError."""
        folder = self._new_folder(height)
        digests = []
        for index, chunk in enumerate(chunks):
            self._files.write_durably(folder / str(index), chunk)
            digests.append(sm3(chunk))
        manifest = Manifest(chain, height, tuple(digests))
        self._files.write_durably(folder / MANIFEST_NAME, manifest.encode())
        return self._publish(folder, manifest)

    def take(self, fetched: Snapshot) -> None:
        """Keep a snapshot that was fetched, in the place of its folder. OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._files.write_durably(fetched.folder / MANIFEST_NAME, fetched.manifest.encode())
        self._publish(fetched.folder, fetched.manifest)

    def _new_folder(self, height: int) -> Path:
        folder = self._folder / f"{height}.new"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        return folder

    def _publish(self, folder: Path, manifest: Manifest) -> Snapshot:
        target = self._folder / str(manifest.height)
        shutil.rmtree(target, ignore_errors=True)
        self._files.reach("snapshot_written")
        self._files.replace(folder, target)
        self._files.sync_directory(self._folder)
        for old in self.all()[:-KEPT]:
            shutil.rmtree(old.folder, ignore_errors=True)
        return Snapshot(target, manifest)


class _Frozen:
    """A database as it was at one height. certified_height: see ``chunks_of``."""

    def __init__(self, path: Path, genesis_digest: bytes, certified_height: int) -> None:
        self.db = StateDb.open(path, genesis_digest)
        self.certified_height = certified_height
        self.db.freeze()
        self.height = self.db.height()


class SnapshotMaker:
    """Makes a snapshot of each height that ``every_blocks`` divides (0: of none), if its header gets a certificate of its own.

    ``block_saved`` is called by one thread at a time. in_line: it makes them itself, and no thread does, so that all happens in one order.
    """

    def __init__(self, data_dir: Path, folder: SnapshotFolder, every_blocks: int, *, in_line: bool = False) -> None:
        self._data_dir = data_dir
        self._in_line = in_line
        self._folder = folder
        self._every_blocks = every_blocks
        self._frozen: _Frozen | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def block_saved(self, height: int, certified_height: int, db: StateDb) -> None:
        """A block is in the database ``db``. certified_height: the newest of which a block up to it has brought the certificate."""
        frozen = self._frozen
        if frozen is not None and height == frozen.height + CERTIFICATE_LAG:
            self._frozen = None
            self._begin(frozen, db.load_certificate(frozen.height) or [])
        is_due = self._every_blocks > 0 and height % self._every_blocks == 0
        if is_due and self._frozen is None and not self.is_at_work:
            try:
                self._frozen = _Frozen(self._data_dir / DB_NAME, db.origin.header.data_root, certified_height)
            except (sqlite3.Error, StoreError, OSError) as error:
                log.warning("snapshot_not_made", height=height, reason=str(error))

    @property
    def is_at_work(self) -> bool:
        """Whether one is being made now."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> None:
        """Return once none is being made."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Give up what is being made."""
        self._stop.set()
        self.wait()
        if self._frozen is not None:
            self._frozen.db.close()

    def _begin(self, frozen: _Frozen, certificate: Certificate) -> None:
        if not certificate:
            frozen.db.close()
            log.info("snapshot_not_made", height=frozen.height, reason="its header has no certificate of its own")
            return
        if self._in_line:
            self._make(frozen, certificate)
            return
        self._thread = threading.Thread(target=self._make, args=(frozen, certificate), name="snapshot", daemon=True)
        self._thread.start()

    def _make(self, frozen: _Frozen, certificate: Certificate) -> None:
        try:
            chunks = chunks_of(frozen.db, frozen.certified_height, certificate)
            self._folder.write(frozen.db.origin.chain, frozen.height, self._until_stopped(chunks))
            log.info("snapshot_made", height=frozen.height)
        except (sqlite3.Error, GridError, OSError) as error:
            log.warning("snapshot_not_made", height=frozen.height, reason=str(error))
        finally:
            frozen.db.close()

    def _until_stopped(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._stop.is_set():
                raise StoreError("the node ends")
            yield chunk
