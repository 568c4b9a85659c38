"""Handlers about mechanisms of our own (docs/spec/mechanisms.md): they call ``settlement.trade_reduction`` and ``.preferences``."""

from __future__ import annotations

from gridledger.vectors.cases import CaseError, CaseInput, CaseRefusedError, csv_integers
from settlement.preferences import Condition, Offer, match_conditions
from settlement.trade_reduction import LimitOrder, trade_reduction

_ORDER_COLUMNS = ("order_id", "participant", "side", "quantity_wh", "price_micro_per_kwh")


def reduction(case: CaseInput) -> dict[str, object]:
    """``trade_reduction/1``."""
    rows = case.csv("orders", _ORDER_COLUMNS)
    for number, row in enumerate(rows, start=1):
        if row["side"] not in ("buy", "sell"):
            raise CaseRefusedError(f"row {number}: unknown side {row['side']!r}")
    columns = zip(rows, csv_integers(rows, "quantity_wh"), csv_integers(rows, "price_micro_per_kwh"), strict=True)
    reduced = trade_reduction(
        [LimitOrder(row["order_id"], row["side"] == "buy", quantity_wh, limit) for row, quantity_wh, limit in columns]
    )
    output: dict[str, object] = {"filled_wh": dict(reduced.filled_wh), "surplus_nano": reduced.surplus_nano}
    if reduced.buy_price is not None:
        output |= {"buy_price": reduced.buy_price, "sell_price": reduced.sell_price}
    return output


def conditional_bid(case: CaseInput) -> dict[str, object]:
    """``conditional_bid/1``."""
    conditions = [_condition(row, table) for row, table in enumerate(case.tables("conditions"))]
    offer = Offer(case.integer("energy_wh"), case.integer("limit"), case.text("seller"), case.text("energy_kind"))
    return match_conditions(conditions, offer)._asdict()


def _condition(row: int, table: dict[str, object]) -> Condition:
    place = f"input.conditions[{row}]"
    if table.keys() - {"energy_wh", "limit", "seller", "energy_kind"}:
        raise CaseError(place, "energy_wh, limit, seller, energy_kind alone", sorted(table))
    energy_wh, limit = table.get("energy_wh"), table.get("limit")
    seller, energy_kind = table.get("seller", ""), table.get("energy_kind", "")
    if type(energy_wh) is not int or type(limit) is not int:
        raise CaseError(place, "whole numbers energy_wh and limit", table)
    if not isinstance(seller, str) or not isinstance(energy_kind, str):
        raise CaseError(place, "texts seller and energy_kind", table)
    return Condition(energy_wh, limit, seller, energy_kind)
