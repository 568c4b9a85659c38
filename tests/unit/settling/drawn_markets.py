"""Markets of settled folders as laws draw them: a contract, its terms, and what a ledger hands it beside what was metered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridledger.settling.dataset import Dataset, PointRow
from gridledger.settling.run_columns import RunColumns
from ledger.contract import BUY, SELL, Agreements, Period, TradeAmounts
from settlement.catalogue import CONTRACTS
from settlement.contracts.conditional_bid_1.matching import ANY_KIND
from tests.unit.settling.settled_folder import PRICES, SLOT_S, Grid, Handed, Places, dataset_of, runs_of

RETAIL, FEED_IN = PRICES["residual_price_micro_per_kwh"], PRICES["feed_in_price_micro_per_kwh"]
SURPLUS, SHORTFALL, SHARED_AT = 250_000, 530_000, 370_000
TRADERS: Final = {**PRICES, "surplus_price_micro_per_kwh": SURPLUS, "shortfall_price_micro_per_kwh": SHORTFALL}
NETWORK_NANO: Final = PRICES["network_residual_micro_per_kwh"] - PRICES["network_traded_micro_per_kwh"]
"""What a Wh more that a meter is given of what is shared changes its bill by, where prices follow from sums."""
NANO: Final = 10**9
MONTH_END_S: Final = 1_782_835_200  # 1 July 2026, 00:00 in Shanghai
Hands = Callable[[Dataset, int, Places], Handed]
"""What a contract is handed of a slot and of the places of an area's points; the dataset has the energies that hold by then."""


class Market(NamedTuple):
    """A contract and its terms. grid: the accounts that keep what the grid gets; wh_nano: what a Wh more that is shared changes a bill by.

    prices: those of the rules; is_monthly: the last slot of a folder settles the month; left_over_nano: of what is shared, the units of nano that
    the order of rows gives one meter or another.
    """

    contract: str
    terms: Mapping[str, Any]
    grid: Sequence[str]
    wh_nano: int
    prices: Mapping[str, int] = PRICES
    hands: Hands | None = None
    is_monthly: bool = False
    left_over_nano: int = 1

    def dataset(self, import_wh: Grid, export_wh: Grid, points: Sequence[PointRow]) -> Dataset:
        """A folder of these energies whose slots are the last ones of June."""
        made = dataset_of(import_wh, export_wh, points, contract=self.contract, terms=self.terms)
        first_s = MONTH_END_S - SLOT_S * len(import_wh)
        return made._replace(
            rules=made.rules._replace(prices=self.prices),
            slot_start_s=first_s + SLOT_S * np.arange(len(import_wh)),
        )

    def runs(
        self,
        dataset: Dataset,
        run: str = "initial",
        slots: Sequence[int] | None = None,
        import_wh: Grid | None = None,
    ) -> Iterator[RunColumns]:
        """The runs of all slots, or of those that a correction to other imports touches: with one of them, the slot that settles their month."""
        count = len(dataset.slot_start_s)
        again = list(range(count) if slots is None else slots)
        known_wh = dataset.import_wh.copy()
        if import_wh is not None:
            known_wh[again] = import_wh[again]
        known = dataset._replace(import_wh=known_wh)
        if self.is_monthly and count - 1 not in again:
            again.append(count - 1)
        return runs_of(known, run, again, handed=partial(self.hands, known) if self.hands else None)


def month_so_far(dataset: Dataset, slot: int, places: Places) -> Handed:
    """The sums of all other slots for the last one, as a ledger counts them."""
    start_s, last = int(dataset.slot_start_s[0]), len(dataset.slot_start_s) - 1
    if slot != last:
        return Handed(period=Period([start_s], [False], {}, {}))
    net_wh = (dataset.export_wh - dataset.import_wh)[:last, places]
    lacked_wh, over_wh = np.maximum(-net_wh, 0), np.maximum(net_wh, 0)
    of_area = net_wh.sum(axis=1)
    cost, income = np.maximum(-of_area, 0) * RETAIL, np.maximum(of_area, 0) * FEED_IN
    columns = {"deficit_wh": lacked_wh.sum(axis=0), "surplus_wh": over_wh.sum(axis=0)}
    of_areas = {
        "cost_units": [int((cost // NANO).sum())],
        "cost_nano": [int((cost % NANO).sum())],
        "income_units": [int((income // NANO).sum())],
        "income_nano": [int((income % NANO).sum())],
    }
    return Handed(period=Period([start_s], [True], columns, of_areas))


AGREED: Final = (
    # seller, buyer, a difference, quantity, share, price, reference
    ("Z1", "Z2", 0, -1, 400_000, 300_000, 0),
    ("Z4", "Z2", 0, 300, -1, 310_000, 0),
    ("Z2", "Z4", 1, 1_000, -1, 280_000, 350_000),
    ("Z5", "Z3", 0, 5_000, -1, 290_000, 0),
)


def agreed(dataset: Dataset, _slot: int, places: Places) -> Handed:
    """The agreements between points of an area, by name."""
    row_of = {dataset.points[place].point: row for row, place in enumerate(places.tolist())}
    rows = [(row_of[sold], row_of[bought], *rest) for sold, bought, *rest in AGREED if sold in row_of]
    columns = zip(*rows, strict=True) if rows else [()] * len(Agreements._fields)
    return Handed(agreements=Agreements(*(np.array(column, dtype=np.int64) for column in columns)))


def cleared(dataset: Dataset, slot: int, places: Places) -> Handed:
    """A gate in which each point offers what it gave in the slot before and asks for what the point before it gives, at limits that differ by name.

    So what is traded is more or less than what is metered; and since corrections change imports alone, they leave the gate as it was.
    """
    contract, count = CONTRACTS[dataset.rules.contract], len(places)
    by_name = np.argsort([dataset.points[place].point for place in places.tolist()], kind="stable")
    named = places[by_name]
    sold_wh = dataset.export_wh[slot - 1, named]
    bought_wh = np.roll(dataset.export_wh[slot, named], 1)
    side = np.repeat(np.array([BUY, SELL], dtype=np.int8), count)
    quantity_wh = np.append(bought_wh, sold_wh)
    price = np.append(470_000 - 60_000 * np.arange(count), 300_000 + 50_000 * np.arange(count))
    orders = np.flatnonzero(quantity_wh)
    asked = _asked(side[orders], orders % count)
    gate = contract.clear(
        side[orders],
        quantity_wh[orders],
        price[orders],
        terms={"prices": dataset.rules.prices, **dataset.rules.terms},
        until_rank=np.full(len(orders), len(orders)) if contract.ranks_by_arrival else None,
        order_terms={name: asked[name] for name in contract.order_terms} or None,
    )
    filled_wh = np.zeros(2 * count, dtype=np.int64)
    filled_wh[orders] = gate.filled_wh
    amounts = None
    if gate.trades is not None:
        nano, fee_nano = np.zeros(2 * count, dtype=np.int64), np.zeros(2 * count, dtype=np.int64)
        worth = gate.trades.energy_wh * gate.trades.price_micro_per_kwh
        np.add.at(nano, orders[gate.trades.buy], worth)
        np.add.at(nano, orders[gate.trades.sell], worth)
        if gate.fees_micro_per_kwh is not None:
            np.add.at(fee_nano, orders[gate.trades.buy], gate.trades.energy_wh * gate.fees_micro_per_kwh)
        amounts = TradeAmounts(*(_back(of, by_name) for of in (nano[:count], nano[count:], fee_nano[:count])))
    return Handed(
        _back(filled_wh[:count], by_name), _back(filled_wh[count:], by_name), gate.price_micro_per_kwh, amounts
    )


def _asked(side: NDArray[np.int8], point: Places) -> dict[str, Grid]:
    """What contracts ask of orders: they came by row, each is a bid of its own for any energy of anybody, their points stand at two places in turn."""
    rows = np.arange(len(side))
    return {
        "arrival": rows,
        "grid_place": 2 + point % 2,
        "bid": rows,
        "choice": np.zeros_like(rows),
        "energy_kinds": np.where(side == BUY, ANY_KIND, 1),
        "seller": np.where(side == BUY, 0, 1 + point),
    }


def _back(column: Places, by_name: Places) -> Places:
    """A column by name in the order of the rows."""
    found = np.zeros_like(column)
    found[by_name] = column
    return found


KEYS = {"method": "dynamic", "trade_price_micro_per_kwh": SHARED_AT}
COMMUNITIES: Final = (
    Market("mid_market_rate/1", {}, ["community"], NETWORK_NANO),
    Market("supply_demand_ratio/1", {}, ["community"], NETWORK_NANO),
    Market("sharing_keys/1", KEYS, ["supplier", "offtaker", "clearing"], NETWORK_NANO + RETAIL - SHARED_AT),
    Market("bill_sharing/1", {}, ["community"], NETWORK_NANO, hands=month_so_far, is_monthly=True),
)
"""An area is metered as a whole, and shares what stays inside."""
TRADERS_GRID: Final = ("supplier", "offtaker", "balance", "clearing")
BY_AGREEMENT: Final = Market("bilateral_agreements/1", {}, TRADERS_GRID, 0, PRICES, agreed, left_over_nano=0)
BY_SCHEDULE: Final = Market("schedules_and_deviations/1", {}, TRADERS_GRID, 0, TRADERS, agreed, left_over_nano=0)
GRID_PLACES: Final = (
    {"place": 1, "fee_micro_per_kwh": 20_000},
    {"place": 2, "parent": 1, "fee_micro_per_kwh": 10_000},
    {"place": 3, "parent": 1, "fee_micro_per_kwh": 5_000},
)
TERMS_OF_AUCTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "p2p_call_auction/1": {"rationing": "pro_rata", "reference_price_micro_per_kwh": 370_000},
    "p2p_call_auction/2": {"rationing": "time", "price_k_ppm": 250_000},
    "pay_as_bid/1": {},
    "pay_as_bid/2": {"price_k_ppm": 333_333},
    "continuous_double_auction/1": {},
    "continuous_double_auction/2": {"price_k_ppm": 500_000},
    "trade_reduction/1": {},
    "conditional_bid/1": {"price_rule": "pay_as_offer"},
    "grid_fee_path/1": {"price_rule": "pay_as_bid", "grid_places": list(GRID_PLACES)},
    "grid_fee_path/2": {"grid_places": [{**place, "fee_ppm": 50_000} for place in GRID_PLACES]},
}
AUCTIONS: Final = tuple(
    Market(contract, terms, TRADERS_GRID, 0, TRADERS, cleared, left_over_nano=0)
    for contract, terms in TERMS_OF_AUCTIONS.items()
)
TRADING: Final = (BY_AGREEMENT, BY_SCHEDULE, *AUCTIONS)
"""Points trade with each other, and each is billed by the grid for the rest."""
