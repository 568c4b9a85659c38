"""What a party traded is dealt to its points by what they used and fed in: to the Wh, the same on every machine."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.leaves.positions import POSITIONS
from ledger.state.dealing import deal
from tests.unit.state.test_due_work import cheap_sender
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household
from tests.worlds.ledgers import MemoryLedger

TWO_POINTS = Consortium(
    meters=[
        household(1, "p-1", point="P-é"),
        household(2, "p-2"),
        household(3, "p-1", point="P-z"),
        household(4, "p-1", point="P-Z"),
    ]
)


@pytest.mark.parametrize(
    ("total_wh", "weights", "shares"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (10, [0, 0, 0], [10, 0, 0]),
        (10, [0, 3, 7], [0, 3, 7]),
        (1, [1, 2, 2], [0, 1, 0]),
        (2, [1, 2, 2], [0, 1, 1]),
        (0, [5, 5], [0, 0]),
        (7, [9], [7]),
        (16 * 10**9, [10**9, 10**9 - 1], [8_000_000_004, 7_999_999_996]),
    ],
)
def test_the_largest_remainders_get_the_rest_and_of_equal_ones_the_first_by_name(
    total_wh: int, weights: list[int], shares: list[int]
) -> None:
    size = len(weights)
    dealt = deal(np.full(size, total_wh), np.zeros(size, dtype=np.int64), np.array(weights, dtype=np.int64))
    assert dealt.tolist() == shares


@given(st.lists(st.tuples(st.integers(0, 2**34), st.lists(st.integers(0, 10**9), min_size=1, max_size=5)), min_size=1))
def test_shares_add_up_and_are_within_a_watt_hour_of_the_exact_ones(groups: list[tuple[int, list[int]]]) -> None:
    sizes = [len(weights) for _, weights in groups]
    group = np.repeat(np.arange(len(groups)), sizes)
    totals = np.repeat(np.array([total for total, _ in groups], dtype=np.int64), sizes)
    flat = np.array([weight for _, weights in groups for weight in weights], dtype=np.int64)
    dealt = deal(totals, group, flat)
    assert [int(dealt[group == at].sum()) for at in range(len(groups))] == [total for total, _ in groups]
    for at, (total, weights) in enumerate(groups):
        if sum(weights):
            exact = [Fraction(total * weight, sum(weights)) for weight in weights]
            assert all(abs(share - due) < 1 for share, due in zip(dealt[group == at].tolist(), exact, strict=True))


def test_the_fills_of_a_party_with_several_points_are_dealt_to_them_in_the_run() -> None:
    ledger, sender = MemoryLedger(TWO_POINTS.genesis), cheap_sender(TWO_POINTS)
    buy = sender.order("p-1", "a-1", "buy", 1_001, 450_000, FIRST_S)
    sell = sender.order("p-2", "a-1", "sell", 1_001, 300_000, FIRST_S)
    assert [result.code for result in ledger.apply([buy, sell]).results] == [0, 0]
    ledger.apply([sender.clock(FIRST_S)])
    ledger.apply([sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0)])])
    ledger.apply([sender.clock(FIRST_S + SLOT_S)])
    ledger.apply([sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 300, 0), (2, 0, 900), (3, 300, 0), (4, 300, 0)])])
    ledger.apply([sender.clock(FIRST_S + 2 * SLOT_S)])
    columns = POSITIONS.must(ledger.state, FIRST_S, "z-1", "initial", 0).columns
    assert (columns["bought_wh"].tolist(), columns["sold_wh"].tolist()) == ([333, 0, 334, 334], [0, 1_001, 0, 0])
