"""Charges of the grid and the penalty for leaving a contract, as the slow reference has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.registry.balance_terms import BOTH, SHORT_ONLY
from settlement.errors import SettlementError
from settlement.tariffs.network import VoltageLevel, network_charge_by_voltage, network_charge_capacity
from settlement.tariffs.schedules import PricedEnergy, Tolerance, deviation_penalty
from tests.slow import grid_charges as slow

ENERGIES = st.integers(0, 10**3) | st.integers(0, 10**15)
SHARES_PPM = st.integers(0, 10**6)
PRICES = st.integers(0, 10**9)
LEVELS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=6)


@given(ENERGIES, st.integers(-100, 100) | st.integers(-(10**15), 10**15), PRICES, SHARES_PPM, SHARES_PPM)
def test_a_deviation_is_charged_as_the_reference_does_on_both_sides_and_on_one(
    contract_wh: int, off_wh: int, price: int, tolerance_ppm: int, penalty_ppm: int
) -> None:
    actual_wh = max(0, contract_wh + off_wh)
    for sides in (BOTH, SHORT_ONLY):
        penalty = deviation_penalty(
            PricedEnergy(contract_wh, price), actual_wh, Tolerance(tolerance_ppm, penalty_ppm, sides)
        )
        expected = slow.deviation_penalty(contract_wh, actual_wh, price, tolerance_ppm, penalty_ppm, sides)
        assert (penalty.charged_wh, penalty.amount_nano) == expected


@given(LEVELS, st.integers(0, 5), st.integers(0, 5))
def test_a_charge_by_voltage_is_the_sum_of_the_steps_up_to_the_highest_level_that_is_covered(
    prices: list[int], user: int, highest: int
) -> None:
    names = [f"{place} kV" for place in range(len(prices))]
    levels = list(zip(names, prices, strict=True))
    user_level, highest_level = names[user % len(names)], names[highest % len(names)]
    expected = slow.charge_by_voltage(levels, user_level, highest_level)
    known = [VoltageLevel(*level) for level in levels]
    if expected is None:
        with pytest.raises(SettlementError, match="lies below the user's level"):
            network_charge_by_voltage(known, user_level, highest_level)
    else:
        assert network_charge_by_voltage(known, user_level, highest_level) == expected


@given(ENERGIES, ENERGIES, PRICES, SHARES_PPM)
def test_a_charge_by_capacity_is_that_of_the_energy_which_the_reference_counts_hour_by_hour(
    charge_nano: int, capacity_w: int, energy_price: int, load_factor_ppm: int
) -> None:
    inputs = (charge_nano, capacity_w, energy_price, load_factor_ppm)
    assert network_charge_capacity(*inputs) == slow.charge_by_capacity(*inputs)
