"""``grid_connection/<point>``: at which voltage level of the grid a point is connected.

No run of a slot rests on it: components of tariffs have their prices by level (docs/tariffs.md, "By voltage level").
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.registry.entity import Entity, Shape
from gridcore.registry.tariff import WORD


class GridConnection(NamedTuple):
    """voltage_level: as the levels of tariffs are named, such as ``10kV``."""

    voltage_level: str


GRID_CONNECTION: Final[Entity[GridConnection]] = Entity(
    "grid_connection", Shape(GridConnection, {"voltage_level": WORD})
)
