"""The trades behind an order of a bundle, as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gridevidence.layout import FEE_TRADE_ROW
from gridevidence.verifier.claims.fills import trade_of
from gridevidence.view_paths import PathView, path_of_row


@dataclass(frozen=True)
class TradeView:
    """A trade of an order; with whom is not shown."""

    energy_wh: int
    price_micro_per_kwh: int
    fee_micro_per_kwh: int | None
    """What the buyer pays beyond it for the way of each kWh; None under a contract without such fees."""
    path: PathView
    """To the clearing's trades root."""


def read_trade(part: Mapping[str, Any]) -> TradeView:
    """A trade, from its row proof in the bundle."""
    trade = trade_of(part["row"])
    fee = trade.fee if len(part["row"]) == FEE_TRADE_ROW.size else None
    return TradeView(trade.energy_wh, trade.price, fee, path_of_row(part))
