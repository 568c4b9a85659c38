"""The matching of ``conditional_bid/1``: bids in the order of their choices, each with the cheapest offer that it accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridevidence.layout import WANTED_TERMS
from gridevidence.verifier.contract import Match
from gridevidence.verifier.contracts.traders import paired_contract


def conditional_bid(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> list[Match]:
    """First choices first; of one choice the highest limit first, of equal ones the lower rank. orders: side, quantity, limit, then WANTED_TERMS."""
    sells = sorted((rank for rank, order in enumerate(orders) if order[0] == 1), key=lambda rank: orders[rank][2])
    of_seller, asked = dict[int, list[int]](), dict[tuple[int, int], list[int]]()
    for sell in sells:
        for number in {0, orders[sell][6]}:
            of_seller.setdefault(number, []).append(sell)
    buys = [rank for rank, order in enumerate(orders) if order[0] == 0]
    left_wh, trades, of_bid = [order[1] for order in orders], list[Match](), dict[int, int]()
    for buy in buys:
        bid = orders[buy][3]
        of_bid[bid] = max(of_bid.get(bid, 0), orders[buy][1])
    for buy in sorted(buys, key=lambda rank: (orders[rank][4], -orders[rank][2])):
        _, _, limit, bid, _, kinds, seller = orders[buy]
        if (kinds, seller) not in asked:
            asked[kinds, seller] = [sell for sell in of_seller.get(seller, ()) if orders[sell][5] & kinds][::-1]
        accepted = asked[kinds, seller]  # the cheapest at the end; what is used up never comes back
        while min(left_wh[buy], of_bid[bid]) and accepted:
            sell = accepted[-1]
            energy_wh = min(left_wh[buy], of_bid[bid], left_wh[sell])
            if not energy_wh:
                accepted.pop()
                continue
            if orders[sell][2] > limit:
                break
            price = limit if terms["price_rule"] == "pay_as_bid" else orders[sell][2]
            trades.append(Match(buy, sell, energy_wh, price))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            of_bid[bid] -= energy_wh
    return trades


CONDITIONAL_BID_1: Final = paired_contract(
    "conditional_bid/1",
    conditional_bid,
    (
        "that the energy of the other sides is of the kinds, and their names those, that the party's conditions ask for, and of what kind the party's points were that were registered anew behind its orders",
    ),
)._replace(terms={"price_rule": re.compile("pay_as_bid|pay_as_offer")}, order_terms=WANTED_TERMS)
