"""Which orders stand: within what meters can show, within credit, and never against an own one; and what is held meanwhile."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.codes import Code
from gridcore.transactions.order_batch import PlacedOrder
from ledger.leaves.balance import BALANCE
from ledger.leaves.book import load_orders
from ledger.leaves.clearing import CLEARING
from ledger.leaves.fills import FILLS
from ledger.leaves.held import HELD
from ledger.leaves.runs import RUNS
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household, zone
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

LIMIT_WH: Final = 10_000
CREDIT_NANO: Final = 50 * 10**9
"""50 yuan."""
HOMES: Final = ("p-1", "p-2", "p-3")
VILLAGE: Final = Consortium(
    zones=[zone(open_before_start_s=172_800)],
    meters=[
        household(1, "p-1", credit_nano=CREDIT_NANO),
        household(2, "p-2", credit_nano=CREDIT_NANO, limit_wh=250, ratio=40),
        household(3, "p-3"),
    ],
)
TURN_MICRO: Final = -(10**9)
"""-1,000 yuan a kWh."""


class Village:
    """Three homes, of which one has no bound of credit, before the gate of the first slot."""

    def __init__(self, consortium: Consortium = VILLAGE) -> None:
        self.ledger = MemoryLedger(consortium.genesis)
        self.sender = Sender(consortium.chain, consortium.start_s, sign_cheaply)
        self._counters: Counter[tuple[str, int]] = Counter()

    def order(self, party: str, side: str, quantity_wh: int, price: int, slot_s: int = FIRST_S, **more: Any) -> Code:
        """The code of one order alone in its block."""
        return self.decide(self.signed(party, side, quantity_wh, price, slot_s, **more))[0]

    def signed(self, party: str, side: str, quantity_wh: int, price: int, slot_s: int = FIRST_S, **more: Any) -> bytes:
        """An order under the party's next counter."""
        self._counters[party, slot_s] += 1
        counter = self._counters[party, slot_s]
        return self.sender.order(party, "a-1", side, quantity_wh, price, slot_s, counter=counter, **more)

    def decide(self, *wires: bytes) -> list[Code]:
        """The codes of a block of these transactions."""
        return [Code(result.code) for result in self.ledger.apply(wires).results]

    def read(self, boundary_s: int, registers: list[tuple[int, int]]) -> None:
        """The clock moves on to a boundary and everybody's registers are read."""
        rows = [(number, *both) for number, both in enumerate(registers, 1)]
        assert set(self.decide(*self.sender.clocks(boundary_s))) <= {Code.ACCEPTED}
        self.decide(self.sender.batch("gw-1", boundary_s, rows))

    @property
    def held_nano(self) -> list[int]:
        """What is held of each home."""
        held = HELD.load(self.ledger.state, 0)
        return [0] * len(HOMES) if held is None else held.nano[: len(HOMES)].tolist()

    @property
    def owed_nano(self) -> list[int]:
        """What each home owes."""
        balance = BALANCE.load(self.ledger.state, "z-1", 0)
        return [0] * len(HOMES) if balance is None else balance.owes_nano()


# ------------------------------------------------------------------------------------------------- quantity and limits


def test_orders_of_one_side_are_together_no_more_than_the_meters_can_show_in_a_slot() -> None:
    village = Village()
    assert village.order("p-1", "buy", LIMIT_WH + 1, 1) is Code.ABOVE_POINT_LIMIT
    assert village.order("p-1", "buy", LIMIT_WH - 1, 1) is Code.ACCEPTED
    assert village.order("p-1", "buy", 2, 1) is Code.ABOVE_POINT_LIMIT
    assert village.order("p-1", "buy", 1, 1) is Code.ACCEPTED
    assert village.order("p-1", "sell", LIMIT_WH, 2) is Code.ACCEPTED
    assert village.order("p-1", "buy", LIMIT_WH, 1, FIRST_S + SLOT_S) is Code.ACCEPTED
    assert village.order("p-2", "buy", 250 * 40, 1) is Code.ACCEPTED


def test_a_home_cannot_sell_to_itself_to_cut_its_bill() -> None:
    village = Village()
    assert village.order("p-1", "sell", 300, 370_000) is Code.ACCEPTED
    assert village.order("p-1", "buy", 300, 370_000) is Code.CROSSES_OWN
    assert village.order("p-1", "buy", 300, 369_999) is Code.ACCEPTED
    assert village.order("p-1", "sell", 300, 369_999) is Code.CROSSES_OWN
    assert village.order("p-2", "buy", 300, 370_000) is Code.ACCEPTED


def test_orders_of_one_block_meet_one_another_in_their_order() -> None:
    village = Village()
    wires = [
        village.signed("p-1", side, 6_000, price) for side, price in (("sell", 5), ("sell", 5), ("buy", 5), ("buy", 4))
    ]
    assert village.decide(*wires, wires[0]) == [0, Code.ABOVE_POINT_LIMIT, Code.CROSSES_OWN, 0, Code.EXISTS]
    assert village.decide(*wires) == [Code.EXISTS, Code.ABOVE_POINT_LIMIT, Code.ABOVE_POINT_LIMIT, Code.EXISTS]


# ------------------------------------------------------------------------------------------------------------ credit


def test_two_homes_that_trade_at_minus_a_thousand_a_kwh_make_no_debt_beyond_their_credit() -> None:
    village = Village()
    assert village.order("p-1", "sell", LIMIT_WH, TURN_MICRO) is Code.NO_CREDIT
    most_wh = CREDIT_NANO // (460_000 - TURN_MICRO)
    assert village.order("p-1", "sell", most_wh + 1, TURN_MICRO) is Code.NO_CREDIT
    assert village.order("p-1", "sell", most_wh, TURN_MICRO) is Code.ACCEPTED
    assert village.order("p-3", "buy", most_wh, TURN_MICRO) is Code.ACCEPTED
    village.read(FIRST_S, [(0, 0)] * 3)
    village.read(FIRST_S + SLOT_S, [(0, 0)] * 3)
    village.decide(*village.sender.clocks(FIRST_S + 2 * SLOT_S))
    assert 0 < village.owed_nano[0] <= CREDIT_NANO
    assert village.held_nano == [0, 0, 0]
    assert village.order("p-1", "sell", most_wh, TURN_MICRO, FIRST_S + 4 * SLOT_S) is Code.NO_CREDIT


def test_what_an_order_can_cost_is_held_until_the_gate_and_what_it_got_until_the_run() -> None:
    village = Village()
    assert village.order("p-1", "buy", 400, 450_000) is Code.ACCEPTED
    assert village.order("p-3", "sell", 300, 300_000) is Code.ACCEPTED
    assert village.held_nano == [400 * 450_000, 0, 300 * (460_000 - 300_000)]
    village.decide(*village.sender.clocks(FIRST_S - 300))
    assert village.held_nano == [300 * 450_000, 0, 300 * 160_000]
    village.read(FIRST_S, [(0, 0)] * 3)
    village.read(FIRST_S + SLOT_S, [(300, 0), (0, 0), (0, 300)])
    assert village.held_nano == [300 * 450_000, 0, 300 * 160_000]
    village.decide(*village.sender.clocks(FIRST_S + 2 * SLOT_S))
    assert village.held_nano == [0, 0, 0]
    assert village.owed_nano[0] == 300 * (450_000 + 180_000 + 40_000)


def test_an_order_that_was_refused_for_want_of_credit_stands_when_another_one_got_nothing() -> None:
    village = Village()
    assert village.order("p-1", "buy", 5_000, 10**7) is Code.ACCEPTED
    second = village.signed("p-1", "buy", 5_000, 10**7, FIRST_S + SLOT_S)
    assert village.decide(second) == [Code.NO_CREDIT]
    village.decide(*village.sender.clocks(FIRST_S - 300))
    assert village.decide(second) == [Code.ACCEPTED]


def test_a_home_without_credit_orders_for_what_it_has_paid_before() -> None:
    meters = [household(1, "p-1", credit_nano=0), *VILLAGE.meters[1:]]
    village = Village(replace(VILLAGE, meters=meters))
    assert village.order("p-1", "buy", 400, 450_000) is Code.NO_CREDIT
    assert village.decide(village.sender.payment("P-1", "p-1", 400 * 450_000)) == [Code.ACCEPTED]
    assert village.owed_nano[0] == -400 * 450_000
    assert village.order("p-1", "buy", 401, 450_000) is Code.NO_CREDIT
    assert village.order("p-1", "buy", 400, 450_000) is Code.ACCEPTED
    assert village.order("p-1", "buy", 1, 450_000) is Code.NO_CREDIT


def test_credit_that_was_used_up_comes_back_with_a_payment() -> None:
    village = Village()
    most_wh = CREDIT_NANO // (460_000 - TURN_MICRO)
    assert village.order("p-1", "sell", most_wh, TURN_MICRO) is Code.ACCEPTED
    assert village.order("p-3", "buy", most_wh, TURN_MICRO) is Code.ACCEPTED
    village.read(FIRST_S, [(0, 0)] * 3)
    village.read(FIRST_S + SLOT_S, [(0, 0)] * 3)
    village.decide(*village.sender.clocks(FIRST_S + 2 * SLOT_S))
    later = village.signed("p-1", "sell", most_wh, TURN_MICRO, FIRST_S + 4 * SLOT_S)
    assert village.decide(later) == [Code.NO_CREDIT]
    owed_nano = village.owed_nano[0]
    assert village.decide(village.sender.payment("P-1", "p-1", owed_nano)) == [Code.ACCEPTED]
    assert village.owed_nano[0] == 0
    assert village.decide(later) == [Code.ACCEPTED]


def sum_of_exposures(ledger: MemoryLedger, slots: range) -> list[int]:
    """What should be held: of orders that are not cleared, and of fills that have no run."""
    held = [0] * len(HOMES)
    for slot_s in slots:
        if RUNS.load(ledger.state, slot_s, "z-1") is not None:
            continue
        if CLEARING.load(ledger.state, slot_s, "z-1") is None:
            book = load_orders(ledger.state, slot_s, "z-1")
            rows = zip(book.party, book.quantity_wh, book.held_micro_per_kwh, strict=True)
        else:
            fills = FILLS.load(ledger.state, slot_s, "z-1", 0)
            if fills is None:  # all its orders were withdrawn
                continue
            rows = zip(fills.party, fills.filled_wh, fills.held_micro_per_kwh, strict=True)
        for party, energy_wh, per_kwh in rows:
            held[party] += int(energy_wh) * int(per_kwh)
    return held


# -------------------------------------------------------------------------------------------- aggregators' batches


def pool_of(*aggregators: str | None) -> Village:
    """A village whose homes have these aggregators."""
    meters = [replace(meter, aggregator=name) for meter, name in zip(VILLAGE.meters, aggregators, strict=True)]
    roles = {"pool": ["aggregator"], "rival": ["aggregator"]}
    return Village(replace(VILLAGE, meters=meters, roles=roles))


def test_rows_of_an_aggregators_batch_stand_under_a_mandate_alone() -> None:
    village = pool_of("pool", "rival", None)
    orders = [PlacedOrder(party, 1, 0, 100, 400_000) for party in range(4)]
    wire = village.sender.order_batch("pool", "z-1", FIRST_S, orders)
    (result,) = village.ledger.apply([wire]).results
    assert (result.code, result.rows) == (
        0,
        ((1, 1, Code.NO_MANDATE), (2, 2, Code.NO_MANDATE), (3, 3, Code.DOES_NOT_TRADE)),
    )
    assert load_orders(village.ledger.state, FIRST_S, "z-1").party.tolist() == [0]
    assert village.decide(wire) == [Code.EXISTS]


def test_rows_of_a_batch_are_judged_like_orders_by_themselves_each_after_those_before_it() -> None:
    village = pool_of("pool", "pool", "pool")
    assert village.order("p-1", "sell", 100, 300_000) is Code.ACCEPTED
    orders = [
        PlacedOrder(0, 1, 0, 100, 200_000),
        PlacedOrder(0, 2, 0, 100, 300_000),
        PlacedOrder(1, 17, 0, 100, 300_000),
        PlacedOrder(1, 1, 0, LIMIT_WH, 400_000),
        PlacedOrder(1, 1, 1, 1, 900_000),
        PlacedOrder(1, 2, 0, 1, 400_000),
        PlacedOrder(1, 3, 1, 1, TURN_MICRO),
        PlacedOrder(2, 1, 1, 100, 400_000),
    ]
    (result,) = village.ledger.apply([village.sender.order_batch("pool", "z-1", FIRST_S, orders)]).results
    assert [(row.row, row.code) for row in result.rows] == [
        (0, Code.ORDER_REUSED),
        (1, Code.CROSSES_OWN),
        (2, Code.COUNTER_OUT_OF_RANGE),
        (4, Code.ORDER_REUSED),
        (5, Code.ABOVE_POINT_LIMIT),
        (6, Code.CROSSES_OWN),
    ]
    assert village.held_nano == [100 * 160_000, LIMIT_WH * 400_000, 100 * 60_000]
    assert village.order("p-3", "sell", 100, 400_000) is Code.ORDER_REUSED


def test_a_batch_of_orders_is_refused_whole_for_its_slot_its_zone_and_its_rows() -> None:
    village = pool_of("pool", "pool", "pool")
    orders = [PlacedOrder(0, 1, 0, 100, 400_000)]
    send = village.sender.order_batch
    other_rows = cbor.decode(send("pool", "z-1", FIRST_S, [PlacedOrder(0, 1, 0, 101, 400_000)]))[2]
    signed, signature, _ = cbor.decode(send("pool", "z-1", FIRST_S, orders))
    assert village.decide(
        send("pool", "z-1", FIRST_S + 1, orders),
        send("pool", "z-9", FIRST_S, orders),
        send("p-1", "z-1", FIRST_S, orders),
        cbor.encode([signed, signature, other_rows]),
    ) == [Code.NOT_A_SLOT, Code.WRONG_AREA, Code.NOT_PERMITTED, Code.ROWS_MISMATCH]


ORDERS: Final = st.lists(
    st.tuples(
        st.sampled_from(HOMES),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, LIMIT_WH),
        st.integers(-(10**7), 10**7) | st.integers(300_000, 450_000),
        st.integers(0, 2),
    ),
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(st.lists(ORDERS, min_size=8, max_size=8))
def test_what_is_held_is_the_sum_of_standing_orders_and_unsettled_fills_at_any_time(
    blocks: list[list[tuple[str, str, int, int, int]]],
) -> None:
    assert blocks
    village, slots = Village(), range(FIRST_S, FIRST_S + 12 * SLOT_S, SLOT_S)
    for number, orders in enumerate(blocks):
        first_s = FIRST_S + (number + 1) * SLOT_S
        village.decide(*(village.signed(*order[:4], first_s + order[4] * SLOT_S) for order in orders))
        assert village.held_nano == sum_of_exposures(village.ledger, slots)
        village.read(FIRST_S + number * SLOT_S, [(0, 0)] * 3)
        assert village.held_nano == sum_of_exposures(village.ledger, slots)
        assert all(owed <= CREDIT_NANO for owed in village.owed_nano[:2])
    village.read(FIRST_S + 11 * SLOT_S, [(0, 0)] * 3)
