"""``grid_fee_path/2``: fees per kWh and as a fraction of the offer, as the slow reference, the vectors and every verifier say."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import verify
from settlement.contract_kit_1 import BUY, SELL, ContractError, Trades
from settlement.contracts import grid_fee_path_1
from settlement.contracts.grid_fee_path_2 import CONTRACT, FEE_PPM_MAX, Places, match
from tests.second_verifier import paired as second
from tests.second_verifier.rows import BookRow
from tests.slow.grid_fee_path import Met, meet, way_up
from tests.unit.settlement.test_grid_fee_path import Gate, gate_of
from tests.worlds.consortium import PRICES

PERCENT = st.lists(st.sampled_from([0, 1, 50_000, 333_333, FEE_PPM_MAX]), min_size=6, max_size=6)
GRIDS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=6)
ORDERS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 40), st.integers(-5, 60), st.integers(0, 6)),
    max_size=12,
)


def with_percent(gate: Gate, fees_ppm: list[int]) -> Gate:
    """The gate, whose places take fractions too."""
    listed = [{**place, "fee_ppm": ppm} for place, ppm in zip(gate.listed, fees_ppm, strict=False)]
    places = {
        str(place["place"]): gate.places[str(place["place"])]._replace(fee_ppm=place["fee_ppm"]) for place in listed
    }
    return gate._replace(listed=listed, places=places)


def made(gate: Gate) -> list[tuple[int, ...]]:
    matched = match(*gate.columns, gate.numbers, Places.of(gate.listed))
    columns = (*matched.trades, matched.fees_micro_per_kwh)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(GRIDS, ORDERS, PERCENT)
@settings(max_examples=200)
def test_every_gate_is_cleared_as_pair_by_pair_and_as_both_verifiers_clear_it(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]], fees_ppm: list[int]
) -> None:
    gate = with_percent(gate_of(grid, drawn), fees_ppm)
    found, names = made(gate), [order.name for order in gate.orders]
    assert [Met(names[buy], names[sell], *rest) for buy, sell, *rest in found] == meet(
        gate.places, gate.orders, "pay_as_offer"
    )
    known = verify.CONTRACTS["grid_fee_path/2"].clear
    assert known is not None
    sides, quantities, limits = (column.tolist() for column in gate.columns)
    orders = list(zip(sides, quantities, limits, gate.numbers.tolist(), strict=True))
    assert [tuple(trade) for trade in known(orders, {"grid_places": gate.listed}).trades] == found
    rows = [BookRow(rank, *order[:3], 0, 0, all_or_none=False, wanted=(order[3],)) for rank, order in enumerate(orders)]
    places = [
        second.Place(place["place"], place.get("parent", 0), place["fee_micro_per_kwh"], place["fee_ppm"])
        for place in gate.listed
    ]
    again = second.up_the_grid(rows, places, "pay_as_offer")
    assert [
        (pair.buy, pair.sell, pair.energy_wh, pair.price_micro_per_kwh, pair.fee_micro_per_kwh) for pair in again
    ] == found


@given(GRIDS, ORDERS, PERCENT)
@settings(max_examples=100)
def test_sellers_get_what_they_ask_and_no_fee_brings_a_buyer_beyond_his_limit(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]], fees_ppm: list[int]
) -> None:
    gate = with_percent(gate_of(grid, drawn), fees_ppm)
    found = made(gate)
    assert len({(buy, sell) for buy, sell, *_ in found}) == len(found)
    for buy, sell, _, price, fee in found:
        bid, offer = gate.orders[buy], gate.orders[sell]
        down, up = (way_up(gate.places, order.place) for order in (bid, offer))
        meeting = next(place for place in up if place in down)
        path = {*up[: up.index(meeting) + 1], *down[: down.index(meeting)]}
        assert fee == sum(gate.places[place].fee_of(offer.limit) for place in path)
        assert price == offer.limit
        assert price + fee <= bid.limit


@given(GRIDS, ORDERS)
@settings(max_examples=100)
def test_without_fractions_a_gate_is_that_of_version_1(
    grid: list[tuple[int, int]], drawn: list[tuple[bool, int, int, int]]
) -> None:
    gate = gate_of(grid, drawn)
    before = grid_fee_path_1.match(*gate.columns, gate.numbers, grid_fee_path_1.Places.of(gate.listed), "pay_as_offer")
    columns = (*before.trades, before.fees_micro_per_kwh)
    assert made(with_percent(gate, [0] * 6)) == list(zip(*(column.tolist() for column in columns), strict=True))


def test_the_published_path_in_percent_costs_and_brings_what_its_vector_says(repository: Path) -> None:
    """One seller at the lowest place, a buyer at the highest: the vector's fees are those of the places between."""
    case = tomllib.loads((repository / "tests/vectors/grid_fee_path/percent/case.toml").read_text("utf-8"))
    told, due = case["input"], case["expect"]
    path = [*told["supply_fees"][::-1]]
    listed: list[dict[str, int]] = []
    for number, ppm in enumerate(path, 1):
        above = {"parent": number - 1} if number > 1 else {}
        listed.append({"place": number, "fee_micro_per_kwh": 0, "fee_ppm": ppm, **above})
    seller, top = len(path), 1
    for ppm in told["demand_fees"][::-1]:
        listed.append({"place": len(listed) + 1, "parent": top, "fee_micro_per_kwh": 0, "fee_ppm": ppm})
        top = len(listed)
    cleared = CONTRACT.clear(
        np.array([BUY, SELL], dtype=np.int8),
        np.array([1_000, 1_000], dtype=np.int64),
        np.array([10**8, told["offer_price"]], dtype=np.int64),
        terms={"grid_places": listed},
        order_terms={"grid_place": np.array([top, seller], dtype=np.int64)},
    )
    assert isinstance(cleared.trades, Trades)
    assert cleared.fees_micro_per_kwh is not None
    got, fee = int(cleared.trades.price_micro_per_kwh[0]), int(cleared.fees_micro_per_kwh[0])
    assert (got + fee, got, fee) == (due["buyer_pays"], due["seller_gets"], due["fees_total"])


TOP = {"place": 1, "fee_micro_per_kwh": 0, "fee_ppm": 0}


@pytest.mark.parametrize(
    ("places", "fault"),
    [
        ([], "grid_places are 1 to 64 places"),
        ([7], "grid_places: entry 1 has fee_micro_per_kwh, fee_ppm, place, and nothing else"),
        ([{"place": 1, "fee_micro_per_kwh": 0}], "grid_places: entry 1 has fee_micro_per_kwh, fee_ppm, place, and nothing else"),
        ([{**TOP, "fee_ppm": -1}], "grid_places: entry 1: fee_ppm is a whole number, 0 to 1000000, not -1"),
        ([{**TOP, "fee_ppm": True}], "grid_places: entry 1: fee_ppm is a whole number, 0 to 1000000, not True"),
        ([{**TOP, "fee_ppm": FEE_PPM_MAX + 1}], "grid_places: entry 1: fee_ppm is a whole number, 0 to 1000000, not 1000001"),
        ([TOP, {**TOP, "parent": 1}], "grid_places: entry 2: place is a number of its own, 1 to 65535, not 1"),
        ([TOP, {**TOP, "place": 2, "parent": 3}], "grid_places: entry 2: parent 3 is no place before it"),
        ([{**TOP, "fee_ppm": FEE_PPM_MAX}], ""),
    ],
    ids=str,
)  # fmt: skip
def test_places_that_are_no_grid_are_refused_in_one_line(places: Any, fault: str) -> None:
    assert CONTRACT.fault_of({"prices": PRICES, "grid_places": places}) == fault


def test_terms_of_version_1_and_terms_without_places_are_refused() -> None:
    rule = CONTRACT.fault_of({"prices": PRICES, "grid_places": [TOP], "price_rule": "pay_as_offer"})
    assert rule == "holds the unknown field 'price_rule'; its fields are prices, grid_places"
    assert CONTRACT.fault_of({"prices": PRICES}) == "lacks the field grid_places"
    assert "does not hold" in CONTRACT.fault_of(
        {"prices": PRICES | {"surplus_price_micro_per_kwh": 10**6}, "grid_places": [TOP]}
    )


def test_orders_without_places_and_limits_beyond_bounds_are_refused() -> None:
    gate = with_percent(gate_of([(0, 1)], [(True, 5, 9, 1), (False, 5, 3, 1)]), [0] * 6)
    terms, (side, quantity, limit) = {"grid_places": gate.listed}, gate.columns
    with pytest.raises(ContractError, match="the orders have no places"):
        CONTRACT.clear(side, quantity, limit, terms=terms)
    with pytest.raises(ContractError, match="a limit is beyond 1000000000"):
        CONTRACT.clear(side, quantity, limit + 10**9, terms=terms, order_terms={"grid_place": gate.numbers})
    with pytest.raises(ContractError, match="the sum of the quantities is outside"):
        CONTRACT.clear(side, quantity + 2**62, limit, terms=terms, order_terms={"grid_place": gate.numbers})
