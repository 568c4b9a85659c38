"""``registry``: the registry's columns in a file, so that a start decodes no registry row. Derived: it is made again when it does not fit.

Layout: magic ``GLR3``, height h (u64, big-endian), S_h; then the byte strings of the columns (``ledger.registry.columns_file``),
each behind its length (u64, big-endian); last SM3 of all before. It is written and read column by column: at ten million points
it has more than 2 GiB. It holds the registry after block h; entities of the columns that later blocks wrote are read from the leaves.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from gridcore.errors import EncodingError
from gridcore.logs import get_logger
from gridcore.sm3 import DIGEST_BYTES, hasher
from ledger.registry.columns import RegistryColumns
from ledger.registry.columns_file import decode_columns, encode_columns
from ledger.registry.in_force import Registry
from ledger.state.state import State
from ledger.store.files import Files
from ledger.store.state_db import StateDb

REGISTRY_NAME: Final = "registry"
_HEAD: Final = struct.Struct(">4sQ32s")
_LENGTH: Final = struct.Struct(">Q")
_MAGIC: Final = b"GLR3"

log = get_logger(__name__)


def load_registry(path: Path, db: StateDb, state: State, files: Files) -> Registry:
    """The registry of ``state``, from the file where it fits; afterwards the file fits, unless the disk refuses it."""
    found = _read(path, db)
    if found is not None and not db.leaves.is_registered_after(found[1]):
        return Registry(found[0])
    if found is None:
        registry = Registry.from_state(state)
    else:
        registry = Registry(found[0]).after(state, db.leaves.registered_after(found[1]))
    save_registry(path, registry.columns, db, files)
    return registry


def save_registry(path: Path, columns: RegistryColumns, db: StateDb, files: Files) -> None:
    """``write_registry``; where the disk refuses it, it stands in the log: the next start makes the columns again."""
    try:
        write_registry(path, columns, db, files)
    except OSError as error:
        log.warning("registry_file_not_written", file=str(path), reason=str(error))


def _read(path: Path, db: StateDb) -> tuple[RegistryColumns, int] | None:
    """The columns in the file and their height, or None where the file is of another ledger, missing or damaged."""
    try:
        with path.open("rb") as file:
            height, parts = _read_parts(file, db)
        return decode_columns(parts.popleft() for _ in range(len(parts))), height
    except FileNotFoundError:
        return None
    except (EncodingError, struct.error):
        log.warning("registry_file_rebuilt", file=str(path))
        return None


def _read_parts(file: BinaryIO, db: StateDb) -> tuple[int, deque[bytes]]:
    """Height, and the byte strings of the columns. EncodingError, struct.error: not those that were written for this ledger."""
    head = file.read(_HEAD.size)
    magic, height, digest = _HEAD.unpack(head)
    if magic != _MAGIC or digest != db.load_digest(height):
        raise EncodingError("of another ledger")
    running, parts, left = hasher(head), deque[bytes](), os.fstat(file.fileno()).st_size - len(head) - DIGEST_BYTES
    while left > 0:
        frame = file.read(_LENGTH.size)
        (size,) = _LENGTH.unpack(frame)
        left -= len(frame) + size
        if left < 0:
            raise EncodingError("a column is cut short")
        parts.append(file.read(size))
        running.update(frame)
        running.update(parts[-1])
    if left < 0 or file.read() != running.digest():
        raise EncodingError("damaged")
    return height, parts


def write_registry(path: Path, columns: RegistryColumns, db: StateDb, files: Files) -> None:
    """Write the registry of the state that the database holds. OSError when the disk does not take it."""
    height = db.height()
    running = hasher()
    with files.replacing(path) as descriptor:
        for piece in _pieces(_HEAD.pack(_MAGIC, height, db.load_digest(height) or b""), columns):
            running.update(piece)
            files.write(descriptor, piece)
        files.write(descriptor, running.digest())


def _pieces(head: bytes, columns: RegistryColumns) -> Iterator[bytes]:
    yield head
    for part in encode_columns(columns):
        yield _LENGTH.pack(len(part))
        yield part
