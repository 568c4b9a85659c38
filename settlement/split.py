"""An energy split evenly over slots, in whole Wh (``spread/1`` of the vectors)."""

from __future__ import annotations

from itertools import pairwise

from settlement.errors import SettlementError


def spread(energy_wh: int, parts: int) -> list[int]:
    """One energy over ``parts`` equal slots in whole Wh: each rounded half up, what rounding took or gave carried on.

    The sum is kept. SettlementError for less than one part and for a negative energy.
    """
    if parts < 1:
        raise SettlementError(f"energy cannot be spread over {parts} parts")
    if energy_wh < 0:
        raise SettlementError(f"the energy to spread must not be negative: {energy_wh}")
    # with the residue carried on, the first i values sum to i x energy / parts, rounded half up
    running = [(2 * part * energy_wh + parts) // (2 * parts) for part in range(parts + 1)]
    return [after - before for before, after in pairwise(running)]
