"""``installation/<number>``: which meter hangs at which point, who reads it, what its registers can show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import NAME, Form, integer
from gridcore.registry.entity import Entity, Shape

RATIO_MAX: Final = 10_000
PRIMARY_LIMIT_WH_MAX: Final = 10**9
"""Most primary energy in one slot of one meter: limit_wh x ratio."""
MODULUS_WH_MAX: Final = 2**53
REGISTER_WH_MAX: Final = 10**13
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
NUMBER_MAX: Final = 2**32 - 1


class Installation(NamedTuple):
    """A meter at a point; registers as the meter shows them, before ``ratio``.

    gateway, point: names; limit_wh: most that a register may advance in one slot; meter: its code; modulus_wh: at which
    registers start again from 0, 0 where they never do; profile: the id of its device profile; first_registers:
    import and export at the moment it was put up.
    """

    gateway: str
    limit_wh: int
    meter: str
    modulus_wh: int
    point: str
    profile: str
    ratio: int
    first_registers: Sequence[int] | None = None


class RemovedInstallation(NamedTuple):
    """A meter that was taken down. point: name; final_registers: import and export at that moment."""

    point: str
    final_registers: Sequence[int] | None = None


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None and int(value) <= NUMBER_MAX


def _are_registers(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(type(v) is int and 0 <= v <= REGISTER_WH_MAX for v in value)
    )


def _fault(installation: Installation) -> str:
    primary_limit_wh = installation.limit_wh * installation.ratio
    if primary_limit_wh > PRIMARY_LIMIT_WH_MAX:
        return f"limit_wh x ratio is at most {PRIMARY_LIMIT_WH_MAX} Wh, not {primary_limit_wh}"
    if 0 < installation.modulus_wh <= 2 * installation.limit_wh:
        least = f"modulus_wh is 0 or more than twice limit_wh {installation.limit_wh}"
        return f"{least}, else a roll-over cannot be told"
    return ""


_REGISTERS: Final = Form(f"[import, export], each 0 to {REGISTER_WH_MAX} Wh", _are_registers)
INSTALLATION: Final[Entity[Installation | RemovedInstallation]] = Entity(
    "installation",
    Shape(
        Installation,
        {
            "first_registers": _REGISTERS,
            "gateway": NAME,
            "limit_wh": integer(1, PRIMARY_LIMIT_WH_MAX),
            "meter": NAME,
            "modulus_wh": integer(0, MODULUS_WH_MAX),
            "point": NAME,
            "profile": NAME,
            "ratio": integer(1, RATIO_MAX),
        },
        optional=frozenset({"first_registers"}),
        rule=_fault,
    ),
    ending=(
        "removed",
        Shape(RemovedInstallation, {"final_registers": _REGISTERS, "point": NAME}, frozenset({"final_registers"})),
    ),
    name_form=Form("a number, 0 to 4294967295, without leading zeros", _is_number),
)
