"""A contract's pin: the digest of every line of code that can change its results.

Genesis names the pin of each zone's contract, and a node whose own code has another refuses that genesis. The pin is SM3 of
the canonical CBOR array of [path, SM3 of the bytes] over the Python files of the contract's folder and of what it is built from, sorted by path; line
ends are normalised to LF, so that a checkout on another system has the same pin.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gridcore import cbor
from gridcore.sm3 import sm3
from settlement.errors import SettlementError


def pin_of(folders: Iterable[Path], root: Path) -> bytes:
    """The pin (32 bytes) of the code in ``folders``, whose files are named relative to ``root``.

    SettlementError for a folder without code.
    """
    files = [(path.relative_to(root).as_posix(), path) for folder in folders for path in _files(folder)]
    files.sort(key=lambda entry: entry[0].encode("utf-8"))
    return sm3(cbor.encode([[name, sm3(_normalised(path.read_bytes()))] for name, path in files]))


def _files(folder: Path) -> list[Path]:
    """The Python files of ``folder``, at any depth. Caches and editors' leftovers are not code."""
    found = list(folder.rglob("*.py"))
    if not found:
        raise SettlementError(f"{folder}: no contract code there")
    return found


def _normalised(data: bytes) -> bytes:
    """``data`` with every line end as LF."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
