"""``installation/<number>``: which meter hangs at which point, who reads it, what its registers can show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gridcore.forms import NAME, Form, integer, text
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
    import and export at the moment it was put up; with final_registers (import and export just before) the registers
    of the same meter do not simply go on: they were reset, or another ratio holds; reason: why, for people.
    """

    gateway: str
    limit_wh: int
    meter: str
    modulus_wh: int
    point: str
    profile: str
    ratio: int
    final_registers: Sequence[int] | None = None
    first_registers: Sequence[int] | None = None
    reason: str | None = None


class RemovedInstallation(NamedTuple):
    """A meter that was taken down. point: name; final_registers: import and export at that moment; reason: for people."""

    point: str
    final_registers: Sequence[int] | None = None
    reason: str | None = None


class InstalledFrom(NamedTuple):
    """An entry of an installation: from ``from_s`` (UTC seconds) on it is as ``record`` says."""

    from_s: int
    record: Installation | RemovedInstallation


def faults_of_history(history: Sequence[InstalledFrom], slot_s: int) -> Iterator[tuple[int, str]]:
    """What is wrong with the entries of one installation, ascending by from_s: index and words of each fault.

    Registers are stated where they do not simply go on; a change lies inside a slot, at most one in each.
    """
    first = history[0].record
    if isinstance(first, RemovedInstallation):
        yield 0, "removed: nothing was installed before"
    elif first.first_registers is None or first.final_registers is not None:
        yield (
            0,
            "the first row of an installation has first_registers, what it showed when it was put up, and no final ones",
        )
    for index, (before, after) in enumerate(pairwise(history), 1):
        if fault := _fault_of_change(before.record, after.record):
            yield index, fault
        if not after.from_s % slot_s or before.from_s // slot_s == after.from_s // slot_s:
            yield index, f"from_s {after.from_s}: a change lies inside a slot of {slot_s} s, one in each"


def _fault_of_change(before: Installation | RemovedInstallation, after: Installation | RemovedInstallation) -> str:
    """What is wrong with an entry that follows another of the same installation, "" where nothing is."""
    if before.point != after.point:
        return f"point is {before.point} as in the row before of it: it never changes"
    if isinstance(before, RemovedInstallation):
        return "an installation that was removed does not come back: give the meter another number"
    if isinstance(after, RemovedInstallation):
        return ""
    for field in ("meter", "modulus_wh"):
        if getattr(before, field) != getattr(after, field):
            return f"{field} is {getattr(before, field)} as in the row before of it: another meter has another number"
    is_break = after.final_registers is not None
    if not is_break and after.ratio != before.ratio:
        return f"ratio is {before.ratio} as in the row before of it; another one comes with final_registers and first_registers"
    if not is_break and after.first_registers is not None:
        return "first_registers come with final_registers, what the meter showed before; or leave both out"
    return ""


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
    if installation.final_registers is not None and installation.first_registers is None:
        return "final_registers come with first_registers, what the meter showed after the change"
    stated_wh = [*(installation.final_registers or ()), *(installation.first_registers or ())]
    if installation.modulus_wh and max(stated_wh, default=0) >= installation.modulus_wh:
        return f"registers are below modulus_wh {installation.modulus_wh}, not {max(stated_wh)}"
    return ""


REGISTERS: Final = Form(f"[import, export], each 0 to {REGISTER_WH_MAX} Wh", _are_registers)
_REASON: Final = text(1, 200)
INSTALLATION: Final[Entity[Installation | RemovedInstallation]] = Entity(
    "installation",
    Shape(
        Installation,
        {
            "final_registers": REGISTERS,
            "first_registers": REGISTERS,
            "gateway": NAME,
            "limit_wh": integer(1, PRIMARY_LIMIT_WH_MAX),
            "meter": NAME,
            "modulus_wh": integer(0, MODULUS_WH_MAX),
            "point": NAME,
            "profile": NAME,
            "ratio": integer(1, RATIO_MAX),
            "reason": _REASON,
        },
        optional=frozenset({"final_registers", "first_registers", "reason"}),
        rule=_fault,
    ),
    ending=(
        "removed",
        Shape(
            RemovedInstallation,
            {"final_registers": REGISTERS, "point": NAME, "reason": _REASON},
            optional=frozenset({"final_registers", "reason"}),
        ),
    ),
    name_form=Form("a number, 0 to 4294967295, without leading zeros", _is_number),
)
