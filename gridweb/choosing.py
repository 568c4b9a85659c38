"""What somebody chose of a long table: the rows that hold a text, in the order of a column, from a row on. Chosen out of all rows, here
and not in the browser, so that it works without scripts and for what no page bears.

    chosen = choose(table, asked_choice(request.args, table))     # ?contains=gw-1&fleet-sort=-refused_rows&fleet-start=500
    {{ chosen_table(chosen, url, path) }}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from gridcore.serving.problems import Problem
from gridweb.i18n import _
from gridweb.tables import TABLE_ROWS_MAX, Column, Table

ROWS_SHOWN_MAX: Final = 200
"""Rows of a table on a page."""
TEXT_MAX: Final = 64
"""Characters that are looked for."""
_DOWN: Final = "-"


@dataclass(frozen=True)
class Choice:
    """What is wanted of the table ``name``. ``contains``: of all tables of the page; ``sort``: key of a column, "" for the table's own order."""

    name: str
    contains: str = ""
    sort: str = ""
    is_down: bool = False
    start: int = 0

    def query(self, others: Mapping[str, str]) -> str:
        """The query string that says so, beside the page's other arguments; "" where nothing is chosen."""
        own = {
            "contains": self.contains,
            f"{self.name}-sort": f"{_DOWN if self.is_down else ''}{self.sort}" if self.sort else "",
            f"{self.name}-start": str(self.start) if self.start else "",
        }
        kept = {name: value for name, value in others.items() if name not in own}
        pairs = {name: value for name, value in {**kept, **own}.items() if value}
        return f"?{urlencode(pairs)}" if pairs else ""


@dataclass(frozen=True)
class Chosen:
    """The rows of a page. ``table``: those alone; ``found``: rows that hold the text, of ``total``; ``others``: the page's other arguments."""

    table: Table
    choice: Choice
    found: int
    total: int
    others: Mapping[str, str]

    def sorting(self, key: str) -> str:
        """How a column orders the rows: ascending or descending; "" of a column that does not."""
        if key != self.choice.sort:
            return ""
        return "descending" if self.choice.is_down else "ascending"

    def sort_query(self, key: str) -> str:
        """The query of the same rows in the order of a column: upwards first, then downwards, then the table's own."""
        at = self.sorting(key)
        sort = "" if at == "descending" else key
        return replace(self.choice, sort=sort, is_down=at == "ascending", start=0).query(self.others)

    @property
    def before_query(self) -> str | None:
        """The query of the rows before these; None at the first."""
        start = self.choice.start
        return replace(self.choice, start=max(0, start - ROWS_SHOWN_MAX)).query(self.others) if start else None

    @property
    def after_query(self) -> str | None:
        """The query of the rows after these; None at the last."""
        following = self.choice.start + ROWS_SHOWN_MAX
        return replace(self.choice, start=following).query(self.others) if following < self.found else None


def asked_choice(given: Mapping[str, str], table: Table) -> Choice:
    """What an address chooses of a table. Problem 400 names the argument, and what would be right."""
    contains = given.get("contains", "").strip()
    if len(contains) > TEXT_MAX:
        raise Problem("bad-request", f"contains: a text of at most {TEXT_MAX} characters")
    sort = given.get(f"{table.name}-sort", "")
    key = sort.removeprefix(_DOWN)
    keys = [column.key for column in table.columns]
    if key and key not in keys:
        raise Problem(
            "bad-request", f"{table.name}-sort={sort[:40]}: is one of {', '.join(keys)}, with - before it downwards"
        )
    start = given.get(f"{table.name}-start", "0")
    if not (start.isascii() and start.isdecimal() and len(start) <= len(str(TABLE_ROWS_MAX))):
        raise Problem("bad-request", f"{table.name}-start={start[:40]}: is a row, 0 to {TABLE_ROWS_MAX}")
    return Choice(table.name, contains, key, sort.startswith(_DOWN), int(start))


def choose(table: Table, choice: Choice, given: Mapping[str, str]) -> Chosen:
    """The rows of a table that are wanted, as many as a page bears; the sums of all rows stay where all rows are found."""
    wanted = choice.contains.casefold()
    shown = [at for at, row in enumerate(table.rows) if not wanted or _holds(row, table.columns, wanted)]
    if choice.sort:
        shown = _sorted(table, shown, choice)
    start = choice.start if choice.start < len(shown) else 0
    page = shown[start : start + ROWS_SHOWN_MAX]
    is_whole = len(shown) == len(table.rows)
    note = table.note
    if len(page) < len(table.rows):
        words = {"shown": len(page), "found": len(shown), "all": len(table.rows)}
        note = " ".join(
            [note, _("%(shown)s of %(found)s rows that were found, of %(all)s; the files have all.", **words)]
        ).strip()
    rows = replace(
        table,
        rows=[table.rows[at] for at in page],
        links=[table.link(at) for at in page],
        totals=table.totals if is_whole else None,
        note=note,
    )
    return Chosen(rows, replace(choice, start=start), len(shown), len(table.rows), dict(given))


def _holds(row: Sequence[object], columns: tuple[Column, ...], wanted: str) -> bool:
    cells = zip(row, columns, strict=True)
    return any(isinstance(value, str) and wanted in str(column.shown(value)).casefold() for value, column in cells)


def _sorted(table: Table, shown: list[int], choice: Choice) -> list[int]:
    """Rows in the order of a column: numbers by value, words as they are shown; what has no value comes last, either way."""
    at = next(place for place, column in enumerate(table.columns) if column.key == choice.sort)
    column = table.columns[at]
    known = [row for row in shown if table.rows[row][at] is not None]
    unknown = [row for row in shown if table.rows[row][at] is None]

    def order(row: int) -> tuple[int, str]:
        value = table.rows[row][at]
        return (value, "") if isinstance(value, int) else (0, str(column.shown(value)).casefold())

    return sorted(known, key=order, reverse=choice.is_down) + unknown
