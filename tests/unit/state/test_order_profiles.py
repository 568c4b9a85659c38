"""Price ramps and profiles: one signed transaction gives several orders, in one slot or in many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.market_profile import SPAN_S_MAX, ProfilePart
from ledger.kinds.market_profile import ENTRIES_MAX, PARTS_MAX
from ledger.leaves.book import load_orders
from ledger.leaves.clearing import CLEARING
from ledger.leaves.fills import load_fills
from ledger.leaves.orders import ORDERS
from ledger.leaves.profile_span import PROFILE_SPAN
from ledger.leaves.profiles import PROFILES
from ledger.leaves.runs import RUNS
from tests.unit.state.test_orders import LIMIT_WH, VILLAGE, Village
from tests.worlds.consortium import FIRST_S, SLOT_S

GATE_S: Final = 300
BUY: Final = ProfilePart("buy", 400_000, [500])
SELL: Final = ProfilePart("sell", 410_000, [300])


def placed(
    village: Village,
    *parts: ProfilePart,
    party: str = "p-1",
    first_s: int = FIRST_S,
    end_s: int | None = None,
    counter: int = 1,
) -> Code:
    """The code of a profile, for four slots where nothing else is said, alone in its block."""
    until_s = first_s + 4 * SLOT_S if end_s is None else end_s
    return village.decide(village.sender.profile(party, "a-1", first_s, until_s, parts, counter=counter))[0]


def book_of(village: Village, slot_s: int = FIRST_S) -> list[tuple[int, int, int, int, int]]:
    """Party, counter, side, quantity and limit of each order that stands."""
    book = load_orders(village.ledger.state, slot_s, "z-1")
    columns = (book.party, book.counter, book.side, book.quantity_wh, book.price_micro_per_kwh)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def close_gate(village: Village, slot_s: int = FIRST_S) -> None:
    """Ledger time comes to the gate of a slot."""
    assert set(village.decide(*village.sender.clocks(slot_s - GATE_S))) <= {Code.ACCEPTED}


# ------------------------------------------------------------------------------------------------------------- ramps


def test_a_ramp_stands_as_equal_orders_with_limits_evenly_from_one_price_to_the_other() -> None:
    village = Village()
    ramp = {"last_price_micro_per_kwh": 400_000, "steps": 4}
    assert village.order("p-1", "sell", 1_003, 300_000, **ramp) is Code.ACCEPTED
    assert book_of(village) == [
        (0, 1, 1, 250, 300_000),
        (0, 2, 1, 251, 333_333),
        (0, 3, 1, 251, 366_666),
        (0, 4, 1, 251, 400_000),
    ]
    assert village.held_nano[0] == 250 * 160_000 + 251 * (126_667 + 93_334 + 60_000)
    village.order("p-3", "buy", 400, 350_000)
    close_gate(village)
    assert load_fills(village.ledger.state, FIRST_S, "z-1", 5).filled_wh.tolist() == [250, 150, 0, 0, 400]


def test_a_ramp_stands_as_a_whole_or_not_at_all() -> None:
    village = Village()
    ramp = {"last_price_micro_per_kwh": 500_000, "steps": 5}
    assert village.order("p-1", "buy", 10, 450_000) is Code.ACCEPTED
    assert village.order("p-1", "sell", 500, 400_000, **ramp) is Code.CROSSES_OWN
    assert village.order("p-1", "buy", LIMIT_WH - 5, 400_000, **ramp) is Code.ABOVE_POINT_LIMIT
    assert village.order("p-1", "buy", 4, 400_000, **ramp) is Code.QUANTITY_OUT_OF_RANGE
    assert (
        village.order("p-1", "buy", 100, 400_000, last_price_micro_per_kwh=10**9 + 1, steps=5)
        is Code.PRICE_OUT_OF_RANGE
    )
    assert [counter for _, counter, *_ in book_of(village)] == [1]
    assert village.order("p-1", "buy", 50, 400_000, last_price_micro_per_kwh=1, steps=12) is Code.COUNTER_OUT_OF_RANGE
    assert village.order("p-1", "buy", 50, 400_000, last_price_micro_per_kwh=1, steps=10) is Code.ACCEPTED
    again = village.sender.order("p-1", "a-1", "buy", 1, 1, FIRST_S, counter=16)
    assert village.decide(again) == [Code.ORDER_REUSED]


@given(st.integers(2, 16), st.integers(16, 10**8), st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_the_steps_of_a_ramp_are_its_quantity_and_lie_between_its_prices(
    steps: int, quantity_wh: int, first: int, last: int
) -> None:
    order = MarketOrder(
        area="a",
        counter=1,
        nonce=bytes(16),
        price_micro_per_kwh=first,
        quantity_wh=quantity_wh,
        side="buy",
        slot_start_s=0,
        last_price_micro_per_kwh=last,
        steps=steps,
    )
    orders = order.limit_orders()
    assert sum(one.quantity_wh for one in orders) == quantity_wh
    assert {one.quantity_wh - quantity_wh // steps for one in orders} <= {0, 1}
    limits = [one.price_micro_per_kwh for one in orders]
    assert (limits[0], limits[-1]) == (first, last)
    assert limits == sorted(limits, reverse=first > last)


# ---------------------------------------------------------------------------------------------------------- profiles


def test_a_profile_orders_in_each_of_its_slots_when_the_gate_closes_and_not_before() -> None:
    village = Village()
    assert placed(village, BUY, SELL._replace(quantities_wh=[300, 0])) is Code.ACCEPTED
    assert (book_of(village), village.held_nano) == ([], [0, 0, 0])
    for number in range(5):
        slot_s = FIRST_S + number * SLOT_S
        close_gate(village, slot_s)
        own = [(0, 1, 0, 500, 400_000), (0, 2, 1, 300, 410_000)]
        assert book_of(village, slot_s) == ([] if number == 4 else own[: 2 - number % 2])
    assert CLEARING.load(village.ledger.state, FIRST_S + 4 * SLOT_S, "z-1") is None
    span = PROFILE_SPAN.must(village.ledger.state, "z-1")
    assert span.first_slot_s == span.end_s == FIRST_S + 4 * SLOT_S


def test_orders_of_profiles_trade_with_other_orders_and_hold_until_they_are_settled() -> None:
    village = Village()
    assert placed(village, BUY) is Code.ACCEPTED
    village.order("p-3", "sell", 200, 300_000)
    close_gate(village)
    assert load_fills(village.ledger.state, FIRST_S, "z-1", 2).filled_wh.tolist() == [200, 200]
    assert village.held_nano[0] == 200 * 400_000


def test_an_order_of_the_same_counter_stands_in_the_place_of_the_profile_even_when_it_was_withdrawn() -> None:
    village = Village()
    placed(village, BUY)
    assert village.order("p-1", "buy", 7, 350_000) is Code.ACCEPTED
    assert village.order("p-1", "buy", 7, 350_000, FIRST_S + SLOT_S) is Code.ACCEPTED
    assert village.decide(village.sender.cancel("p-1", "a-1", FIRST_S + SLOT_S, 1)) == [Code.ACCEPTED]
    found = []
    for number in range(3):
        close_gate(village, FIRST_S + number * SLOT_S)
        found.append([quantity for *_, quantity, _ in book_of(village, FIRST_S + number * SLOT_S)])
    assert found == [[7], [], [500]]


def test_what_a_profile_gives_stands_only_where_an_order_might() -> None:
    village = Village()
    assert placed(village, BUY._replace(quantities_wh=[LIMIT_WH + 1, 100])) is Code.ACCEPTED
    assert placed(village, ProfilePart("buy", 10**7, [6_000]), counter=5) is Code.ACCEPTED
    assert village.order("p-1", "sell", 5, 10**7, FIRST_S) is Code.ACCEPTED
    close_gate(village)
    assert [counter for _, counter, *_ in book_of(village)] == [1]
    assert book_of(village)[0][2] == 1
    close_gate(village, FIRST_S + SLOT_S)
    assert [counter for _, counter, *_ in book_of(village, FIRST_S + SLOT_S)] == [1]


def test_a_profile_that_was_ended_orders_no_more_and_is_not_taken_again() -> None:
    village = Village()
    wire = village.sender.profile("p-1", "a-1", FIRST_S, FIRST_S + 4 * SLOT_S, [BUY, SELL])
    end = village.sender.profile_end("p-1", "a-1", FIRST_S)
    assert village.decide(end, wire, wire) == [Code.NO_SUCH_ORDER, Code.ACCEPTED, Code.EXISTS]
    close_gate(village)
    assert village.decide(end) == [Code.ACCEPTED]
    assert village.decide(end, wire) == [Code.NO_SUCH_ORDER, Code.GATE_CLOSED]
    close_gate(village, FIRST_S + SLOT_S)
    assert (len(book_of(village)), book_of(village, FIRST_S + SLOT_S)) == (2, [])
    fresh = Village()
    assert fresh.decide(wire, end, wire, end) == [0, 0, Code.EXISTS, Code.NO_SUCH_ORDER]
    close_gate(fresh)
    assert ORDERS.load(fresh.ledger.state, FIRST_S, "z-1") is None


def test_a_profile_beside_others_of_its_party_has_counters_of_its_own() -> None:
    village = Village()
    assert placed(village, BUY, SELL) is Code.ACCEPTED
    assert placed(village, BUY, counter=2) is Code.ORDER_REUSED
    assert placed(village, BUY, counter=3) is Code.ACCEPTED
    assert placed(village, BUY, party="p-2") is Code.ACCEPTED
    later = village.sender.profile("p-1", "a-1", FIRST_S + 4 * SLOT_S, FIRST_S + 5 * SLOT_S, [SELL])
    assert village.decide(later) == [Code.ACCEPTED]


def test_a_profile_is_refused_for_its_time_its_numbers_and_its_party() -> None:
    village = Village()
    end_s = village.ledger.ledger_time_s // SLOT_S * SLOT_S + SPAN_S_MAX
    assert placed(village, BUY, end_s=end_s + SLOT_S) is Code.PROFILE_TOO_LONG
    assert placed(village, BUY, end_s=FIRST_S) is Code.NOT_A_SLOT
    assert placed(village, BUY, end_s=FIRST_S + 1) is Code.NOT_A_SLOT
    assert placed(village, BUY, counter=0) is Code.COUNTER_OUT_OF_RANGE
    assert placed(village, BUY, SELL, counter=16) is Code.COUNTER_OUT_OF_RANGE
    assert placed(village, BUY._replace(quantities_wh=[1, 10**8 + 1])) is Code.QUANTITY_OUT_OF_RANGE
    assert placed(village, BUY._replace(price_micro_per_kwh=-(10**9) - 1)) is Code.PRICE_OUT_OF_RANGE
    assert placed(village, BUY, SELL._replace(price_micro_per_kwh=400_000)) is Code.CROSSES_OWN
    assert placed(village, BUY, party="util") is Code.NOT_PERMITTED
    assert placed(village, BUY, end_s=end_s) is Code.ACCEPTED
    close_gate(village)
    assert placed(village, BUY, party="p-2") is Code.GATE_CLOSED


def test_of_a_party_only_so_many_parts_and_quantities_are_kept() -> None:
    village = Village()
    parts = [BUY] * 16
    for number in range(PARTS_MAX // 16):
        first_s = FIRST_S + number * SLOT_S
        wire = village.sender.profile("p-1", "a-1", first_s, first_s + SLOT_S, parts)
        assert village.decide(wire) == [Code.ACCEPTED]
    last_s = FIRST_S + 9 * SLOT_S
    one_more = village.sender.profile("p-1", "a-1", last_s, last_s + SLOT_S, [BUY])
    assert village.decide(one_more) == [Code.TOO_MANY_PROFILES]
    close_gate(village)
    assert village.decide(one_more) == [Code.ACCEPTED]
    long = BUY._replace(quantities_wh=[1] * (ENTRIES_MAX // 4))
    assert placed(village, long, long, long, long, party="p-2", first_s=last_s) is Code.ACCEPTED
    assert placed(village, BUY, party="p-2", counter=5, first_s=last_s) is Code.TOO_MANY_PROFILES


def test_who_moves_out_in_the_very_block_of_a_gate_has_no_order_of_its_profile_there() -> None:
    """What the order came to would have no point to be settled at."""
    village = Village(replace(VILLAGE, roles={"admin": ["administrator"]}))
    assert placed(village, BUY) is Code.ACCEPTED
    assert village.order("p-3", "sell", 200, 300_000) is Code.ACCEPTED
    leaves: list[Named[Any]] = [
        Named(POINT, "P-1", Point("a-1", "household", "p-3"), FIRST_S),
        Named(PARTY, "p-1", Party("a-1", "util", trades=False), FIRST_S),
    ]
    rows = [row for named in leaves for row in named.rows()]
    moves_out = village.sender.register(rows, valid_until_s=FIRST_S)
    clocks = village.sender.clocks(FIRST_S - GATE_S)
    assert village.decide(*clocks, moves_out) == [Code.ACCEPTED] * (len(clocks) + 1)
    assert [party for party, *_ in book_of(village)] == [2]
    for number in range(4):
        village.read(FIRST_S + number * SLOT_S, [(number, 0)] * 3)
    assert RUNS.must(village.ledger.state, FIRST_S, "z-1").runs


def test_a_profile_placed_in_the_block_of_a_gate_takes_no_other_profile_its_last_order() -> None:
    village = Village()
    assert placed(village, BUY, end_s=FIRST_S + SLOT_S) is Code.ACCEPTED
    later = village.sender.profile("p-2", "a-1", FIRST_S + SLOT_S, FIRST_S + 2 * SLOT_S, [SELL])
    assert village.decide(*village.sender.clocks(FIRST_S - GATE_S), later)[-1] is Code.ACCEPTED
    assert book_of(village) == [(0, 1, 0, 500, 400_000)]


@pytest.mark.parametrize("together", [True, False])
def test_a_profile_that_was_ended_is_left_out_when_the_next_one_is_written_in_the_same_block_or_later(
    together: bool,
) -> None:
    village = Village()
    assert placed(village, BUY) is Code.ACCEPTED
    close_gate(village)
    end = village.sender.profile_end("p-1", "a-1", FIRST_S)
    later = village.sender.profile("p-2", "a-1", FIRST_S + SLOT_S, FIRST_S + 2 * SLOT_S, [SELL])
    for wires in [(end, later)] if together else [(end,), (later,)]:
        assert set(village.decide(*wires)) == {Code.ACCEPTED}
    assert PROFILES.must(village.ledger.state, "z-1", 0).party.tolist() == [1]


PROFILE_LISTS: Final = st.lists(
    st.tuples(
        st.sampled_from(["p-1", "p-2", "p-3"]),
        st.integers(0, 3),
        st.integers(1, 4),
        st.integers(1, 3),
        st.sampled_from(["buy", "sell"]),
        st.lists(st.integers(0, 6_000), min_size=1, max_size=3).filter(any),
        st.integers(380_000, 420_000),
    ),
    max_size=6,
)


@settings(max_examples=20, deadline=None)
@given(PROFILE_LISTS)
def test_profiles_come_to_what_the_same_orders_signed_one_by_one_would(profiles: Sequence[tuple[Any, ...]]) -> None:
    by_profile, one_by_one = Village(), Village()
    taken = []
    for party, first, slots, counter, side, quantities, price in profiles:
        first_s = FIRST_S + first * SLOT_S
        part = ProfilePart(side, price, quantities)
        wire = by_profile.sender.profile(party, "a-1", first_s, first_s + slots * SLOT_S, [part], counter=counter)
        if by_profile.decide(wire) == [Code.ACCEPTED]:
            taken.append((party, counter, first, slots, part))
    for number in range(7):
        slot_s = FIRST_S + number * SLOT_S
        for party, counter, first, slots, part in sorted(taken, key=lambda one: one[:2]):
            quantity_wh = part.quantities_wh[(number - first) % len(part.quantities_wh)]
            if first <= number < first + slots and quantity_wh:
                order = (party, "a-1", part.side, quantity_wh, part.price_micro_per_kwh, slot_s)
                one_by_one.decide(one_by_one.sender.order(*order, counter=counter))
        for village in (by_profile, one_by_one):
            close_gate(village, slot_s)
        assert book_of(by_profile, slot_s) == book_of(one_by_one, slot_s)
        assert by_profile.held_nano == one_by_one.held_nano
