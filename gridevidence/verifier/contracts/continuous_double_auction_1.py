"""The matching of ``continuous_double_auction/1``: orders meet as they come, each pair at the limit of the order that rested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridevidence.verifier.contract import Match
from gridevidence.verifier.contracts.traders import paired_contract


def meet_as_they_come(orders: Sequence[tuple[int, ...]]) -> list[Match]:
    """Each order meets the best that rests on the other side, of equal limits the one that came first; the rest of it rests."""
    left_wh, trades = [order[1] for order in orders], list[Match]()
    resting: tuple[list[int], list[int]] = ([], [])  # ranks by side, best first
    for rank, (side, _, limit, until) in enumerate(orders):
        if until <= rank:  # withdrawn before it came
            continue
        sign = 1 if side == 0 else -1
        for other in list(resting[1 - side]):
            if orders[other][3] <= rank:  # withdrawn meanwhile
                resting[1 - side].remove(other)
                continue
            price = orders[other][2]
            if not left_wh[rank] or sign * price > sign * limit:
                break
            energy_wh = min(left_wh[rank], left_wh[other])
            trades.append(Match(*((rank, other) if side == 0 else (other, rank)), energy_wh, price))
            left_wh[rank] -= energy_wh
            left_wh[other] -= energy_wh
            if not left_wh[other]:
                resting[1 - side].remove(other)
        if left_wh[rank]:
            own = resting[side]
            place = next((at for at, one in enumerate(own) if sign * orders[one][2] < sign * limit), len(own))
            own.insert(place, rank)
    return trades


CONTINUOUS_DOUBLE_AUCTION_1: Final = paired_contract(
    "continuous_double_auction/1",
    lambda orders, _terms: meet_as_they_come(orders),
    ("that the orders stand in the book in the order in which the ledger took them",),
    ranks_by_arrival=True,
)
