"""The arithmetic of ``p2p_call_auction/1``: nine kinds of lines, and a call auction at one price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridevidence.layout import I64, RULES
from gridevidence.verifier.contract import Cleared, Contract, PointLine

LINE_KINDS: Final = (
    "trade_buy",
    "trade_sell",
    "residual_import",
    "surplus",
    "residual_export",
    "shortfall",
    "network_traded",
    "network_residual",
    "levy",
)
PRICES: Final = tuple(
    f"{name}_micro_per_kwh"
    for name in (
        "feed_in_price",
        "levy",
        "network_residual",
        "network_traded",
        "residual_price",
        "shortfall_price",
        "surplus_price",
    )
)


def lines_of_point(taken: Sequence[int], prices: Mapping[str, int], trade_price: int) -> list[PointLine]:
    """A line of each of LINE_KINDS, in their order; see ``Contract``. Import and export are never netted."""
    import_wh, export_wh, bought_wh, sold_wh = taken
    feed_in, levy, network_residual, network_traded, residual, shortfall, surplus = (prices[name] for name in PRICES)
    traded_wh = min(import_wh, bought_wh)
    return [
        PointLine(bought_wh, trade_price, 1),
        PointLine(sold_wh, trade_price, -1),
        PointLine(max(import_wh - bought_wh, 0), residual, 1),
        PointLine(max(bought_wh - import_wh, 0), surplus, -1),
        PointLine(max(export_wh - sold_wh, 0), feed_in, -1),
        PointLine(max(sold_wh - export_wh, 0), shortfall, 1),
        PointLine(traded_wh, network_traded, 1),
        PointLine(import_wh - traded_wh, network_residual, 1),
        PointLine(import_wh, levy, 1),
    ]


def call_auction(orders: Sequence[tuple[int, ...]], reference_price: int | None) -> Cleared:
    """Volume, price and each order's fill of ``orders`` = (side 0 buy or 1 sell, quantity, limit) in rank order.

    The price is the limit with the largest volume, then the smallest imbalance, then by the market's pressure, then nearest to
    the reference. Whole price levels are filled in price order; the one that does not fit is split pro rata, ties by rank.
    """
    levels: dict[int, tuple[list[int], list[int]]] = {}  # limit: ranks of buys, ranks of sells
    for rank, (side, _, limit) in enumerate(orders):
        levels.setdefault(limit, ([], []))[side].append(rank)
    kept: list[tuple[int, int]] = []  # (price, demand - supply) of the best candidates so far, prices ascending
    best = (0, 0)
    demand, supply = sum(quantity for side, quantity, _ in orders if side == 0), 0
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
    price = min(max((lowest + highest) // 2 if reference_price is None else reference_price, lowest), highest)
    if all(excess > 0 for _, excess in kept) or all(excess < 0 for _, excess in kept):
        price = highest if kept[0][1] > 0 else lowest
    for side in (0, 1):
        left = volume
        for limit in sorted(levels, reverse=side == 0):
            ranks = levels[limit][side]
            total = sum(orders[rank][1] for rank in ranks)
            share = min(total, left)
            for rank in ranks:
                fills[rank] = share * orders[rank][1] // total
            units = share - sum(fills[rank] for rank in ranks)  # each to one of the largest remainders
            for rank in sorted(ranks, key=lambda rank: -(share * orders[rank][1] % total))[:units]:
                fills[rank] += 1
            left -= share
    return Cleared(volume, price, fills)


def _clear(orders: Sequence[tuple[int, ...]], rules: Mapping[str, Any]) -> Cleared:
    return call_auction(orders, rules.get("reference_price_micro_per_kwh"))


P2P_CALL_AUCTION_1: Final = Contract(
    contract_id="p2p_call_auction/1",
    rules={
        **RULES,
        "prices": dict.fromkeys(PRICES, I64),
        "rationing": str,
        "reference_price_micro_per_kwh?": I64,
    },
    line_kinds=LINE_KINDS,
    rationings=("pro_rata",),
    lines_of_point=lines_of_point,
    clear=_clear,
)
