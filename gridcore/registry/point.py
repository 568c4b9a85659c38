"""``point/<name>``: where energy is measured, and who is billed for it. It has a row of its zone for ever."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import NAME, choice
from gridcore.registry.entity import Entity, Shape

POINT_ROLES: Final = ("feeder", "household", "load")


class Point(NamedTuple):
    """area: name, never changes; party: name, None where nobody is billed; role: one of ``POINT_ROLES``.

    standing_profile: name of what is estimated where neither registers nor earlier days tell anything; None: 0.
    """

    area: str
    role: str
    party: str | None = None
    standing_profile: str | None = None


POINT: Final[Entity[Point]] = Entity(
    "point",
    Shape(
        Point,
        {"area": NAME, "party": NAME, "role": choice(*POINT_ROLES), "standing_profile": NAME},
        optional=frozenset({"party", "standing_profile"}),
    ),
)
