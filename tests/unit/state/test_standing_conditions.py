"""Standing rules with conditions: which zones know them, which stand, and that they bid as orders of one slot do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.transactions.market_order import Condition
from gridcore.transactions.market_profile import ProfileBid, ProfileCondition, ProfilePart
from ledger.leaves.book import Wants, load_orders
from ledger.state import profiles
from tests.unit.state.test_order_profiles import close_gate
from tests.unit.state.test_orders import LIMIT_WH, VILLAGE, Village
from tests.worlds.consortium import FIRST_S, SLOT_S, rules, zone

CONDITIONAL: Final = "conditional_bid/1"
SUN: Final = ProfileCondition(450_000, [300], energy_kind="solar")
ANY: Final = ProfileCondition(400_000, [200])


def preferring(contract: str = CONDITIONAL, *, is_known: bool = True) -> Village:
    """A village whose zone knows standing rules with conditions, or not."""
    known = True if is_known else None
    zones = [zone(contract=contract, open_before_start_s=172_800, profiles_have_conditions=known)]
    terms = [rules(terms={"price_rule": "pay_as_bid"})] if contract == CONDITIONAL else VILLAGE.rules
    return Village(replace(VILLAGE, zones=zones, rules=terms))


def placed(village: Village, *parts: ProfileBid | ProfilePart, counter: int = 1, party: str = "p-1") -> Code:
    """The code of a rule for four slots, alone in its block."""
    end_s = FIRST_S + 4 * SLOT_S
    return village.decide(village.sender.profile(party, "a-1", FIRST_S, end_s, parts, counter=counter))[0]


def bids(village: Village, slot_s: int = FIRST_S) -> list[tuple[int, ...]]:
    """Counter, quantity, limit, choice, kinds and seller of each order that stands."""
    book = load_orders(village.ledger.state, slot_s, "z-1")
    columns = (book.counter, book.quantity_wh, book.price_micro_per_kwh, *Wants.unpacked(book.wants))
    return sorted(zip(*(np.asarray(column).tolist() for column in columns), strict=True))


def test_a_zone_from_before_there_were_such_rules_refuses_them_as_it_always_has() -> None:
    older = preferring(is_known=False)
    assert placed(older, ProfileBid([SUN])) is Code.NOT_CANONICAL
    nowhere = older.sender.profile("p-1", "nowhere", FIRST_S, FIRST_S + SLOT_S, [ProfileBid([SUN])])
    by_a_stranger = older.sender.profile("stranger", "a-1", FIRST_S, FIRST_S + SLOT_S, [ProfileBid([SUN])])
    assert older.decide(nowhere, by_a_stranger) == [Code.NOT_CANONICAL] * 2
    assert placed(older, ProfilePart("buy", 400_000, [300])) is Code.ACCEPTED


def test_conditions_of_a_rule_are_refused_where_no_bid_has_any_and_where_they_name_nobody() -> None:
    assert placed(preferring("pay_as_bid/1"), ProfileBid([SUN])) is Code.NO_CONDITIONS
    village = preferring()
    assert placed(village, ProfileBid([SUN._replace(seller="p-9")])) is Code.NO_SUCH_SELLER
    assert placed(village, ProfileBid([SUN] * 4), counter=14) is Code.COUNTER_OUT_OF_RANGE
    assert placed(village, ProfileBid([SUN, ANY._replace(quantities_wh=[0, 10**8 + 1])])) is Code.QUANTITY_OUT_OF_RANGE
    assert placed(village, ProfileBid([ANY, SUN._replace(price_micro_per_kwh=10**9 + 1)])) is Code.PRICE_OUT_OF_RANGE
    crossing = ProfilePart("sell", 450_000, [100])
    assert placed(village, ProfileBid([ANY, SUN]), crossing) is Code.CROSSES_OWN
    assert placed(village, ProfileBid([ANY, SUN._replace(seller="p-2")]), counter=13) is Code.ACCEPTED
    assert placed(village, ProfileBid([ANY]), counter=14) is Code.ORDER_REUSED


def test_a_chunk_of_rules_without_conditions_is_stored_as_before() -> None:
    village = preferring()
    assert placed(village, ProfilePart("buy", 400_000, [300])) is Code.ACCEPTED
    assert "wants" not in (village.ledger.state.get("profiles/z-1/0") or {})
    assert placed(village, ProfileBid([SUN]), party="p-2") is Code.ACCEPTED
    assert len((village.ledger.state.get("profiles/z-1/0") or {})["wants"]) == 16


def test_a_rule_bids_in_each_slot_by_the_conditions_that_have_a_quantity_there() -> None:
    village = preferring()
    rule = ProfileBid([SUN._replace(quantities_wh=[300, 0]), ANY._replace(quantities_wh=[200, 100, 0], seller="p-2")])
    assert placed(village, rule, ProfilePart("sell", 500_000, [50])) is Code.ACCEPTED
    sun, of_p_2 = (1, 300, 450_000, 0, 1 << 8, 0), (2, 200, 400_000, 1, 2**11 - 1, 2)
    plain = (3, 50, 500_000, 0, 0, 0)
    given_in = [[sun, of_p_2, plain], [(2, 100, *of_p_2[2:]), plain], [sun, plain], [of_p_2, plain]]
    for number, expected in enumerate(given_in):
        close_gate(village, FIRST_S + number * SLOT_S)
        assert bids(village, FIRST_S + number * SLOT_S) == expected


def test_the_conditions_of_a_rule_stand_together_or_not_at_all() -> None:
    village = preferring()
    assert placed(village, ProfileBid([SUN, ANY]), ProfileBid([SUN])) is Code.ACCEPTED
    assert village.decide(village.sender.order("p-1", "a-1", "buy", 7, 300_000, FIRST_S, counter=2)) == [Code.ACCEPTED]
    close_gate(village)
    assert [bid[0] for bid in bids(village)] == [2, 3], "an order under one counter stands in the place of the bid"
    too_much = ProfileBid([ProfileCondition(400_000, [LIMIT_WH]), ANY])
    assert placed(village, too_much, party="p-2") is Code.GATE_CLOSED
    end_s = FIRST_S + 4 * SLOT_S
    wire = village.sender.profile("p-2", "a-1", FIRST_S + SLOT_S, end_s, [too_much])
    assert village.decide(wire) == [Code.ACCEPTED]
    close_gate(village, FIRST_S + SLOT_S)
    assert [bid[0] for bid in bids(village, FIRST_S + SLOT_S)] == [1, 2, 3], (
        "those of p-1; p-2 asks for more than its meter shows"
    )


def test_where_the_contract_of_a_slot_takes_no_conditions_a_rule_gives_what_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    village, alone = preferring(), preferring()
    assert placed(village, ProfileBid([SUN]), ProfilePart("sell", 500_000, [50])) is Code.ACCEPTED
    assert placed(alone, ProfileBid([SUN])) is Code.ACCEPTED
    monkeypatch.setattr(profiles, "takes_conditions", lambda _: False)
    close_gate(village)
    close_gate(alone)
    assert (bids(village), bids(alone)) == ([(2, 50, 500_000, 0, 0, 0)], [])


CONDITIONS: Final = st.lists(
    st.tuples(
        st.integers(380_000, 420_000),
        st.lists(st.integers(1, 6_000), min_size=1, max_size=3),
        st.sampled_from([None, "p-1", "p-2", "p-3"]),
        st.sampled_from([None, "solar", "renewable"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["p-1", "p-2", "p-3"]), st.integers(1, 9), CONDITIONS), max_size=4))
def test_rules_with_conditions_come_to_what_the_same_bids_signed_one_by_one_would(
    given_rules: Sequence[tuple[str, int, list[tuple[int, list[int], str | None, str | None]]]],
) -> None:
    by_rule, one_by_one, taken = preferring(), preferring(), []
    for party, counter, said in given_rules:
        conditions = [ProfileCondition(*one) for one in said]
        if placed(by_rule, ProfileBid(conditions), counter=counter, party=party) is Code.ACCEPTED:
            taken.append((party, counter, conditions))
    for number in range(4):
        slot_s = FIRST_S + number * SLOT_S
        for party, counter, conditions in sorted(taken, key=lambda one: one[:2]):
            own = [
                Condition(one.quantities_wh[number % len(one.quantities_wh)], one.price_micro_per_kwh, *one[2:])
                for one in conditions
            ]
            largest, highest = max(one.energy_wh for one in own), max(one.price_micro_per_kwh for one in own)
            order = (party, "a-1", "buy", largest, highest, slot_s)
            one_by_one.decide(one_by_one.sender.order(*order, counter=counter, conditions=own))
        for village in (by_rule, one_by_one):
            close_gate(village, slot_s)
        assert bids(by_rule, slot_s) == bids(one_by_one, slot_s)
        assert by_rule.held_nano == one_by_one.held_nano
