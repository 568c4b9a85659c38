"""``conditional_bid/1``: gates as the slow reference clears them, its laws, the verifier's rule, and books that want to be slow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import verify
from gridcore.registry.point import ENERGY_KINDS, RENEWABLE, RENEWABLE_KINDS, kind_bit, kinds_wanted
from settlement.catalogue import contract_pin
from settlement.contract_kit_1 import BUY, SELL, ContractError, Trades
from settlement.contracts.conditional_bid_1 import CONTRACT, PRICE_RULES, Wanted, match, matching
from settlement.contracts.conditional_bid_1.matching import ANY_KIND
from tests.second_verifier.paired import by_choice
from tests.second_verifier.rows import BookRow
from tests.slow.conditional_bid import Condition, Met, Offer, meet
from tests.worlds.consortium import PRICES

KINDS = ("gas", "solar", "wind")
BITS = {"": 1, **{kind: 2 << place for place, kind in enumerate(KINDS)}}
SELLERS = ("", "A", "B", "C")

CONDITIONS = st.builds(
    Condition,
    st.integers(1, 30),
    st.integers(-3, 9),
    st.sampled_from(SELLERS),
    st.sets(st.sampled_from(KINDS), max_size=2).map(frozenset),
)
BIDS = st.lists(st.lists(CONDITIONS, min_size=1, max_size=4), max_size=5)
OFFERS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(-3, 9), st.sampled_from(SELLERS[1:]), st.sampled_from(("", *KINDS))),
    max_size=6,
)


class Book(NamedTuple):
    """A gate as columns, and as the reference has it. rows: of each row a bid's name and choice, or an offer's name."""

    columns: tuple[Any, Any, Any]
    wanted: Wanted
    bids: list[tuple[str, list[Condition]]]
    offers: list[Offer]
    rows: list[tuple[str, int]]


def book_of(bids: list[list[Condition]], offers: list[tuple[int, int, str, str]]) -> Book:
    named = [(f"b{number}", conditions) for number, conditions in enumerate(bids)]
    sold = [Offer(f"s{number}", *offer) for number, offer in enumerate(offers)]
    table, rows = list[tuple[int, ...]](), list[tuple[str, int]]()
    for name, conditions in named:
        first = len(table)
        for choice, one in enumerate(conditions):
            kinds = sum(BITS[kind] for kind in one.kinds) or ANY_KIND
            table.append((BUY, one.energy_wh, one.limit, first, choice, kinds, SELLERS.index(one.seller)))
            rows.append((name, choice))
    for offer in sold:
        table.append((SELL, offer.energy_wh, offer.limit, len(table), 0, BITS[offer.kind], SELLERS.index(offer.seller)))
        rows.append((offer.name, 0))
    side, *rest = (np.array([row[at] for row in table], dtype=np.int64) for at in range(7))
    return Book((side.astype(np.int8), rest[0], rest[1]), Wanted(*rest[2:]), named, sold, rows)


def trades_of(book: Book, rule: str) -> Trades:
    return match(*book.columns, book.wanted, rule)


def shown(book: Book, trades: Trades) -> list[Met]:
    columns = zip(*(column.tolist() for column in trades), strict=True)
    made = [(*book.rows[buy], book.rows[sell][0], energy, price) for buy, sell, energy, price in columns]
    return [Met(*trade) for trade in made]


@given(BIDS, OFFERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=150)
def test_every_gate_is_cleared_as_condition_by_condition(
    bids: list[list[Condition]], offers: list[tuple[int, int, str, str]], rule: str
) -> None:
    book = book_of(bids, offers)
    assert shown(book, trades_of(book, rule)) == meet(book.bids, book.offers, rule)


@given(BIDS, OFFERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=100)
def test_no_trade_is_beyond_a_limit_a_condition_or_what_the_bid_buys_in_all(
    bids: list[list[Condition]], offers: list[tuple[int, int, str, str]], rule: str
) -> None:
    book = book_of(bids, offers)
    met, conditions, sold = shown(book, trades_of(book, rule)), dict(book.bids), {one.name: one for one in book.offers}
    assert len({(trade.bid, trade.choice, trade.offer) for trade in met}) == len(met)
    for trade in met:
        condition, offer = conditions[trade.bid][trade.choice], sold[trade.offer]
        assert condition.accepts(offer)
        assert offer.limit <= trade.price <= condition.limit
    for name, wanted in book.bids:
        own = [trade for trade in met if trade.bid == name]
        assert sum(trade.energy_wh for trade in own) <= max(one.energy_wh for one in wanted)
        for choice, one in enumerate(wanted):
            assert sum(trade.energy_wh for trade in own if trade.choice == choice) <= one.energy_wh
    for offer in book.offers:
        assert sum(trade.energy_wh for trade in met if trade.offer == offer.name) <= offer.energy_wh


@given(BIDS, OFFERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=100)
def test_what_buyers_pay_is_what_sellers_get_and_bought_is_sold(
    bids: list[list[Condition]], offers: list[tuple[int, int, str, str]], rule: str
) -> None:
    book = book_of(bids, offers)
    cleared = CONTRACT.clear(*book.columns, terms={"price_rule": rule}, order_terms=book.wanted._asdict())
    traded = cleared.trades.traded(len(book.rows))
    assert traded.bought_nano.sum() == traded.sold_nano.sum()
    assert traded.bought_wh.sum() == traded.sold_wh.sum() == cleared.volume_wh
    assert (cleared.filled_wh == traded.bought_wh + traded.sold_wh).all()


@given(BIDS, OFFERS, st.sampled_from(PRICE_RULES), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_who_gets_what_does_not_depend_on_the_order_of_orders_where_no_limits_are_equal(
    bids: list[list[Condition]], offers: list[tuple[int, int, str, str]], rule: str, random: Any
) -> None:
    bids = [
        [one._replace(limit=one.limit * 1_000 + 2 * (10 * number + place)) for place, one in enumerate(conditions)]
        for number, conditions in enumerate(bids)
    ]
    offers = [(wh, limit * 1_000 + 2 * number + 1, *rest) for number, (wh, limit, *rest) in enumerate(offers)]  # type: ignore[misc]
    book = book_of(bids, offers)
    order = list(range(len(bids)))
    sells = list(range(len(offers)))
    random.shuffle(order)
    random.shuffle(sells)
    other = book_of([bids[at] for at in order], [offers[at] for at in sells])
    names = {f"b{new}": f"b{old}" for new, old in enumerate(order)} | {
        f"s{new}": f"s{old}" for new, old in enumerate(sells)
    }
    moved = [
        trade._replace(bid=names[trade.bid], offer=names[trade.offer]) for trade in shown(other, trades_of(other, rule))
    ]
    assert sorted(moved) == sorted(shown(book, trades_of(book, rule)))


@given(BIDS, OFFERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=100)
def test_both_verifiers_clear_every_gate_as_the_contract_does(
    bids: list[list[Condition]], offers: list[tuple[int, int, str, str]], rule: str
) -> None:
    book = book_of(bids, offers)
    made = [tuple(row) for row in zip(*(column.tolist() for column in trades_of(book, rule)), strict=True)]
    known = verify.CONTRACTS["conditional_bid/1"].clear
    assert known is not None
    sides, quantities, limits = (column.tolist() for column in book.columns)
    wanted = list(zip(*(column.tolist() for column in book.wanted), strict=True))
    orders = [(*own, *more) for own, more in zip(zip(sides, quantities, limits, strict=True), wanted, strict=True)]
    assert [tuple(trade) for trade in known(orders, {"price_rule": rule}).trades] == [(*trade, 0) for trade in made]
    rows = [
        BookRow(rank, order[0], order[1], order[2], 0, 0, all_or_none=False, wanted=tuple(order[3:]))
        for rank, order in enumerate(orders)
    ]
    again = [(pair.buy, pair.sell, pair.energy_wh, pair.price_micro_per_kwh) for pair in by_choice(rows, rule)]
    assert again == made


def test_the_bids_of_published_numbers_meet_as_published() -> None:
    """gsy-e documentation, degrees of freedom: C7 of research/settlement.md."""
    conditions = [
        Condition(1_000, 280_000, "A"),
        Condition(1_000, 250_000, "", frozenset({"solar"})),
        Condition(500, 200_000),
    ]
    book = book_of([conditions], [(800, 210_000, "B", "solar")])
    assert shown(book, trades_of(book, "pay_as_bid")) == [Met("b0", 1, "s0", 800, 250_000)]
    assert shown(book, trades_of(book, "pay_as_offer")) == [Met("b0", 1, "s0", 800, 210_000)]


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        ({}, "lacks the field price_rule"),
        ({"price_rule": "first"}, "price_rule is one of pay_as_bid, pay_as_offer, not 'first'"),
        ({"price_rule": ["pay_as_bid"]}, "price_rule is one of pay_as_bid, pay_as_offer, not ['pay_as_bid']"),
        ({"price_rule": "pay_as_bid", "x": 1}, "holds the unknown field 'x'; its fields are prices, price_rule"),
    ],
)
def test_terms_that_no_gate_can_be_cleared_by_are_refused_in_one_line(terms: dict[str, Any], fault: str) -> None:
    assert CONTRACT.fault_of({"prices": PRICES, **terms}) == fault
    assert CONTRACT.fault_of({"prices": PRICES, "price_rule": "pay_as_offer"}) == ""


def test_orders_that_do_not_say_what_they_want_are_refused() -> None:
    book = book_of([[Condition(5, 5)]], [(5, 5, "A", "solar")])
    with pytest.raises(ContractError, match="the orders do not say what they want"):
        CONTRACT.clear(*book.columns, terms={"price_rule": "pay_as_bid"})
    for name, value, what in (
        ("bid", 2, "bid is the row of an order, there are 2, not 2"),
        ("energy_kinds", 2**16, "energy_kinds are bits of 65535, not 65536"),
        ("seller", -1, "seller"),
    ):
        asked = {key: column.copy() for key, column in book.wanted._asdict().items()}
        asked[name][1] = value
        with pytest.raises(ContractError, match=what):
            CONTRACT.clear(*book.columns, terms={"price_rule": "pay_as_bid"}, order_terms=asked)
    several = book.wanted._replace(energy_kinds=np.array([ANY_KIND, 6], dtype=np.int64))
    with pytest.raises(ContractError, match="an order sells energy of several kinds"):
        match(*book.columns, several, "pay_as_bid")


def test_the_registry_s_kinds_fit_into_the_contract_s() -> None:
    assert kinds_wanted(None) == 2 ** (len(ENERGY_KINDS) + 1) - 1 <= ANY_KIND
    assert kinds_wanted(RENEWABLE) == sum(kinds_wanted(kind) for kind in RENEWABLE_KINDS)
    assert [kinds_wanted(kind) for kind in ENERGY_KINDS] == [kind_bit(place) for place in range(len(ENERGY_KINDS))]
    assert kind_bit(-1) == 1
    assert len(contract_pin("conditional_bid/1")) == 32


class Counted(list[int]):
    """What is left of offers, and how often somebody has looked."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        Counted.looks += 1
        return super().__getitem__(at)


@pytest.mark.parametrize("ask", ["nobody's kind", "one seller each", "below every limit", "one watt-hour of each"])
def test_a_book_that_wants_to_be_slow_is_looked_at_a_few_times_an_order(
    ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = 3_000
    numbers = np.arange(half, dtype=np.int64)
    ones = np.ones(half, dtype=np.int64)
    kinds = {"nobody's kind": ones << 9}.get(ask, ones * ANY_KIND)
    sellers = {"one seller each": numbers % 7 + 1}.get(ask, ones * 0)
    limits = {"below every limit": ones * 0}.get(ask, ones * 1_000_000)
    quantity = {"one watt-hour of each": ones}.get(ask, ones * 100)
    side = np.repeat(np.array([BUY, SELL], dtype=np.int8), half)
    wanted = Wanted(
        bid=np.arange(2 * half, dtype=np.int64),
        choice=np.zeros(2 * half, dtype=np.int64),
        energy_kinds=np.concatenate((kinds, 1 << numbers % 8)),
        seller=np.concatenate((sellers, numbers % 7 + 1)),
    )
    init = matching._Offers.__init__

    def watched(offers: Any, *args: Any) -> None:
        init(offers, *args)
        offers.left_wh = Counted(offers.left_wh)

    monkeypatch.setattr(matching._Offers, "__init__", watched)
    Counted.looks = 0
    match(side, np.concatenate((quantity, ones * 100)), np.concatenate((limits, 1 + numbers)), wanted, "pay_as_bid")
    assert Counted.looks <= 40 * 2 * half
