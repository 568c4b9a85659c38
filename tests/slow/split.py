"""A total split by weights in Python integers: largest remainder."""

from __future__ import annotations

from collections.abc import Sequence

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
