"""``permission``: which roles may send transactions of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridcore.forms import text
from gridcore.governance.sort import Sort
from gridcore.registry.entity import Shape
from gridcore.registry.organisation import ROLES_FORM

ADMINISTRATOR: Final = "administrator"
ADMINISTRATORS_KEEP: Final = ("governance", "registry")
"""First parts of the kinds that are never taken from administrators: without them nothing could be decided any more."""


class Permission(NamedTuple):
    """kind: of transactions; roles: ascending, at least one of which a signer has that may send them."""

    kind: str
    roles: Sequence[str]


def _fault(permission: Permission) -> str:
    if permission.kind.partition("/")[0] in ADMINISTRATORS_KEEP and ADMINISTRATOR not in permission.roles:
        return f"roles: {permission.kind} stays with {ADMINISTRATOR}, whatever other roles it has"
    return ""


PERMISSION: Final[Sort[Permission]] = Sort(
    "permission",
    Shape(Permission, {"kind": text(1, 64), "roles": ROLES_FORM}, rule=_fault),
    lambda thresholds: thresholds.registry,
)
