"""``signer/<name>``: who may sign transactions and queries, with which key and in which roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridcore.forms import NAME, Form
from gridcore.public_key import point_of
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.organisation import ROLES_FORM


class Signer(NamedTuple):
    """organisation: name; public_key: SM2, 65 bytes 04 || x || y; roles: ascending, at least one of ``ROLES``."""

    organisation: str
    public_key: bytes
    roles: Sequence[str]


class RevokedSigner(NamedTuple):
    """A signer whose key counts no longer. organisation: name."""

    organisation: str


PUBLIC_KEY_FORM: Final = Form(
    "65 bytes 04||x||y, a point of the SM2 curve",
    lambda value: isinstance(value, bytes) and point_of(value) is not None,
)

SIGNER: Final[Entity[Signer | RevokedSigner]] = Entity(
    "signer",
    Shape(Signer, {"organisation": NAME, "public_key": PUBLIC_KEY_FORM, "roles": ROLES_FORM}),
    ending=("revoked", Shape(RevokedSigner, {"organisation": NAME})),
)
