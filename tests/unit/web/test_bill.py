"""A bill: sums of the ledger's lines and of the curve, and sentences that are right whoever pays whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.quality import FLAG_LATE, MISSING, SUSPECT
from gridseries.series import INTERVALS, SLOTS, Columns, IntervalRow, IntervalTags, IntervalValues, Row, columns_of
from gridweb.bill import PRICE as PRICE_NAME
from gridweb.bill import (
    BillLine,
    Interval,
    KindSum,
    Totals,
    added_sums,
    digits_that_add_up,
    intervals_of,
    largest_deviation,
    round_to_digits,
    say,
    sum_of_points,
    sums_by_kind,
    totals_of,
)
from gridweb.format import amounts
from gridweb.i18n import speaking
from tests.unit.web.household_world import ALONE_NANO, BOUGHT_WH, EXPORT_WH, IMPORT_WH, PAYS_NANO, PRICE

SETTLED = Interval(900, IMPORT_WH, EXPORT_WH, BOUGHT_WH, 0, PRICE, PAYS_NANO, ALONE_NANO, "measured")
YUAN = 10**9


def totals(pays_nano: int, alone_nano: int, bought_wh: int = 3_250, sold_wh: int = 1_000) -> Totals:
    return Totals(96, 96, 5_000, 2_000, bought_wh, sold_wh, pays_nano, alone_nano)


def test_rows_become_intervals_with_price_and_the_word_of_their_quality() -> None:
    values = (1, 2, 3, 4, 5, 6)
    rows = [
        INTERVALS.row(("a", "m"), 0, (*values, 0)),
        INTERVALS.row(("a", "m"), 900, (*values, FLAG_LATE | SUSPECT)),
        INTERVALS.row(("a", "m"), 1_800, (None, None, None, None, None, None, MISSING)),
        INTERVALS.row(("a", "m"), 2_700, (1, 2, None, None, None, None, None)),
    ]
    slots = [SLOTS.row(("a",), 0, (*[0] * 4, 370_000, *[0] * 11))]
    tags = {"area": "a", "meter": "m"}
    priced = columns_of(SLOTS, slots, tags, [PRICE_NAME])
    found = list(map(Interval._make, intervals_of([columns_of(INTERVALS, rows, tags)], priced)))
    assert found[0] == Interval(0, 1, 2, 3, 4, 370_000, 5, 6, "measured")
    assert [one.quality for one in found[1:]] == ["suspect", "missing", "missing"]
    assert found[1].price_micro_per_kwh is None
    assert [one.is_settled for one in found] == [True, True, False, False]


def test_the_largest_deviation_of_a_day_is_found_among_its_settled_slots_the_first_of_several() -> None:
    def slot(start_s: int, bought_wh: int, sold_wh: int, pays_nano: int | None = 0) -> Interval:
        return Interval(start_s, 100, 50, bought_wh, sold_wh, None, pays_nano, pays_nano, "measured")

    day = [slot(0, 100, 50), slot(900, 107, 53), slot(1_800, 110, 0), slot(2_700, 999, 0, None)]
    assert largest_deviation(day) == (900, 7, 3)
    assert largest_deviation(day[:1]) is None


def test_totals_count_settled_slots_alone() -> None:
    open_slot = SETTLED._replace(start_s=1_800, pays_nano=None, supplier_only_nano=None, bought_wh=None)
    found = totals_of([SETTLED, SETTLED._replace(start_s=0), open_slot], 96)
    assert (found.expected, found.settled, found.import_wh, found.pays_nano) == (96, 2, 2 * IMPORT_WH, 2 * PAYS_NANO)
    assert found.saving_nano == 2 * (ALONE_NANO - PAYS_NANO)
    assert totals_of([], 96) == Totals(96, 0, 0, 0, 0, 0, 0, 0)


def test_sums_by_kind_hold_every_line_once_in_the_contracts_order() -> None:
    lines = [BillLine(900, "levy", 5, 2, 10), BillLine(0, "share", 4, None, -3), BillLine(0, "levy", 1, 2, 2)]
    assert sums_by_kind(lines, ["share", "other", "levy"]) == [KindSum("share", 1, 4, -3), KindSum("levy", 2, 6, 12)]


def test_lines_of_an_earlier_contract_stand_behind_and_are_not_lost_of_the_sums() -> None:
    lines = [BillLine(0, "gone", 7, 2, 14), BillLine(900, "share", 4, None, -3), BillLine(1_800, "gone", 1, 2, 2)]
    assert sums_by_kind(lines, ["share", "levy"]) == [KindSum("share", 1, 4, -3), KindSum("gone", 2, 8, 16)]
    of_days = [KindSum("gone", 2, 8, 16), KindSum("levy", 1, 1, 1), KindSum("gone", 3, 2, -6)]
    assert added_sums(of_days, ["share", "levy"]) == [KindSum("levy", 1, 1, 1), KindSum("gone", 5, 10, 10)]


CASES = {
    "pays, saved": (
        (12 * YUAN, 15 * YUAN),
        ("You pay 12.00 CNY.", "With your supplier alone: 15.00 CNY.", "Trading saved 3.00 CNY (20.0 %).", "good"),
        ("您应付 ¥12.00。", "若仅由您的售电方供电：¥15.00。", "交易节省 ¥3.00（20.0 %）。"),
    ),
    "pays more than with the supplier": (
        (15 * YUAN, 12 * YUAN),
        (
            "You pay 15.00 CNY.",
            "With your supplier alone: 12.00 CNY.",
            "Trading cost 3.00 CNY more than the supplier alone would have.",
            "bad",
        ),
        ("您应付 ¥15.00。", "若仅由您的售电方供电：¥12.00。", "交易比仅由售电方供电多支出 ¥3.00。"),
    ),
    "is paid, and more than by the supplier": (
        (-5 * YUAN, -4 * YUAN),
        (
            "You get 5.00 CNY.",
            "With your supplier alone you would get 4.00 CNY.",
            "Trading brought 1.00 CNY more.",
            "good",
        ),
        ("您应收 ¥5.00。", "若仅由您的售电方供电：应收 ¥4.00。", "交易多得 ¥1.00。"),
    ),
    "is paid less than by the supplier": (
        (-4 * YUAN, -5 * YUAN),
        (
            "You get 4.00 CNY.",
            "With your supplier alone you would get 5.00 CNY.",
            "Trading cost 1.00 CNY more than the supplier alone would have.",
            "bad",
        ),
        ("您应收 ¥4.00。", "若仅由您的售电方供电：应收 ¥5.00。", "交易比仅由售电方供电多支出 ¥1.00。"),
    ),
    "is paid where the supplier would be": (
        (-1 * YUAN, 1 * YUAN),
        (
            "You get 1.00 CNY.",
            "With your supplier alone: 1.00 CNY.",
            "Trading saved 2.00 CNY (200.0 %).",
            "good",
        ),
        ("您应收 ¥1.00。", "若仅由您的售电方供电：¥1.00。", "交易节省 ¥2.00（200.0 %）。"),
    ),
    "nothing at all": (
        (0, 0),
        ("You pay nothing.", "With your supplier alone: 0.00 CNY.", "Trading made no difference.", "idle"),
        ("您无需付费。", "若仅由您的售电方供电：¥0.00。", "交易未带来差额。"),
    ),
    "less than a cent": (
        (4_000_000, -4_000_000),
        (
            "You pay 0.004 CNY.",
            "With your supplier alone you would get 0.004 CNY.",
            "Trading cost 0.008 CNY more than the supplier alone would have.",
            "bad",
        ),
        ("您应付 ¥0.004。", "若仅由您的售电方供电：应收 ¥0.004。", "交易比仅由售电方供电多支出 ¥0.008。"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_sentences_are_right_in_both_languages(name: str) -> None:
    amounts, english, chinese = CASES[name]
    with speaking("en"):
        said = say(totals(*amounts), "CNY", None)
        assert (said.paid, said.alone, said.saving, said.trend) == english
    with speaking("zh_CN"):
        said = say(totals(*amounts), "CNY", None)
        assert (said.paid, said.alone, said.saving) == chinese


def test_whoever_looks_at_a_household_is_told_its_name() -> None:
    with speaking("en"):
        assert say(totals(2 * YUAN, 3 * YUAN), "CNY", "H001").paid == "H001 pays 2.00 CNY."
        assert say(totals(-2 * YUAN, -1 * YUAN), "CNY", "H001").paid == "H001 gets 2.00 CNY."
        assert say(totals(0, 0), "CNY", "H001").alone == "With the supplier alone: 0.00 CNY."


def test_whoever_subtracts_the_amounts_shown_finds_the_saving_shown_which_is_the_exact_one() -> None:
    with speaking("en"):  # exactly: 1.00499 from 2.00501 leaves 1.00002; in cents 1.00 from 2.01 would leave 1.01
        said = say(totals(1_004_990_000, 2_005_010_000), "CNY", None)
    assert (said.paid, said.alone) == ("You pay 1.005 CNY.", "With your supplier alone: 2.005 CNY.")
    assert said.saving == "Trading saved 1.000 CNY (49.9 %)."


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_what_is_shown_adds_up_with_the_least_digits_and_nothing_becomes_nothing(pays: int, saving: int) -> None:
    digits = digits_that_add_up(pays, saving, pays + saving)
    assert 2 <= digits <= 9
    parts = [round_to_digits(nano, digits) for nano in (pays, saving, pays + saving)]
    assert parts[0] + parts[1] == parts[2]
    assert all(bool(part) == bool(nano) for part, nano in zip(parts, (pays, saving, pays + saving), strict=True))


@pytest.mark.parametrize(
    ("nano", "rounded"),
    [
        (5_000_000, 0),
        (5_000_001, 1),
        (15_000_000, 2),
        (25_000_000, 2),
        (-5_000_000, 0),
        (-15_000_000, -2),
        (-14_999_999, -1),
    ],
)
def test_amounts_are_rounded_half_to_even(nano: int, rounded: int) -> None:
    assert round_to_digits(nano, 2) == rounded


@given(st.lists(st.integers(-(10**10), 10**10), max_size=40))
def test_a_column_of_amounts_as_shown_sums_to_its_sum_as_shown(nanos: list[int]) -> None:
    with speaking("en"):
        shown_parts, (shown_sum,) = amounts(nanos, sum(nanos)), amounts([sum(nanos)], None)
    units = [int(text.replace(",", "").replace(".", "")) for text in shown_parts]
    assert sum(units) == int(shown_sum.replace(",", "").replace(".", ""))
    assert all(abs(unit * 100_000 - nano) < 100_000 for unit, nano in zip(units, nanos, strict=True))


def test_a_column_whose_sum_is_of_more_rows_than_stand_there_is_rounded_row_by_row() -> None:
    with speaking("en"):
        assert amounts([149_999, None, -50_001], 10**9) == ["0.0001", "–", "-0.0001"]


def test_a_partys_points_are_summed_slot_by_slot_and_what_one_lacks_the_sum_lacks() -> None:
    first = [row_of(0, 100, 5, quality=0), row_of(900, 200, 5, quality=0), row_of(1_800, 300, 5, quality=0)]
    second = [row_of(0, 10, 1, quality=1), row_of(900, None, None, quality=None)]
    points = [columns_of(INTERVALS, rows, {"area": "a", "meter": "M"}) for rows in (first, second)]
    summed = sum_of_points(points)
    assert summed.time_s == [0, 900, 1_800]
    assert summed.values["import_wh"] == (110, None, None)
    assert summed.values["export_wh"] == (6, None, None)
    assert summed.values["quality"] == (1, MISSING, MISSING)
    prices = Columns({}, [0], {PRICE_NAME: [370_000]})
    assert [row[:2] for row in intervals_of(points, prices)] == [(0, 110), (900, None), (1_800, None)]
    assert intervals_of([Columns({}, [], dict.fromkeys(IntervalValues._fields, ()))] * 2, prices) == []


def row_of(time_s: int, import_wh: int | None, export_wh: int | None, *, quality: int | None) -> IntervalRow:
    """A point's row."""
    values = IntervalValues(import_wh, export_wh, 0, 0, 0, 0, quality)
    return Row(IntervalTags("a", "M"), time_s, values)
