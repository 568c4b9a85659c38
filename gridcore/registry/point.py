"""``point/<name>``: where energy is measured, and who is billed for it. It has a row of its zone for ever."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import NAME, choice, integer
from gridcore.registry.entity import Entity, Shape

EXCHANGE: Final = "exchange"
"""The role of a point on the border of two areas: it imports what comes into its own from the other one, and exports what goes there."""
FEEDER: Final = "feeder"
"""The role of a point where an area hangs at the grid above, which is no area of this chain."""
POINT_ROLES: Final = (EXCHANGE, FEEDER, "household", "load")
BORDER_ROLES: Final = (EXCHANGE, FEEDER)
"""Of points that measure what crosses the border of an area."""
ENERGY_KINDS: Final = (
    "biomass", "coal", "gas", "geothermal", "hydro", "nuclear", "oil", "solar", "waste", "wind",
)  # fmt: skip
"""What energy is generated from. The bit of each in a set of kinds is its place here, from 1 on: bit 0 is energy of no kind that is known."""
RENEWABLE: Final = "renewable"
RENEWABLE_KINDS: Final = ("biomass", "geothermal", "hydro", "solar", "wind")
"""What this word stands for where kinds are asked for."""


class Point(NamedTuple):
    """area: name, never changes; party: name, None where nobody is billed; role: one of ``POINT_ROLES``.

    standing_profile: name of what is estimated where neither registers nor earlier days tell anything; None: 0. Who
    answers for what is not traded, names of market partners, None where nobody is named: supplier sells what is
    imported, offtaker buys what is exported, balance_responsible_... per direction, grid_operator runs the grid.
    rules: name of those whose prices hold for it, None: its area's. For contracts that share energy: share_ppm of what a
    community makes is its key, priority says when it is served, the lowest number first; None where it has none.
    grid_place: number of the place in its area's grid, None where it has none; energy_kind: one of ``ENERGY_KINDS``, what it is generated from that the point gives, None where nobody vouches for one kind.
    exchange_area: of a point whose role is exchange the area on the other side, which is not its own; None for all others. Nobody is billed there.
    """

    area: str
    role: str
    party: str | None = None
    standing_profile: str | None = None
    supplier: str | None = None
    offtaker: str | None = None
    balance_responsible_import: str | None = None
    balance_responsible_export: str | None = None
    grid_operator: str | None = None
    rules: str | None = None
    share_ppm: int | None = None
    priority: int | None = None
    energy_kind: str | None = None
    grid_place: int | None = None
    exchange_area: str | None = None


_NAMED: Final = (
    "party", "standing_profile", "supplier", "offtaker", "balance_responsible_import", "balance_responsible_export",
    "grid_operator", "rules", "exchange_area",
)  # fmt: skip
"""Fields that may be absent and are names."""
SHARE_PPM_MAX: Final = 1_000_000
PRIORITY_MAX: Final = 1_000_000
GRID_PLACE_MAX: Final = 65_535
_KEYS: Final = {
    "energy_kind": choice(*ENERGY_KINDS),
    "grid_place": integer(1, GRID_PLACE_MAX),
    "priority": integer(0, PRIORITY_MAX),
    "share_ppm": integer(0, SHARE_PPM_MAX),
}


def _fault(point: Point) -> str:
    if (point.exchange_area is not None) != (point.role == EXCHANGE):
        return f"exchange_area: the area on the other side, where role is {EXCHANGE}, and only there"
    if point.exchange_area == point.area:
        return f"exchange_area: another area than the point's own, {point.area}"
    if point.role == EXCHANGE and point.party is not None:
        return f"party: nobody is billed at a point whose role is {EXCHANGE}"
    return ""


POINT: Final[Entity[Point]] = Entity(
    "point",
    Shape(
        Point,
        {"area": NAME, "role": choice(*POINT_ROLES), **dict.fromkeys(_NAMED, NAME), **_KEYS},
        optional=frozenset({*_NAMED, *_KEYS}),
        rule=_fault,
    ),
)


def kinds_wanted(word: str | None) -> int:
    """The kinds that an order takes which asks for this word, a bit each; None: any."""
    if word is None:
        return (1 << len(ENERGY_KINDS) + 1) - 1
    kinds = RENEWABLE_KINDS if word == RENEWABLE else (word,)
    return sum(kind_bit(ENERGY_KINDS.index(kind)) for kind in kinds)


def word_of_kinds(kinds: int) -> str | None:
    """The inverse of ``kinds_wanted``; None where no word says it, or any kind is taken."""
    return next((word for word in (*ENERGY_KINDS, RENEWABLE) if kinds_wanted(word) == kinds), None)


def kind_bit(place: int) -> int:
    """The bit of a kind by its place in ``ENERGY_KINDS``; -1: of no kind that is known."""
    return 1 << place + 1
