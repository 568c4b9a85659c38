"""``organisation/<name>``: who takes part with signers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import Form, text
from gridcore.registry.entity import Entity, Shape

ROLES: Final = ("administrator", "aggregator", "clock", "gateway", "prosumer", "regulator", "utility")


class Organisation(NamedTuple):
    """roles: those that its signers may have, ascending; title: what people read."""

    roles: Sequence[str]
    title: str


class RemovedOrganisation(NamedTuple):
    """An organisation that takes part no longer: nobody signs for it, and its name is not given again."""

    @property
    def roles(self) -> Sequence[str]:
        """None."""
        return ()


def _are_roles(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(v in ROLES for v in value) and value == sorted(set(value))


ROLES_FORM: Final = Form(f"an ascending array of {', '.join(ROLES)}", _are_roles)

ORGANISATION: Final[Entity[Organisation | RemovedOrganisation]] = Entity(
    "organisation",
    Shape(Organisation, {"roles": ROLES_FORM, "title": text(1, 200)}),
    ending=("removed", Shape(RemovedOrganisation, {})),
)
