"""What bilateral agreements come to in one slot, agreement by agreement in fractions (``bilateral_agreements/1``)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import NamedTuple

DIFFERENCE_NANO_MAX = 5 * 10**17


class Deal(NamedTuple):
    """seller, buyer: places of points; share: of the seller's export, None where quantity_wh says it; prices in micro per kWh."""

    seller: int
    buyer: int
    is_difference: bool
    quantity_wh: int
    share: Fraction | None
    price: int
    reference: int


class Balance(NamedTuple):
    """What a point has of each: Wh and nano, bought, sold and of differences (positive: it pays)."""

    bought_wh: int = 0
    bought_nano: int = 0
    sold_wh: int = 0
    sold_nano: int = 0
    difference_wh: int = 0
    difference_nano: int = 0


def settle_deals(
    imports: Sequence[int], exports: Sequence[int], deals: Sequence[Deal]
) -> tuple[list[Balance], list[int]]:
    """The balance of each point, and the energy of each deal, in their order."""
    balances, energies = [Balance() for _ in imports], []
    for deal in deals:
        agreed = deal.quantity_wh if deal.share is None else floor(deal.share * exports[deal.seller])
        seller, buyer = balances[deal.seller], balances[deal.buyer]
        if deal.is_difference:
            owed = agreed * (deal.price - deal.reference)
            if abs(owed) > DIFFERENCE_NANO_MAX:
                agreed = owed = 0
            for place, sign in ((deal.buyer, 1), (deal.seller, -1)):
                own = balances[place]
                balances[place] = own._replace(
                    difference_wh=own.difference_wh + agreed, difference_nano=own.difference_nano + sign * owed
                )
        else:
            agreed = min(agreed, exports[deal.seller] - seller.sold_wh, imports[deal.buyer] - buyer.bought_wh)
            paid = agreed * deal.price
            balances[deal.seller] = seller._replace(sold_wh=seller.sold_wh + agreed, sold_nano=seller.sold_nano + paid)
            balances[deal.buyer] = buyer._replace(
                bought_wh=buyer.bought_wh + agreed, bought_nano=buyer.bought_nano + paid
            )
        energies.append(agreed)
    return balances, energies
