"""``grid_fee_path/1``: gates as the slow reference clears them, its laws, both verifiers' rule, money with fees, and terms that are refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import verify
from ledger.contract import SlotRows, TradeAmounts
from ledger.one_group import one_group
from settlement.contract_kit_1 import BUY, SELL, ContractError
from settlement.contracts.grid_fee_path_1 import CONTRACT, LEVELS_MAX, PLACES_MAX, PRICE_RULES, Places, match, matching
from tests.second_verifier import paired as second
from tests.second_verifier.rows import BookRow
from tests.slow.grid_fee_path import Met, Order, Place, meet, way_up
from tests.worlds.consortium import PRICES

ORDERS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 40), st.integers(-5, 14), st.integers(0, 6)),
    max_size=12,
)
GRIDS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=6)
"""Of each place: which of those before it is its parent (modulo their number), and its fee."""


class Gate(NamedTuple):
    """A gate for the contract, and for the reference."""

    listed: list[dict[str, int]]
    places: dict[str, Place]
    columns: tuple[Any, Any, Any]
    numbers: Any
    orders: list[Order]


def gate_of(grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]]) -> Gate:
    """Places are numbered 7, 8 ...; an order's place 0 is none, one beyond the grid a number that it has not."""
    listed: list[dict[str, int]] = []
    for row, (parent, fee) in enumerate(grid):
        above = {"parent": 7 + parent % row} if row else {}
        listed.append({"place": 7 + row, "fee_micro_per_kwh": fee, **above})
    places = {
        str(place["place"]): Place(str(place["parent"]) if "parent" in place else "", place["fee_micro_per_kwh"])
        for place in listed
    }
    numbers = [6 + place if place else 0 for *_, place in drawn]
    orders = [
        Order(f"o{rank:02}", buys, wh, limit, str(number) if str(number) in places else "")
        for rank, ((buys, wh, limit, _), number) in enumerate(zip(drawn, numbers, strict=True))
    ]
    side = np.array([BUY if order.buys else SELL for order in orders], dtype=np.int8)
    quantity, limit = (np.array([order[at] for order in orders], dtype=np.int64) for at in (2, 3))
    return Gate(listed, places, (side, quantity, limit), np.array(numbers, dtype=np.int64), orders)


def shown(gate: Gate, rule: str) -> list[Met]:
    matched = match(*gate.columns, gate.numbers, Places.of(gate.listed), rule)
    columns = zip(*(column.tolist() for column in (*matched.trades, matched.fees_micro_per_kwh)), strict=True)
    names = [order.name for order in gate.orders]
    return [Met(names[buy], names[sell], energy, price, fee) for buy, sell, energy, price, fee in columns]


@given(GRIDS, ORDERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=150)
def test_every_gate_is_cleared_as_pair_by_pair(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]], rule: str
) -> None:
    gate = gate_of(grid, drawn)
    assert shown(gate, rule) == meet(gate.places, gate.orders, rule)


@given(GRIDS, ORDERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=100)
def test_nobody_is_worse_than_his_limit_with_all_fees_and_each_place_on_the_path_takes_its_fee_once(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]], rule: str
) -> None:
    gate = gate_of(grid, drawn)
    met, orders = shown(gate, rule), {order.name: order for order in gate.orders}
    assert len({(trade.buy, trade.sell) for trade in met}) == len(met)
    for trade in met:
        buy, sell = orders[trade.buy], orders[trade.sell]
        down, up = (way_up(gate.places, order.place) for order in (buy, sell))
        meeting = next(place for place in up if place in down)
        path = {*up[: up.index(meeting) + 1], *down[: down.index(meeting)]}
        assert trade.fees == sum(gate.places[place].fee for place in path)
        assert trade.price >= sell.limit
        assert trade.price + trade.fees <= buy.limit
    for order in gate.orders:
        assert sum(trade.energy_wh for trade in met if order.name in (trade.buy, trade.sell)) <= order.energy_wh


@given(GRIDS, ORDERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=100)
def test_behind_the_gate_no_pair_is_left_that_would_have_traded(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]], rule: str
) -> None:
    gate = gate_of(grid, drawn)
    met = shown(gate, rule)
    left = {
        order.name: order.energy_wh - sum(t.energy_wh for t in met if order.name in (t.buy, t.sell))
        for order in gate.orders
    }
    assert min(left.values(), default=0) >= 0
    rest = [order._replace(energy_wh=left[order.name]) for order in gate.orders if left[order.name]]
    assert meet(gate.places, rest, rule) == []


@given(GRIDS, ORDERS, st.sampled_from(PRICE_RULES), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_who_gets_what_does_not_depend_on_the_order_of_orders_where_no_prices_are_equal(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]], rule: str, random: Any
) -> None:
    drawn = [(buys, wh, limit * 1_000 + rank, place) for rank, (buys, wh, limit, place) in enumerate(drawn)]
    grid = [(parent, fee * 1_000) for parent, fee in grid]
    order = list(range(len(drawn)))
    random.shuffle(order)
    names = {f"o{new:02}": f"o{old:02}" for new, old in enumerate(order)}
    moved = shown(gate_of(grid, [drawn[at] for at in order]), rule)
    again = [trade._replace(buy=names[trade.buy], sell=names[trade.sell]) for trade in moved]
    assert sorted(again) == sorted(shown(gate_of(grid, drawn), rule))


@given(GRIDS, ORDERS, st.sampled_from(PRICE_RULES))
@settings(max_examples=100)
def test_both_verifiers_clear_every_gate_as_the_contract_does(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]], rule: str
) -> None:
    gate = gate_of(grid, drawn)
    terms = {"price_rule": rule, "grid_places": gate.listed}
    matched = match(*gate.columns, gate.numbers, Places.of(gate.listed), rule)
    made = [
        tuple(row)
        for row in zip(*(column.tolist() for column in (*matched.trades, matched.fees_micro_per_kwh)), strict=True)
    ]
    known = verify.CONTRACTS["grid_fee_path/1"].clear
    assert known is not None
    sides, quantities, limits = (column.tolist() for column in gate.columns)
    orders = list(zip(sides, quantities, limits, gate.numbers.tolist(), strict=True))
    assert [tuple(trade) for trade in known(orders, terms).trades] == made
    rows = [
        BookRow(rank, order[0], order[1], order[2], 0, 0, all_or_none=False, wanted=(order[3],))
        for rank, order in enumerate(orders)
    ]
    places = [second.Place(place["place"], place.get("parent", 0), place["fee_micro_per_kwh"]) for place in gate.listed]
    again = [
        (pair.buy, pair.sell, pair.energy_wh, pair.price_micro_per_kwh, pair.fee_micro_per_kwh)
        for pair in second.up_the_grid(rows, places, rule)
    ]
    assert again == made


TOP = {"place": 1, "fee_micro_per_kwh": 0}


def below(number: int, parent: int, **changes: Any) -> dict[str, Any]:
    return {"place": number, "parent": parent, "fee_micro_per_kwh": 5, **changes}


@pytest.mark.parametrize(
    ("places", "fault"),
    [
        ([], "grid_places are 1 to 64 places"),
        ({}, "grid_places are 1 to 64 places"),
        ([TOP] * (PLACES_MAX + 1), "grid_places are 1 to 64 places"),
        ([below(1, 1)], "grid_places: entry 1 has fee_micro_per_kwh, place, and nothing else"),
        ([TOP, TOP], "grid_places: entry 2 has fee_micro_per_kwh, parent, place, and nothing else"),
        ([TOP, below(1, 1)], "grid_places: entry 2: place is a number of its own, 1 to 65535, not 1"),
        ([TOP, below(0, 1)], "grid_places: entry 2: place is a number of its own, 1 to 65535, not 0"),
        ([TOP, below(2, 3), below(3, 1)], "grid_places: entry 2: parent 3 is no place before it"),
        (
            [TOP, below(2, 1, fee_micro_per_kwh=-1)],
            "grid_places: entry 2: fee_micro_per_kwh is 0 to 1000000000, not -1",
        ),
        ([TOP, below(2, 1, fee_micro_per_kwh=True)], "grid_places: entry 2: whole numbers alone"),
        ([7], "grid_places: entry 1 has fee_micro_per_kwh, place, and nothing else"),
        (
            [TOP, *(below(number + 1, number) for number in range(1, LEVELS_MAX + 1))],
            "grid_places: entry 9: lies 9 levels deep, at most 8",
        ),
    ],
    ids=str,
)
def test_places_that_are_no_grid_are_refused_in_one_line(places: Any, fault: str) -> None:
    terms = {"prices": PRICES, "price_rule": "pay_as_bid", "grid_places": places}
    assert CONTRACT.fault_of(terms) == fault


def test_the_deepest_and_the_largest_grid_are_taken_and_other_terms_are_not() -> None:
    deep = [TOP, *(below(number + 1, number) for number in range(1, LEVELS_MAX))]
    wide = [TOP, *(below(number, 1) for number in range(2, PLACES_MAX + 1))]
    for places in (deep, wide):
        assert CONTRACT.fault_of({"prices": PRICES, "price_rule": "pay_as_bid", "grid_places": places}) == ""
    assert "lacks the field grid_places" in CONTRACT.fault_of({"prices": PRICES, "price_rule": "pay_as_bid"})
    other = CONTRACT.fault_of({"prices": PRICES, "price_rule": "first", "grid_places": [TOP]})
    assert other == "price_rule is one of pay_as_bid, pay_as_offer, not 'first'"


METERED = st.tuples(st.integers(0, 900), st.integers(0, 900))


@given(st.tuples(METERED, METERED), st.integers(0, 900), st.integers(-5, 500_000), st.integers(0, 300_000))
@settings(max_examples=100)
def test_what_buyers_pay_is_what_sellers_and_the_network_get(
    rows: tuple[tuple[int, int], tuple[int, int]], energy_wh: int, price: int, fee: int
) -> None:
    taken, fed = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    bought = np.array([energy_wh, 0], dtype=np.int64)
    amounts = TradeAmounts(bought * price, bought[::-1] * price, bought * fee)
    slot: SlotRows = one_group(PRICES, taken, fed, bought, bought[::-1].copy())._replace(amounts=amounts)
    result = CONTRACT.settle(slot, trade_prices_micro_per_kwh=[None], terms=[{}])
    without = slot._replace(amounts=amounts._replace(fee_nano=bought * 0))
    free = CONTRACT.settle(without, trade_prices_micro_per_kwh=[None], terms=[{}])
    assert result.received_nano["clearing"] == [0]
    assert result.received_nano["network"][0] - free.received_nano["network"][0] == energy_wh * fee
    assert sum(sum(of) for of in result.received_nano.values()) == sum(result.columns["pays_nano"].tolist())
    lines = CONTRACT.lines(slot, result.columns, trade_prices_micro_per_kwh=[None], terms=[{}])
    amounts_of_rows = zip(*(line.amount_nano.tolist() for line in lines), strict=True)
    assert [sum(of_row) for of_row in amounts_of_rows] == result.columns["pays_nano"].tolist()
    known = verify.CONTRACTS["grid_fee_path/1"]
    for place, (own_taken, own_fed) in enumerate(rows):
        columns = {name: int(column[place]) for name, column in result.columns.items()}
        settled = verify.Settled(own_taken, own_fed, columns, {}, PRICES, 0, PRICES, {}, {})
        assert sum(line.amount_nano for line in known.lines_of_point(settled)) == columns["pays_nano"]


def test_orders_without_places_limits_beyond_bounds_and_trades_without_fees_are_refused() -> None:
    gate = gate_of([(0, 1)], [(True, 5, 9, 1), (False, 5, 3, 1)])
    terms = {"price_rule": "pay_as_bid", "grid_places": gate.listed}
    with pytest.raises(ContractError, match="the orders have no places"):
        CONTRACT.clear(*gate.columns, terms=terms)
    side, quantity, limit = gate.columns
    with pytest.raises(ContractError, match="a limit is beyond 1000000000"):
        CONTRACT.clear(side, quantity, limit + 10**9, terms=terms, order_terms={"grid_place": gate.numbers})
    with pytest.raises(ContractError, match="the sum of the quantities is outside"):
        CONTRACT.clear(side, quantity + 2**62, limit, terms=terms, order_terms={"grid_place": gate.numbers})
    slot = one_group(PRICES, quantity, quantity, quantity, quantity)
    for amounts in (None, TradeAmounts(quantity, quantity)):
        with pytest.raises(ContractError, match="what was traded has no amounts, or no fees"):
            CONTRACT.settle(slot._replace(amounts=amounts), trade_prices_micro_per_kwh=[None], terms=[{}])


def test_the_largest_grid_is_cleared_by_one_market_a_place_and_an_order_stands_in_one_a_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody meets: every order goes all the way up. No market looks at an order that is not in it."""
    chain = [TOP, *(below(number + 1, number) for number in range(1, LEVELS_MAX))]
    wide = [below(number, LEVELS_MAX - 1) for number in range(LEVELS_MAX + 1, PLACES_MAX + 1)]
    looked: list[int] = []
    clear_market = matching._clear_market

    def counted(side: Any, *rest: Any) -> Any:
        looked.append(side.size)
        return clear_market(side, *rest)

    monkeypatch.setattr(matching, "_clear_market", counted)
    count = 20_000
    numbers = 1 + np.arange(count, dtype=np.int64) % PLACES_MAX
    side = (np.arange(count) % 2).astype(np.int8)
    limit = np.where(side == BUY, 0, 10**9).astype(np.int64)
    matched = match(side, np.ones(count, dtype=np.int64), limit, numbers, Places.of([*chain, *wide]), "pay_as_bid")
    assert matched.trades.volume_wh == 0
    assert len(looked) == PLACES_MAX
    assert sum(looked) <= count * LEVELS_MAX
