"""By what rules blocks are applied: one version of the protocol is one line here, and old blocks keep theirs for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gridcore.errors import GridError
from ledger.contract import Contract
from ledger.kinds.table import KINDS
from ledger.leaves.contracts import ContractsLeaf
from ledger.leaves.protocol import ProtocolLeaf
from ledger.state.due import is_due, run_due_work
from ledger.state.protocol_rules import ProtocolRules

VERSIONS: Final[Mapping[int, ProtocolRules]] = {2: ProtocolRules(KINDS, run_due_work, is_due)}


class ProtocolError(GridError):
    """From this height on the chain follows rules, or settles by contracts, that this program does not have."""


class Installed(NamedTuple):
    """The contracts of this program by id, and the pins of their code (32 bytes); pins None: they are not compared."""

    contracts: Mapping[str, Contract]
    pins: Mapping[str, bytes] | None = None


def rules_at(versions: Mapping[int, ProtocolRules], protocol: ProtocolLeaf, height: int) -> ProtocolRules:
    """The rules of the block of ``height``. ProtocolError where ``versions`` lacks them."""
    version = protocol.version_at(height)
    if version not in versions:
        known = ", ".join(map(str, sorted(versions)))
        raise ProtocolError(
            f"block {height}: this chain follows protocol version {version} from here on, this program knows {known}: "
            "nothing was signed; install a release that knows it and start again"
        )
    return versions[version]


def check_approved(approved: ContractsLeaf, installed: Installed, height: int) -> None:
    """Raise ProtocolError unless this program has each contract that zones may name in the block of ``height``."""
    for contract, pin, first in approved.approved:
        if first > height:
            continue
        if contract not in installed.contracts:
            known = ", ".join(sorted(installed.contracts)) or "none"
            raise _without(height, contract, f"with pin {pin.hex()}", f"has {known}")
        own = pin if installed.pins is None else installed.pins.get(contract, b"")
        if own != pin:
            raise _without(height, contract, f"with pin {pin.hex()}", f"has other code of it, pin {own.hex()}")


def _without(height: int, contract: str, approved: str, had: str) -> ProtocolError:
    return ProtocolError(
        f"block {height}: zones of this chain may name contract {contract} {approved} from here on, this program {had}: "
        "nothing was signed; install a release that has it and start again"
    )
