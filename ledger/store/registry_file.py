"""``registry``: the registry's columns in a file, so that a start decodes no registry row. Derived: it is made again when it does not fit.

Layout: magic ``GLR2``, height h (u64, big-endian), S_h, SM3 of the columns, then the columns (``ledger.registry.columns_file``).
It holds the registry after block h; entities of the columns that later blocks wrote are read from the leaves.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from gridcore.errors import EncodingError
from gridcore.logs import get_logger
from gridcore.sm3 import sm3
from ledger.registry.columns import RegistryColumns
from ledger.registry.columns_file import decode_columns, encode_columns
from ledger.registry.in_force import Registry
from ledger.state.state import State
from ledger.store.files import Files
from ledger.store.state_db import StateDb

REGISTRY_NAME: Final = "registry"
_HEAD: Final = struct.Struct(">4sQ32s32s")
_MAGIC: Final = b"GLR2"

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
    try:
        write_registry(path, registry.columns, db, files)
    except OSError as error:
        log.warning("registry_file_not_written", file=str(path), reason=str(error))
    return registry


def _read(path: Path, db: StateDb) -> tuple[RegistryColumns, int] | None:
    """The columns in the file and their height, or None where the file is of another ledger, missing or damaged."""
    try:
        data = path.read_bytes()
        magic, height, digest, check = _HEAD.unpack_from(data)
    except (FileNotFoundError, struct.error):
        return None
    columns = data[_HEAD.size :]
    if magic != _MAGIC or digest != db.load_digest(height) or check != sm3(columns):
        log.warning("registry_file_rebuilt", file=str(path))
        return None
    try:
        return decode_columns(columns), height
    except EncodingError:
        return None


def write_registry(path: Path, columns: RegistryColumns, db: StateDb, files: Files) -> None:
    """Write the registry of the state that the database holds. OSError when the disk does not take it."""
    height, encoded = db.height(), encode_columns(columns)
    digest = db.load_digest(height) or b""
    files.write_durably(path, _HEAD.pack(_MAGIC, height, digest, sm3(encoded)) + encoded)
