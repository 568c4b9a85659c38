"""What a market of pairs yields: who bought from whom, how much and at which price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1.columns import Int8Column, Int64Column, check_column, exact_sum, narrow
from settlement.contract_kit_1.errors import ContractError, promise
from settlement.contract_kit_1.groups import Groups

BUY = 0
"""``side`` of an order that buys."""
SELL = 1
"""``side`` of an order that sells."""


class Traded(NamedTuple):
    """What each row bought and sold in trades, int64[n]: Wh >= 0, and what it costs or brings: nano of either sign, as prices are."""

    bought_wh: Int64Column
    sold_wh: Int64Column
    bought_nano: Int64Column
    sold_nano: Int64Column


class Trades(NamedTuple):
    """Trades in the order in which they were made, columns int64[m]: rows of both sides, energy > 0, price micro per kWh."""

    buy: Int64Column
    sell: Int64Column
    energy_wh: Int64Column
    price_micro_per_kwh: Int64Column

    @classmethod
    def of(cls, trades: Sequence[tuple[int, int, int, int]]) -> Trades:
        """From rows (buy, sell, energy_wh, price_micro_per_kwh)."""
        columns = zip(*trades, strict=True) if trades else ((), (), (), ())
        return cls(*(narrow(values, name) for values, name in zip(columns, cls._fields, strict=True)))

    @property
    def volume_wh(self) -> int:
        """The energy of all trades, exact at any size."""
        return exact_sum(self.energy_wh)

    def traded(self, count: int) -> Traded:
        """What each of ``count`` rows bought and sold, summed over its trades; ContractError where a sum does not fit into int64."""
        buyers, sellers = Groups(self.buy, count), Groups(self.sell, count)
        return Traded(
            narrow(buyers.sums(self.energy_wh), "bought_wh"),
            narrow(sellers.sums(self.energy_wh), "sold_wh"),
            narrow(buyers.product_sums(self.energy_wh, self.price_micro_per_kwh), "bought_nano"),
            narrow(sellers.product_sums(self.energy_wh, self.price_micro_per_kwh), "sold_nano"),
        )

    def filled_wh(self, quantity_wh: Int64Column) -> Int64Column:
        """int64[orders]: what each order got. It is never more than its quantity, or the process stops."""
        filled: Int64Column = np.zeros_like(quantity_wh)
        for rows in (self.buy, self.sell):
            np.add.at(filled, rows, self.energy_wh)
        promise(bool((filled <= quantity_wh).all()), "no order is filled beyond its quantity")
        return filled


def check_orders(side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column) -> None:
    """ContractError unless the columns of orders fit together and hold what they may."""
    check_column(quantity_wh, "quantity_wh", length=side.size, minimum=1)
    check_column(price_micro_per_kwh, "price_micro_per_kwh", length=side.size)
    if side.dtype != np.int8 or side.ndim != 1:
        raise ContractError(f"side must be a one-dimensional int8 column, not {side.ndim}-d {side.dtype}")
    if side.size and (int(side.min()) < BUY or int(side.max()) > SELL):
        row = int(np.argmax((side < BUY) | (side > SELL)))
        raise ContractError(f"side[{row}] is {int(side[row])}, must be {BUY} (buy) or {SELL} (sell)")
