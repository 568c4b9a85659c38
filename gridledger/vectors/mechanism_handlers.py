"""Handlers about mechanisms of our own (docs/spec/mechanisms.md): they call the contracts of these names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from gridledger.vectors.cases import CaseError, CaseInput, CaseRefusedError, check_unique, csv_integers
from settlement.contract_kit_1 import BUY, SELL, Int64Column, narrow
from settlement.contracts import trade_reduction_1
from settlement.contracts.conditional_bid_1 import PAY_AS_BID, Wanted, match
from settlement.contracts.conditional_bid_1.matching import ANY_KIND

_SIDES = {"buy": BUY, "sell": SELL}
_ORDER_COLUMNS = ("order_id", "participant", "side", "quantity_wh", "price_micro_per_kwh")


def reduction(case: CaseInput) -> dict[str, object]:
    """``trade_reduction/1``: rows brought into the order of their ids."""
    rows = case.csv("orders", _ORDER_COLUMNS)
    for number, row in enumerate(rows, start=1):
        if row["side"] not in _SIDES:
            raise CaseRefusedError(f"row {number}: unknown side {row['side']!r}")
    check_unique((row["order_id"] for row in rows), "order_id")
    rows.sort(key=lambda row: row["order_id"].encode("utf-8"))
    quantity_wh = np.array(csv_integers(rows, "quantity_wh"), dtype=np.int64)
    limits = np.array(csv_integers(rows, "price_micro_per_kwh"), dtype=np.int64)
    trades, buy_price = trade_reduction_1.reduce_trades(
        np.array([_SIDES[row["side"]] for row in rows], dtype=np.int8), quantity_wh, limits
    )
    filled_wh = trades.filled_wh(quantity_wh).tolist()
    output: dict[str, object] = {
        "filled_wh": {row["order_id"]: wh for row, wh in zip(rows, filled_wh, strict=True)},
        "surplus_nano": 0,
    }
    if buy_price is not None:
        sell_price = int(trades.price_micro_per_kwh[0])
        output |= {"buy_price": buy_price, "sell_price": sell_price}
        output["surplus_nano"] = trades.volume_wh * (buy_price - sell_price)
    return output


class _Asked(NamedTuple):
    """One condition of a bid, or the offer: "" where any seller or kind will do."""

    energy_wh: int
    limit: int
    seller: str
    energy_kind: str


_OFFERED: Final = 0b010
"""The bit of the offer's kind of energy; bit 2 stands for all others."""
_OTHER: Final = 0b100


def conditional_bid(case: CaseInput) -> dict[str, object]:
    """``conditional_bid/1``: a book of this bid and this offer, whose first trade says which condition is met."""
    conditions = [_condition(row, table) for row, table in enumerate(case.tables("conditions"))]
    offer = _Asked(case.integer("energy_wh"), case.integer("limit"), case.text("seller"), case.text("energy_kind"))
    rows = [*conditions, offer]
    kinds = [{"": ANY_KIND, offer.energy_kind: _OFFERED}.get(one.energy_kind, _OTHER) for one in conditions]
    sellers = [{"": 0, offer.seller: 1}.get(one.seller, 2) for one in conditions]
    wanted = Wanted(
        bid=_column([*(0 for _ in conditions), len(conditions)]),
        choice=_column([*range(len(conditions)), 0]),
        energy_kinds=_column([*kinds, _OFFERED]),
        seller=_column([*sellers, 1]),
    )
    side = np.array([*(BUY for _ in conditions), SELL], dtype=np.int8)
    limits = narrow([one.limit for one in rows], "limit")
    trades = match(side, narrow([one.energy_wh for one in rows], "energy_wh"), limits, wanted, PAY_AS_BID)
    if not len(trades.buy):
        return {"condition": 0, "energy_wh": 0, "price_low": 0, "price_high": 0}
    met = int(trades.buy[0])
    found: dict[str, object] = {"condition": met + 1, "energy_wh": int(trades.energy_wh[0])}
    return found | {"price_low": offer.limit, "price_high": conditions[met].limit}


def _column(values: Sequence[int]) -> Int64Column:
    return np.array(values, dtype=np.int64)


def _condition(row: int, table: dict[str, object]) -> _Asked:
    place = f"input.conditions[{row}]"
    if table.keys() - {"energy_wh", "limit", "seller", "energy_kind"}:
        raise CaseError(place, "energy_wh, limit, seller, energy_kind alone", sorted(table))
    energy_wh, limit = table.get("energy_wh"), table.get("limit")
    seller, energy_kind = table.get("seller", ""), table.get("energy_kind", "")
    if type(energy_wh) is not int or type(limit) is not int:
        raise CaseError(place, "whole numbers energy_wh and limit", table)
    if not isinstance(seller, str) or not isinstance(energy_kind, str):
        raise CaseError(place, "texts seller and energy_kind", table)
    return _Asked(energy_wh, limit, seller, energy_kind)
