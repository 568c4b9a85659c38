"""``point/<name>``: where energy is measured, and who is billed for it. It has a row of its zone for ever."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import NAME, choice, integer
from gridcore.registry.entity import Entity, Shape

POINT_ROLES: Final = ("feeder", "household", "load")


class Point(NamedTuple):
    """area: name, never changes; party: name, None where nobody is billed; role: one of ``POINT_ROLES``.

    standing_profile: name of what is estimated where neither registers nor earlier days tell anything; None: 0. Who
    answers for what is not traded, names of market partners, None where nobody is named: supplier sells what is
    imported, offtaker buys what is exported, balance_responsible_... per direction, grid_operator runs the grid.
    rules: name of those whose prices hold for it, None: its area's. For contracts that share energy: share_ppm of what a
    community makes is its key, priority says when it is served, the lowest number first; None where it has none.
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


_NAMED: Final = (
    "party", "standing_profile", "supplier", "offtaker", "balance_responsible_import", "balance_responsible_export",
    "grid_operator", "rules",
)  # fmt: skip
"""Fields that may be absent and are names."""
SHARE_PPM_MAX: Final = 1_000_000
PRIORITY_MAX: Final = 1_000_000
_KEYS: Final = {"priority": integer(0, PRIORITY_MAX), "share_ppm": integer(0, SHARE_PPM_MAX)}
POINT: Final[Entity[Point]] = Entity(
    "point",
    Shape(
        Point,
        {"area": NAME, "role": choice(*POINT_ROLES), **dict.fromkeys(_NAMED, NAME), **_KEYS},
        optional=frozenset({*_NAMED, *_KEYS}),
    ),
)
