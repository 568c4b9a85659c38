"""``gateway/<name>``: who answers for a gateway, and how its key is kept. Its key is the signer of the same name."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import NAME
from gridcore.registry.entity import Entity, Shape


class Gateway(NamedTuple):
    """organisation: name; protection: what enrolment verified of the key ("software", "tpm2", ...)."""

    organisation: str
    protection: str


class RetiredGateway(NamedTuple):
    """A gateway that reads no more. organisation: name."""

    organisation: str


GATEWAY: Final[Entity[Gateway | RetiredGateway]] = Entity(
    "gateway",
    Shape(Gateway, {"organisation": NAME, "protection": NAME}),
    ending=("retired", Shape(RetiredGateway, {"organisation": NAME})),
)
