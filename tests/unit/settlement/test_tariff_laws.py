"""Charges of the grid, schedules and certificates: what the buyer pays is received, what goes in comes out."""

from __future__ import annotations

from itertools import accumulate, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.contracts.grid_fee_path_1 import path_prices
from settlement.contracts.grid_fee_path_1.places import PAY_AS_BID, PAY_AS_OFFER
from settlement.errors import SettlementError
from settlement.tariffs.network import grid_loss
from settlement.tariffs.schedules import PricedEnergy, green_certificates, two_settlement

PRICES = st.integers(-(10**6), 10**6)
ENERGIES = st.integers(0, 10**9)


@given(PRICES, st.lists(PRICES, max_size=4), st.lists(PRICES, max_size=4))
def test_what_the_buyer_pays_is_what_seller_and_markets_get_by_both_rules(
    offer: int, supply_fees: list[int], demand_fees: list[int]
) -> None:
    fees = sum(supply_fees), sum(demand_fees)
    by_offer = path_prices(PAY_AS_OFFER, offer, offer, *fees)
    assert by_offer.buyer_pays == by_offer.seller_gets + by_offer.fees_total
    # a bid of exactly what the load would pay for the offer gives the seller the offer
    assert path_prices(PAY_AS_BID, offer, by_offer.buyer_pays, *fees) == by_offer


@given(ENERGIES, ENERGIES, ENERGIES, ENERGIES)
def test_with_its_loss_as_much_comes_out_of_a_grid_as_went_in(
    into: int, out: int, production: int, consumption: int
) -> None:
    loss = grid_loss(into, out, production, consumption)
    assert into + production + loss.loss_production_wh == out + consumption + loss.loss_consumption_wh
    assert min(loss.loss_production_wh, loss.loss_consumption_wh) == 0


@given(st.lists(st.integers(-(10**7), 10**7), max_size=12))
def test_certificates_and_carry_are_the_energy_until_a_correction_is_not_covered(entries: list[int]) -> None:
    # the first correction that no energy before it covers ends the covered part
    covered = list(takewhile(lambda total: total >= 0, accumulate(entries)))
    result = green_certificates(entries[: len(covered)])
    outstanding = sum(result.issued) - sum(result.cancelled)
    assert outstanding * 10**6 + sum(result.carry_wh[-1:]) == sum(covered[-1:])
    assert all(0 <= carry < 10**6 for carry in result.carry_wh)
    if len(covered) < len(entries):
        with pytest.raises(SettlementError, match=f"entry {len(covered)} cancels"):
            green_certificates(entries)


@given(ENERGIES, ENERGIES, PRICES, ENERGIES, PRICES)
def test_a_participant_that_keeps_its_schedule_is_paid_the_contract_price_for_the_contract(
    day_ahead: int, actual: int, day_ahead_price: int, contract: int, contract_price: int
) -> None:
    at_one_price = two_settlement(PricedEnergy(day_ahead, day_ahead_price), PricedEnergy(actual, day_ahead_price))
    assert at_one_price == actual * day_ahead_price
    schedule = PricedEnergy(contract, day_ahead_price)
    kept = two_settlement(schedule, schedule, PricedEnergy(contract, contract_price))
    assert kept == contract * contract_price
