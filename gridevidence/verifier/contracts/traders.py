"""What contracts have in common under which parties trade before delivery: seven kinds of lines beside those of the trades."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gridevidence.verifier.contract import Cleared, Contract, LineKind, Match, PointLine, Settled, priced_line

METERED_KINDS: Final = (
    LineKind("residual_import", "supplier", 1, "residual_price_micro_per_kwh"),
    LineKind("surplus", "balance", -1, "surplus_price_micro_per_kwh"),
    LineKind("residual_export", "offtaker", -1, "feed_in_price_micro_per_kwh"),
    LineKind("shortfall", "balance", 1, "shortfall_price_micro_per_kwh"),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
PAIRED_KINDS: Final = (
    LineKind("trade_buy", "clearing", 1, ""),
    LineKind("trade_sell", "clearing", -1, ""),
    *METERED_KINDS,
)


def lines_of_metered(of: Settled) -> list[PointLine]:
    """A line of each of METERED_KINDS, in their order. Import and export are never netted."""
    bought_wh, sold_wh = of.columns["bought_wh"], of.columns["sold_wh"]
    traded_wh = min(of.import_wh, bought_wh)
    energies_wh = (
        max(of.import_wh - bought_wh, 0),
        max(bought_wh - of.import_wh, 0),
        max(of.export_wh - sold_wh, 0),
        max(sold_wh - of.export_wh, 0),
        traded_wh,
        of.import_wh - traded_wh,
        of.import_wh,
    )
    return [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(METERED_KINDS, energies_wh, strict=True)]


def _lines_of_paired(of: Settled) -> list[PointLine]:
    """A line of each of PAIRED_KINDS: what was traded has no one price, and its amount is the position's own."""
    buys, sells = PAIRED_KINDS[:2]
    return [
        PointLine(buys, of.columns["bought_wh"], None, of.columns["bought_nano"]),
        PointLine(sells, of.columns["sold_wh"], None, -of.columns["sold_nano"]),
        *lines_of_metered(of),
    ]


def takes_trader_prices(prices: Mapping[str, int]) -> bool:
    """Whether nobody earns by energy that only one of two parties has."""
    p = {key.removesuffix("_micro_per_kwh"): price for key, price in prices.items()}
    least = min(p["shortfall_price"], p["feed_in_price"])
    supplied, missing = p["residual_price"] + p["network_residual"], p["shortfall_price"] + p["network_traded"]
    return p["surplus_price"] <= least and supplied <= missing


def check_trader(_of: Settled) -> None:
    """Every column but the sums is a sum of fills: the claim about orders."""


PRICE_K: Final = {"price_k_ppm": range(1_000_001)}
"""The shape of the term that says where between two limits a price lies."""


def split_price(lowest: int, highest: int, terms: Mapping[str, Any]) -> int:
    """A share of the way from the lowest to the highest price, rounded down."""
    k_ppm: int = terms["price_k_ppm"]
    return lowest + (highest - lowest) * k_ppm // 1_000_000


def split_between_limits(
    match: Callable[[Sequence[tuple[int, ...]]], list[Match]],
) -> Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], list[Match]]:
    """The same trades, each at a share of the way from the sell's limit to the buy's."""

    def split(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> list[Match]:
        return [
            one._replace(price_micro_per_kwh=split_price(orders[one.sell][2], orders[one.buy][2], terms))
            for one in match(orders)
        ]

    return split


def paired_contract(
    contract_id: str,
    match: Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], list[Match]],
    not_checked: tuple[str, ...] = (),
    *,
    ranks_by_arrival: bool = False,
) -> Contract:
    """A contract whose gates come to the trades of ``match``, from orders as ``Contract.clear`` has them."""

    def clear(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> Cleared:
        trades, filled_wh = match(orders, terms), [0] * len(orders)
        for trade in trades:
            filled_wh[trade.buy] += trade.energy_wh
            filled_wh[trade.sell] += trade.energy_wh
        return Cleared(sum(trade.energy_wh for trade in trades), None, filled_wh, trades)

    return Contract(
        contract_id=contract_id,
        position_columns=("bought_wh", "sold_wh", "bought_nano", "sold_nano", "pays_nano", "supplier_only_nano"),
        area_columns=(),
        line_kinds=PAIRED_KINDS,
        price_keys=tuple(kind.price for kind in METERED_KINDS),
        terms={},
        takes_prices=takes_trader_prices,
        lines_of_point=_lines_of_paired,
        check_point=check_trader,
        clear=clear,
        not_checked=not_checked,
        trades_in_pairs=True,
        ranks_by_arrival=ranks_by_arrival,
    )
