"""Tariffs as data: what is none is one line, and what components come to is what slow fractions say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sized
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.errors import SettlementError
from settlement.tariffs.charges import Tariff, Usage
from settlement.tariffs.holding import Calendar, Holding
from settlement.tariffs.named_days import days_of_table
from settlement.tariffs.power_factor import ReactiveMonth
from settlement.tariffs.reading import components_of

PAGE = Path(__file__).parents[3] / "docs/tariffs.md"
KINDS = ("residual_import", "levy")
FIRST = datetime(2026, 6, 28, tzinfo=UTC)
SLOT_S = 3_600
SLOTS = 24 * 8


def calendar() -> Calendar:
    """Eight days of hours over the end of June."""
    times = [FIRST + timedelta(hours=slot) for slot in range(SLOTS)]
    month, month_of_year, day, second = (
        np.array(column, dtype=np.int64)
        for column in (
            [time.month - 6 for time in times],
            [time.month for time in times],
            [time.toordinal() for time in times],
            [time.hour * 3_600 for time in times],
        )
    )
    return Calendar(SLOT_S, month, month_of_year, day, second, days_of_month=[30, 31])


def table(**keys: Any) -> dict[str, Any]:
    return {"name": "c", "account": "grid", "base": "import", "price_micro_per_kwh": 5} | keys


def charges(tables: list[dict[str, Any]], import_wh: list[int], billed: int = 0) -> list[tuple[str, int, int, int]]:
    energy = np.array(import_wh, dtype=np.int64)
    usage = Usage(energy, energy * 0, energy // 3)
    tariff = Tariff(components_of(tables, KINDS), Holding(calendar()))
    return [
        (charge.name, charge.month, charge.energy_wh, charge.amount_nano)
        for charge in tariff.charges("P1", usage, [{"levy": billed}, {"levy": billed}])
    ]


@pytest.mark.parametrize(
    ("tables", "word"),
    [
        ([table(bas="import")], r"1, bas: unknown key; did you mean base\?"),
        ([table(base="imports")], "1, base: 'imports' is none of import, export"),
        ([table(price_micro_per_day=3)], "price_micro_per_day: a component of base import has price_micro_per_kwh"),
        ([table(price_micro_per_kwh=10**12 + 1)], "a whole number from -1000000000000 to 1000000000000"),
        ([table(price_micro_per_kwh=1.5)], "a whole number"),
        ([table(valid_from="2026-01-01")], "valid_from: a date is needed"),
        ([table(valid_from=date(2026, 2, 1), valid_until=date(2026, 2, 1))], "must be after valid_from"),
        ([table(windows=[["22:00", "02:00"]])], "a window over midnight is two windows"),
        ([table(windows=[["22:00", "24:01"]])], "no local time from 00:00 to 24:00"),
        ([table(windows=[["08:00", "10:00"], ["09:00", "11:00"]])], "overlaps another window"),
        ([table(steps_per="year")], "steps_per: only of steps"),
        (
            [
                {
                    "name": "c",
                    "account": "g",
                    "base": "import",
                    "steps": [{"price_micro_per_kwh": 5}],
                    "steps_per": "day",
                }
            ],
            "steps_per: 'day' is neither month nor year",
        ),
        ([table(weekdays=[0])], "weekdays: a whole number from 1 to 7 is needed, not 0"),
        ([table(peak_of="point")], "peak_of: only for kw_peak"),
        (
            [{"name": "c", "account": "g", "base": "kw_peak", "price_micro_per_kw_month": 5, "peak_of": "house"}],
            "peak_of: 'house' is neither party nor point",
        ),
        (
            [{"name": "c", "account": "g", "base": "day", "price_micro_per_day": 5, "weekdays": [1]}],
            "weekdays: only for import, export, traded, residual, kw_peak",
        ),
        ([table(name="levy")], "name: levy is a kind of line of the contract"),
        ([table(steps=[{"price_micro_per_kwh": 3}])], "the steps have the prices"),
        ([{"name": "c", "account": "g", "base": "percent", "share_ppm": 5}], "of: the kinds of lines"),
        ([{"name": "c", "account": "g", "base": "percent", "share_ppm": 5, "of": ["x"]}], "x is neither a kind"),
        (
            [{"name": "c", "account": "g", "base": "day", "price_micro_per_day": 5, "windows": [["00:00", "01:00"]]}],
            "only for import",
        ),
        ([table(), table()], "entries overlap at an entry without valid_from"),
        ([table(valid_until=date(2026, 7, 1)), table(valid_from=date(2026, 7, 2))], "leave a gap at 2026-07-02"),
        ([table(valid_until=date(2026, 7, 3)), table(valid_from=date(2026, 7, 2))], "overlap at 2026-07-02"),
        ([table(valid_until=date(2026, 7, 1)), table(valid_from=date(2026, 7, 1), account="x")], "one account"),
        ([table()] * 201, "201 entries; at most 200"),
    ],
)
def test_what_is_no_tariff_is_one_line(tables: list[dict[str, Any]], word: str) -> None:
    with pytest.raises(SettlementError, match=re.escape(word) if "?" not in word else word) as error:
        components_of(tables, KINDS)
    assert "\n" not in str(error.value)


def test_the_example_of_the_page_is_a_tariff() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    examples = [block for block in blocks if block.startswith("[[tariff.component]]")]
    tables = [tomllib.loads(one)["tariff"] for one in examples]
    (
        (residential,),
        (working_peak, deep_valley),
        (dynamic,),
        (traded, residual),
        (followed,),
        (factor,),
        found,
        (earlier, later),
    ) = (components_of(one["component"], KINDS, days_of_table(one["days"]) if "days" in one else ()) for one in tables)
    assert (working_peak.day_kinds, deep_valley.day_kinds) == (("workday",), ("holiday",))
    assert len(deep_valley.named_days) == 9
    assert (residential.is_of_year, [step.until_wh for step in residential.steps]) == (
        True,
        [2_160_000, 4_800_000, None],
    )
    assert (dynamic.base, dynamic.price_series) == ("residual", "spot")
    assert [one.price for one in traded.prices_at_levels()] == [30_000, 0]
    assert [one.price for one in residual.prices_at_levels()] == [200_000, 170_000, 150_000]
    assert (followed.covers, followed.place_levels) == ("trade", ((1, "110kV"), (2, "35kV"), (3, "35kV")))
    assert [component.base for component in found].count("residual") == 4
    assert (earlier.tax_ppm, later.tax_ppm, earlier.until_day) == (160_000, 130_000, later.from_day)
    assert (factor.power_factor_standard, factor.of) == (90, ("residual_import",))
    assert (found[-1].of[-1], found[-1].power_factor_standard) == ("demand_charge", 90)


def test_the_share_of_the_example_follows_from_kvarh_and_without_them_nothing_is_charged() -> None:
    """P01 takes 6.2 MWh: with 2 Mvarh 0.75 % of energy and demand are taken off, with 4.2 Mvarh 3.5 % are added."""
    block = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (block,) = (one for one in block if "energy_sharp" in one)
    parts = components_of(tomllib.loads(block)["tariff"]["component"], KINDS)
    energy = np.full(SLOTS, 50_000, dtype=np.int64)
    energy[24 * 3 :] = 6_200_000 // (24 * 5)
    energy[-1] += 6_200_000 - int(energy[24 * 3 :].sum())
    lines, shares = [], []
    for reactive in ({}, {1: ReactiveMonth(2_000_000, 0)}, {1: ReactiveMonth(4_000_000, 200_000)}):
        usage = Usage(energy, energy * 0, energy * 0, reactive=reactive)
        nano = {
            charge.name: charge.amount_nano
            for charge in Tariff(parts, Holding(calendar())).charges("P01", usage, [{}, {}])
            if charge.month == 1
        }
        shares.append(nano.pop("power_factor", None))
        lines.append(sum(amount for name, amount in nano.items() if name != "government_funds"))
    assert len(set(lines)) == 1
    assert shares == [None, -lines[0] * 7_500 // 10**6, lines[0] * 35_000 // 10**6]


@given(st.lists(st.integers(0, 10**7), min_size=SLOTS, max_size=SLOTS), st.integers(-(10**6), 10**6))
@settings(max_examples=20)
def test_windows_share_out_what_a_whole_day_comes_to(import_wh: list[int], price: int) -> None:
    parts = [("00:00", "08:00"), ("08:00", "17:00"), ("17:00", "24:00")]
    tables = [
        table(name=f"w{place}", windows=[list(part)], price_micro_per_kwh=price) for place, part in enumerate(parts)
    ]
    whole = charges([table(price_micro_per_kwh=price)], import_wh)
    split = charges(tables, import_wh)
    assert sum(energy for _, _, energy, _ in split) == sum(energy for _, _, energy, _ in whole)
    assert sum(amount for *_, amount in split) == sum(amount for *_, amount in whole)
    assert sum(row[3] for row in whole) == sum(import_wh) * price


@given(st.lists(st.integers(0, 10**6), min_size=SLOTS, max_size=SLOTS))
@settings(max_examples=20)
def test_steps_are_marginal_prices_of_a_month(import_wh: list[int]) -> None:
    steps = [
        {"until_kwh": 20, "price_micro_per_kwh": 400_000},
        {"until_kwh": 50, "price_micro_per_kwh": 500_000},
        {"price_micro_per_kwh": 800_000},
    ]
    tables = [{"name": "c", "account": "grid", "base": "import", "steps": steps}]
    of_june, of_july = sum(import_wh[: 24 * 3]), sum(import_wh[24 * 3 :])
    slow = [
        sum(400_000 if wh < 20_000 else 500_000 if wh < 50_000 else 800_000 for wh in range(energy % 1_000_000))
        for energy in (of_june % 100_000, of_july % 100_000)
    ]
    short = [of_june % 100_000, *[0] * (24 * 3 - 1), of_july % 100_000, *[0] * (24 * 5 - 1)]
    assert sum(row[3] for row in charges(tables, short)) == sum(slow)


def test_a_price_that_changes_inside_a_month_counts_from_its_day_on() -> None:
    tables = [
        table(valid_until=date(2026, 6, 30), price_micro_per_kwh=1),
        table(valid_from=date(2026, 6, 30), price_micro_per_kwh=100),
    ]
    assert charges(tables, [10] * SLOTS) == [("c", 0, 480, 480), ("c", 0, 240, 24_000), ("c", 1, 1200, 120_000)]


def test_power_and_days_cost_their_share_of_a_month() -> None:
    tables = [
        {"name": "d", "account": "grid", "base": "day", "price_micro_per_day": 7},
        {
            "name": "k",
            "account": "grid",
            "base": "kw_contracted",
            "price_micro_per_kw_month": 10,
            "contracted_kw": {"P1": 3},
        },
        {"name": "p", "account": "grid", "base": "kw_peak", "price_micro_per_kw_month": 10},
        {"name": "o", "account": "grid", "base": "percent", "share_ppm": -7_500, "of": ["d", "levy"]},
    ]
    peak = [0] * SLOTS
    peak[3] = 2_500
    found = {(name, month): amount for name, month, _, amount in charges(tables, peak, billed=1_000_000)}
    assert found["d", 0] == 3 * 7_000
    assert found["k", 0] == int(Fraction(3_000 * 10 * 3, 30))
    assert found["p", 0] == int(Fraction(2_500 * 10 * 3, 30))
    assert ("p", 1) not in found
    assert found["o", 0] == (1_000_000 + 21_000) * -7_500 // 10**6


def test_a_component_for_some_parties_is_nobody_elses() -> None:
    assert charges([table(parties=["P2"])], [10] * SLOTS) == []


LEVELS = {
    "name": "n",
    "account": "grid",
    "base": "traded",
    "levels": [["10kV", 200_000], ["35kV", 170_000], ["110kV", 150_000]],
}


def test_a_charge_by_voltage_is_the_difference_of_two_levels() -> None:
    for keys, price in ({"user_level": "10kV", "highest_level": "110kV"}, 50_000), ({"user_level": "35kV"}, 170_000):
        found = charges([LEVELS | {"base": "import"} | keys], [1_000] * SLOTS)
        assert found
        assert all(nano == energy_wh * price for _, _, energy_wh, nano in found)
    (component,) = components_of([LEVELS | {"highest_level": "35kV"}], KINDS)
    assert component.prices_at_levels() == [("10kV", 30_000), ("35kV", 0)]


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"user_level": "35kV", "highest_level": "10kV"}, "highest_level: 10kV lies below the user's level 35kV"),
        ({"user_level": "6kV", "highest_level": "10kV"}, "user_level: '6kV' is none of the voltage levels 10kV, 35kV"),
        ({"highest_level": "6kV"}, "highest_level: '6kV' is none of the voltage levels 10kV, 35kV"),
        ({"levels": [["10kV", 1], ["10kV", 2]]}, "levels: a voltage level is named twice"),
        ({"user_level": "10kV", "highest_level": "35kV", "price_micro_per_kwh": 3}, "levels: they have the price"),
        ({"user_level": "10kV", "highest_level": "35kV", "levels": [["10kV"]]}, "pairs of a level and its price"),
    ],
)
def test_levels_that_give_no_charge_are_named(keys: dict[str, Any], word: str) -> None:
    with pytest.raises(SettlementError, match=re.escape(word)):
        components_of([LEVELS | keys], KINDS)


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=6), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=5,
)
KEYS = [
    "name",
    "account",
    "base",
    "windows",
    "steps",
    "contracted_kw",
    "of",
    "levels",
    "user_level",
    "covers",
    "place_levels",
    "months",
    "taxed",
    "tax_ppm",
    "weekdays",
    "peak_of",
]
VALID = {"name": "c", "account": "grid", "base": "import", "price_micro_per_kwh": 5}


@given(st.dictionaries(st.sampled_from([*KEYS, *VALID, "valid_from", "share_ppm", "parties"]), ANYTHING, max_size=3))
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_table_is_a_component_or_one_line(keys: dict[str, Any]) -> None:
    try:
        found: Sized = components_of([VALID | keys], KINDS)
    except SettlementError as error:
        found = str(error).splitlines()
    assert isinstance(found, tuple) or len(found) == 1


def test_tariffs_of_many_parties_share_the_slots_of_components_that_hold_at_the_same_times() -> None:
    tables = [table(), table(name="d", price_micro_per_kwh=7), table(name="e", months=[6])]
    own, others = components_of(tables, KINDS), components_of(tables, KINDS)
    holding = Holding(calendar())
    found = [holding.of(component) for component in (*own, *others)]
    assert len({id(slots) for slots in found}) == 2
    assert [int(slots.sum()) for slots in found[:3]] == [SLOTS, SLOTS, 3 * 24]
