"""``permission``: which roles may send transactions of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridcore.forms import text
from gridcore.governance.sort import Sort
from gridcore.registry.entity import Shape
from gridcore.registry.organisation import ROLES_FORM
from gridcore.transactions.approve_reading import ApproveReading
from gridcore.transactions.interval_import import IntervalImport
from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.market_profile import MarketProfile
from gridcore.transactions.order_batch import OrderBatch
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.transactions.registry_register import RegistryRegister

ADMINISTRATOR: Final = "administrator"
ADMINISTRATORS_KEEP: Final = ("governance", "registry")
"""First parts of the kinds that are never taken from administrators: without them nothing could be decided any more."""


PROVEN: Final = (
    ReadingBatch.kind, ApproveReading.kind, IntervalImport.kind, MarketOrder.kind, MarketProfile.kind, OrderBatch.kind,
    RegistryRegister.kind,
)  # fmt: skip
"""Kinds that evidence rests on: whoever checks a bundle asks for the role of the rules, and knows of no vote."""


class Permission(NamedTuple):
    """kind: of transactions; roles: ascending, at least one of which a signer has that may send them."""

    kind: str
    roles: Sequence[str]


def _fault(permission: Permission) -> str:
    if permission.kind in PROVEN:
        return f"kind: evidence rests on {permission.kind}, so its role stays; so do those of {', '.join(PROVEN)}"
    if permission.kind.partition("/")[0] in ADMINISTRATORS_KEEP and ADMINISTRATOR not in permission.roles:
        return f"roles: {permission.kind} stays with {ADMINISTRATOR}, whatever other roles it has"
    return ""


# Where one organisation registers what it likes, it does not yet decide alone who may move the clock or begin a gateway's epoch.
PERMISSION: Final[Sort[Permission]] = Sort(
    "permission",
    Shape(Permission, {"kind": text(1, 64), "roles": ROLES_FORM}, rule=_fault),
    lambda thresholds: max(thresholds.registry, thresholds.signers),
)
