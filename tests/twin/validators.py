"""Who certifies headers, and how that changes (docs/spec/state.md, "Validators")."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.twin.forms import Leaf

if TYPE_CHECKING:
    from tests.twin.twin import Twin


def first_leaf(validators: list[Leaf]) -> Leaf:
    """The leaf ``validators`` of genesis."""
    return {"current": validators, "current_height": 0, "pending": [], "pending_height": 0}


def begin_block(twin: Twin, certified_height: int, offenders: Sequence[tuple[bytes, int]]) -> None:
    """What a block does before its transactions."""
    leaf = twin.leaves["validators"]
    takes_over = bool(leaf["pending"]) and certified_height >= leaf["pending_height"]
    if takes_over:
        leaf = first_leaf(leaf["pending"]) | {"current_height": twin.height}
        twin.leaves["validators"] = leaf
    for address, height in offenders:
        names = [one["name"] for one in [*leaf["current"], *leaf["pending"]] if address_of(one) == address]
        if names and not has_offended(twin, names[0], address):
            twin.leaves[f"offence/{names[0]}"] = {"consensus_address": address, "height": height}
    if takes_over or offenders:
        remaining = [one for one in leaf["current"] if not has_offended(twin, one["name"], address_of(one))]
        if remaining and remaining != leaf["current"]:
            propose_set(twin, remaining)


def propose_set(twin: Twin, validators: list[Leaf]) -> int:
    """The code of a set that is to wait."""
    leaf = twin.leaves["validators"]
    if leaf["pending"]:
        return 59
    from_height = max(twin.height, leaf["current_height"] + 1)
    twin.leaves["validators"] = {**leaf, "pending": validators, "pending_height": from_height}
    return 0


def powers(validators: list[Leaf]) -> list[tuple[bytes, int]]:
    """What a header says of a set."""
    return [(one["public_key"], one["power"]) for one in validators]


def address_of(validator: Leaf) -> bytes | None:
    """By which the engine names a validator."""
    key: bytes = validator["consensus_key"]
    return hashlib.sha256(key).digest()[:20] if key else None


def has_offended(twin: Twin, name: str, address: Any) -> bool:
    """Whether an offence of this key of a validator is known."""
    return bool(twin.leaves.get(f"offence/{name}", {}).get("consensus_address", b"") == address)
