"""Incentives for shared energy and loss multipliers: as fractions and plain sums say, and conserved."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from settlement.tariffs.shared_energy import IncentiveTerms, shared_energy_incentive, transmission_loss_multipliers

ENERGIES = st.dictionaries(st.sampled_from("ABCDEF"), st.integers(0, 10**9), min_size=1)
PPM = st.integers(0, 1_000_000)
WH = st.integers(0, 10**9)


@given(ENERGIES, st.lists(PPM, min_size=1, max_size=6), PPM)
def test_both_sides_of_a_boundary_come_to_the_same_and_nobody_is_a_wh_off_his_multiplier(
    delivering_wh: dict[str, int], taken_ppm: list[int], share_ppm: int
) -> None:
    delivered_wh = sum(delivering_wh.values())
    taken_wh = delivered_wh * min(taken_ppm) // 1_000_000 if delivered_wh else 0
    parts = len(taken_ppm)
    offtaking_wh = {str(at): taken_wh // parts + (at < taken_wh % parts) for at in range(parts)}
    if delivered_wh and not taken_wh:
        share_ppm = 1_000_000
    found = transmission_loss_multipliers(delivering_wh, offtaking_wh, share_ppm)
    settled_wh = delivered_wh - floor(Fraction((delivered_wh - taken_wh) * share_ppm, 1_000_000))
    assert sum(found.delivered_wh.values()) == sum(found.offtaken_wh.values()) == settled_wh
    sides = (found.delivering, delivering_wh, found.delivered_wh), (found.offtaking, offtaking_wh, found.offtaken_wh)
    for multiplier, energies, settled in sides:
        assert set(settled) == set(energies)
        assert (multiplier is None) == (not any(energies.values()))
        assert all(abs(settled[name] - wh * (multiplier or Fraction(0))) < 1 for name, wh in energies.items())
    assert found.delivering is None or found.delivering <= 1
    assert found.offtaking is None or found.offtaking >= 1


@given(WH, WH, st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**5))
def test_the_incentive_is_paid_for_shared_energy_and_lies_between_base_and_cap(
    injected_wh: int, withdrawn_wh: int, market_price: int, base: int, room: int, addition: int
) -> None:
    terms = IncentiveTerms(base, base + room, 180_000, addition)
    found = shared_energy_incentive(injected_wh, withdrawn_wh, market_price, terms)
    assert found.amount_nano == found.shared_wh * found.incentive_micro_per_kwh
    assert found.shared_wh + max(injected_wh, withdrawn_wh) == injected_wh + withdrawn_wh
    assert base <= found.incentive_micro_per_kwh - addition <= base + room
    cheaper = shared_energy_incentive(injected_wh, withdrawn_wh, market_price - 1, terms)
    assert cheaper.incentive_micro_per_kwh >= found.incentive_micro_per_kwh
