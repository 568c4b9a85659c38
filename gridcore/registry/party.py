"""``party/<name>``: who is billed, and whether it may place orders. Its key is the signer of the same name."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import BOOL, NAME
from gridcore.registry.entity import Entity, Shape


class Party(NamedTuple):
    """area: name; organisation: the one that may enrol the party's key; trades: whether it may place orders."""

    area: str
    organisation: str
    trades: bool


PARTY: Final[Entity[Party]] = Entity("party", Shape(Party, {"area": NAME, "organisation": NAME, "trades": BOOL}))
