"""``standing_profile/<name>``: the energy of a day that is estimated for points of which nothing else is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import Form
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX

SLOTS_MAX: Final = 288
"""Slots of a day of 24 hours, the shortest slots of 300 s."""


class StandingProfile(NamedTuple):
    """import_wh, export_wh: primary energy of each slot of a local day from its beginning on, equally many.

    A local day that has more slots repeats the last one.
    """

    export_wh: Sequence[int]
    import_wh: Sequence[int]


def _are_energies(value: Any) -> bool:
    is_day = isinstance(value, list) and 1 <= len(value) <= SLOTS_MAX
    return is_day and all(type(item) is int and 0 <= item <= PRIMARY_LIMIT_WH_MAX for item in value)


def _fault(profile: StandingProfile) -> str:
    if len(profile.import_wh) == len(profile.export_wh):
        return ""
    return f"export_wh has as many slots as import_wh, {len(profile.import_wh)}, not {len(profile.export_wh)}"


_DAY: Final = Form(f"1 to {SLOTS_MAX} energies, each 0 to {PRIMARY_LIMIT_WH_MAX} Wh", _are_energies)
STANDING_PROFILE: Final[Entity[StandingProfile]] = Entity(
    "standing_profile", Shape(StandingProfile, {"export_wh": _DAY, "import_wh": _DAY}, rule=_fault)
)
