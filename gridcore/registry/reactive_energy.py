"""``reactive_energy/<point>``: what a point took and gave back of reactive energy in a span of time, from an entry's ``from_s`` to its ``until_s``.

No run of a slot rests on it, and no meter signs it: components of tariffs have their power factor by it (docs/tariffs.md, "By the power factor").
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import INSTANT, integer
from gridcore.registry.entity import Entity, Shape

VARH_MAX: Final = 10**13
"""The most of one direction in a span: 1 Gvarh in each five minutes of a month and more."""


class ReactiveEnergy(NamedTuple):
    """reactive_varh: taken; returned_varh: given back; until_s: UTC seconds, where the span ends, behind where the entry begins."""

    reactive_varh: int
    returned_varh: int
    until_s: int


_VARH: Final = integer(0, VARH_MAX)
REACTIVE_ENERGY: Final[Entity[ReactiveEnergy]] = Entity(
    "reactive_energy",
    Shape(ReactiveEnergy, {"reactive_varh": _VARH, "returned_varh": _VARH, "until_s": INSTANT}),
)
