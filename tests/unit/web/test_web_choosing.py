"""Rows of a table that are looked for, put in order and shown page by page."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

import pytest

from gridcore.serving.problems import Problem
from gridweb.choosing import ROWS_SHOWN_MAX, TEXT_MAX, Chosen, asked_choice, choose
from gridweb.i18n import speaking
from gridweb.tables import TABLE_ROWS_MAX, Column, Table

COLUMNS: Final = (
    Column("gateway", "Gateway"),
    Column("state", "State", words={"in_time": "in time", "silent": "silent"}),
    Column("refused", "Refused", "count"),
)
ROWS: Final = (("gw-2", "silent", 9), ("gw-1", "in_time", None), ("GW-10", "in_time", 10), (None, "silent", -1))


def chosen(table: Table | None = None, **given: str) -> Chosen:
    """What an address chooses of a table of four rows, or of another one."""
    asked = {name.replace("_", "-") if name != "contains" else name: text for name, text in given.items()}
    table = table or Table("t", COLUMNS, ROWS, links=["/2", "/1", "/10"], totals=(None, None, 18), note="A note.")
    with speaking("en"):
        return choose(table, asked_choice(asked, table), asked)


def query(text: str) -> dict[str, str]:
    """The arguments of a query string."""
    return dict(parse_qsl(text.removeprefix("?")))


def test_a_text_finds_rows_by_names_and_by_words_as_they_are_shown_whatever_the_case() -> None:
    assert [row[0] for row in chosen(contains="gw-1").table.rows] == ["gw-1", "GW-10"]
    assert [row[2] for row in chosen(contains="Silent").table.rows] == [9, -1]
    assert chosen(contains="in_time").table.rows == []


def test_a_column_orders_rows_by_value_both_ways_with_unknown_ones_last() -> None:
    assert [row[2] for row in chosen(t_sort="refused").table.rows] == [-1, 9, 10, None]
    assert [row[2] for row in chosen(t_sort="-refused").table.rows] == [10, 9, -1, None]
    assert [row[0] for row in chosen(t_sort="gateway").table.rows] == ["gw-1", "GW-10", "gw-2", None]


def test_links_go_with_their_rows_and_sums_stand_only_below_all_of_them() -> None:
    turned, found = chosen(t_sort="-refused"), chosen(contains="gw-1")

    assert turned.table.links == ["/10", "/2", None, "/1"]
    assert turned.table.totals == (None, None, 18)
    assert turned.table.note == "A note."
    assert found.table.totals is None
    assert found.table.note == "A note. 2 of 2 rows that were found, of 4; the files have all."


def test_a_head_orders_upwards_then_downwards_then_not_at_all_and_keeps_what_else_was_asked() -> None:
    first = chosen(contains="gw", day="2027-01-15")
    up = query(first.sort_query("refused"))
    down = query(chosen(t_sort=up["t-sort"], contains="gw").sort_query("refused"))

    assert up == {"contains": "gw", "day": "2027-01-15", "t-sort": "refused"}
    assert down == {"contains": "gw", "t-sort": "-refused"}
    assert "t-sort" not in query(chosen(t_sort="-refused").sort_query("refused"))
    assert chosen(t_sort="-refused").sorting("refused") == "descending"


def test_a_page_has_as_many_rows_as_it_bears_and_leads_to_those_before_and_after() -> None:
    long = Table("t", COLUMNS, [(f"gw-{row}", "silent", row) for row in range(2 * ROWS_SHOWN_MAX + 1)])

    first, second = chosen(long), chosen(long, t_start=str(ROWS_SHOWN_MAX))
    last = chosen(long, t_start=str(2 * ROWS_SHOWN_MAX))

    assert [len(one.table.rows) for one in (first, second, last)] == [ROWS_SHOWN_MAX, ROWS_SHOWN_MAX, 1]
    assert (first.before_query, last.after_query) == (None, None)
    assert (second.before_query, query(first.after_query or "")) == ("", {"t-start": str(ROWS_SHOWN_MAX)})
    assert chosen(t_start="4").table.rows[0] == ROWS[0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t-sort", "colour", "t-sort=colour: is one of gateway, state, refused, with - before it downwards"),
        ("t-start", "-1", f"t-start=-1: is a row, 0 to {TABLE_ROWS_MAX}"),
        ("t-start", "1" * 30, f"t-start={'1' * 30}: is a row, 0 to {TABLE_ROWS_MAX}"),
        ("contains", "x" * (TEXT_MAX + 1), f"contains: a text of at most {TEXT_MAX} characters"),
    ],
)
def test_what_nobody_can_choose_is_refused_with_what_would_be_right(name: str, text: str, said: str) -> None:
    with pytest.raises(Problem) as refused:
        asked_choice({name: text}, Table("t", COLUMNS, ROWS))

    assert said in str(refused.value)


def test_a_text_as_long_as_it_may_be_is_looked_for() -> None:
    assert chosen(contains="x" * TEXT_MAX).found == 0
