"""Orders of the simulated households: well formed, reproducible one by one, and enough of them to make a market."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pytest

from gridcore.errors import UsageError
from simulators.grid.households import OrderIntent, orders_of_slot, traders_of
from simulators.grid.world import World, build_world
from simulators.scenarios.schema import FORECAST, GREEDY, ZERO_INTELLIGENCE, Market, MarketGroup
from tests.worlds.simulated import demo_world

NOON_SLOT = 48


@pytest.fixture(scope="module")
def day() -> World:
    """One day of one full feeder."""
    return demo_world(households=113, slots=96, seed=7)


def fill_of(orders: list[OrderIntent], volume_wh: int) -> dict[str, int]:
    """Whole price levels in price order, the last one pro rata (floored): what each party gets of ``volume_wh``."""
    levels: dict[int, list[OrderIntent]] = defaultdict(list)
    for order in orders:
        levels[order.price_micro_per_kwh].append(order)
    filled: dict[str, int] = {}
    left_wh = volume_wh
    for price in sorted(levels, reverse=bool(orders) and orders[0].side == "buy"):
        level_wh = sum(order.quantity_wh for order in levels[price])
        share_wh = min(left_wh, level_wh)
        filled |= {order.party: share_wh * order.quantity_wh // level_wh for order in levels[price]}
        left_wh -= share_wh
    return filled


def traded_and_possible_wh(world: World) -> tuple[int, int]:
    """Sums over slots: min(min(bought, import), min(sold, export)) and min(export, import) of the trading homes."""
    traded, possible = 0, 0
    for slot in range(world.slots):
        orders = orders_of_slot(world, slot)
        buys, sells = ([order for order in orders if order.side == side] for side in ("buy", "sell"))
        volume_wh = min(sum(order.quantity_wh for order in buys), sum(order.quantity_wh for order in sells))
        columns = [world.meter_of_party[party] for party in world.traders]
        possible += min(int(world.import_wh[slot, columns].sum()), int(world.export_wh[slot, columns].sum()))
        sides = ((fill_of(buys, volume_wh), world.import_wh), (fill_of(sells, volume_wh), world.export_wh))
        traded += min(
            sum(min(wh, int(energy_wh[slot, world.meter_of_party[party]])) for party, wh in filled.items())
            for filled, energy_wh in sides
        )
    return traded, possible


@pytest.mark.parametrize(("households", "slots", "seed"), [(113, 96, 7), (113, 96, 1), (12, 96, 3), (12, 8, 7)])
def test_orders_let_the_market_move_three_quarters_of_what_is_possible(households: int, slots: int, seed: int) -> None:
    world = demo_world(households=households, slots=slots, seed=seed)
    traded_wh, possible_wh = traded_and_possible_wh(world)
    columns = [world.meter_of_party[party] for party in world.traders]
    assert traded_wh >= 0.75 * possible_wh
    assert possible_wh > 0.2 * world.import_wh[:, columns].sum()


@pytest.mark.parametrize("seed", [1, 7])
def test_evenings_trade_because_batteries_sell(seed: int) -> None:
    world = demo_world(households=113, slots=96, seed=seed)
    with_battery = {battery.party for battery in world.batteries}
    for hour in range(20, 24):
        sold_by, volume_wh = set[str](), 0
        for slot in range(4 * hour, 4 * hour + 4):
            orders = orders_of_slot(world, slot)
            sold_by |= {order.party for order in orders if order.side == "sell"}
            sides = [[order.quantity_wh for order in orders if order.side == side] for side in ("buy", "sell")]
            volume_wh += min(map(sum, sides))
        assert volume_wh > 5_000, f"hour {hour}"
        if hour >= 22:  # no PV any more
            assert sold_by
            assert sold_by <= with_battery


def test_noon_has_exports_and_imports(day: World) -> None:
    assert day.export_wh[NOON_SLOT, :113].sum() > 5_000
    assert day.import_wh[NOON_SLOT, :113].sum() > 1_000


def test_each_trader_places_at_most_one_well_formed_order(day: World) -> None:
    for slot in range(0, 96, 7):
        orders = orders_of_slot(day, slot)
        assert len({order.party for order in orders}) == len(orders)
        for order in orders:
            column = day.meter_of_party[order.party]
            net_wh = int(day.import_wh[slot, column] - day.export_wh[slot, column])
            low, high = (370_000, 460_000) if order.side == "buy" else (280_000, 370_000)
            assert low <= order.price_micro_per_kwh <= high
            assert (net_wh > 0) == (order.side == "buy")
            assert order.quantity_wh > 0
            assert abs(order.quantity_wh - abs(net_wh)) <= 0.08 * abs(net_wh) + 1


def test_limits_are_spread_over_many_prices(day: World) -> None:
    prices = [order.price_micro_per_kwh for slot in (40, NOON_SLOT) for order in orders_of_slot(day, slot)]
    assert len(set(prices)) > 0.8 * len(prices)


def test_only_the_trading_homes_place_orders_and_each_order_depends_on_its_own_party_alone(day: World) -> None:
    few = demo_world(households=12, slots=96, seed=7)
    orders = {order.party: order for order in orders_of_slot(day, 20)}
    assert [order for order in orders.values() if order.party in few.traders] == list(orders_of_slot(few, 20))


def test_evaluation_order_of_slots_does_not_matter(day: World) -> None:
    backward = [orders_of_slot(day, slot) for slot in (50, 49, 48)]
    assert backward[::-1] == [orders_of_slot(day, slot) for slot in (48, 49, 50)]
    other = replace(day, scenario=day.scenario.sized(seed=8))
    assert orders_of_slot(other, 48) != orders_of_slot(day, 48)


@pytest.mark.parametrize("slot", [-1, 96])
def test_slot_outside_the_world_is_refused(day: World, slot: int) -> None:
    with pytest.raises(UsageError, match=f"slot_index {slot}: the world has slots 0 to 95"):
        orders_of_slot(day, slot)


def market_of(day: World) -> Market:
    """How its homes trade."""
    assert day.scenario.market is not None
    return day.scenario.market


def trading_by(day: World, strategy: str, slots: int) -> World:
    """The same homes with another strategy, for some slots."""
    market = replace(market_of(day), strategy=strategy)
    return build_world(replace(day.scenario, market=market).sized(slots=slots, households=12))


def test_a_greedy_home_asks_the_least_and_offers_the_most(day: World) -> None:
    world, market = trading_by(day, GREEDY, NOON_SLOT + 1), market_of(day)
    step = market.price_step_micro_per_kwh
    highest = (
        market.buy_micro_per_kwh_min + (market.buy_micro_per_kwh_max - market.buy_micro_per_kwh_min) // step * step
    )
    limits = {"buy": highest, "sell": market.sell_micro_per_kwh_min}
    orders = orders_of_slot(world, NOON_SLOT)
    assert {order.side for order in orders} == {"buy", "sell"}
    assert all(order.price_micro_per_kwh == limits[order.side] for order in orders)


def test_a_home_with_a_forecast_offers_less_for_energy_that_was_plentiful_yesterday(day: World) -> None:
    world = trading_by(day, FORECAST, 96 + NOON_SLOT + 1)
    night, noon = (
        {order.price_micro_per_kwh for order in orders_of_slot(world, slot) if order.side == "buy"}
        for slot in (96, 96 + NOON_SLOT)
    )
    assert len(night) == len(noon) == 1, "all have seen the same yesterday"
    assert max(noon) < min(night)


def test_what_a_home_wants_does_not_depend_on_its_strategy(day: World) -> None:
    wanted = [
        [(order.party, order.side, order.quantity_wh) for order in orders_of_slot(trading_by(day, strategy, 8), 7)]
        for strategy in (ZERO_INTELLIGENCE, FORECAST, GREEDY)
    ]
    assert wanted[0] == wanted[1] == wanted[2]


def with_market(day: World, **changes: Any) -> World:
    """The day's homes with another market."""
    return replace(day, scenario=replace(day.scenario, market=replace(market_of(day), **changes)))


def test_of_each_ten_homes_so_many_have_a_strategy_as_is_said_and_they_keep_it_when_more_trade(day: World) -> None:
    shares = {GREEDY: 3, FORECAST: 7}
    names = traders_of(with_market(day, strategies=shares)).names
    of_ten = [Counter(names[first : first + 10]) for first in range(0, len(names) // 10 * 10, 10)]
    assert of_ten == [Counter(shares)] * len(of_ten)
    assert len({tuple(names[first : first + 10]) for first in range(0, 50, 10)}) > 1
    fewer = replace(day, traders=day.traders[:13])
    assert traders_of(with_market(fewer, strategies=shares)).names == names[:13]
    other = replace(day, scenario=day.scenario.sized(seed=8))
    assert traders_of(with_market(other, strategies=shares)).names != names


def test_a_home_of_a_group_trades_as_if_all_had_its_strategy(day: World) -> None:
    group = MarketGroup(name="early", strategy=GREEDY, homes=("H002", "H005"))
    mixed = orders_of_slot(with_market(day, groups=(group,)), NOON_SLOT)
    greedy = orders_of_slot(with_market(day, strategy=GREEDY), NOON_SLOT)
    plain = orders_of_slot(day, NOON_SLOT)
    expected = [own if own.party in group.homes else other for own, other in zip(greedy, plain, strict=True)]
    assert list(mixed) == expected
    assert [order.party for order in mixed if order not in plain] == ["H002", "H005"]


def test_a_group_of_homes_that_do_not_trade_is_one_line(day: World) -> None:
    group = MarketGroup(name="away", strategy=GREEDY, homes=("H999",))
    with pytest.raises(UsageError, match=r"market.groups\[0\].homes: H999 is no home that trades; they are H001 to"):
        traders_of(with_market(day, groups=(group,)))
