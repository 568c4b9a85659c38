"""``party/<name>``: who is billed, and whether it may place orders. Its key is the signer of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore.forms import BOOL, NAME, Form, integer
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.tariff import WORD

CREDIT_NANO_MAX: Final = 10**18
CONTRACTED_W_MAX: Final = 10**12
CONTRACTED_MAX: Final = 16
"""Components of its tariff for which a party has contracted a power."""


class Party(NamedTuple):
    """area: name; organisation: the one that may enrol the party's key; trades: whether it may place orders.

    aggregator: name of the signer that may place orders for it, None for nobody but itself; credit_nano: how much it may
    owe, what its standing orders can cost included, None without bound. tariff: name of what it is charged by the month beside its contract's
    lines, None for nothing; contracted_w: for components of that tariff of base kw_contracted, by their names, what it has contracted.
    """

    area: str
    organisation: str
    trades: bool
    aggregator: str | None = None
    credit_nano: int | None = None
    contracted_w: Mapping[str, int] | None = None
    tariff: str | None = None


def _are_contracted(value: Any) -> bool:
    is_map = isinstance(value, dict) and 1 <= len(value) <= CONTRACTED_MAX
    return is_map and all(WORD.holds(name) and _POWER.holds(power_w) for name, power_w in value.items())


_POWER: Final = integer(0, CONTRACTED_W_MAX)
CONTRACTED: Final = Form(
    f"a map of 1 to {CONTRACTED_MAX} components, each to W from 0 to {CONTRACTED_W_MAX}", _are_contracted
)
PARTY: Final[Entity[Party]] = Entity(
    "party",
    Shape(
        Party,
        {
            "aggregator": NAME,
            "area": NAME,
            "contracted_w": CONTRACTED,
            "credit_nano": integer(0, CREDIT_NANO_MAX),
            "organisation": NAME,
            "tariff": NAME,
            "trades": BOOL,
        },
        optional=frozenset({"aggregator", "contracted_w", "credit_nano", "tariff"}),
    ),
)
