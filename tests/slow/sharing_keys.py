"""Keys by which one slot's production of a community is given to its consumers (``sharing_keys/1``).

Rows are consumers in the order of their names, energy is in Wh, keys in millionths (ppm) of the production. What all four
methods keep: nobody is given more than they consume, and what is given plus the surplus is what was produced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from settlement.errors import SettlementError
from tests.slow.split import split_by_weight

_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Allocation:
    """Per consumer what is given and what remains to be bought; the surplus that nobody is given."""

    allocated_wh: tuple[int, ...]
    residual_wh: tuple[int, ...]
    surplus_wh: int


def allocate_static(production_wh: int, consumption_wh: Sequence[int], key_ppm: Sequence[int]) -> Allocation:
    """Each consumer gets its share by key, at most its consumption.

    SettlementError for a negative energy or key, and for keys whose sum is above 1,000,000.
    """
    _check_energy(production_wh, consumption_wh)
    shares_wh = split_by_weight(_shared_wh(production_wh, key_ppm), key_ppm)
    return _allocation(production_wh, consumption_wh, list(map(min, consumption_wh, shares_wh)))


def allocate_reallocated(production_wh: int, consumption_wh: Sequence[int], key_ppm: Sequence[int]) -> Allocation:
    """As ``allocate_static``, and what some cannot use goes to those still short, by their keys, until none is.

    A consumer with key 0 takes no part.
    """
    _check_energy(production_wh, consumption_wh)
    remaining_wh = _shared_wh(production_wh, key_ppm)
    needs_wh = list(consumption_wh)
    short = [row for row, key in enumerate(key_ppm) if key and needs_wh[row]]
    while remaining_wh and short:
        shares_wh = split_by_weight(remaining_wh, [key_ppm[row] for row in short])
        for row, share_wh in zip(short, shares_wh, strict=True):
            taken_wh = min(needs_wh[row], share_wh)
            needs_wh[row] -= taken_wh
            remaining_wh -= taken_wh
        short = [row for row in short if needs_wh[row]]
    return _allocation(production_wh, consumption_wh, [a - b for a, b in zip(consumption_wh, needs_wh, strict=True)])


def allocate_dynamic(production_wh: int, consumption_wh: Sequence[int]) -> Allocation:
    """Everybody is served where production suffices, else it is split by consumption.

    SettlementError for a negative energy.
    """
    return allocate_by_priority(production_wh, consumption_wh, [0] * len(consumption_wh))


def allocate_by_priority(production_wh: int, consumption_wh: Sequence[int], priority: Sequence[int]) -> Allocation:
    """The lowest priority number is served first; inside one number as ``allocate_dynamic``.

    SettlementError for a negative energy.
    """
    _check_energy(production_wh, consumption_wh)
    allocated_wh = [0] * len(consumption_wh)
    remaining_wh = production_wh
    for number in sorted(set(priority)):
        rows = [row for row, of_row in enumerate(priority) if of_row == number]
        wanted_wh = [consumption_wh[row] for row in rows]
        served_wh = split_by_weight(min(remaining_wh, sum(wanted_wh)), wanted_wh)
        for row, served in zip(rows, served_wh, strict=True):
            allocated_wh[row] = served
        remaining_wh -= sum(served_wh)
    return _allocation(production_wh, consumption_wh, allocated_wh)


def _shared_wh(production_wh: int, key_ppm: Sequence[int]) -> int:
    """What the keys share of the production; SettlementError for keys that are none."""
    if min(key_ppm, default=0) < 0:
        raise SettlementError("a key must not be negative")
    if sum(key_ppm) > _PPM:
        raise SettlementError(f"the keys sum to {sum(key_ppm)} ppm, above {_PPM}")
    return production_wh * sum(key_ppm) // _PPM


def _check_energy(production_wh: int, consumption_wh: Sequence[int]) -> None:
    if production_wh < 0 or min(consumption_wh, default=0) < 0:
        raise SettlementError("neither production nor a consumption may be negative")


def _allocation(production_wh: int, consumption_wh: Sequence[int], allocated_wh: Sequence[int]) -> Allocation:
    residual_wh = tuple(wanted - given for wanted, given in zip(consumption_wh, allocated_wh, strict=True))
    return Allocation(tuple(allocated_wh), residual_wh, production_wh - sum(allocated_wh))
