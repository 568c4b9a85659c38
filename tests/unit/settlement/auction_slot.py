"""Slots that tests of ``p2p_call_auction/1`` settle: rows and prices in, a settlement out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.contract import Billed, LineLike, Positions, Tariffs
from ledger.one_group import one_group
from settlement.contract_kit_1 import Settlement
from settlement.contracts.p2p_call_auction_1 import CONTRACT, PRICE_KEYS


class Row(NamedTuple):
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int


class Prices(NamedTuple):
    residual: int = 650_000
    feed_in: int = 350_000
    surplus: int = 300_000
    shortfall: int = 800_000
    network_traded: int = 60_000
    network_residual: int = 100_000
    levy: int = 20_000


PRICES = Prices()


def billed(*parties: str) -> list[Billed]:
    """A point of each of some parties."""
    return [Billed(party, f"P-{party}") for party in parties]


def columns(*values: list[int]) -> list[NDArray[np.int64]]:
    return [np.array(column, dtype=np.int64) for column in values]


@dataclass(frozen=True)
class Slot:
    """One slot of one area as a test settled it."""

    rows: list[Row]
    trade_price: int | None
    prices: dict[str, int]
    settlement: Settlement

    @property
    def pays_nano(self) -> list[int]:
        return [int(amount) for amount in self.settlement.columns["pays_nano"]]

    @property
    def alone_nano(self) -> list[int]:
        return [int(amount) for amount in self.settlement.columns["supplier_only_nano"]]

    @property
    def received_nano(self) -> dict[str, int]:
        return {account: received for account, (received,) in self.settlement.received_nano.items()}

    @property
    def positions(self) -> Positions:
        import_wh, export_wh, *_ = energies(self.rows)
        return Positions(import_wh, export_wh, **self.settlement.columns)

    def lines(self, rows: slice = slice(None)) -> Sequence[LineLike]:
        """The lines of some rows."""
        columns = {name: column[rows] for name, column in self.settlement.columns.items()}
        slot = one_group(self.prices, *(column[rows] for column in energies(self.rows)))
        return CONTRACT.lines(slot, columns, trade_prices_micro_per_kwh=[self.trade_price], terms=[{}])


def energies(rows: list[Row]) -> list[NDArray[np.int64]]:
    return columns(*([row[index] for row in rows] for index in range(4)))


def settle(rows: list[Row], trade_price: int | None = 500_000, prices: Prices = PRICES) -> Slot:
    by_key = dict(zip(PRICE_KEYS, prices, strict=True))
    settlement = settle_areas([(rows, trade_price, by_key)])
    return Slot(rows, trade_price, by_key, settlement)


def settle_areas(areas: Sequence[tuple[list[Row], int | None, dict[str, int]]]) -> Settlement:
    """Several areas at once, their rows one after the other."""
    group = [place for place, (rows, _, _) in enumerate(areas) for _ in rows]
    return settle_rows(
        group,
        [row for rows, _, _ in areas for row in rows],
        [trade_price for _, trade_price, _ in areas],
        [prices for _, _, prices in areas],
    )


def settle_rows(
    group: list[int], rows: list[Row], trade_prices: Sequence[int | None], prices: Sequence[dict[str, int]]
) -> Settlement:
    """Rows of some groups, each at the prices of its group."""
    (groups,) = columns(group)
    tariffs = Tariffs(np.arange(len(prices)), groups, prices_by_key(prices))
    slots = one_group({}, *energies(rows))._replace(group=groups, tariffs=tariffs)
    return CONTRACT.settle(slots, trade_prices_micro_per_kwh=trade_prices, terms=[{}] * len(trade_prices))


def prices_by_key(prices: Sequence[dict[str, int]]) -> dict[str, NDArray[np.int64]]:
    """Columns of some tariffs."""
    return {key: np.array([some[key] for some in prices], dtype=np.int64) for key in prices[0]}
