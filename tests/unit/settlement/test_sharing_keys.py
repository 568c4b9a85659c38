"""Sharing by keys in columns, against the slow text of it, and what the contract makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcore import verify
from ledger.contract import Contract, SlotRows
from ledger.one_group import one_group
from settlement.contract_kit_1 import ContractError, Groups
from settlement.contracts.sharing_keys_1 import CONTRACT, METHODS, allocate
from tests.slow.sharing_keys import (
    allocate_by_priority,
    allocate_dynamic,
    allocate_reallocated,
    allocate_static,
)

_contract: Contract = CONTRACT
TRADE_PRICE = "trade_price_micro_per_kwh"
PRICES = {
    "residual_price_micro_per_kwh": 460_000,
    "feed_in_price_micro_per_kwh": 280_000,
    "network_traded_micro_per_kwh": 60_000,
    "network_residual_micro_per_kwh": 180_000,
    "levy_micro_per_kwh": 40_000,
}


class Consumer(NamedTuple):
    group: int
    consumption_wh: int
    key_ppm: int
    priority: int


def column(values: Sequence[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


ENERGY = st.integers(0, 40) | st.integers(0, 2**62)
CONSUMERS = st.lists(
    st.builds(Consumer, st.integers(0, 2), ENERGY, st.integers(0, 5) | st.integers(0, 100_000), st.integers(-2, 2)),
    max_size=9,
)


def by_text(method: str, production_wh: int, own: Sequence[Consumer]) -> tuple[int, ...]:
    """What the slow text gives."""
    wanted, keys = [one.consumption_wh for one in own], [one.key_ppm for one in own]
    if method == "static":
        return allocate_static(production_wh, wanted, keys).allocated_wh
    if method == "static_reallocated":
        return allocate_reallocated(production_wh, wanted, keys).allocated_wh
    if method == "dynamic":
        return allocate_dynamic(production_wh, wanted).allocated_wh
    return allocate_by_priority(production_wh, wanted, [one.priority for one in own]).allocated_wh


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(METHODS), CONSUMERS, st.lists(ENERGY, min_size=3, max_size=3))
def test_every_group_is_given_what_the_text_says(
    method: str, consumers: list[Consumer], production_wh: list[int]
) -> None:
    keys = [one.priority if method == "priority" else one.key_ppm for one in consumers]
    groups = Groups(column([one.group for one in consumers]), 3)
    wanted_wh = column([one.consumption_wh for one in consumers])
    given_wh = allocate(groups, production_wh, wanted_wh, method=method, keys=column(keys)).tolist()
    own = [[one for one in consumers if one.group == group] for group in range(len(production_wh))]
    shares = [
        tuple(wh for one, wh in zip(consumers, given_wh, strict=True) if one.group == group)
        for group in range(len(production_wh))
    ]
    assert shares == [by_text(method, wh, of_group) for wh, of_group in zip(production_wh, own, strict=True)]


def test_keys_above_the_whole_are_shares_of_all_and_a_negative_key_or_energy_is_refused() -> None:
    one = Groups(column([0, 0]), 1)
    assert allocate(one, [9], column([9, 9]), method="static", keys=column([10**6, 2 * 10**6])).tolist() == [3, 6]
    for production_wh, wanted_wh, key in ((9, [9, 9], -1), (9, [-1, 9], 1), (-1, [9, 9], 1)):
        with pytest.raises(ContractError):
            allocate(one, [production_wh], column(wanted_wh), method="static", keys=column([key, 1]))


class Point(NamedTuple):
    import_wh: int
    export_wh: int
    share_ppm: int
    priority: int


POINTS = st.lists(
    st.builds(Point, st.integers(0, 50), st.integers(0, 50), st.integers(-1, 400_000), st.integers(-1, 2)),
    min_size=1,
    max_size=6,
)
TERMS = st.fixed_dictionaries(
    {"method": st.sampled_from(METHODS), TRADE_PRICE: st.integers(-9, 9), "settle_residual": st.booleans()}
)


def rows_of(points: Sequence[Point]) -> SlotRows:
    """Points of one area before they are settled."""
    import_wh, export_wh, share_ppm, priority = (column(values) for values in zip(*points, strict=True))
    nothing = np.zeros_like(import_wh)
    slot = one_group(PRICES, import_wh, export_wh, nothing, nothing)
    return slot._replace(point_terms={"share_ppm": share_ppm, "priority": priority})


@settings(max_examples=200, deadline=None)
@given(POINTS, TERMS)
def test_lines_conserve_money_and_follow_for_each_point_alone_and_the_verifier_agrees(
    points: list[Point], terms: dict[str, Any]
) -> None:
    rows = rows_of(points)
    settled = CONTRACT.settle(rows, trade_prices_micro_per_kwh=[None], terms=[terms])
    kept = {name: values.tolist() for name, values in settled.columns.items()}
    area = {name: values[0] for name, values in settled.area_columns.items()}
    assert sum(kept["bought_wh"]) == sum(kept["sold_wh"]) == area["shared_wh"]
    assert all(bought <= point.import_wh for bought, point in zip(kept["bought_wh"], points, strict=True))
    assert all(sold <= point.export_wh for sold, point in zip(kept["sold_wh"], points, strict=True))
    assert sum(kept["pays_nano"]) == sum(received for (received,) in settled.received_nano.values())
    billed = rows._replace(bought_wh=settled.columns["bought_wh"], sold_wh=settled.columns["sold_wh"])
    lines = CONTRACT.lines(billed, settled.columns, trade_prices_micro_per_kwh=[None], terms=[terms])
    known = verify.CONTRACTS[CONTRACT.contract_id]
    for row, point in enumerate(points):
        columns = {name: values[row] for name, values in kept.items()}
        said = {} if point.share_ppm < 0 else {"share_ppm": point.share_ppm}
        shown = verify.Settled(point.import_wh, point.export_wh, columns, area, PRICES, 0, PRICES, terms, said)
        known.check_point(shown)
        amounts = [line.amount_nano for line in known.lines_of_point(shown)]
        assert amounts == [int(line.amount_nano[row]) for line in lines]
        assert sum(amounts) == columns["pays_nano"]
        assert known.supplier_only(shown) == columns["supplier_only_nano"]
        if terms["method"] in ("static", "dynamic"):
            for wrong in (-2, 2):
                with pytest.raises(verify.Halt):
                    known.check_point(shown._replace(columns={**columns, "bought_wh": columns["bought_wh"] + wrong}))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(POINTS, TERMS), min_size=2, max_size=4))
def test_areas_and_slots_together_are_settled_as_each_alone(areas: list[tuple[list[Point], dict[str, Any]]]) -> None:
    rows = rows_of([point for points, _ in areas for point in points])
    group = column([place for place, (points, _) in enumerate(areas) for _ in points])
    tariffs = rows.tariffs._replace(of_group=np.zeros(len(areas), dtype=np.int64))
    together = CONTRACT.settle(
        rows._replace(group=group, tariffs=tariffs),
        trade_prices_micro_per_kwh=[None] * len(areas),
        terms=[terms for _, terms in areas],
    )
    alone = [CONTRACT.settle(rows_of(own), trade_prices_micro_per_kwh=[None], terms=[terms]) for own, terms in areas]
    columns = {name: [wh for one in alone for wh in one.columns[name].tolist()] for name in CONTRACT.position_columns}
    assert {name: values.tolist() for name, values in together.columns.items()} == columns
    sums = {name: [one.area_columns[name][0] for one in alone] for name in CONTRACT.area_columns}
    assert together.area_columns == sums


def test_with_the_shared_energy_alone_no_line_is_of_anything_else() -> None:
    rows = rows_of([Point(100, 0, 500_000, -1), Point(0, 80, -1, -1)])
    terms = {"method": "static", TRADE_PRICE: 100_000, "settle_residual": False}
    settled = CONTRACT.settle(rows, trade_prices_micro_per_kwh=[None], terms=[terms])
    assert settled.columns["bought_wh"].tolist() == [40, 0]
    assert settled.columns["pays_nano"].tolist() == [40 * (100_000 + 60_000 + 40_000), -40 * 100_000]
    assert settled.columns["supplier_only_nano"].tolist() == [40 * 680_000, -40 * 280_000]
    assert (settled.received_nano["supplier"], settled.received_nano["offtaker"]) == ([0], [0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "lottery"}, "method is one of static, static_reallocated, dynamic, priority"),
        ({TRADE_PRICE: 10**9 + 1}, "trade_price_micro_per_kwh is a whole number"),
        ({TRADE_PRICE: True}, "trade_price_micro_per_kwh is a whole number"),
        ({"settle_residual": 0}, "settle_residual is true or false"),
        ({"rationing": "pro_rata"}, "unknown field 'rationing'"),
        ({"prices": {}}, "prices lacks the field"),
    ],
)
def test_terms_that_are_none_are_named(change: dict[str, Any], words: str) -> None:
    terms = {"prices": PRICES, "method": "dynamic", TRADE_PRICE: 370_000}
    assert CONTRACT.fault_of(terms) == CONTRACT.fault_of({**terms, "settle_residual": False}) == ""
    assert words in CONTRACT.fault_of({**terms, **change})
