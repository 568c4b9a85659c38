"""Splits in Python integers, for totals, weights and shares of any size: by largest remainder, and evenly (``spread/1``).

Contracts split int64 columns with their kit (``largest_remainder``), which refuses what a column cannot hold. What is shared
after the fact, over many slots, is not bound to a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from settlement.errors import SettlementError


def split_by_weight(total: int, weights: Sequence[int]) -> list[int]:
    """Split ``total`` >= 0 by ``weights`` (each >= 0) into whole shares whose sum is ``total``.

    Each gets floor(total x weight / sum of weights); the units left over go one each to the largest fractional remainders,
    ties to the lower place. SettlementError for a negative total or weight, and a positive total without any weight.
    """
    if total < 0 or min(weights, default=0) < 0:
        raise SettlementError("neither the total to split nor a weight may be negative")
    weight_sum = sum(weights)
    if weight_sum == 0:
        if total:
            raise SettlementError(f"{total} cannot be split by weights that sum to 0")
        return [0] * len(weights)
    quotients = [divmod(total * weight, weight_sum) for weight in weights]
    shares = [share for share, _ in quotients]
    by_remainder = sorted(range(len(shares)), key=lambda place: -quotients[place][1])
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares


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
