"""``key_policy/gateway``: how the keys of gateways have to be kept, for the whole chain. No entry: in any way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import INSTANT, NAME, Form
from gridcore.registry.entity import Entity, Shape

OF_GATEWAYS: Final = "gateway"
"""The one name that there is."""
PROTECTIONS_MAX: Final = 8


class KeyPolicy(NamedTuple):
    """protections: the classes that a gateway may have whose row begins while the policy is in force, ascending.

    batches_from_s: from this slot boundary on no batch of a gateway of another class is taken, UTC seconds; None: whoever was
    enrolled before goes on.
    """

    protections: Sequence[str]
    batches_from_s: int | None = None

    def bars_batch(self, protection: str, boundary_s: int) -> bool:
        """Whether a batch of this boundary is refused of a gateway of this class."""
        is_due = self.batches_from_s is not None and boundary_s >= self.batches_from_s
        return is_due and protection not in self.protections


def _are_protections(value: Any) -> bool:
    is_list = isinstance(value, list) and 1 <= len(value) <= PROTECTIONS_MAX and all(map(NAME.holds, value))
    return is_list and value == sorted(set(value))


KEY_POLICY: Final[Entity[KeyPolicy]] = Entity(
    "key_policy",
    Shape(
        KeyPolicy,
        {
            "protections": Form(f"an ascending array of 1 to {PROTECTIONS_MAX} protection classes", _are_protections),
            "batches_from_s": INSTANT,
        },
        optional=frozenset({"batches_from_s"}),
    ),
    name_form=Form(f"'{OF_GATEWAYS}'", lambda name: name == OF_GATEWAYS),
)
