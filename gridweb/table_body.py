"""The rows of a table as HTML, column by column. In a template each of a page's thousands of cells takes several times as long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from unicodedata import east_asian_width

from markupsafe import Markup, escape

from gridweb.format import added_up, show
from gridweb.i18n import _, translate
from gridweb.tables import Column, Table

SHORT_MAX: Final = 17
"""Characters of a word that stays on one line."""


def body_of(table: Table) -> Markup:
    """What stands between ``<tbody>`` and ``</tbody>``. A row's first value is its head, with the row's link; its button stands before it, in sight on a phone."""
    if not table.rows:
        return Markup('<tr><td colspan="{}" class="empty">{}</td></tr>').format(len(table.columns), _("No rows"))
    added = added_up(table)
    columns = (
        map(escape, added[place]) if place in added else _cells(table, place) for place in range(len(table.columns))
    )
    of_columns = [_tagged(table, place, cells) for place, cells in enumerate(columns)]
    if table.buttons:
        of_columns.insert(0, [_button(table.button, href) for href in table.buttons])
    rows = (f"<tr>{''.join(row)}</tr>" for row in zip(*of_columns, strict=True))
    return Markup("\n".join(rows))  # noqa: S704 - each cell is escaped


def _cells(table: Table, place: int) -> Iterator[Markup]:
    """A column's values as people read them, each value made once: many columns have few."""
    column, known = table.columns[place], dict[object, Markup]()
    for row in table.rows:
        value = row[place]
        if value not in known:
            known[value] = escape(show(column.shown(value), column.kind, tz=table.tz, currency=table.currency))
        yield known[value]


def _tagged(table: Table, place: int, cells: Iterable[Markup]) -> list[str]:
    """The cells of a column as elements."""
    column = table.columns[place]
    name = "number" if column.is_number else "time" if column.is_time else _class_of_words(column) if place else ""
    of_class = f' class="{name}"' if name else ""
    if place:
        return [f"<td{of_class}>{cell}</td>" for cell in cells]
    return [
        f'<th scope="row"{of_class}>{_link(href, cell) if href else cell}</th>'
        for cell, href in ((cell, table.link(row)) for row, cell in enumerate(cells))
    ]


def _class_of_words(column: Column) -> str:
    """Words of codes stay on one line where each of them is short, however narrow the column."""
    if not column.has_words:
        return ""
    is_short = bool(column.words) and all(width(translate(word)) <= SHORT_MAX for word in column.words.values())
    return "words short" if is_short else "words"


def width(text: str) -> int:
    """How wide a text is, in Latin characters: those of Chinese take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _button(title: str, href: str | None) -> str:
    shown = f'<a role="button" class="secondary" href="{escape(href)}">{escape(title)}</a>' if href else ""
    return f"<td>{shown}</td>"


def _link(href: str, cell: Markup) -> str:
    return f'<a href="{escape(href)}">{cell}</a>'
