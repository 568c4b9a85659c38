"""Borders between areas and the terms of their balances in the registry: what is one, who says so, what they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gridcore.codes import Code
from gridcore.genesis import Thresholds
from gridcore.master_data import Named
from gridcore.registry.balance_terms import BALANCE_PRICES, BALANCE_TERMS, BalanceTerms
from gridcore.registry.point import POINT, Point
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from ledger.registry.columns import read_columns
from ledger.registry.columns_change import change_columns
from ledger.registry.columns_file import encode_columns
from ledger.state.memory import MemoryState
from tests.twin.registry_forms import has_form
from tests.unit.registry.test_registry_approvals import WORLD, Chain
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, area, feeder, gateway, zone

PRICES = dict.fromkeys(BALANCE_PRICES, 300_000)
TERMS = BalanceTerms("grid", PRICES)
PENALTY = {"penalty_ppm": 50_000, "price_micro_per_kwh": 400_000, "sides": "both", "tolerance_ppm": 30_000}
BORDER = Point("a-1", "exchange", exchange_area="a-2")


@pytest.fixture
def chain() -> Chain:
    areas = [*WORLD.areas, area("a-2", zone=WORLD.zones[0].name)]
    return Chain(replace(WORLD, areas=areas, thresholds=Thresholds()))


def submitted(chain: Chain, *entries: Named[Any], signer: str = "admin") -> int:
    return chain.decide(chain.sender.register([row for named in entries for row in named.rows()], signer=signer))


def test_a_utility_registers_a_border_that_names_the_area_on_the_other_side(chain: Chain) -> None:
    assert submitted(chain, Named(POINT, "B-1", BORDER, FIRST_S + SLOT_S)) == 0
    assert chain.has("point/B-1")


def test_a_border_to_an_area_that_is_not_there_is_refused(chain: Chain) -> None:
    nowhere = BORDER._replace(exchange_area="a-9")
    assert submitted(chain, Named(POINT, "B-1", nowhere, FIRST_S + SLOT_S)) == Code.REGISTRY_UNKNOWN


def test_terms_of_an_area_name_it_and_their_price_series(chain: Chain) -> None:
    dynamic = TERMS._replace(series={"loss_price_micro_per_kwh": "spot"})
    assert submitted(chain, Named(BALANCE_TERMS, "a-9", TERMS, FIRST_S)) == Code.REGISTRY_UNKNOWN
    assert submitted(chain, Named(BALANCE_TERMS, "a-1", dynamic, FIRST_S)) == Code.REGISTRY_UNKNOWN
    spot = Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [1, 2]), FIRST_S)
    assert submitted(chain, spot, Named(BALANCE_TERMS, "a-1", dynamic, FIRST_S)) == 0
    assert chain.has("balance_terms/a-1")


POINTS: Mapping[str, tuple[dict[str, Any], str]] = {
    "an exchange without an area": ({"role": "exchange"}, "exchange_area: the area on the other side"),
    "an exchange with itself": ({"role": "exchange", "exchange_area": "a-1"}, "exchange_area: another area than"),
    "a feeder with an area": ({"role": "feeder", "exchange_area": "a-2"}, "exchange_area: the area on the other side"),
    "an exchange that is billed": (
        {"role": "exchange", "exchange_area": "a-2", "party": "p-1"},
        "party: nobody is billed at a point whose role is exchange",
    ),
}


@pytest.mark.parametrize("name", POINTS)
def test_a_border_that_is_none_is_refused_in_words(name: str) -> None:
    fields, words = POINTS[name]
    value = {"area": "a-1", **fields}
    assert POINT.fault_of(value).startswith(words)
    assert not has_form("point", value)


def test_a_border_has_its_form() -> None:
    assert POINT.fault_of(POINT.encode(BORDER)) == ""
    assert has_form("point", dict(POINT.encode(BORDER)))


TERMS_FAULTS: Mapping[str, tuple[dict[str, Any], str]] = {
    "a price is missing": ({"prices": dict.fromkeys(BALANCE_PRICES[1:], 1)}, "prices is a map of gain_price"),
    "a price too many": ({"prices": {**PRICES, "x": 1}}, "prices is a map of gain_price"),
    "a price beyond its bound": ({"prices": {**PRICES, BALANCE_PRICES[0]: 10**9 + 1}}, "prices is a map of gain_price"),
    "a price that is no number": ({"prices": {**PRICES, BALANCE_PRICES[0]: True}}, "prices is a map of gain_price"),
    "a series of no price": ({"prices": PRICES, "series": {"x": "spot"}}, "series is a map of some of the prices"),
    "a penalty without a tolerance": (
        {"prices": PRICES, "penalty": {key: PENALTY[key] for key in PENALTY if key != "tolerance_ppm"}},
        "penalty: tolerance_ppm is missing",
    ),
    "a penalty of more": ({"prices": PRICES, "penalty": {**PENALTY, "x": 1}}, "penalty: 'x' is no field of it"),
    "a penalty above all of the price": (
        {"prices": PRICES, "penalty": {**PENALTY, "penalty_ppm": 10**6 + 1}},
        "penalty: penalty_ppm is a whole number, 0 to 1000000, not 1000001",
    ),
    "a tolerance above the schedule": (
        {"prices": PRICES, "penalty": {**PENALTY, "tolerance_ppm": 10**6 + 1}},
        "penalty: tolerance_ppm is a whole number",
    ),
    "a penalty that is received": (
        {"prices": PRICES, "penalty": {**PENALTY, "price_micro_per_kwh": -1}},
        "penalty: price_micro_per_kwh is a whole number",
    ),
    "a price of a penalty beyond its bound": (
        {"prices": PRICES, "penalty": {**PENALTY, "price_micro_per_kwh": 10**9 + 1}},
        "penalty: price_micro_per_kwh is a whole number",
    ),
    "a penalty of surpluses alone": (
        {"prices": PRICES, "penalty": {**PENALTY, "sides": "long_only"}},
        "penalty: sides is one of both, short_only, not 'long_only'",
    ),
    "a penalty that is no map": ({"prices": PRICES, "penalty": 5}, "penalty is a map of penalty_ppm"),
    "no penalty": ({"prices": PRICES, "penalty": {}}, "penalty: penalty_ppm is missing"),
    "no series": ({"prices": PRICES, "series": {}}, "series is a map of some of the prices"),
}


@pytest.mark.parametrize("name", TERMS_FAULTS)
def test_terms_that_are_none_are_refused_in_words(name: str) -> None:
    fields, words = TERMS_FAULTS[name]
    value = {"loss_responsible": "grid", **fields}
    assert BALANCE_TERMS.fault_of(value).startswith(words)
    assert not has_form("balance_terms", value)


@pytest.mark.parametrize("series", [None, {"loss_price_micro_per_kwh": "spot"}])
def test_terms_have_their_form(series: dict[str, str] | None) -> None:
    value = BALANCE_TERMS.encode(TERMS._replace(series=series))
    assert BALANCE_TERMS.fault_of(value) == ""
    assert has_form("balance_terms", dict(value))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"penalty_ppm": 0, "tolerance_ppm": 0, "price_micro_per_kwh": 0},
        {"penalty_ppm": 10**6, "tolerance_ppm": 10**6, "price_micro_per_kwh": 10**9, "sides": "short_only"},
    ],
)
def test_a_penalty_has_its_form_up_to_its_bounds(changes: dict[str, Any]) -> None:
    value = BALANCE_TERMS.encode(TERMS._replace(penalty={**PENALTY, **changes}))
    assert BALANCE_TERMS.fault_of(value) == ""
    assert has_form("balance_terms", dict(value))


def test_columns_keep_the_other_area_where_areas_come_before_it() -> None:
    """Areas stand by zone and number: one that is recorded later moves the places of those of later zones."""
    world = Consortium(
        zones=[zone("a"), zone("b")],
        areas=[area("x", zone="b"), area("y", zone="b")],
        gateways=[gateway("gw-1")],
        meters=[feeder(1, area="x")],
        more=[Named(POINT, "B-1", Point("x", "exchange", exchange_area="y"), FIRST_S)],
    )
    grown = replace(world, areas=[area("new", zone="a"), *world.areas])
    before, after = (MemoryState(one.genesis) for one in (world, grown))
    changed = change_columns(before.registry.columns, after, ["area/new"])
    assert list(encode_columns(changed)) == list(encode_columns(read_columns(after)))
    (place,) = np.flatnonzero(changed.point_exchange_area >= 0).tolist()
    assert changed.areas[changed.point_exchange_area[place]] == "y"
