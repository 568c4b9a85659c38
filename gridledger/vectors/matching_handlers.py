"""Handlers about orders matched one against one: they call the matching of the contracts of their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gridledger.vectors.cases import CaseInput, CaseRefusedError, check_unique, csv_integers
from settlement.contract_kit_1 import BUY, SELL, Int8Column, Int64Column, Trades
from settlement.contract_kit_2 import PRICE_K, fault_of_price_k, split_between
from settlement.contracts import continuous_double_auction_1, pay_as_bid_1

_ORDER_COLUMNS = ("order_id", "participant", "side", "quantity_wh", "price_micro_per_kwh")
_SIDES = {"buy": BUY, "sell": SELL}


class _Orders(NamedTuple):
    """Orders of a file as columns."""

    order_ids: Sequence[str]
    side: Int8Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column


def pay_as_bid(case: CaseInput) -> dict[str, object]:
    """``pay_as_bid/1``, and ``/2`` with ``price_k_ppm``: rows brought into the order of their ids."""
    rows = case.csv("orders", (*_ORDER_COLUMNS, "sequence"))
    rows.sort(key=lambda row: row["order_id"].encode("utf-8"))
    orders = _orders(rows)
    sequence = np.array(csv_integers(rows, "sequence"), dtype=np.int64)
    trades = pay_as_bid_1.match(*orders[1:], sequence)
    return {"trades": _named(_priced(case, trades, orders), orders.order_ids), "volume_wh": trades.volume_wh}


def continuous_double_auction(case: CaseInput) -> dict[str, object]:
    """``continuous_double_auction/1``, and ``/2`` with ``price_k_ppm``: events in the order of the file."""
    rows = case.csv("orders", ("action", *_ORDER_COLUMNS))
    place: dict[str, int] = {}
    incoming: list[dict[str, str]] = []
    events: list[int] = []
    for number, row in enumerate(rows, start=1):
        order_id = row["order_id"]
        match row["action"]:
            case "order":
                place.setdefault(order_id, len(incoming))
                events.append(len(incoming))
                incoming.append(row)
            case "cancel":
                if any(row[column] for column in _ORDER_COLUMNS[1:]):
                    raise CaseRefusedError(f"row {number}: a cancel names the order_id alone")
                if order_id not in place:
                    raise CaseRefusedError(f"row {number}: order {order_id} cannot be cancelled: it has not come")
                events.append(~place[order_id])
            case action:
                raise CaseRefusedError(f"row {number}: unknown action {action!r}")
    orders = _orders(incoming)
    matched = continuous_double_auction_1.match(*orders[1:], events)
    resting = zip(orders.order_ids, matched.resting_wh.tolist(), strict=True)
    return {
        "trades": _named(_priced(case, matched.trades, orders), orders.order_ids),
        "resting": {order_id: energy_wh for order_id, energy_wh in resting if energy_wh},
    }


def _priced(case: CaseInput, trades: Trades, orders: _Orders) -> Trades:
    """Trades at the price of the contract's version."""
    if not case.has(PRICE_K):
        return trades
    k_ppm = case.integer(PRICE_K)
    if fault := fault_of_price_k(k_ppm):
        raise CaseRefusedError(fault)
    return split_between(trades, orders.price_micro_per_kwh, k_ppm)


def _orders(rows: list[dict[str, str]]) -> _Orders:
    order_ids = [row["order_id"] for row in rows]
    check_unique(order_ids, "order_id")
    for row in rows:
        if row["side"] not in _SIDES:
            raise CaseRefusedError(f"side {row['side']!r} of order {row['order_id']} is neither buy nor sell")
    return _Orders(
        order_ids,
        np.array([_SIDES[row["side"]] for row in rows], dtype=np.int8),
        np.array(csv_integers(rows, "quantity_wh"), dtype=np.int64),
        np.array(csv_integers(rows, "price_micro_per_kwh"), dtype=np.int64),
    )


def _named(trades: Trades, order_ids: Sequence[str]) -> list[object]:
    """Trades as cases write them: both ids, energy, price."""
    rows = zip(*(column.tolist() for column in trades), strict=True)
    return [[order_ids[buy], order_ids[sell], energy_wh, price] for buy, sell, energy_wh, price in rows]
