"""Handlers about orders matched one against one: they call ``settlement.matching``."""

from __future__ import annotations

from collections.abc import Mapping

from gridledger.vectors.cases import CaseInput, CaseRefusedError, csv_integer
from settlement.matching import ContinuousBook, LimitOrder, SequencedOrder, Trade, match_pay_as_bid

_ORDER_COLUMNS = ("order_id", "participant", "side", "quantity_wh", "price_micro_per_kwh")
_SIDES = ("buy", "sell")


def pay_as_bid(case: CaseInput) -> dict[str, object]:
    """``pay_as_bid/1``."""
    rows = case.csv("orders", (*_ORDER_COLUMNS, "sequence"))
    orders = [
        SequencedOrder(_order(row, number), csv_integer(row["sequence"], f"row {number}, sequence"))
        for number, row in enumerate(rows, start=1)
    ]
    trades = match_pay_as_bid(orders)
    return {"trades": list(map(list, trades)), "volume_wh": sum(trade.energy_wh for trade in trades)}


def continuous_double_auction(case: CaseInput) -> dict[str, object]:
    """``continuous_double_auction/1``."""
    book, trades = ContinuousBook(), list[Trade]()
    for number, row in enumerate(case.csv("orders", ("action", *_ORDER_COLUMNS)), start=1):
        match row["action"]:
            case "order":
                trades += book.submit(_order(row, number))
            case "cancel":
                if any(row[column] for column in _ORDER_COLUMNS[1:]):
                    raise CaseRefusedError(f"row {number}: a cancel names the order_id alone")
                book.cancel(row["order_id"])
            case action:
                raise CaseRefusedError(f"row {number}: unknown action {action!r}")
    return {"trades": list(map(list, trades)), "resting": dict(book.resting_wh)}


def _order(row: Mapping[str, str], number: int) -> LimitOrder:
    if row["side"] not in _SIDES:
        raise CaseRefusedError(f"row {number}: side {row['side']!r} is neither buy nor sell")
    quantity_wh, limit = (
        csv_integer(row[column], f"row {number}, {column}") for column in ("quantity_wh", "price_micro_per_kwh")
    )
    return LimitOrder(row["order_id"], row["side"] == "buy", quantity_wh, limit)
