"""``trade_reduction/1``: the last buy and the last sell that meet set two prices and do not trade; the rest between them is the auction's surplus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.contract import Cleared, Contract, LineKind, Match, PointLine, Settled
from gridevidence.verifier.contracts.pay_as_bid_1 import pay_as_bid
from gridevidence.verifier.contracts.traders import (
    METERED_KINDS,
    PAIRED_KINDS,
    lines_of_metered,
    takes_trader_prices,
)

REDUCED_KINDS: Final = (
    *PAIRED_KINDS[:2],
    LineKind("auction_surplus", "auction_surplus", 1, ""),
    *METERED_KINDS,
)


def _shares_wh(total_wh: int, quantities_wh: list[int]) -> list[int]:
    """A total by largest remainder, ties to the earlier."""
    whole = sum(quantities_wh)
    products = [total_wh * quantity_wh for quantity_wh in quantities_wh]
    shares = [product // whole for product in products]
    by_remainder = sorted(range(len(products)), key=lambda at: (-(products[at] % whole), at))
    for at in by_remainder[: total_wh - sum(shares)]:
        shares[at] += 1
    return shares


def _meet_again(filled: Mapping[int, int], buys: list[int], sells: list[int], price: int) -> list[Match]:
    """Who trades with whom: both sides in rank order, one beside the other."""
    left_wh, trades, place = dict(filled), list[Match](), 0
    for buy in buys:
        while left_wh[buy]:
            sell = sells[place]
            energy_wh = min(left_wh[buy], left_wh[sell])
            if energy_wh:
                trades.append(Match(buy, sell, energy_wh, price))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            place += left_wh[sell] == 0
    return trades


def trade_reduction(orders: Sequence[tuple[int, ...]], _terms: Mapping[str, Any]) -> Cleared:
    """Orders = (side 0 buy or 1 sell, quantity, limit) in rank order. The price is the buyers'."""
    nothing = Cleared(0, None, [0] * len(orders), [])
    met = pay_as_bid(orders)
    if not met:
        return nothing
    last = met[-1].buy, met[-1].sell
    traded = [
        sorted(set(of_side) - {end})
        for of_side, end in zip(zip(*(meeting[:2] for meeting in met), strict=True), last, strict=True)
    ]
    buys, sells = traded
    volume_wh = min(sum(orders[rank][1] for rank in of_side) for of_side in traded)
    if not volume_wh:
        return nothing
    filled_wh = [0] * len(orders)
    for of_side in traded:
        for rank, share_wh in zip(of_side, _shares_wh(volume_wh, [orders[rank][1] for rank in of_side]), strict=True):
            filled_wh[rank] = share_wh
    trades = _meet_again(dict(enumerate(filled_wh)), buys, sells, orders[last[1]][2])
    return Cleared(volume_wh, orders[last[0]][2], filled_wh, trades)


def _lines_of_reduced(of: Settled) -> list[PointLine]:
    """A line of each of REDUCED_KINDS, in their order."""
    kept, (buys, sells, surplus) = of.columns, REDUCED_KINDS[:3]
    return [
        PointLine(buys, kept["bought_wh"], None, kept["bought_nano"]),
        PointLine(sells, kept["sold_wh"], None, -kept["sold_nano"]),
        PointLine(surplus, kept["bought_wh"], None, kept["surplus_nano"]),
        *lines_of_metered(of),
    ]


def _check_reduced(of: Settled) -> None:
    """What buyers pay is the gate's price, and no less than sellers get."""
    bought_wh, bought_nano = of.columns["bought_wh"], of.columns["bought_nano"]
    same(
        "what the point pays beyond what sellers get",
        of.columns["surplus_nano"],
        bought_wh * of.trade_price - bought_nano,
    )
    hold(of.columns["surplus_nano"] >= 0, "buyers pay less than sellers get")


TRADE_REDUCTION_1: Final = Contract(
    contract_id="trade_reduction/1",
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "surplus_nano", "pays_nano", "supplier_only_nano",
    ),
    area_columns=(),
    line_kinds=REDUCED_KINDS,
    price_keys=tuple(metered.price for metered in METERED_KINDS),
    terms={},
    takes_prices=takes_trader_prices,
    lines_of_point=_lines_of_reduced,
    check_point=_check_reduced,
    clear=trade_reduction,
    not_checked=(),
    trades_in_pairs=True,
    has_buyers_price=True,
)  # fmt: skip
