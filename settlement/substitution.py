"""Registers out of energies that an organisation states in place of readings: what the meter would have shown (docs/operating/meters.md).

The ledger settles by registers, so a substitute is one too: the last register that is known, and on it the stated energy. Whole registers; what the
ratio of the transformers leaves over is carried on to the next slot, so that the sum is right to less than one step of the register.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from settlement.errors import SettlementError

Registers = tuple[int, int]
"""Import and export in Wh, as the meter shows them."""


class Shows(NamedTuple):
    """How a meter counts. ratio: of its transformers; modulus_wh: where its registers begin again, as it shows them, 0 for never."""

    ratio: int
    modulus_wh: int


def registers_after(before: Registers, energies_wh: Sequence[Registers], shows: Shows) -> list[Registers]:
    """The registers at the end of each of some slots that follow one another, of primary energies: import and export, at least 0 each.

    SettlementError for an energy below 0.
    """
    found, sums = [], [0, 0]
    for slot, energy_wh in enumerate(energies_wh):
        if min(energy_wh) < 0:
            raise SettlementError(f"slot {slot + 1}: an energy is {min(energy_wh)} Wh; give 0 or more")
        sums = [total + part for total, part in zip(sums, energy_wh, strict=True)]
        found.append(
            (_shown(before[0] + sums[0] // shows.ratio, shows), _shown(before[1] + sums[1] // shows.ratio, shows))
        )
    return found


def surplus_wh(last: Registers, following: Registers, shows: Shows) -> int:
    """By how many Wh, primary, registers go beyond those that are known behind them; 0 where they fit, or begin again somewhere."""
    if shows.modulus_wh:
        return 0
    beyond = max(0, *(stated - known for stated, known in zip(last, following, strict=True)))
    return beyond * shows.ratio


def _shown(register_wh: int, shows: Shows) -> int:
    return register_wh % shows.modulus_wh if shows.modulus_wh else register_wh
