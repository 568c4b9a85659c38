"""The matching of ``pay_as_bid/1``: the best buy meets the best sell while their limits cross, each pair at the buy's limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridevidence.verifier.contract import Match
from gridevidence.verifier.contracts.traders import paired_contract


def pay_as_bid(orders: Sequence[tuple[int, ...]]) -> list[Match]:
    """Buys from the highest limit, sells from the lowest, of equal limits the lower rank first."""
    buys = sorted((rank for rank, order in enumerate(orders) if order[0] == 0), key=lambda rank: -orders[rank][2])
    sells = sorted((rank for rank, order in enumerate(orders) if order[0] == 1), key=lambda rank: orders[rank][2])
    left_wh, trades, place = [order[1] for order in orders], list[Match](), 0
    for buy in buys:
        while left_wh[buy] and place < len(sells) and orders[sells[place]][2] <= orders[buy][2]:
            sell = sells[place]
            energy_wh = min(left_wh[buy], left_wh[sell])
            trades.append(Match(buy, sell, energy_wh, orders[buy][2]))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            place += left_wh[sell] == 0
    return trades


PAY_AS_BID_1: Final = paired_contract("pay_as_bid/1", lambda orders, _terms: pay_as_bid(orders))
