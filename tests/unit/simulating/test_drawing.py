"""Drawings of a report: where numbers stand, what the pointer says, and that names are text."""

from __future__ import annotations

import re

from gridcore.report.drawing import Flow, Limit, Series, cells, chart, columns, flows
from gridcore.report.markup import Text

EVIL = "<script>alert(1)</script>"


def show(value: float) -> str:
    """Two decimals."""
    return f"{value:.2f}"


def name(text: str) -> Text:
    """The same in both languages."""
    return Text(text, text)


def test_stacked_areas_stand_on_each_other_and_their_scale_begins_at_zero() -> None:
    drawn = chart(["a", "b"], [Series(name("x"), "homes", [3, 1]), Series(name("y"), "grid", [1, 0])], [], show)
    heights = [float(y) for y in re.findall(r'<path class="grid" d="M64 ([0-9.]+)', drawn)]
    top = [float(y) for y in re.findall(r'<path class="homes" d="M64 [0-9.]+L64.0 ([0-9.]+)', drawn)]
    assert heights == top, "the second begins where the first ends"
    assert ">0.00</text>" in drawn
    assert "a\nx: 3.00\ny: 1.00" in drawn


def test_a_line_is_open_where_there_is_no_value() -> None:
    line = Series(name("price"), "price", [1.0, None, 2.0])
    drawn = chart(["a", "b", "c"], [], [line], show, limits=[Limit(name("most"), 4.0)], from_zero=False)
    path = re.search(r'class="stroke price" d="([^"]*)"', drawn)
    assert path is not None
    assert path[1].count("M") == 2
    assert ">0.00<" not in drawn
    assert "most" in drawn


def test_cells_beside_each_other_of_one_colour_are_one_shape() -> None:
    drawn = cells(["a", "b", "c"], ["M1"], [["v1", "v1", ""]], ["M1: low"])
    assert drawn.count("z") == 1 + drawn.count("zz")
    assert re.search(r'class="v1" d="M64.0 12h597.3', drawn)
    assert "<title>M1: low</title>" in drawn


def test_flows_are_as_wide_as_their_amounts_on_both_sides() -> None:
    links = [
        Flow(name("a"), name("x"), 3.0, "grid"),
        Flow(name("a"), name("y"), 1.0, "homes"),
        Flow(name("b"), name("y"), 0.0, "loss"),
    ]
    drawn = flows(links, show)
    widths = [float(width) for width in re.findall(r"v([0-9.]+)C", drawn)]
    assert widths == [195.0, 65.0], "nothing flows where the amount is nothing"
    assert "a → x: 3.00" in drawn


def test_bars_have_their_names_below_them_while_all_have_room() -> None:
    homes = [f"H{number:03}" for number in range(1, 41)]
    few, many = columns(homes[:32], [1.0] * 32, show), columns(homes, [1.0] * 40, show)
    assert re.findall(r">(H[0-9]+)</text>", few) == homes[:32]
    assert "</text>" in many, "the values beside the bars"
    assert re.findall(r">(H[0-9]+)</text>", many) == []


def test_names_are_text_and_never_markup() -> None:
    drawn = [
        chart([EVIL], [Series(name(EVIL), "grid", [1])], [], show, limits=[Limit(name(EVIL), 1)]),
        cells([EVIL], [EVIL], [["v1"]], [EVIL]),
        flows([Flow(name(EVIL), name(EVIL), 1, "grid")], show),
        columns([EVIL], [1.0], show),
    ]
    assert all(EVIL not in one and "&lt;script&gt;" in one for one in drawn)


def test_nothing_to_draw_is_an_empty_drawing() -> None:
    for drawn in (chart([], [], [], show), cells([], [], [], []), flows([], show), columns([], [], show)):
        assert drawn.startswith('<div class="wide"><svg')
