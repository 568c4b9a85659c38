"""``area/<name>``: a grid area of a zone, with its calendar and its prices."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import NAME
from gridcore.registry.entity import Entity, Shape


class Area(NamedTuple):
    """calendar, rules, zone: names. The zone never changes."""

    calendar: str
    rules: str
    zone: str


AREA: Final[Entity[Area]] = Entity("area", Shape(Area, {"calendar": NAME, "rules": NAME, "zone": NAME}))
