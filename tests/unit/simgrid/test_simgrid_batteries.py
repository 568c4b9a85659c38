"""Batteries: whatever their strategy they keep energy and bounds, and each strategy keeps its own word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridledger.cli import main
from simulators.grid.batteries import (
    STRATEGIES,
    WITHOUT_BATTERY,
    BatteryOperation,
    battery_hours,
    operate_batteries,
    strategies_of,
)
from simulators.grid.diversity import generator
from simulators.grid.local_time import is_between
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.home_devices import (
    BATTERY_STRATEGIES,
    NO_BATTERIES,
    NO_STRATEGY,
    PEAK_SHAVING,
    SELF_CONSUMPTION,
    TARIFF_ARBITRAGE,
    Batteries,
)

DEMO = find_scenario("demonstration")
OWN = DEMO.scenario.batteries or NO_BATTERIES
MIXED = replace(
    OWN,
    strategies={SELF_CONSUMPTION: 4, TARIFF_ARBITRAGE: 3, PEAK_SHAVING: 2, NO_STRATEGY: 1},
    cheap_from_hour=0,
    cheap_until_hour=6,
    dear_from_hour=17,
    dear_until_hour=22,
    peak_w=1_200,
)
POWER_WH, PEAK_WH = MIXED.power_w // 4, MIXED.peak_w // 4
NETS = st.lists(st.integers(-2_000, 2_000), min_size=1, max_size=192)


def operated(
    strategy: str, seed: int, net: list[int], spec: Batteries = MIXED, has_power: NDArray[np.bool_] | None = None
) -> BatteryOperation:
    """A home with a battery and one without, of the same net energy, from midnight on."""
    net_wh, powered = np.array([net, net], dtype=np.int64).T, np.ones(len(net), dtype=np.bool_)
    hours = battery_hours(np.arange(len(net)), powered if has_power is None else has_power, spec)
    strategies = np.array([STRATEGIES.index(strategy), WITHOUT_BATTERY])
    return operate_batteries(generator(seed), hours, net_wh, strategies, spec)


@pytest.mark.parametrize("strategy", BATTERY_STRATEGIES)
@given(seed=st.integers(0, 2**32), net=NETS)
@settings(max_examples=40, deadline=None)
def test_a_battery_keeps_its_energy_its_bounds_and_its_power(strategy: str, seed: int, net: list[int]) -> None:
    battery = operated(strategy, seed, net)
    flow_wh, charge_wh = battery.flow_wh[:, 0], battery.charge_wh[:, 0]
    kept_wh = np.where(flow_wh > 0, flow_wh * MIXED.charge_percent // 100, flow_wh)
    assert (np.diff(charge_wh) == kept_wh).all()
    assert MIXED.capacity_wh_min <= battery.capacity_wh[0] <= MIXED.capacity_wh_max
    assert 0 < battery.reserve_wh[0] <= charge_wh.min() <= charge_wh.max() <= battery.capacity_wh[0]
    assert np.abs(flow_wh).max() <= POWER_WH
    for array in (battery.flow_wh, battery.charge_wh, battery.capacity_wh[None], battery.reserve_wh[None]):
        assert (array[:, 1] == 0).all(), "a home without a battery"


@pytest.mark.parametrize("strategy", BATTERY_STRATEGIES)
@given(seed=st.integers(0, 2**32), net=st.lists(st.integers(-2_000, 2_000), min_size=96, max_size=192))
@settings(max_examples=30, deadline=None)
def test_what_a_battery_gives_is_what_it_took_less_its_loss_and_what_is_left(
    strategy: str, seed: int, net: list[int]
) -> None:
    battery = operated(strategy, seed, net)
    taken_wh, given_wh = (np.maximum(sign * battery.flow_wh[:, 0], 0) for sign in (1, -1))
    lost_wh = int((taken_wh - taken_wh * MIXED.charge_percent // 100).sum())
    stored_wh = int(battery.charge_wh[-1, 0] - battery.charge_wh[0, 0])
    assert int(taken_wh.sum()) == int(given_wh.sum()) + stored_wh + lost_wh
    slots = np.count_nonzero(taken_wh)
    loss_percent = 100 - MIXED.charge_percent
    assert 0 <= 100 * lost_wh - loss_percent * int(taken_wh.sum()) <= 100 * slots, "1 Wh of rounding a slot"


@given(st.integers(0, 2**32), NETS)
@settings(max_examples=40, deadline=None)
def test_self_consumption_takes_surplus_alone_and_gives_need_and_sale_alone(seed: int, net: list[int]) -> None:
    flow_wh, need_wh = operated(SELF_CONSUMPTION, seed, net).flow_wh[:, 0], np.array(net)
    sale_wh = MIXED.sale_w_max // 4 * is_between(np.arange(len(net)), MIXED.sale_from_hour, MIXED.sale_until_hour)
    assert (np.maximum(flow_wh, 0) <= np.maximum(-need_wh, 0)).all()
    assert (np.maximum(-flow_wh, 0) <= np.where(need_wh >= 0, need_wh + sale_wh, 0)).all()


@given(st.integers(0, 2**32), NETS)
@settings(max_examples=40, deadline=None)
def test_arbitrage_gives_at_dear_hours_alone_and_fills_itself_at_cheap_ones(seed: int, net: list[int]) -> None:
    battery, need_wh, when = operated(TARIFF_ARBITRAGE, seed, net), np.array(net), np.arange(len(net))
    flow_wh, cheap, dear = battery.flow_wh[:, 0], is_between(when, 0, 6), is_between(when, 17, 22)
    given_wh, taken_wh = np.maximum(-flow_wh, 0), np.maximum(flow_wh, 0)
    assert (given_wh[~dear] == 0).all()
    assert (given_wh <= np.maximum(need_wh, 0)).all(), "nothing is sold"
    assert (taken_wh[~cheap] <= np.maximum(-need_wh[~cheap], 0)).all()
    room_wh = (battery.capacity_wh[0] - battery.charge_wh[:-1, 0]) * 100 // MIXED.charge_percent
    assert (taken_wh[cheap] == np.minimum(POWER_WH, room_wh[cheap])).all()


@given(st.integers(0, 2**32), NETS)
@settings(max_examples=40, deadline=None)
def test_peaks_are_cut_as_far_as_power_and_charge_go_and_never_made(seed: int, net: list[int]) -> None:
    battery, need_wh = operated(PEAK_SHAVING, seed, net), np.array(net)
    flow_wh, charge_wh = battery.flow_wh[:, 0], battery.charge_wh[:-1, 0]
    above_wh = np.maximum(need_wh - PEAK_WH, 0)
    left_wh = np.minimum(POWER_WH, charge_wh - battery.reserve_wh[0])
    assert (np.maximum(-flow_wh, 0) == np.minimum(above_wh, left_wh)).all()
    assert (need_wh + np.maximum(flow_wh, 0) <= np.maximum(need_wh, PEAK_WH)).all(), "filled below the peak alone"


@given(st.integers(0, 2**32), NETS)
@settings(max_examples=20, deadline=None)
def test_without_a_strategy_nothing_flows(seed: int, net: list[int]) -> None:
    battery = operated(NO_STRATEGY, seed, net)
    assert (battery.flow_wh == 0).all()
    assert (battery.charge_wh == battery.charge_wh[0]).all()
    assert battery.charge_wh[0, 0] > 0


@pytest.mark.parametrize("strategy", BATTERY_STRATEGIES)
def test_without_power_no_battery_takes_or_gives(strategy: str) -> None:
    has_power = np.arange(96) % 3 > 0
    battery = operated(strategy, 7, [700, -700, 300] * 32, has_power=has_power)
    assert (battery.flow_wh[~has_power] == 0).all()
    assert battery.flow_wh[has_power].any() == (strategy != NO_STRATEGY)


@given(st.integers(0, 2**32), st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_of_every_ten_batteries_each_strategy_has_its_share(seed: int, homes: int) -> None:
    has_battery = np.arange(2 * homes) % 2 == 1
    drawn = strategies_of(generator(seed), has_battery, MIXED)
    own = drawn[has_battery]
    tens = [np.bincount(own[first : first + 10], minlength=4).tolist() for first in range(0, homes - 9, 10)]
    assert tens == [[4, 3, 2, 1]] * (homes // 10)
    assert (drawn[~has_battery] == WITHOUT_BATTERY).all()
    assert (strategies_of(generator(seed), has_battery, OWN)[has_battery] == 0).all(), "all consume their own"


def world_of(batteries: Batteries, seed: int = 7) -> World:
    """The demonstration's day with these batteries."""
    return build_world(replace(DEMO.scenario.sized(seed=seed), batteries=batteries))


def test_a_world_tells_strategies_which_leave_loads_and_sizes_as_they_were() -> None:
    many = replace(OWN, homes_of_ten=4)
    own, mixed = world_of(many), world_of(replace(MIXED, homes_of_ten=4))
    strategies = [battery.strategy for battery in mixed.batteries]
    assert {battery.strategy for battery in own.batteries} == {SELF_CONSUMPTION}
    assert set(strategies) == set(BATTERY_STRATEGIES)
    assert [replace(battery, strategy="") for battery in mixed.batteries] == [
        replace(battery, strategy="") for battery in own.batteries
    ]
    flows = []
    for world in (own, mixed):
        columns = [world.meter_of_party[battery.party] for battery in world.batteries]
        net_wh = (world.import_wh - world.export_wh)[:, columns].astype(np.int64)
        change_wh = np.diff(world.battery_wh, axis=0)
        # of what is taken 94 % is kept, floored: what was taken lies within 1 Wh and its 94th part
        flows.append(net_wh - np.where(change_wh > 0, -(-change_wh * 100 // OWN.charge_percent), change_wh))
    assert np.abs(flows[0] - flows[1]).max() <= 1, "the homes behind the batteries are the same"
    again = world_of(replace(MIXED, homes_of_ten=4))
    assert (again.battery_wh == mixed.battery_wh).all()
    other = world_of(replace(MIXED, homes_of_ten=4), seed=8)
    assert [battery.strategy for battery in other.batteries] != strategies


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strategies = { none = 9 }", "batteries: strategies are of 10 batteries, and together 9"),
        ("strategies = { none = 11 }", "batteries: strategies.none 11 is not from 0 to 10"),
        (
            "strategies = { greedy = 10 }",
            "batteries: strategies.greedy is not known; choose of self_consumption, tariff_arbitrage, peak_shaving, none",
        ),
        ("strategies = { peak_shaving = 10 }", "batteries: strategies.peak_shaving needs peak_w"),
        ("strategies = { tariff_arbitrage = 10 }", "batteries: strategies.tariff_arbitrage needs cheap_from_hour"),
        (
            "cheap_from_hour = 22\ncheap_until_hour = 7\ndear_from_hour = 6\ndear_until_hour = 9",
            "batteries: hour 6 is cheap and dear at once",
        ),
        ("cheap_from_hour = 24", "batteries.cheap_from_hour = 24 is out of range; allowed: 0 to 23"),
        ("peak_watt = 24", "batteries.peak_watt is an unknown key; did you mean 'peak_w'?"),
    ],
)
def test_strategies_that_cannot_be_are_one_line(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my.toml"
    path.write_text(DEMO.data.decode().replace("[batteries]\n", f"[batteries]\n{text}\n"))
    assert main(["simulate", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}: {words}" in said
    assert said.count("\n") == 1
