"""Zero-intelligence-plus homes: what a gate teaches them, and that prices settle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gridcore.errors import UsageError
from gridledger.simulating.experiment import simulate
from gridledger.simulating.own_traders import Adaptive
from simulators.grid.gates import Fill, Gate
from simulators.grid.households import OrderIntent
from simulators.grid.learning_homes import ZeroIntelligencePlus
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario

LOW, HIGH = 280_000, 460_000
"""The scenario's lowest and highest limit, micro per kWh."""
GATES = 200
ROUNDING = 20
"""Steps in whole numbers end so many micro off their target at most."""


@pytest.fixture(scope="module")
def world() -> World:
    """The begin of a day in the village: homes that buy, and batteries that sell."""
    return build_world(find_scenario("village_day").scenario.sized(slots=2))


def after(world: World, price: int | None, filled: Callable[[OrderIntent], int]) -> list[OrderIntent]:
    """What homes order when the same gate has come again and again."""
    homes = ZeroIntelligencePlus(world)
    orders = homes(0, None)
    for _ in range(GATES):
        fills = {order.party: Fill(order, filled(order), 0) for order in orders}
        orders = homes(0, Gate(0, dict.fromkeys(world.areas, price), fills))
    return list(orders)


def limits(orders: list[OrderIntent], side: str) -> set[int]:
    """Of one side of the market."""
    return {order.price_micro_per_kwh for order in orders if order.side == side}


def test_who_gets_nothing_gives_way_to_the_end_of_the_range_also_where_there_is_no_price(world: World) -> None:
    orders = after(world, None, lambda _: 0)
    assert limits(orders, "buy") == {HIGH}
    assert limits(orders, "sell") == {LOW}


@pytest.mark.parametrize("price", [LOW + 40_000, HIGH - 40_000])
def test_who_gets_all_tries_for_a_little_more_than_the_price(world: World, price: int) -> None:
    orders = after(world, price, lambda order: order.quantity_wh)
    for side, sign in (("buy", -1), ("sell", 1)):
        beyond = [sign * (limit - price) for limit in limits(orders, side)]
        assert [abs(micro - (HIGH - LOW) // 20) <= ROUNDING for micro in beyond] == [True] * len(beyond), side


def test_the_short_side_sets_the_price(world: World) -> None:
    orders = after(world, 370_000, lambda order: order.quantity_wh if order.side == "sell" else order.quantity_wh - 1)
    assert min(limits(orders, "buy")) > 370_000
    assert min(limits(orders, "sell")) > 370_000


def test_begins_differ_by_home_and_a_seed_gives_the_same(world: World) -> None:
    first, again = (ZeroIntelligencePlus(world)(1, None) for _ in range(2))
    assert first == again
    assert len(limits(list(first), "buy")) > 5


def test_prices_of_learning_homes_jump_less_than_those_of_drawn_limits(tmp_path: Path) -> None:
    def jumps(name: str, **traders: Adaptive) -> float:
        run = simulate("village_day", tmp_path / name, seed=7, slots=24, **traders)  # type: ignore[arg-type]
        prices = [run.settled.mean_price("trade_buy", slice(slot, slot + 1)) for slot in range(24)]
        return float(np.abs(np.diff([price for price in prices if price is not None])).mean())

    assert jumps("learning", traders=Adaptive(ZeroIntelligencePlus)) < jumps("drawn") / 3


def test_a_scenario_without_a_market_is_one_line() -> None:
    without = build_world(replace(find_scenario("village_day").scenario.sized(slots=1), market=None))
    with pytest.raises(UsageError, match="market is missing"):
        ZeroIntelligencePlus(without)
