"""Components as tables of a file: reading what was written gives the same components; entries of one name are for some parties each."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.toml_text import toml_lines
from settlement.errors import SettlementError
from settlement.tariffs.components import Component, Window
from settlement.tariffs.reading import components_of
from settlement.tariffs.tables import tables_of
from tests.unit.settlement.test_charges_by_the_text import components

KINDS = ("residual_import", "levy")


@given(components(), st.integers(0, 86_399))
def test_components_written_as_toml_and_read_are_the_same(drawn: list[Component], second: int) -> None:
    # Days are named once a file, beside the components; entries that differ in their rate alone are joined behind the reading.
    days = next((one.named_days for one in drawn if one.day_kinds), ())
    found = [
        one._replace(
            later_rates=(),
            named_days=days if one.day_kinds else (),
            until_day=None if (one.until_day or 10**9) <= (one.from_day or 0) else one.until_day,
            windows=[Window(second, 86_400)] if one.windows else (),
        )
        for one in drawn
    ]
    tables = tomllib.loads("\n".join(toml_lines({"component": tables_of(found)})))["component"]
    again = components_of(tables, KINDS, days)
    assert [one._replace(windows=[*one.windows]) for one in again] == [
        one._replace(windows=[*one.windows]) for one in found
    ]


def entry(**keys: Any) -> dict[str, Any]:
    price = {} if {"steps", "price_micro_per_kw_month"} & keys.keys() else {"price_micro_per_kwh": 5}
    return {"name": "c", "account": "grid", "base": "import"} | price | keys


def test_parties_have_entries_of_their_own_under_one_name() -> None:
    july = date(2026, 7, 1)
    tables = [
        entry(parties=["A", "B"], valid_until=july),
        entry(parties=["A"], valid_from=july, price_micro_per_kwh=6),
        entry(parties=["B", "C"], valid_from=july, price_micro_per_kwh=7),
    ]
    assert [one.price for one in components_of(tables, KINDS)] == [5, 6, 7]


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([entry(parties=["A"]), entry(parties=["A", "B"])], "entries overlap at an entry without valid_from"),
        ([entry(), entry(parties=["A"])], "entries overlap at an entry without valid_from"),
        (
            [
                entry(parties=["A"], valid_until=date(2026, 7, 1)),
                entry(parties=["B"], valid_from=date(2026, 7, 1)),
                entry(parties=["A"], valid_from=date(2026, 7, 2)),
            ],
            "leave a gap at 2026-07-02",
        ),
        ([entry(windows=[["00:00:60", "01:00"]])], "'00:00:60' is no local time from 00:00 to 24:00"),
        ([entry(windows=[["00:00", "24:00:01"]])], "'24:00:01' is no local time"),
        (
            [entry(base="kw_contracted", price_micro_per_kw_month=1, contracted_kw={"A": "7.5001"})],
            "contracted_kw: a whole number from 0 to 1000000000 is needed, or a text as",
        ),
        ([entry(base="kw_contracted", price_micro_per_kw_month=1, contracted_kw={"A": 7.5})], "not 7.5"),
        (
            [entry(steps=[{"until_kwh": "0.0", "price_micro_per_kwh": 1}, {"price_micro_per_kwh": 2}])],
            "steps: a whole number from 0.001 to 1000000000000",
        ),
    ],
)
def test_what_no_party_can_pay_is_one_line(tables: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(SettlementError, match=re.escape(words)):
        components_of(tables, KINDS)


def test_a_power_and_a_step_have_up_to_three_decimals() -> None:
    power = {"name": "p", "account": "grid", "base": "kw_contracted", "price_micro_per_kw_month": 1}
    (demand,) = components_of([{**power, "contracted_kw": {"A": "7.5", "B": 12, "C": "0.001", "D": "3"}}], KINDS)
    assert demand.contracted_w == {"A": 7_500, "B": 12_000, "C": 1, "D": 3_000}
    steps = [{"until_kwh": "180.25", "price_micro_per_kwh": 1}, {"price_micro_per_kwh": 2}]
    (block,) = components_of([{"name": "s", "account": "grid", "base": "import", "steps": steps}], KINDS)
    assert block.steps[0].until_wh == 180_250
