"""The trades of a gate, under a contract that trades in pairs: their rows, and what they come to for each order (docs/spec/state.md, "Clear")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gridcore import merkle
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from ledger.contract import TradesLike
from ledger.leaves.columns import Digests, Int64, digests, join_columns
from ledger.leaves.fills import FillsLeaf
from ledger.leaves.trades import TradesLeaf
from ledger.state.columns import encode_rows


class AreaTrades(NamedTuple):
    """The trades of one area, whose number is ``area``; first: the place of its first order among all orders of the slot."""

    area: int
    first: int
    trades: TradesLike
    fees_micro_per_kwh: Int64 | None


def join_trades(parts: Sequence[AreaTrades], seed: bytes) -> TradesLeaf:
    """The trades of some areas, ascending by number, as one. Where one area's have fees, all have."""
    fees = [part.fees_micro_per_kwh for part in parts if part.fees_micro_per_kwh is not None]
    return TradesLeaf(
        area=join_columns(np.full(len(part.trades.buy), part.area, dtype=np.int64) for part in parts),
        buy=join_columns(part.trades.buy + part.first for part in parts),
        energy_wh=join_columns(part.trades.energy_wh for part in parts),
        price_micro_per_kwh=join_columns(part.trades.price_micro_per_kwh for part in parts),
        sell=join_columns(part.trades.sell + part.first for part in parts),
        seed=seed,
        fee_micro_per_kwh=join_columns(fees) if fees else None,
    )


def amounts_of_orders(trades: TradesLeaf, orders: int) -> Int64:
    """int64[orders] nano: what the trades of each order come to. No order's quantity times its limit leaves int64."""
    amount_nano = np.zeros(orders, dtype=np.int64)
    for rows in (trades.buy, trades.sell):
        np.add.at(amount_nano, rows, trades.energy_wh * trades.price_micro_per_kwh)
    return amount_nano


def fees_of_orders(trades: TradesLeaf, orders: int) -> Int64 | None:
    """int64[orders] nano: what the trades of each buy cost beyond their prices; None under a contract without such fees."""
    if trades.fee_micro_per_kwh is None:
        return None
    fee_nano = np.zeros(orders, dtype=np.int64)
    np.add.at(fee_nano, trades.buy, trades.energy_wh * trades.fee_micro_per_kwh)
    return fee_nano


def trade_rows(trades: TradesLeaf, fills: FillsLeaf) -> PackedRows:
    """Rows of the trades of an area, in the order in which they were made; ``fills``: of the whole slot.

    A row is shown to its two parties: it names both orders and nobody else.
    """
    orders = [("<u4", column[rows]) for rows in (trades.buy, trades.sell) for column in (fills.party, fills.counter)]
    wide = [trades.energy_wh, trades.price_micro_per_kwh]
    if trades.fee_micro_per_kwh is not None:
        wide.append(trades.fee_micro_per_kwh)
    return encode_rows([*orders, *(("<i8", column) for column in wide)])


def roots_of_trades(trades: TradesLeaf, fills: FillsLeaf, area_seeds: Sequence[bytes]) -> Digests:
    """uint8[areas, 32]: the root over each area's trade rows. area_seeds: the seed of each area, b"" for one without orders."""
    bounds = np.searchsorted(trades.area, np.arange(len(area_seeds) + 1)).tolist()
    roots = [merkle.EMPTY_ROOT] * len(area_seeds)
    for area, seed in enumerate(area_seeds):
        if bounds[area] < bounds[area + 1]:
            own = trades.take(slice(bounds[area], bounds[area + 1]))
            roots[area] = merkle.salted_root(trades_seed(seed), trade_rows(own, fills))
    return digests(roots)


def trades_seed(seed: bytes) -> bytes:
    """Salt seed of the trade rows, from the area's seed."""
    return sm3(seed + b"trades")
