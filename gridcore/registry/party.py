"""``party/<name>``: who is billed, and whether it may place orders. Its key is the signer of the same name."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import BOOL, NAME, integer
from gridcore.registry.entity import Entity, Shape

CREDIT_NANO_MAX: Final = 10**18


class Party(NamedTuple):
    """area: name; organisation: the one that may enrol the party's key; trades: whether it may place orders.

    aggregator: name of the signer that may place orders for it, None for nobody but itself; credit_nano: how much it may
    owe, what its standing orders can cost included, None without bound.
    """

    area: str
    organisation: str
    trades: bool
    aggregator: str | None = None
    credit_nano: int | None = None


PARTY: Final[Entity[Party]] = Entity(
    "party",
    Shape(
        Party,
        {
            "aggregator": NAME,
            "area": NAME,
            "credit_nano": integer(0, CREDIT_NANO_MAX),
            "organisation": NAME,
            "trades": BOOL,
        },
        optional=frozenset({"aggregator", "credit_nano"}),
    ),
)
