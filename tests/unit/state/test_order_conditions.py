"""Bids with conditions before the gate: which of them stand, and what is held of their parties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gridcore.codes import Code
from gridcore.transactions.market_order import Condition
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
