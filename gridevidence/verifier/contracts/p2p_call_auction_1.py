"""The arithmetic of ``p2p_call_auction/1`` and ``/2``: nine kinds of lines, and a call auction at one price."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridevidence.layout import PRICES
from gridevidence.verifier.contract import TRADE_PRICE, Cleared, Contract, LineKind, PointLine, Settled, priced_line
from gridevidence.verifier.contracts.traders import (
    METERED_KINDS,
    check_trader,
    lines_of_metered,
    split_price,
    takes_trader_prices,
)

P2P_KINDS: Final = (
    LineKind("trade_buy", "clearing", 1, TRADE_PRICE),
    LineKind("trade_sell", "clearing", -1, TRADE_PRICE),
    *METERED_KINDS,
)


def lines_of_trader(of: Settled) -> list[PointLine]:
    """A line of each of P2P_KINDS, in their order."""
    energies_wh = of.columns["bought_wh"], of.columns["sold_wh"]
    traded = [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(P2P_KINDS, energies_wh, strict=False)]
    return [*traded, *lines_of_metered(of)]


def call_auction(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> Cleared:
    """Volume, price and each order's fill of ``orders`` = (side 0 buy or 1 sell, quantity, limit) in rank order; under ``/2`` a fourth
    value says when each came.

    The price is the limit with the largest volume, then the smallest imbalance, then by the market's pressure, then nearest to
    the reference, or a share of the way from the lowest to the highest that are left. Whole price levels are filled in price order; the
    one that does not fit is split pro rata, ties by rank, or served as its orders came.
    """
    levels: dict[int, tuple[list[int], list[int]]] = {}  # limit: ranks of buys, ranks of sells
    for rank, order in enumerate(orders):
        levels.setdefault(order[2], ([], []))[order[0]].append(rank)
    kept: list[tuple[int, int]] = []  # (price, demand - supply) of the best candidates so far, prices ascending
    best = (0, 0)
    demand, supply = sum(order[1] for order in orders if order[0] == 0), 0
    for limit, (buys, sells) in sorted(levels.items()):
        supply += sum(orders[rank][1] for rank in sells)
        quality = (min(demand, supply), -abs(demand - supply))
        if quality >= best or not kept:
            best, kept = quality, [*(kept if quality == best else []), (limit, demand - supply)]
        demand -= sum(orders[rank][1] for rank in buys)
    volume, fills = best[0], [0] * len(orders)
    if volume == 0:
        return Cleared(0, None, fills)
    lowest, highest = kept[0][0], kept[-1][0]
    price = _price_between(lowest, highest, terms)
    if all(excess > 0 for _, excess in kept) or all(excess < 0 for _, excess in kept):
        price = highest if kept[0][1] > 0 else lowest
    for side in (0, 1):
        left = volume
        for limit in sorted(levels, reverse=side == 0):
            ranks = levels[limit][side]
            total = sum(orders[rank][1] for rank in ranks)
            share = min(total, left)
            left -= share
            if terms["rationing"] == "time":
                for rank in sorted(ranks, key=lambda rank: orders[rank][3]):
                    fills[rank] = min(share, orders[rank][1])
                    share -= fills[rank]
                continue
            for rank in ranks:
                fills[rank] = share * orders[rank][1] // total
            units = share - sum(fills[rank] for rank in ranks)  # each to one of the largest remainders
            for rank in sorted(ranks, key=lambda rank: -(share * orders[rank][1] % total))[:units]:
                fills[rank] += 1
    return Cleared(volume, price, fills)


def _price_between(lowest: int, highest: int, terms: Mapping[str, Any]) -> int:
    if "price_k_ppm" in terms:
        return split_price(lowest, highest, terms)
    reference: int = terms["reference_price_micro_per_kwh"]
    return min(max(reference, lowest), highest)


P2P_CALL_AUCTION_1: Final = Contract(
    contract_id="p2p_call_auction/1",
    position_columns=("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano"),
    area_columns=(),
    line_kinds=P2P_KINDS,
    price_keys=tuple(kind.price for kind in METERED_KINDS),
    terms={"rationing": re.compile("pro_rata"), "reference_price_micro_per_kwh": PRICES},
    takes_prices=takes_trader_prices,
    lines_of_point=lines_of_trader,
    check_point=check_trader,
    clear=call_auction,
    not_checked=(),
)
