"""Orders that are filled as a whole or not at all: no part of one trades, and clearing ends whatever there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from ledger.contract import ClearingLike
from ledger.leaves.columns import Int64
from ledger.leaves.fills import load_fills
from ledger.state.all_or_none import ROUNDS_MAX, clear_rounds
from settlement.contracts.p2p_call_auction_1 import PRO_RATA, clear
from tests.unit.state.test_orders import VILLAGE, Village
from tests.worlds.consortium import FIRST_S, zone

Row = tuple[int, int, int, bool]
"""Side, quantity, limit, all or none."""
ROWS: Final = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 12), st.integers(1, 6), st.booleans()), max_size=14)


def cleared(rows: list[Row]) -> tuple[list[int], int | None, int]:
    """Fills, price and how often the auction was called."""
    side = np.array([row[0] for row in rows], dtype=np.int8)
    quantity_wh, price, whole = (np.array([row[place] for row in rows], dtype=np.int64) for place in (1, 2, 3))
    calls: list[int] = []

    def auction(left: Int64) -> ClearingLike:
        calls.append(len(left))
        return clear(side[left], quantity_wh[left], price[left], reference_price_micro_per_kwh=3, rationing=PRO_RATA)

    found = clear_rounds(auction, quantity_wh, whole)
    filled = np.zeros_like(quantity_wh)
    filled[found.rows] = found.result.filled_wh
    return filled.tolist(), found.result.price_micro_per_kwh, len(calls)


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_no_part_of_an_order_that_is_all_or_none_trades(rows: list[Row]) -> None:
    filled, _, calls = cleared(rows)
    assert all(got in (0, row[1]) for got, row in zip(filled, rows, strict=True) if row[3])
    assert calls <= ROUNDS_MAX + 1
    assert sum(got for got, row in zip(filled, rows, strict=True) if row[0] == 0) == sum(filled) // 2


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_the_others_are_cleared_as_if_those_that_got_nothing_had_not_been_there(rows: list[Row]) -> None:
    filled, price, _ = cleared(rows)
    left = [row for row, got in zip(rows, filled, strict=True) if got or not row[3]]
    again, price_again, _ = cleared([(*row[:3], False) for row in left])
    assert ([got for row, got in zip(rows, filled, strict=True) if got or not row[3]], price) == (again, price_again)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_without_such_orders_the_auction_is_called_once(rows: list[Row]) -> None:
    assert cleared([(*row[:3], False) for row in rows])[2] == 1


def test_of_those_that_lack_energy_the_half_that_lacks_most_leaves_and_the_later_of_equal_ones() -> None:
    sells = [(1, 5, 1, True), (1, 5, 1, True), (1, 4, 1, True)]
    assert cleared([*sells, (0, 9, 2, False)]) == ([0, 0, 4, 4], 2, 2)
    assert cleared([*sells, (0, 8, 2, False)]) == ([5, 0, 0, 5], 2, 2)
    assert cleared([(1, 5, 1, True), (0, 4, 2, False)]) == ([0, 0], None, 2)


def test_after_so_many_rounds_none_of_them_is_left() -> None:
    calls: list[list[int]] = []

    class LastGetsNothing:
        """A gate at which the last order lacks energy, whichever it is."""

        volume_wh, price_micro_per_kwh, trades, fees_micro_per_kwh = 0, None, None, None

        def __init__(self, left: Int64) -> None:
            calls.append(left.tolist())
            self.filled_wh = np.full_like(left, 7)
            self.filled_wh[-1] = 0

    whole = np.ones(ROUNDS_MAX + 9, dtype=np.int64)
    whole[:2] = 0
    found = clear_rounds(LastGetsNothing, np.full_like(whole, 7), whole)
    assert (len(calls), found.rows.tolist()) == (ROUNDS_MAX + 1, [0, 1])
    assert len(calls[ROUNDS_MAX - 1]) == 10


def test_of_a_crowd_of_equal_orders_those_trade_that_fit_and_the_rounds_are_few() -> None:
    """A hundred thousand of 1 Wh: all of them had left after 16 rounds."""
    filled, _, calls = cleared([(0, 1_000, 4, False), *[(1, 1, 2, True)] * 100_000])
    assert filled == [1_000, *[1] * 1_000, *[0] * 99_000]
    assert calls < ROUNDS_MAX


def test_where_trades_are_made_in_pairs_no_order_is_all_or_none() -> None:
    village = Village(replace(VILLAGE, zones=[zone(contract="pay_as_bid/1", open_before_start_s=172_800)]))
    assert village.order("p-1", "sell", 300, 300_000, all_or_none=True) is Code.NO_BLOCKS
    assert village.order("p-1", "sell", 300, 300_000) is Code.ACCEPTED


def test_a_household_that_sells_all_or_none_sells_all_or_nothing() -> None:
    village = Village(VILLAGE)
    assert village.order("p-1", "sell", 300, 300_000, all_or_none=True) is Code.ACCEPTED
    assert village.order("p-2", "sell", 100, 310_000) is Code.ACCEPTED
    assert village.order("p-3", "buy", 250, 400_000) is Code.ACCEPTED
    village.decide(*village.sender.clocks(FIRST_S - 300))
    fills = load_fills(village.ledger.state, FIRST_S, "z-1", 3)
    assert (fills.filled_wh.tolist(), fills.all_or_none.tolist()) == ([0, 100, 100], [1, 0, 0])
    assert village.held_nano[0] == 0
