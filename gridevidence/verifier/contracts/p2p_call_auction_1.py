"""The arithmetic of ``p2p_call_auction/1``: nine kinds of lines, and a call auction at one price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridevidence.layout import I64, RULES, RUN
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.contract import TRADE_PRICE, Cleared, Contract, LineKind, Point, PointLine, Slot

P2P_KINDS: Final = (
    LineKind("trade_buy", 1, TRADE_PRICE),
    LineKind("trade_sell", -1, TRADE_PRICE),
    LineKind("residual_import", 1, "residual_price_micro_per_kwh"),
    LineKind("surplus", -1, "surplus_price_micro_per_kwh"),
    LineKind("residual_export", -1, "feed_in_price_micro_per_kwh"),
    LineKind("shortfall", 1, "shortfall_price_micro_per_kwh"),
    LineKind("network_traded", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", 1, "levy_micro_per_kwh"),
)


def _check_auction_run(run: Mapping[str, Any]) -> None:
    hold(("price_micro_per_kwh" in run) == (run["volume_wh"] > 0), "a run has a price where it has a volume")


def settle_traded(point: Point, slot: Slot) -> list[PointLine]:
    """A line of each of P2P_KINDS, in their order. Import and export are never netted."""
    import_wh, export_wh, bought_wh, sold_wh, _ = point
    traded_wh = min(import_wh, bought_wh)
    energies_wh = (
        bought_wh,
        sold_wh,
        max(import_wh - bought_wh, 0),
        max(bought_wh - import_wh, 0),
        max(export_wh - sold_wh, 0),
        max(sold_wh - export_wh, 0),
        traded_wh,
        import_wh - traded_wh,
        import_wh,
    )
    return [slot.priced_line(kind, energy_wh) for kind, energy_wh in zip(P2P_KINDS, energies_wh, strict=True)]


def _check_traded(point: Point, slot: Slot) -> None:
    pays_nano = sum(line.amount_nano for line in settle_traded(point, slot))
    same("what the point pays", point.pays_nano, pays_nano)


def _alone(point: Point, slot: Slot) -> int:
    return sum(line.amount_nano for line in settle_traded(point._replace(bought_wh=0, sold_wh=0), slot))


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
        "prices": {kind.price: I64 for kind in P2P_KINDS if kind.price != TRADE_PRICE},
        "rationing": str,
        "reference_price_micro_per_kwh?": I64,
    },
    run=RUN,
    line_kinds=P2P_KINDS,
    check_run=_check_auction_run,
    lines_of_point=settle_traded,
    check_point=_check_traded,
    alone_of_point=_alone,
    rationings=("pro_rata",),
    clear=_clear,
    not_checked=(),
)
