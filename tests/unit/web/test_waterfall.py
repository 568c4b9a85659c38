"""The way from the supplier's price to what was paid: exact steps, each from where the one before ends, estimates marked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gridweb.bill import BillLine, Interval, Totals
from gridweb.waterfall import ALONE, LINE, PAYS, SAVED, WIDTH, Waterfall, waterfall_of

KINDS = ("trade_buy", "trade_sell", "levy")


def slot(start_s: int, pays_nano: int, alone_nano: int, quality: str = "measured") -> Interval:
    """A settled slot."""
    return Interval(start_s, 1, 0, 1, 0, None, pays_nano, alone_nano, quality)


def totals(slots: list[Interval]) -> Totals:
    """Their sums of money."""
    pays = sum(one.pays_nano or 0 for one in slots)
    return Totals(len(slots), len(slots), 0, 0, 0, 0, pays, sum(one.supplier_only_nano or 0 for one in slots))


def of_lines(lines: list[BillLine], slots: list[Interval]) -> Waterfall:
    """The waterfall of a day that has one."""
    found = waterfall_of(totals(slots), lines, slots)
    assert found is not None
    return found


amounts = st.integers(-(10**12), 10**12)


@given(st.lists(st.tuples(amounts, amounts, st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=12))
def test_the_steps_lead_from_the_suppliers_price_to_nothing_left_and_stay_in_the_drawing(
    drawn: list[tuple[int, int, str, bool]],
) -> None:
    slots = [
        slot(at * 900, pays, alone, "estimated" if guessed else "measured")
        for at, (pays, alone, _, guessed) in enumerate(drawn)
    ]
    lines = [BillLine(at * 900, kind, 1, None, pays) for at, (pays, _, kind, _) in enumerate(drawn)]
    found = of_lines(lines, slots)
    alone, saved, pays, *of_kinds = found.steps
    assert (alone.name, saved.name, pays.name) == (ALONE, SAVED, PAYS)
    assert alone.amount_nano + saved.amount_nano == pays.amount_nano
    assert sum(step.amount_nano for step in of_kinds) == pays.amount_nano
    assert {step.name for step in of_kinds} == {LINE}
    for step in found.steps:
        assert (
            0
            <= step.left
            <= step.hatched_left
            <= step.hatched_left + step.hatched_width
            <= step.left + step.width
            <= WIDTH
        )
    assert 0 <= found.zero <= WIDTH
    assert sum(step.estimated_nano for step in of_kinds) == pays.estimated_nano


def test_the_part_of_estimated_slots_is_hatched_at_the_end_of_its_bar() -> None:
    slots = [slot(0, 300, 400), slot(900, 100, 400, "estimated")]
    found = of_lines([BillLine(0, "levy", 1, None, 300), BillLine(900, "levy", 1, None, 100)], slots)
    levy = found.steps[-1]
    assert (levy.amount_nano, levy.estimated_nano) == (400, 100)
    assert (levy.left, levy.width) == (0, 500)
    assert (levy.hatched_left, levy.hatched_width) == (0, 125)  # it leads down to zero: its end is on the left
    assert found.is_estimated


def test_an_estimate_against_the_direction_of_its_bar_hatches_all_of_it() -> None:
    slots = [slot(0, 500, 500), slot(900, -100, 0, "estimated")]
    levy = of_lines([BillLine(0, "levy", 1, None, 500), BillLine(900, "levy", 1, None, -100)], slots).steps[-1]
    assert levy.hatched_width == levy.width


def test_a_measured_day_has_nothing_hatched() -> None:
    assert not of_lines([BillLine(0, "levy", 1, None, 5)], [slot(0, 5, 6)]).is_estimated


def test_lines_that_do_not_come_to_what_was_paid_have_no_waterfall() -> None:
    slots = [slot(0, 5, 6)]
    assert waterfall_of(totals(slots), [BillLine(0, "levy", 1, None, 4)], slots) is None
    assert waterfall_of(totals([]), [], []) is None
