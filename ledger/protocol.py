"""By what rules blocks are applied: one version of the protocol is one line here, and old blocks keep theirs for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridcore.errors import GridError
from ledger.kinds.table import KINDS
from ledger.leaves.protocol import ProtocolLeaf
from ledger.state.due import is_due, run_due_work
from ledger.state.protocol_rules import ProtocolRules

VERSIONS: Final[Mapping[int, ProtocolRules]] = {2: ProtocolRules(KINDS, run_due_work, is_due)}


class ProtocolError(GridError):
    """From this height on the chain follows rules that this program does not have."""


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
