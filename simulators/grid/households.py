"""Simulated households as traders: which order each one places for a slot.

Prices are illustrative. An order's body is a pure function of the world, the seed and the slot; each (seed, slot, party) draws from a stream of its
own, so that the order of evaluation does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError
from simulators.grid.diversity import generator
from simulators.grid.draws import first_integers
from simulators.grid.world import World
from simulators.scenarios.keys import GROUP
from simulators.scenarios.schema import FORECAST, GREEDY, STRATEGIES, ZERO_INTELLIGENCE, Market

SLOTS_PER_DAY = 96
ORDER_STREAM = 0x4F52444552  # keeps these streams apart from the world's
ARRIVAL_STREAM = 0x4152524956414C
STRATEGY_STREAM = 0x5354524154454759


@dataclass(frozen=True)
class OrderIntent:
    """What a household wants for one slot; it becomes a signed order elsewhere."""

    party: str
    side: str  # buy | sell
    quantity_wh: int  # > 0
    price_micro_per_kwh: int  # limit


class OrderColumns(NamedTuple):
    """What the traders of a world want in a slot, int64[traders]: energy to buy, negative to sell, 0 for nothing; the limit."""

    wanted_wh: NDArray[np.int64]
    price_micro_per_kwh: NDArray[np.int64]


class Traders(NamedTuple):
    """The homes that trade. columns: intp[traders], of their meters; strategies: int64[traders], each a place in STRATEGIES."""

    columns: NDArray[np.intp]
    strategies: NDArray[np.int64]

    @property
    def names(self) -> list[str]:
        """The strategy of each."""
        return [STRATEGIES[place] for place in self.strategies.tolist()]


def orders_of_slot(world: World, slot_index: int) -> tuple[OrderIntent, ...]:
    """At most one order of each trader, in the order of ``world.traders``: sellers expect a net export, buyers a net import.

    The forecast is the slot's true net energy with an error of up to ``market.forecast_error_per_mille``. UsageError for a slot that the world does not have.
    """
    wanted, prices = order_columns(world, slot_index, traders_of(world))
    return tuple(
        OrderIntent(party, "buy" if wanted_wh > 0 else "sell", abs(wanted_wh), price)
        for party, wanted_wh, price in zip(world.traders, wanted.tolist(), prices.tolist(), strict=True)
        if wanted_wh
    )


def in_turn(world: World, slot_index: int, orders: Sequence[OrderIntent]) -> list[OrderIntent]:
    """The orders of a slot as they come one behind the other, where a contract ranks them so: drawn anew in each slot."""
    return [orders[place] for place in turns_of(world, slot_index, len(orders)).tolist()]


def turns_of(world: World, slot_index: int, count: int) -> NDArray[np.int64]:
    """int64[count]: which of a slot's orders comes first, which next, and so on."""
    return generator(ARRIVAL_STREAM, world.scenario.seed, slot_index).permutation(count)


def traders_of(world: World) -> Traders:
    """Who trades, and how. UsageError for a group of homes that do not trade, or where the scenario has no market."""
    columns = np.array([world.meter_of_party[party] for party in world.traders], dtype=np.intp)
    market = market_of(world)
    strategies = np.full(len(columns), STRATEGIES.index(market.strategy or ZERO_INTELLIGENCE), dtype=np.int64)
    if market.strategies:
        pool = np.repeat(np.arange(len(STRATEGIES)), [market.strategies.get(name, 0) for name in STRATEGIES])
        for first in range(0, len(columns), GROUP):  # for ten homes at a time: they keep theirs when more trade
            drawn = generator(STRATEGY_STREAM, world.scenario.seed, first // GROUP).permutation(pool)
            strategies[first : first + GROUP] = drawn[: len(columns) - first]
    place = {party: number for number, party in enumerate(world.traders)} if market.groups else {}
    for number, group in enumerate(market.groups):
        for home in group.homes:
            if home not in place:
                what = f"{home} is no home that trades; they are {world.traders[0]} to {world.traders[-1]}"
                raise UsageError(f"market.groups[{number}].homes: {what}")
            strategies[place[home]] = STRATEGIES.index(group.strategy)
    return Traders(columns, strategies)


def market_of(world: World) -> Market:
    """How homes trade. UsageError where the scenario does not say."""
    market = world.scenario.market
    if market is None:
        raise UsageError("market is missing: it says how homes trade")
    return market


def order_columns(world: World, slot_index: int, traders: Traders) -> OrderColumns:
    """``orders_of_slot`` as columns. traders: ``traders_of``."""
    if not 0 <= slot_index < world.slots:
        message = f"slot_index {slot_index}: the world has slots 0 to {world.slots - 1}"
        raise UsageError(message)
    market, columns = market_of(world), traders.columns
    net_wh = world.import_wh[slot_index, columns].astype(np.int64) - world.export_wh[slot_index, columns]
    buys = net_wh > 0
    low = np.where(buys, market.buy_micro_per_kwh_min, market.sell_micro_per_kwh_min)
    high = np.where(buys, market.buy_micro_per_kwh_max, market.sell_micro_per_kwh_max)
    steps_max = (high - low) // market.price_step_micro_per_kwh
    error_max = np.full(len(columns), market.forecast_error_per_mille, dtype=np.int64)
    bounds = [(-market.forecast_error_per_mille, error_max), (0, steps_max)]
    key = (ORDER_STREAM, world.scenario.seed, slot_index)
    error, random_steps = first_integers(key, np.arange(len(columns), dtype=np.int64), bounds)
    by_strategy = {
        ZERO_INTELLIGENCE: random_steps,
        FORECAST: steps_max * _scarcity_per_mille(world, slot_index, columns) // 1000,
        GREEDY: np.where(buys, steps_max, 0),
    }
    steps = np.choose(traders.strategies, [by_strategy[name] for name in STRATEGIES])
    quantity_wh = np.abs(net_wh) * (1000 + error) // 1000
    return OrderColumns(np.where(buys, quantity_wh, -quantity_wh), low + market.price_step_micro_per_kwh * steps)


def _scarcity_per_mille(world: World, slot_index: int, columns: NDArray[np.intp]) -> int:
    """Of what trading homes took and gave a day before, the part that they took; 500 on the first day."""
    before = slot_index - SLOTS_PER_DAY
    if before < 0:
        return 500
    taken_wh, given_wh = (int(energy_wh[before, columns].sum()) for energy_wh in (world.import_wh, world.export_wh))
    return 1000 * taken_wh // (taken_wh + given_wh) if taken_wh + given_wh else 500
