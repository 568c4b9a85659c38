"""What a load may claim of green generation, by the slot and over all slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.errors import SettlementError
from settlement.tariffs.schedules import green_claim
from tests.slow.green_claim import covered

SLOTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6).filter(
    lambda slots: any(load for _, load in slots)
)
"""Wh of generation and of load, by slot."""


@given(SLOTS)
def test_the_shares_are_those_of_handing_out_each_wh(slots: list[tuple[int, int]]) -> None:
    generation_wh, load_wh = zip(*slots, strict=True)
    found = green_claim(generation_wh, load_wh)
    by_slot, by_sum = (covered(generation_wh, load_wh, any_slot=any_slot) for any_slot in (False, True))
    assert (found.matched_by_slot_wh, found.matched_by_sum_wh) == (by_slot * sum(load_wh), by_sum * sum(load_wh))
    assert (found.by_slot_ppm, found.by_sum_ppm) == (int(by_slot * 10**6), int(by_sum * 10**6))


@given(SLOTS)
def test_by_the_slot_no_more_is_claimed_than_over_all_and_as_much_where_all_is_one_slot(
    slots: list[tuple[int, int]],
) -> None:
    generation_wh, load_wh = zip(*slots, strict=True)
    found = green_claim(generation_wh, load_wh)
    assert found.by_slot_ppm <= found.by_sum_ppm <= 10**6
    assert (found.by_slot_ppm == 10**6) == all(load <= generation for generation, load in slots)
    together = green_claim([sum(generation_wh)], [sum(load_wh)])
    assert together.by_slot_ppm == together.by_sum_ppm == found.by_sum_ppm


@pytest.mark.parametrize(
    ("generation_wh", "load_wh", "said"),
    [
        ([1, 2], [1], "2 slots of generation, 1 of load: they are the same slots"),
        ([1], [-1], "an energy must not be negative"),
        ([1], [0], "without load there is nothing to claim for"),
        ([], [], "without load there is nothing to claim for"),
    ],
)
def test_what_is_no_claim_is_refused_in_words(generation_wh: list[int], load_wh: list[int], said: str) -> None:
    with pytest.raises(SettlementError) as refused:
        green_claim(generation_wh, load_wh)
    assert str(refused.value) == said
