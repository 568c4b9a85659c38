"""From the registers of one meter to its energy per slot (``interval_energy/1`` and ``/2`` of the vectors).

Both walk along one series with the ledger's rule for an advance (``ledger.state.energy``) and differ in what becomes of a
register out of range. The ledger takes registers as /2 does; /1 is for series that come as files, where each register is the
next reference whatever it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ledger.state.energy import advance_of, is_in_range
from settlement.contract_kit_1 import INT64_MAX
from settlement.errors import SettlementError

MISSING = -1
"""A register that was not read, and the energy of a slot that is not known. Never 0."""


class Advance(NamedTuple):
    """Energy that is known only over several slots: ``slots`` of them from ``first_slot`` on used ``energy_wh``."""

    first_slot: int
    slots: int
    energy_wh: int


@dataclass(frozen=True, slots=True)
class IntervalEnergy:
    """Per slot ``energy_wh`` (MISSING where unknown) and ``quality`` (measured, missing, suspect); then the advances."""

    energy_wh: tuple[int, ...]
    quality: tuple[str, ...]
    advances: tuple[Advance, ...]


def interval_energy(registers_wh: Sequence[int], modulus_wh: int, limit_wh: int, *, sets_aside: bool) -> IntervalEnergy:
    """The energy between consecutive boundaries of one cumulative register.

    ``registers_wh``: one per boundary, MISSING (-1) where there is none; ``modulus_wh``: where the register rolls over, 0
    for never; ``limit_wh``: the largest plausible energy per slot. Each present register is compared with the reference, k
    slots earlier. In range (0 <= advance <= k x limit) it is that slot's energy (k = 1) or an advance over k slots, and the
    next reference. Out of range, where ``sets_aside`` (/2): the slot that ends at it is suspect and the reference stays; else
    (/1): the k slots are suspect and it is the next reference all the same. SettlementError for a register below -1 or at or
    above its modulus, and for a negative modulus or limit.
    """
    _check(registers_wh, modulus_wh, limit_wh)
    slots = max(len(registers_wh) - 1, 0)
    energy = [MISSING] * slots
    quality = ["missing"] * slots
    advances: list[Advance] = []
    reference: int | None = None
    for boundary, register in enumerate(registers_wh):
        if register == MISSING:
            continue
        if reference is None:
            reference = boundary
            continue
        gap = boundary - reference
        advance = _advance(registers_wh[reference], register, modulus_wh, gap * limit_wh)
        if advance is None:
            first = boundary - 1 if sets_aside else reference
            quality[first:boundary] = ["suspect"] * (boundary - first)
            reference = reference if sets_aside else boundary
            continue
        if gap == 1:
            energy[reference], quality[reference] = advance, "measured"
        else:
            advances.append(Advance(reference, gap, advance))
        reference = boundary
    return IntervalEnergy(tuple(energy), tuple(quality), tuple(advances))


def _advance(old_wh: int, new_wh: int, modulus_wh: int, most_wh: int) -> int | None:
    """How far one register went, None where that is out of range."""
    old, new, modulus, most = (
        np.array([value], dtype=np.int64) for value in (old_wh, new_wh, modulus_wh, min(most_wh, INT64_MAX))
    )
    advance = advance_of(old, new, modulus)
    return int(advance[0]) if is_in_range(advance, most)[0] else None


def _check(registers_wh: Sequence[int], modulus_wh: int, limit_wh: int) -> None:
    if modulus_wh < 0 or limit_wh < 0:
        raise SettlementError(f"modulus and limit must not be negative: {modulus_wh}, {limit_wh}")
    for boundary, register in enumerate(registers_wh):
        if register < MISSING:
            raise SettlementError(
                f"registers_wh[{boundary}] is {register}: a register is at least 0, or -1 for missing"
            )
        if 0 < modulus_wh <= register:
            raise SettlementError(f"registers_wh[{boundary}] is {register}, at or above the modulus {modulus_wh}")
