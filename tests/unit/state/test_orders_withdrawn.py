"""Orders that their party withdraws or changes before the gate: nothing of them is left but their counters."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.transactions.order_batch import PlacedOrder
from ledger.leaves.book import load_orders
from ledger.leaves.clearing import CLEARING
from ledger.leaves.fills import load_fills
from tests.unit.state.test_orders import CREDIT_NANO, HOMES, LIMIT_WH, VILLAGE, Village, pool_of, sum_of_exposures
from tests.worlds.consortium import FIRST_S, SLOT_S

GATE_S: Final = FIRST_S - 300


def cancel(village: Village, party: str, *counters: int, slot_s: int = FIRST_S) -> Code:
    """The code of a withdrawal alone in its block."""
    return village.decide(village.sender.cancel(party, "a-1", slot_s, *counters))[0]


def counters_of(village: Village, slot_s: int = FIRST_S) -> list[int]:
    """Of the orders that stand."""
    counters: list[int] = load_orders(village.ledger.state, slot_s, "z-1").counter.tolist()
    return counters


def test_a_withdrawn_order_gives_back_what_was_held_and_is_not_cleared() -> None:
    village = Village()
    assert village.order("p-1", "buy", 400, 450_000) is Code.ACCEPTED
    assert village.order("p-3", "sell", 300, 300_000) is Code.ACCEPTED
    assert cancel(village, "p-1", 1) is Code.ACCEPTED
    assert village.held_nano == [0, 0, 300 * 160_000]
    village.decide(*village.sender.clocks(GATE_S))
    assert load_fills(village.ledger.state, FIRST_S, "z-1", 1).filled_wh.tolist() == [0]
    assert village.held_nano == [0, 0, 0]


def test_the_gate_of_a_slot_whose_orders_were_all_withdrawn_clears_nothing() -> None:
    village = Village()
    village.order("p-1", "buy", 400, 450_000)
    assert cancel(village, "p-1", 1) is Code.ACCEPTED
    village.decide(*village.sender.clocks(GATE_S))
    assert CLEARING.must(village.ledger.state, FIRST_S, "z-1").areas == 1
    village.read(FIRST_S, [(0, 0)] * 3)
    village.read(FIRST_S + SLOT_S, [(0, 0)] * 3)
    village.decide(*village.sender.clocks(FIRST_S + 2 * SLOT_S))
    assert village.owed_nano == [0, 0, 0]


def test_a_withdrawal_is_done_once_and_after_the_gate_never() -> None:
    village = Village()
    order = village.signed("p-1", "buy", 400, 450_000)
    assert village.decide(order) == [Code.ACCEPTED]
    assert cancel(village, "p-1", 2) is Code.NO_SUCH_ORDER
    assert cancel(village, "p-2", 1) is Code.NO_SUCH_ORDER
    assert cancel(village, "p-1", 1) is Code.ACCEPTED
    assert cancel(village, "p-1", 1) is Code.EXISTS
    assert cancel(village, "p-1", 1, 2) is Code.NO_SUCH_ORDER
    assert village.decide(order) == [Code.EXISTS]
    assert village.order("p-1", "buy", 1, 1) is Code.ACCEPTED
    village.decide(*village.sender.clocks(GATE_S))
    assert cancel(village, "p-1", 2) is Code.GATE_CLOSED


def test_a_withdrawal_of_several_orders_is_for_all_of_them_or_none() -> None:
    village = Village()
    for price in (1, 2, 3):
        assert village.order("p-1", "buy", 10, price) is Code.ACCEPTED
    assert cancel(village, "p-1", 1, 3, 4) is Code.NO_SUCH_ORDER
    assert counters_of(village) == [1, 2, 3]
    assert cancel(village, "p-1", 1, 3) is Code.ACCEPTED
    assert counters_of(village) == [2]


def test_who_cannot_withdraw_is_told_why() -> None:
    village = Village()
    village.order("p-1", "buy", 10, 1)
    send = village.sender.cancel
    assert village.decide(
        send("util", "a-1", FIRST_S, 1), send("p-1", "a-9", FIRST_S, 1), send("p-1", "a-1", FIRST_S + 1, 1)
    ) == [Code.NOT_PERMITTED, Code.WRONG_AREA, Code.NOT_A_SLOT]
    assert counters_of(village) == [1]


def test_an_order_that_replaces_others_is_judged_without_them() -> None:
    village = Village()
    assert village.order("p-1", "buy", LIMIT_WH, 2_000_000) is Code.ACCEPTED
    assert village.order("p-1", "buy", LIMIT_WH, 3_000_000) is Code.ABOVE_POINT_LIMIT
    assert village.order("p-1", "buy", LIMIT_WH, 3_000_000, replaces=[1]) is Code.ACCEPTED
    assert (counters_of(village), village.held_nano[0]) == ([3], LIMIT_WH * 3_000_000)
    assert village.order("p-1", "sell", 5, 2_000_000, replaces=[3]) is Code.ACCEPTED
    assert (counters_of(village), village.held_nano[0]) == ([4], 0)


def test_an_order_that_may_not_stand_leaves_what_it_would_have_replaced() -> None:
    village = Village()
    assert village.order("p-1", "buy", 100, 400_000) is Code.ACCEPTED
    assert village.order("p-1", "sell", 100, 500_000) is Code.ACCEPTED
    held_nano = village.held_nano
    too_dear = CREDIT_NANO // 100 + 1
    assert village.order("p-1", "buy", LIMIT_WH + 1, 400_000, replaces=[1]) is Code.ABOVE_POINT_LIMIT
    assert village.order("p-1", "buy", 10, 500_000, replaces=[1]) is Code.CROSSES_OWN
    assert village.order("p-1", "buy", 100, too_dear, replaces=[1, 2]) is Code.NO_CREDIT
    assert village.order("p-1", "buy", 100, 1, replaces=[9]) is Code.NO_SUCH_ORDER
    assert (counters_of(village), village.held_nano) == ([1, 2], held_nano)


def test_orders_placed_changed_and_withdrawn_in_one_block_meet_in_its_order() -> None:
    village = Village()
    first, second = village.signed("p-1", "buy", 100, 400_000), village.signed("p-1", "buy", 90, 410_000, replaces=[1])
    codes = village.decide(
        village.sender.cancel("p-1", "a-1", FIRST_S, 1),
        first,
        second,
        village.sender.cancel("p-1", "a-1", FIRST_S, 2),
        village.signed("p-1", "sell", 80, 400_000),
    )
    assert codes == [Code.NO_SUCH_ORDER, 0, 0, 0, 0]
    assert (counters_of(village), village.held_nano) == ([3], [80 * 60_000, 0, 0])


def test_a_row_of_no_energy_in_an_aggregators_batch_withdraws_the_order_of_its_counter() -> None:
    village = pool_of("pool", "pool", None)
    assert village.order("p-1", "buy", 100, 400_000) is Code.ACCEPTED
    rows = [
        PlacedOrder(0, 1, 0, 0, 0),
        PlacedOrder(0, 2, 1, 100, 400_000),
        PlacedOrder(1, 1, 0, 0, 0),
        PlacedOrder(2, 1, 0, 0, 0),
    ]
    (result,) = village.ledger.apply([village.sender.order_batch("pool", "z-1", FIRST_S, rows)]).results
    assert [(row.row, row.code) for row in result.rows] == [(2, Code.NO_SUCH_ORDER), (3, Code.NO_MANDATE)]
    assert counters_of(village) == [2]


DEEDS: Final = st.lists(
    st.tuples(
        st.sampled_from(HOMES),
        st.sampled_from(["buy", "sell", "cancel"]),
        st.integers(1, LIMIT_WH),
        st.integers(300_000, 450_000),
        st.lists(st.integers(1, 4), max_size=2, unique=True).map(sorted),
    ),
    max_size=7,
)


def _deed(village: Village, deed: tuple[str, str, int, int, list[int]]) -> bytes:
    party, what, quantity_wh, price, counters = deed
    if what == "cancel":
        return village.sender.cancel(party, "a-1", FIRST_S, *(counters or [1]))
    changes: dict[str, Any] = {"replaces": counters} if counters else {}
    return village.signed(party, what, quantity_wh, price, **changes)


@settings(max_examples=25, deadline=None)
@given(st.lists(DEEDS, min_size=3, max_size=3))
def test_what_is_held_is_the_sum_of_what_stands_whatever_is_changed_and_withdrawn(
    blocks: list[list[tuple[str, str, int, int, list[int]]]],
) -> None:
    village = Village(VILLAGE)
    for deeds in blocks:
        before = counters_of(village)
        codes = village.decide(*(_deed(village, deed) for deed in deeds))
        assert village.held_nano == sum_of_exposures(village.ledger, range(FIRST_S, FIRST_S + SLOT_S, SLOT_S))
        if not any(code is Code.ACCEPTED for code in codes):
            assert counters_of(village) == before
    village.decide(*village.sender.clocks(GATE_S))
    assert village.held_nano == sum_of_exposures(village.ledger, range(FIRST_S, FIRST_S + SLOT_S, SLOT_S))
