"""Shares, bars and what is usual: sums of what is known, drawn by one scale."""

from __future__ import annotations

import pytest

from gridweb.bill import Interval
from gridweb.flows import PLOT_UNITS, Flows, Span, bars_of, flows_of, flows_of_slots, shares, usual_of

SLOT_S = 900


def day(*pays: int | None, import_wh: int = 100) -> list[Interval]:
    """Slots with these amounts; None: not settled."""
    return [
        Interval(place * SLOT_S, import_wh, 0, 0, 0, None, nano, None if nano is None else 2 * nano, "measured")
        for place, nano in enumerate(pays)
    ]


def test_what_was_traded_counts_as_far_as_it_passed_the_meter() -> None:
    assert flows_of(import_wh=100, export_wh=40, bought_wh=130, sold_wh=10) == Flows(100, 0, 10, 30)


def test_what_one_slot_bought_too_much_is_not_set_off_against_what_another_took_too_much() -> None:
    bought_too_much, took_too_much, open_yet = day(1, 1, None)
    slots = [bought_too_much._replace(bought_wh=130), took_too_much._replace(bought_wh=70), open_yet]

    assert flows_of_slots(slots) == Flows(170, 30, 0, 0)
    assert flows_of_slots([open_yet]) == Flows(0, 0, 0, 0)


def test_shares_fill_the_bar_and_name_every_part() -> None:
    found = shares([("a", 1), ("b", 1), ("c", 1)])

    assert [(part.start, part.width) for part in found] == [(0, 333), (333, 333), (666, 334)]
    assert [part.ppm for part in found] == [333_333] * 3
    assert shares([("a", 0), ("b", 0)]) == []


def test_bars_stand_on_one_line_by_one_scale_and_an_unknown_span_has_none() -> None:
    found = bars_of(
        [
            Span("1", "1", "/1", Flows(30, 30, 0, 0)),
            Span("2", "2", "/2", Flows(0, 0, 10, 30)),
            Span("3", "3", "/3", None),
        ]
    )

    assert (found.zero, found.most_wh) == (600, 60)
    assert [[tuple(piece) for piece in bar.pieces] for bar in found.bars] == [
        [("from-neighbours", 300, 300), ("from-supplier", 0, 300)],
        [("to-neighbours", 600, 100), ("to-supplier", 700, 300)],
        [],
    ]


def test_spans_of_which_nothing_is_known_are_drawn_as_an_empty_plot() -> None:
    assert bars_of([Span("1", "1", "/1", None)]).zero in range(PLOT_UNITS + 1)


def test_usual_is_the_mean_of_earlier_days_up_to_the_same_slot() -> None:
    found = usual_of(day(5, 7, None, 9), [day(1, 2, 100, 100), day(2, 4, 100, 100)], SLOT_S)

    assert found is not None
    assert (found.until_s, found.days) == (2 * SLOT_S, 2)
    assert (found.today.pays_nano, found.mean.pays_nano, found.mean.import_wh) == (12, 5, 200)


@pytest.mark.parametrize("earlier", [[], [day(1, None, 3, 4)], [day(1)]], ids=["none", "with a gap", "shorter"])
def test_without_an_earlier_day_that_is_known_so_far_nothing_is_usual(earlier: list[list[Interval]]) -> None:
    assert usual_of(day(5, 7, None, 9), earlier, SLOT_S) is None
