"""Bids with conditions before the gate: which of them stand, and what is held of their parties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridcore.codes import Code
from gridcore.errors import EncodingError
from gridcore.transactions.market_order import Condition
from gridcore.transactions.order_batch import PlacedCondition, PlacedOrder, Wanted, attach_orders, placed_bid
from ledger.leaves.book import load_orders
from ledger.state.order_columns import decode_orders
from tests.unit.state.test_orders import VILLAGE, Village
from tests.worlds.consortium import FIRST_S, rules, zone

SOLAR = Condition(300, 300_000, energy_kind="solar")
"""What somebody wants."""


def preferring(*conditions: Condition, **changes: Any) -> dict[str, Any]:
    """The arguments of a bid with conditions."""
    stated = {"side": "buy", "quantity_wh": max(one.energy_wh for one in conditions), "conditions": conditions}
    return stated | {"price": max(one.price_micro_per_kwh for one in conditions)} | changes


def test_conditions_are_refused_where_no_bid_has_any_and_where_they_name_nobody() -> None:
    assert Village(VILLAGE).order("p-1", **preferring(SOLAR)) is Code.NO_CONDITIONS
    asked = replace(VILLAGE, rules=[rules(terms={"price_rule": "pay_as_bid"})])
    village = Village(replace(asked, zones=[zone(contract="conditional_bid/1", open_before_start_s=172_800)]))
    assert village.order("p-1", **preferring(SOLAR._replace(seller="p-9"))) is Code.NO_SUCH_SELLER
    assert village.order("p-1", **preferring(SOLAR, SOLAR._replace(energy_wh=0))) is Code.QUANTITY_OUT_OF_RANGE
    too_low = SOLAR._replace(price_micro_per_kwh=-(10**9) - 1)
    assert village.order("p-1", **preferring(SOLAR, too_low)) is Code.PRICE_OUT_OF_RANGE
    assert village.order("p-1", **preferring(SOLAR, SOLAR._replace(seller="p-2"))) is Code.ACCEPTED


def test_a_bid_with_conditions_is_one_or_none_and_takes_a_counter_for_each() -> None:
    asked = replace(VILLAGE, rules=[rules(terms={"price_rule": "pay_as_bid"})])
    village = Village(replace(asked, zones=[zone(contract="conditional_bid/1", open_before_start_s=172_800)]))
    late = village.sender.order("p-1", "a-1", "buy", 300, 300_000, FIRST_S, counter=14, conditions=[SOLAR] * 4)
    last = village.sender.order("p-1", "a-1", "buy", 300, 300_000, FIRST_S, counter=13, conditions=[SOLAR] * 4)
    assert village.decide(late, last) == [Code.COUNTER_OUT_OF_RANGE, Code.ACCEPTED]


# -------------------------------------------------------------------------------------------- in an aggregator's batch

ANY, SUN = PlacedCondition(200, 280_000), PlacedCondition(300, 300_000, energy_kind="solar")


def pool(contract: str = "conditional_bid/1") -> Village:
    """A village whose homes let an aggregator order."""
    meters = [replace(meter, aggregator="pool") for meter in VILLAGE.meters]
    world = replace(VILLAGE, meters=meters, roles={"pool": ["aggregator"]})
    if contract == "conditional_bid/1":
        world = replace(world, rules=[rules(terms={"price_rule": "pay_as_bid"})])
    return Village(replace(world, zones=[zone(contract=contract, open_before_start_s=172_800)]))


def placed(village: Village, orders: list[PlacedOrder]) -> list[tuple[int, int]]:
    """The rows of a batch that do not stand, each with its code."""
    (result,) = village.ledger.apply([village.sender.order_batch("pool", "z-1", FIRST_S, orders)]).results
    assert result.code is Code.ACCEPTED
    return [(row.row, row.code) for row in result.rows]


def test_a_bid_of_a_batch_stands_or_falls_as_one_beside_orders_without_conditions() -> None:
    village = pool()
    orders = [
        PlacedOrder(0, 1, 1, 100, 400_000),
        *placed_bid(1, 3, [SUN, ANY]),
        *placed_bid(2, 15, [SUN, ANY, ANY]),
        *placed_bid(2, 1, [SUN._replace(seller=0), ANY._replace(seller=len(village.ledger.state.registry.parties))]),
        *placed_bid(2, 5, [ANY]),
    ]
    out_of_range = [(row, Code.COUNTER_OUT_OF_RANGE) for row in (3, 4, 5)]
    assert placed(village, orders) == [*out_of_range, (6, Code.NO_SUCH_SELLER), (7, Code.NO_SUCH_SELLER)]
    book = load_orders(village.ledger.state, FIRST_S, "z-1")
    found = sorted(zip(book.party.tolist(), book.counter.tolist(), (book.wants > 0).tolist(), strict=True))
    assert found == [(0, 1, False), (1, 3, True), (1, 4, True), (2, 5, True)]


def test_a_bid_of_a_batch_that_one_counter_stands_against_is_refused_with_all_its_rows() -> None:
    village = pool()
    assert village.decide(village.sender.order("p-1", "a-1", "buy", 100, 300_000, FIRST_S, counter=2)) == [0]
    assert placed(village, placed_bid(0, 1, [SUN, ANY])) == [(0, Code.ORDER_REUSED), (1, Code.ORDER_REUSED)]
    assert placed(village, [PlacedOrder(0, 2, 0, 0, 0), *placed_bid(0, 3, [SUN])]) == []
    assert load_orders(village.ledger.state, FIRST_S, "z-1").counter.tolist() == [3]


def test_conditions_of_a_batch_are_refused_where_no_bid_has_any() -> None:
    village = pool("p2p_call_auction/1")
    orders = [PlacedOrder(0, 1, 0, 100, 300_000), *placed_bid(1, 1, [SUN, ANY])]
    assert placed(village, orders) == [(1, Code.NO_CONDITIONS), (2, Code.NO_CONDITIONS)]


FIRST, SECOND = placed_bid(1, 3, [SUN, ANY])


@pytest.mark.parametrize(
    "orders",
    [
        pytest.param([SECOND], id="a condition before the first"),
        pytest.param([SECOND, FIRST], id="in another order"),
        pytest.param([FIRST, PlacedOrder(2, 1, 0, 1, 1), SECOND], id="with another order between them"),
        pytest.param([FIRST, SECOND._replace(party=2)], id="of two parties"),
        pytest.param([FIRST, SECOND._replace(counter=5)], id="under counters that do not follow"),
        pytest.param([FIRST._replace(side=1), SECOND], id="that sell"),
        pytest.param([FIRST._replace(quantity_wh=0), SECOND], id="of no energy"),
        pytest.param([FIRST, SECOND._replace(quantity_wh=301)], id="of more than the bid"),
        pytest.param([FIRST._replace(quantity_wh=299), SECOND], id="of a bid larger than all of them"),
        pytest.param([FIRST._replace(wanted=Wanted(seller=1))], id="of no kind"),
        pytest.param([FIRST._replace(wanted=FIRST.wanted._replace(energy_kinds=1 << 11))], id="of an unknown kind"),
        pytest.param(placed_bid(1, 1, [ANY] * 5), id="five of them"),
    ],
)
def test_a_batch_whose_conditions_do_not_stand_together_is_malformed(orders: list[PlacedOrder]) -> None:
    attached = attach_orders(bytes(32), orders)
    with pytest.raises(EncodingError):
        decode_orders(attached.attachment, attached.rows)
    village = pool()
    assert village.decide(village.sender.order_batch("pool", "z-1", FIRST_S, orders)) == [Code.ROWS_MISMATCH]
