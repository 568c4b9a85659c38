"""From the registers of one meter to its energy per slot (``interval_energy/1`` of the vectors).

The readable form over one series. The ledger has the rule in two steps, each over columns: the range where it takes a
register (``ledger.state.ranges``), the difference where it settles a slot (``ledger.state.runs.energy_of``). For contracts
that are given registers there is ``contract_kit_1.advance``; today's is given energy. Tests hold the forms together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


def interval_energy(registers_wh: Sequence[int], modulus_wh: int, limit_wh: int) -> IntervalEnergy:
    """The energy between consecutive boundaries of one cumulative register.

    ``registers_wh``: one per boundary, MISSING (-1) where there is none; ``modulus_wh``: where the register rolls over, 0
    for never; ``limit_wh``: the largest plausible energy per slot. Each present register is compared with the last present
    one, k slots earlier: advance = new - old, + modulus when it dropped and modulus > 0. In range (0 <= advance <=
    k x limit) it is that slot's energy (k = 1) or an advance over k missing slots; out of range the k slots are suspect.
    Either way the register is the next reference. SettlementError for a register below -1 or at or above its modulus, and
    for a negative modulus or limit.
    """
    if modulus_wh < 0 or limit_wh < 0:
        raise SettlementError(f"modulus and limit must not be negative: {modulus_wh}, {limit_wh}")
    slots = max(len(registers_wh) - 1, 0)
    energy = [MISSING] * slots
    quality = ["missing"] * slots
    advances: list[Advance] = []
    last: int | None = None
    for boundary, register in enumerate(registers_wh):
        if register < MISSING:
            raise SettlementError(
                f"registers_wh[{boundary}] is {register}: a register is at least 0, or -1 for missing"
            )
        if 0 < modulus_wh <= register:
            raise SettlementError(f"registers_wh[{boundary}] is {register}, at or above the modulus {modulus_wh}")
        if register == MISSING:
            continue
        if last is not None:
            advance = register - registers_wh[last]
            if advance < 0:
                advance += modulus_wh
            gap = boundary - last
            if not 0 <= advance <= gap * limit_wh:
                quality[last:boundary] = ["suspect"] * gap
            elif gap == 1:
                energy[last], quality[last] = advance, "measured"
            else:
                advances.append(Advance(last, gap, advance))
        last = boundary
    return IntervalEnergy(tuple(energy), tuple(quality), tuple(advances))
