"""Charges and invoices by columns, beside the slow references in plain Python."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.registry import tariff as registered
from settlement.contract_kit_1 import largest_remainder
from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY, invoice_total
from settlement.tariffs.charges import (
    NO_TAX,
    LevelUsage,
    NoLevelError,
    NoPriceError,
    PointUsage,
    SlotPrices,
    Tariff,
    Usage,
    Way,
    used_before,
)
from settlement.tariffs.components import BASES, ENERGY_BASES, TIMED_BASES, Component, NamedDay, OwnRate, Step, Window
from settlement.tariffs.dealing import deal
from settlement.tariffs.holding import Calendar, Holding
from settlement.tariffs.named_days import row_of_days
from settlement.tariffs.network import VoltageLevel
from settlement.tariffs.power_factor import ReactiveMonth
from settlement.tariffs.registered import FromDay, components_in_force, days_of_change, fault_of, holds_on, row_of
from settlement.tariffs.taxes import RateFrom
from tests.slow import invoices, tariffs

FIRST = date(2026, 6, 29).toordinal()
SLOT_S = 6 * 3_600
SLOTS = 4 * 4
PRICES = st.integers(-(10**12), 10**12)
HOURS = st.integers(0, 24).map(lambda hour: hour * 3_600)
USED_WH = {"a": 1_500, "b": 4_000}
"""In the year before the first slot, under steps of a year."""
NAMES = ("a", "b", "c", "d")
SERIES = "spot"
SPOT_PRICES = st.integers(-(10**9), 10**9)


def windows() -> st.SearchStrategy[tuple[Window, ...]]:
    pair = st.tuples(HOURS, HOURS).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: Window(*ends))
    return st.lists(pair, max_size=1).map(tuple)


DAY_KINDS = st.sampled_from([(), (), ("holiday",), ("weekend",), ("holiday", "workday")])
NAMED_DAYS = st.lists(
    st.builds(NamedDay, st.integers(FIRST - 1, FIRST + 4), st.sampled_from(["holiday", "weekend", "workday"])),
    max_size=3,
    unique_by=lambda one: one.day,
).map(lambda days: (*sorted(days), NamedDay(FIRST + 30, "holiday")))


LATER_RATES = st.lists(
    st.builds(OwnRate, st.integers(FIRST, FIRST + 3), st.sampled_from([None, 60_000, 90_000])),
    max_size=2,
    unique_by=lambda one: one.day,
).map(lambda rates: tuple(sorted(rates, key=lambda one: one.day)))


@st.composite
def components(draw: st.DrawFn) -> list[Component]:
    found: list[Component] = []
    named = draw(NAMED_DAYS)
    for name in NAMES[: draw(st.integers(1, 4))]:
        base = draw(st.sampled_from(BASES))
        is_energy = base in ENERGY_BASES
        priced_by = draw(st.sampled_from(["price", "steps", "price_series", "levels"])) if is_energy else "price"
        levels = tuple(VoltageLevel(level, draw(PRICES)) for level in ("10kV", "35kV", "110kV"))
        steps = (Step(1_000, draw(PRICES)), Step(5_000, draw(PRICES)), Step(None, draw(PRICES)))
        follows = priced_by == "levels" and base == "traded" and draw(st.booleans())
        highest = draw(st.sampled_from(["", "35kV", "110kV"])) if priced_by == "levels" else ""
        standard = draw(st.sampled_from([0, 80, 85, 90])) if base == "percent" else 0
        found.append(
            Component(
                name=name,
                account="grid",
                base=base,
                price=draw(PRICES) if priced_by == "price" and not standard else 0,
                power_factor_standard=standard,
                from_day=draw(st.sampled_from([None, FIRST, FIRST + 1, FIRST + 2])),
                until_day=draw(st.sampled_from([None, FIRST + 2, FIRST + 3])),
                months=draw(st.sampled_from([(), (6,), (7,), (6, 7), (8,)])),
                windows=draw(windows()) if base in TIMED_BASES else (),
                weekdays=draw(st.sampled_from([(), (1, 2, 3), (7,)])) if base in TIMED_BASES else (),
                day_kinds=(kinds := draw(DAY_KINDS) if base in TIMED_BASES else ()),
                named_days=named if kinds else (),
                peak_of=draw(st.sampled_from(["party", "point"])) if base == "kw_peak" else "party",
                steps=steps if priced_by == "steps" else (),
                steps_per=draw(st.sampled_from(["month", "year"])) if priced_by == "steps" else "month",
                price_series=SERIES if priced_by == "price_series" else "",
                levels=levels if priced_by == "levels" else (),
                highest_level="110kV" if follows else highest,
                covers="trade" if follows else "",
                place_levels=draw(st.sampled_from([(), ((1, "110kV"), (2, "35kV"))])) if follows else (),
                user_level="35kV" if priced_by == "levels" else "",
                parties=draw(st.sampled_from([(), ("P1",), ("P2",)])),
                tax_ppm=draw(st.sampled_from([None, None, 0, 60_000])),
                later_rates=draw(LATER_RATES),
                contracted_w={"P1": draw(st.integers(0, 10**9))} if base == "kw_contracted" else {},
                of=("levy", *NAMES[: len(found)]) if base == "percent" else (),
            )
        )
    return found


WAYS = (Way(("10kV",), 2), Way(("", "35kV"), 1), Way(("110kV",), 0))
VARH = st.one_of(st.just(0), st.integers(0, 10**7), st.integers(0, 10**13))
WAY_WH = st.sampled_from([0, 0, 1, 2, 1_000, 10**9])


DEALT_WH = st.one_of(st.integers(0, 7), st.integers(0, 2**61))


class Usages(NamedTuple):
    """What P1 took and gave at the turn of two months, and what a series says of each slot, for both ways to charge it."""

    slots: list[tariffs.Slot]
    calendar: Calendar
    usage: Usage
    prices: dict[str, SlotPrices]
    reactive: dict[int, tuple[int, int]]


@st.composite
def usages(draw: st.DrawFn) -> Usages:
    energies = draw(st.lists(st.integers(0, 10**7), min_size=2 * SLOTS, max_size=2 * SLOTS))
    imports, exports = energies[:SLOTS], energies[SLOTS:]
    traded = [min(pair) for pair in zip(imports, exports, strict=True)]
    days = [FIRST + slot // 4 for slot in range(SLOTS)]
    months = [date.fromordinal(day).month for day in days]
    seconds = [slot % 4 * SLOT_S for slot in range(SLOTS)]
    prices = draw(st.lists(SPOT_PRICES, min_size=SLOTS, max_size=SLOTS))
    said = [{SERIES: price} for price in prices]
    shares = draw(st.lists(st.integers(0, 1), min_size=SLOTS, max_size=SLOTS))
    columns = np.array([imports, exports, traded])
    low, unknown = columns * np.array(shares) // 3, columns - columns * np.array(shares) // 3
    split = [
        {"10kV": (here[0], here[1], here[2]), "": (there[0], there[1], there[2])}
        for here, there in zip(low.T.tolist(), unknown.T.tolist(), strict=True)
    ]
    ways = {way: draw(st.lists(WAY_WH, min_size=SLOTS, max_size=SLOTS)) for way in WAYS}
    told = {(tuple(way.levels), way.place): of_way for way, of_way in ways.items()}
    there = draw(st.lists(st.booleans(), min_size=SLOTS, max_size=SLOTS))
    at_point = [
        {"A": low_wh, **({"B": other_wh} if is_there else {})}
        for low_wh, other_wh, is_there in zip(low[0].tolist(), unknown[0].tolist(), there, strict=True)
    ]
    slots = [
        tariffs.Slot(month - 6, month, *of_slot)._replace(ways={key: of_way[at] for key, of_way in told.items()})
        for at, (month, *of_slot) in enumerate(
            zip(months, days, seconds, imports, exports, traded, said, split, at_point, strict=True)
        )
    ]
    calendar = Calendar(
        slot_s=SLOT_S,
        month=np.array(months, dtype=np.int64) - 6,
        month_of_year=np.array(months, dtype=np.int64),
        day=np.array(days, dtype=np.int64),
        second=np.array(seconds, dtype=np.int64),
        days_of_month=[30, 31],
    )
    is_said = np.ones(SLOTS, dtype=np.bool_)
    of_levels = {"10kV": LevelUsage(Usage(*low), is_said), "": LevelUsage(Usage(*unknown), is_said)}
    points = {"A": PointUsage(low[0], is_said), "B": PointUsage(unknown[0], np.array(there))}
    of_ways = {way: np.array(of_way, dtype=np.int64) for way, of_way in ways.items()}
    reactive = draw(st.dictionaries(st.integers(0, 1), st.tuples(VARH, VARH)))
    of_months = {month: ReactiveMonth(*varh) for month, varh in reactive.items()}
    usage = Usage(*columns)._replace(at_level=of_levels, at_point=points, ways=of_ways, reactive=of_months)
    said_prices = {SERIES: SlotPrices(np.array(prices, dtype=np.int64), is_said)}
    return Usages(slots, calendar, usage, said_prices, reactive)


def charged(parts: Sequence[Component], of: Usages, levy: int) -> dict[tuple[int, str], int]:
    """Nano by month and name."""
    found: dict[tuple[int, str], int] = {}
    for (month, name, _), nano in charged_by_rate(parts, of, levy, NO_TAX).items():
        found[month, name] = found.get((month, name), 0) + nano
    return {key: nano for key, nano in found.items() if nano}


def charged_by_rate(
    parts: Sequence[Component], of: Usages, levy: int, rates: Sequence[RateFrom]
) -> dict[tuple[int, str, int | None], int]:
    """Nano by month, name and rate of tax."""
    found: dict[tuple[int, str, int | None], int] = {}
    tariff = Tariff(parts, Holding(of.calendar), of.prices, rates)
    of_year = tariff.energies_of_year("P1", of.usage, np.ones(SLOTS, dtype=np.bool_))
    used_wh = {name: used_before(energies, 6, USED_WH.get(name, 0)) for name, energies in of_year.items()}
    for charge in tariff.charges("P1", of.usage, [{"levy": levy}, {"levy": levy}], used_wh=used_wh):
        key = (charge.month, charge.name, charge.tax_ppm)
        found[key] = found.get(key, 0) + charge.amount_nano
    return {key: nano for key, nano in found.items() if nano}


LEVIES = st.integers(-(10**15), 10**15)


@given(components(), usages(), LEVIES)
@settings(max_examples=150, deadline=None)
def test_charges_by_columns_are_those_of_the_text(parts: list[Component], of: Usages, levy: int) -> None:
    by_text = tariffs.charges(parts, "P1", of.slots, SLOT_S, [30, 31], {"levy": levy}, USED_WH, of.reactive)
    assert charged(parts, of, levy) == by_text


RATES = st.lists(
    st.builds(RateFrom, st.integers(FIRST - 1, FIRST + 4), st.sampled_from([0, 60_000, 130_000])),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one.day,
).map(sorted)


@given(components(), usages(), LEVIES, RATES)
@settings(max_examples=100, deadline=None)
def test_what_is_charged_on_the_days_of_each_rate_is_taxed_with_it_and_all_of_it_is_what_one_rate_would_come_to(
    parts: list[Component], of: Usages, levy: int, rates: list[RateFrom]
) -> None:
    found = charged_by_rate(parts, of, levy, rates)
    days = [(one.day, one.tax_ppm) for one in rates]
    told = (parts, "P1", of.slots, SLOT_S, [30, 31], {"levy": levy}, USED_WH, days, of.reactive)
    assert found == tariffs.charges_by_rate(*told)
    sums: dict[tuple[int, str], int] = {}
    for (month, name, _), nano in found.items():
        sums[month, name] = sums.get((month, name), 0) + nano
    assert {key: nano for key, nano in sums.items() if nano} == charged(parts, of, levy)


@given(components(), usages(), LEVIES)
@settings(max_examples=60, deadline=None)
def test_what_was_registered_day_by_day_is_charged_as_the_dated_components_are(
    parts: list[Component], of: Usages, levy: int
) -> None:
    own = [part for part in parts if not part.parties or "P1" in part.parties]
    said = [
        FromDay(
            day,
            registered.Tariff(
                [row_of(part) for part in own if holds_on(part, day)],
                1,
                "half_even",
                0,
                row_of_days({named for part in own for named in part.named_days}),
            ),
            {part.name: part.contracted_w["P1"] for part in own if part.contracted_w and holds_on(part, day)},
        )
        for day in sorted({FIRST, *days_of_change(own)})
    ]
    assert all(fault_of(one.tariff) == "" for one in said if one.tariff is not None)
    held = components_in_force("P1", said)
    by_text = tariffs.charges(parts, "P1", of.slots, SLOT_S, [30, 31], {"levy": levy}, USED_WH, of.reactive)
    assert charged(held, of, levy) == by_text


def test_a_share_whose_rate_changes_inside_a_month_is_charged_once_by_the_days_of_each_rate() -> None:
    days = np.arange(FIRST + 2, FIRST + 12)  # the first ten days of July
    calendar = Calendar(86_400, days * 0, days * 0 + 7, days, days * 0, [31])
    usage = Usage(days * 0, days * 0, days * 0)
    shares = [
        Component("tax", "funds", "percent", 50_000, until_day=FIRST + 5, of=("levy",)),
        Component("tax", "funds", "percent", 60_000, from_day=FIRST + 5, of=("levy",)),
    ]
    amounts = [
        charge.amount_nano for charge in Tariff(shares, Holding(calendar)).charges("P1", usage, [{"levy": 10**9}])
    ]
    assert amounts == [15_000_000, 42_000_000]


def test_steps_go_on_where_another_component_changes_inside_a_month() -> None:
    stepped = {"account": "grid", "base": "import", "name": "energy", "steps": [[0, 1], [1_000, 10]], "taxed": True}
    fee = {"account": "grid", "base": "day", "name": "fee", "price": 1, "taxed": True}
    said = [
        FromDay(FIRST + 2, registered.Tariff([stepped, fee], 1, "half_even", 0), {}),
        FromDay(FIRST + 5, registered.Tariff([stepped, {**fee, "price": 2}], 1, "half_even", 0), {}),
    ]
    days = np.arange(FIRST + 2, FIRST + 12)
    calendar = Calendar(86_400, days * 0, days * 0 + 7, days, days * 0, [31])
    usage = Usage(days * 0 + 200, days * 0, days * 0)
    charges = Tariff(components_in_force("P1", said), Holding(calendar)).charges("P1", usage, [{}])
    assert [(one.name, one.amount_nano) for one in charges] == [("energy", 11_000), ("fee", 3_000), ("fee", 14_000)]


def test_steps_and_the_peak_of_a_month_go_on_where_a_component_s_own_rate_of_tax_changes() -> None:
    """200 Wh a day for ten days, 400 Wh on the last of them; the rate falls on the fourth day, and is that of the tariff from the seventh on."""
    stepped = {"account": "grid", "base": "import", "name": "energy", "steps": [[0, 1], [1_000, 10]], "taxed": True}
    peak = {"account": "grid", "base": "kw_peak", "name": "peak", "price": 31_000, "taxed": True}
    rates = [(FIRST + 2, {"tax_ppm": 160_000}), (FIRST + 5, {"tax_ppm": 130_000}), (FIRST + 8, {})]
    said = [
        FromDay(day, registered.Tariff([{**stepped, **own}, {**peak, **own}], 1, "half_even", 60_000), {})
        for day, own in rates
    ]
    parts = components_in_force("P1", said)
    days = np.arange(FIRST + 2, FIRST + 12)
    calendar = Calendar(86_400, days * 0, days * 0 + 7, days, days * 0, [31])
    usage = Usage(days * 0 + 200 + 200 * (days == FIRST + 11), days * 0, days * 0)
    charges = Tariff(parts, Holding(calendar), rates=[RateFrom(0, 60_000)]).charges("P1", usage, [{}])
    assert [(one.tax_ppm, one.amount_nano) for one in charges if one.name == "energy"] == [
        (160_000, 600),
        (130_000, 400 + 200 * 10),
        (60_000, 1_000 * 10),
    ]
    watts = 400 * 3_600 // 86_400
    assert [(one.tax_ppm, one.amount_nano) for one in charges if one.name == "peak"] == [
        (160_000, watts * 3_000),
        (130_000, watts * 3_000),
        (60_000, watts * 4_000),
    ]
    entries = [row_of(one) for part in parts for one in part.by_own_rate()]
    assert entries == [row for at in (0, 1) for row in (one.tariff.components[at] for one in said if one.tariff)]


def test_a_component_goes_on_where_other_days_are_named_and_each_day_is_of_the_kind_of_the_entry_in_force() -> None:
    """200 Wh a day from Wednesday 1 to Friday 10 July 2026; the entry from Sunday 5 July on names the 1st and the 7th."""
    stepped = {"account": "grid", "base": "import", "name": "energy", "steps": [[0, 1], [1_000, 10]], "taxed": True}
    held = {**stepped, "day_kinds": ["workday"]}
    first, later = ({"workday": ["2026-07-04"]}, {"holiday": ["2026-07-01", "2026-07-07"]})
    said = [
        FromDay(day, registered.Tariff([held], 1, "half_even", 0, days), {})
        for day, days in ((FIRST + 2, first), (FIRST + 6, later))
    ]
    (part,) = components_in_force("P1", said)
    days = np.arange(FIRST + 2, FIRST + 12)
    calendar = Calendar(86_400, days * 0, days * 0 + 7, days, days * 0, [31])
    usage = Usage(days * 0 + 200, days * 0, days * 0)
    (charge,) = Tariff([part], Holding(calendar)).charges("P1", usage, [{}])
    # 1, 2, 3 and the worked Saturday 4; then 6, 8, 9, 10
    assert (charge.energy_wh, charge.amount_nano) == (1_600, 1_000 + 600 * 10)


@given(usages(), st.integers(0, SLOTS - 1), st.sampled_from(ENERGY_BASES), windows())
@settings(max_examples=60, deadline=None)
def test_a_slot_of_which_the_series_says_no_price_is_never_charged_at_nothing(
    of: Usages, silent: int, base: str, hours: tuple[Window, ...]
) -> None:
    """Where the component does not hold, or the party is not billed, no price is needed."""
    of.prices[SERIES].is_said[silent] = False
    part = Component("a", "grid", base, 0, windows=hours, price_series=SERIES)
    tariff, everywhere = Tariff([part], Holding(of.calendar), of.prices), np.ones(SLOTS, dtype=np.bool_)
    elsewhere = everywhere & (np.arange(SLOTS) != silent)
    if tariffs.holds(part, of.slots[silent]):
        with pytest.raises(NoPriceError, match=f"^a: price series spot says no price of slot {silent}$"):
            tariff.charges("P1", of.usage, [{}, {}], everywhere)
    else:
        assert tariff.charges("P1", of.usage, [{}, {}], everywhere) == tariff.charges(
            "P1", of.usage, [{}, {}], elsewhere
        )
    found = sum(one.amount_nano for one in tariff.charges("P1", of.usage, [{}, {}], elsewhere))
    others = [slot for place, slot in enumerate(of.slots) if place != silent]
    assert found == sum(tariffs.charges([part], "P1", others, SLOT_S, [30, 31], {}).values())


def test_a_point_whose_level_gives_no_price_is_never_charged_at_nothing() -> None:
    days = np.array([FIRST + 2] * 4)
    calendar = Calendar(SLOT_S, days * 0, days * 0 + 7, days, np.arange(4) * SLOT_S, [31])
    nothing = Usage(days * 0, days * 0, days * 0)
    levels = (VoltageLevel("10kV", 5), VoltageLevel("35kV", 3))
    part = Component("grid", "grid", "traded", 0, levels=levels, highest_level="10kV")
    for level, words in (
        ("", "no voltage level of it is known"),
        ("6kV", "'6kV' is none of the voltage levels 10kV, 35kV"),
        ("35kV", "10kV lies below the user's level 35kV"),
    ):
        usage = nothing._replace(at_level={level: LevelUsage(nothing, days * 0 + np.arange(4) > 1)})
        with pytest.raises(NoLevelError, match=f"^grid: {re.escape(words)}$") as error:
            Tariff([part], Holding(calendar)).charges("P1", usage, [{}])
        assert (error.value.level, error.value.slot) == (level, 2)
        nowhere = nothing._replace(at_level={level: LevelUsage(nothing, days < 0)})
        assert Tariff([part], Holding(calendar)).charges("P1", nowhere, [{}]) == []


@given(
    st.integers(1, 5).flatmap(lambda rows: st.lists(st.tuples(DEALT_WH, *[DEALT_WH] * rows), min_size=1, max_size=5))
)
@settings(max_examples=100, deadline=None)
def test_all_slots_dealt_at_once_have_the_shares_of_each_slot_dealt_by_itself(slots: list[tuple[int, ...]]) -> None:
    total, *weights = np.array(slots, dtype=np.int64).T
    shares = deal(total, np.array(weights)).T.tolist()
    alone = [
        largest_remainder(total_wh, np.array(of_slot)).tolist() if any(of_slot) else [0] * len(of_slot)
        for total_wh, *of_slot in slots
    ]
    assert shares == alone


def test_energies_and_prices_at_their_widths_are_charged_exactly() -> None:
    days = np.array([FIRST + 2] * 4)
    calendar = Calendar(SLOT_S, days * 0, days * 0 + 7, days, np.arange(4) * SLOT_S, [31])
    usage = Usage(days * 0 + 10**15, days * 0, days * 0)
    prices = {SERIES: SlotPrices(np.array([10**9, 10**9, 10**9, -(10**9) + 1]), np.ones(4, dtype=np.bool_))}
    (charge,) = Tariff([Component("a", "grid", "import", 0, price_series=SERIES)], Holding(calendar), prices).charges(
        "P1", usage, [{}]
    )
    assert (charge.amount_nano, charge.price_micro_per_kwh) == (10**15 * (2 * 10**9 + 1), None)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(-(10**12), 10**12)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 1_000, 10_000_000]),
    st.sampled_from([HALF_EVEN, HALF_UP_AWAY]),
)
def test_an_invoice_is_that_of_the_text(
    lines: dict[str, int], tax_ppm: int, own_ppm: int, quantum_nano: int, rule: str
) -> None:
    rates = {"a": tax_ppm, "b": tax_ppm, "c": own_ppm, "d": None}
    total = invoice_total(list(lines.values()), [rates[kind] for kind in lines], quantum_nano, rule)
    assert {
        "net": total.net,
        "tax": total.tax,
        "gross": total.gross,
        "rounding_nano": total.rounding_nano,
    } == invoices.invoice(lines, ["d"], tax_ppm, quantum_nano, rule, {"c": own_ppm})


def test_a_peak_inside_some_hours_of_working_days_costs_the_whole_month_and_is_one_of_each_point() -> None:
    """2 kW on a Saturday morning do not count, 1 kW and 3 kW on Monday at noon at two points do: 4 kW x 32 for 10 of 31 days."""
    days = np.repeat(np.arange(FIRST + 2, FIRST + 12), 4)  # Wednesday 1 to Friday 10 July 2026
    second = np.tile(np.arange(4) * SLOT_S, 10)
    calendar = Calendar(SLOT_S, days * 0, days * 0 + 7, days, second, [31])
    one, two = days * 0, days * 0
    one[3 * 4 + 2] = 12_000  # Saturday, 12:00
    one[5 * 4 + 2], two[5 * 4 + 2] = 6_000, 18_000  # Monday, 12:00
    two[5 * 4] = 60_000  # Monday, 00:00
    always = np.ones(days.size, dtype=np.bool_)
    usage = Usage(one + two, one * 0, one * 0, at_point={"A": PointUsage(one, always), "B": PointUsage(two, always)})
    peak = Component(
        "peak", "grid", "kw_peak", 32_000_000, windows=(Window(10 * 3_600, 14 * 3_600),), weekdays=(1, 2, 3, 4, 5)
    )
    found = [
        Tariff([peak._replace(peak_of=of)], Holding(calendar)).charges("P1", usage, [{}])[0].amount_nano
        for of in ("party", "point")
    ]
    assert found == [4_000 * 32_000_000 * 10 // 31] * 2
    usage = usage._replace(at_point={"A": PointUsage(one, always), "B": PointUsage(two, days >= FIRST + 7)})
    (charge,) = Tariff([peak._replace(peak_of="point")], Holding(calendar)).charges("P1", usage, [{}])
    assert charge.amount_nano == (1_000 * 10 + 3_000 * 5) * 32_000_000 // 31


def test_steps_of_a_year_go_on_from_month_to_month_over_new_prices_and_begin_anew_in_january() -> None:
    """3 kWh a day of November, December and January at 1 up to 100 kWh of the year and 10 above; from 16 December on at 2 and 20."""
    days = np.arange(date(2026, 11, 1).toordinal(), date(2027, 2, 1).toordinal())
    whole = [date.fromordinal(int(day)) for day in days]
    month = np.array([day.month - 11 if day.year == 2026 else 2 for day in whole], dtype=np.int64)
    calendar = Calendar(86_400, month, np.array([day.month for day in whole]), days, days * 0, [30, 31, 31])
    usage, always = Usage(days * 0 + 3_000, days * 0, days * 0), np.ones(days.size, dtype=np.bool_)
    change = date(2026, 12, 16).toordinal()
    first = Component(
        "home", "grid", "import", 0, steps=(Step(100_000, 1), Step(None, 10)), steps_per="year", until_day=change
    )
    later = first._replace(steps=(Step(100_000, 2), Step(None, 20)), from_day=change, until_day=None)
    tariff = Tariff([first, later], Holding(calendar))
    energies = tariff.energies_of_year("P1", usage, always)
    assert energies == {"home": [90_000, 93_000, 93_000]}
    used_wh = {"home": used_before(energies["home"], 11, 0)}
    assert used_wh == {"home": [0, 90_000, 0]}
    found = [(one.month, one.amount_nano) for one in tariff.charges("P1", usage, [{}, {}, {}], always, used_wh)]
    # December: 45 kWh at the old prices, 10 of them below 100 kWh of the year; then 48 kWh, all above
    assert found == [(0, 90_000), (1, 10_000 + 35_000 * 10), (1, 48_000 * 20), (2, 93_000 * 2)]
    more = {"home": used_before(energies["home"], 11, 20_000)}
    assert tariff.charges("P1", usage, [{}, {}, {}], always, more)[0].amount_nano == 80_000 + 10_000 * 10
