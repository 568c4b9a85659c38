"""Cars and heat pumps: energy that was wanted, when it is taken, and never above their power."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.grid.appliances import heat_pump_loads, vehicle_loads
from simulators.grid.diversity import generator
from simulators.grid.local_time import is_between, is_first_of_day
from simulators.scenarios.home_devices import AT_NIGHT, ON_ARRIVAL, HeatPumps, Vehicles

CARS = Vehicles((5,), 7_400, 4_000, 14_000, 17, 20, ON_ARRIVAL)
PUMPS = HeatPumps((8,), 5_000, 120, 260)
DAY = np.arange(96)
OWNERS = np.array([True, False, True])


def test_cars_charge_what_they_drove_after_they_came_home() -> None:
    loads = vehicle_loads(generator(1), np.tile(DAY, 3), OWNERS, CARS)
    assert (loads[:, 1] == 0).all()
    assert loads.max() == 1_850
    for home in (0, 2):
        for day in range(3):
            charged = loads[96 * day + 68 : 96 * day + 96, home].sum()
            assert 4_000 <= charged <= 14_000
        assert (loads[:68, home] == 0).all()


def test_cars_that_wait_for_the_night_take_nothing_before_it() -> None:
    loads = vehicle_loads(generator(1), np.tile(DAY, 2), OWNERS, replace(CARS, strategy=AT_NIGHT))
    assert loads[:92].sum() == 0
    assert loads[92:100].sum() > 0


@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(0, 95))
@settings(max_examples=60, deadline=None)
def test_no_car_takes_more_than_its_power_nor_than_it_wanted(seed: int, slots: int, first: int) -> None:
    local = (first + np.arange(slots)) % 96
    loads = vehicle_loads(generator(seed), local, OWNERS, CARS)
    assert loads.min() >= 0
    assert loads.max() <= 1_850
    days = int(is_first_of_day(local).sum())
    assert (loads.sum(axis=0) <= days * 14_000 * OWNERS).all()


def test_the_colder_the_more_a_heat_pump_takes_up_to_its_power() -> None:
    cold, mild, warm = (
        heat_pump_loads(generator(2), np.full(96, outside), OWNERS, PUMPS).sum(axis=0) for outside in (-5.0, 7.0, 21.0)
    )
    assert (cold[[0, 2]] > 2 * mild[[0, 2]]).all()
    assert (warm == 0).all()
    assert cold[1] == 0
    house = 24 * 25 / 2.65  # hours, kelvin, coefficient of performance at -5 degrees
    assert 0.95 * 120 * house <= cold[0] <= 1.05 * 260 * house
    assert heat_pump_loads(generator(2), np.full(96, -50.0), OWNERS, PUMPS).max() == 1_250


@pytest.mark.parametrize(
    ("local", "begins"),
    [
        ([0, 1, 95, 0, 1], [True, False, False, True, False]),
        ([7, 12, 13], [True, False, False]),  # clocks go forward
        ([10, 11, 8, 9], [True, False, False, False]),  # clocks go back
    ],
)
def test_a_day_begins_at_midnight_alone(local: list[int], begins: list[bool]) -> None:
    assert is_first_of_day(np.array(local)).tolist() == begins


def test_a_span_of_hours_may_go_over_midnight() -> None:
    assert np.flatnonzero(is_between(DAY, 22, 1)).tolist() == [0, 1, 2, 3, *range(88, 96)]
    assert np.flatnonzero(is_between(DAY, 1, 2)).tolist() == [4, 5, 6, 7]
    assert not is_between(DAY, 5, 5).any()
