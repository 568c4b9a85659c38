"""A contract's pin: the digest of every line of code that can change its results.

Organisations vote for a pin, and a node whose own code has another halts at the height where it becomes active. The pin
is SM3 of the canonical CBOR array of [path, bytes] over the files of the contract's folder and of its kit, sorted by
path; line ends are normalised to LF, so that a checkout on another system has the same pin.
"""

from __future__ import annotations

from pathlib import Path

from gridcore import cbor
from gridcore.sm3 import sm3
from settlement.errors import SettlementError

_KITS = {"p2p_call_auction/1": "contract_kit_1"}
_ROOT = Path(__file__).resolve().parent


def contract_pin(contract_id: str, root: Path = _ROOT) -> bytes:
    """The pin (32 bytes) of a contract, by its id ("p2p_call_auction/1").

    ``root`` is the settlement package's folder. SettlementError for an id that this build does not have.
    """
    kit = _KITS.get(contract_id)
    if kit is None:
        raise SettlementError(f"no contract {contract_id!r} in this build; it has {', '.join(sorted(_KITS))}")
    folders = (root / "contracts" / contract_id.replace("/", "_"), root / kit)
    files = [(path.relative_to(root).as_posix(), path) for folder in folders for path in _files(folder)]
    files.sort(key=lambda entry: entry[0].encode("utf-8"))
    return sm3(cbor.encode([[name, _normalised(path.read_bytes())] for name, path in files]))


def _files(folder: Path) -> list[Path]:
    """The Python files of ``folder``, at any depth. Caches and editors' leftovers are not code."""
    found = list(folder.rglob("*.py"))
    if not found:
        raise SettlementError(f"{folder}: no contract code there")
    return found


def _normalised(data: bytes) -> bytes:
    """``data`` with every line end as LF."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
