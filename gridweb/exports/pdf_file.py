"""PDF/A-3b, for the archive and the letter: the table as the page shows it, its exact rows attached as CSV.

Typeset by typst with one font that set-up brings, never the machine's own: the same rows give the same bytes everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

import typst

from gridcore.errors import UsageError
from gridweb import format as shown
from gridweb.exports.csv_file import to_csv
from gridweb.exports.format import Format, Provenance
from gridweb.exports.readable import local_time
from gridweb.i18n import _, language, translate
from gridweb.tables import Column, Table

PDF_ROWS_MAX: Final = 20_000
"""Rows of one file: some 400 pages, and some ten seconds of one core."""
FONTS: Final = ("NotoSansSC_400Regular.ttf", "NotoSansSC_700Bold.ttf")
_LANDSCAPE_COLUMNS: Final = 6
"""A table with more columns lies on its side."""
_SIZE_PT_MAX: Final = 8.0
_SIZE_PT_MIN: Final = 4.5
_CHARACTERS: Final = {False: 122, True: 184}
"""Of _SIZE_PT_MAX beside one another on a page, upright and on its side; a Chinese one is two."""
_ZERO_WIDTH: Final = "\u200b"
_GAP_CHARACTERS: Final = 2
"""Beside what a column holds."""
_WHOLE_CHARACTERS: Final = 28
"""A column of longer texts breaks them into lines."""
_BROKEN_CHARACTERS: Final = 16
"""What a column of long texts has at least."""
_WORD: Final = re.compile(r"[^\s\u2e80-\uffef]{16,}")
"""What has no place to break a line at: not Chinese, which breaks anywhere."""


def to_pdf(table: Table, provenance: Provenance) -> bytes:
    """A table as PDF/A-3b, in the language of the request."""
    compiled: bytes = typst.compile(
        _template(),
        font_paths=_fonts(),
        format="pdf",
        sys_inputs={
            "doc": json.dumps(_document(table, provenance), ensure_ascii=False),
            "exact": to_csv(table).decode(),
        },
        pdf_standards=["a-3b"],
        timestamp=provenance.ledger_time_s,
        pdf_tags=False,  # of 3,000 rows they are 14 of 15 parts of the file
    )
    return compiled


def fonts_folder() -> Path:
    """Where set-up puts the fonts."""
    return Path(str(resources.files("gridweb") / "exports" / "fonts"))


def check_fonts() -> None:
    """UsageError when a font is not there."""
    for name in FONTS:
        if not (fonts_folder() / name).is_file():
            raise UsageError(f"{fonts_folder() / name}: is not there; in a checkout, run: make setup")


def _document(table: Table, provenance: Provenance) -> dict[str, Any]:
    """What the template shows: texts, and nothing that it has to compute."""
    moment = datetime.fromtimestamp(provenance.ledger_time_s, UTC)
    rows, totals = _rows(table), [] if table.totals is None else _totals(table, table.totals)
    titles = [translate(column.title) for column in table.columns]
    layout = _layout(table, [titles, *rows, totals])
    return {
        "title": table.title or table.name,
        "lang": "zh" if language() == "zh_CN" else "en",
        "date": {name: getattr(moment, name) for name in ("year", "month", "day", "hour", "minute", "second")},
        "landscape": layout.is_landscape,
        "size": layout.size_pt,
        "mark": provenance.mark,
        "facts": [[_("Ledger time"), local_time(provenance.ledger_time_s, table.tz)], [_("Time zone"), table.tz]],
        "columns": [
            {
                "title": title,
                "unit": shown.unit(column.kind, table.currency),
                "number": column.is_number,
                "share": share,
            }
            for column, title, share in zip(table.columns, titles, layout.shares, strict=True)
        ],
        "rows": [_broken(row, layout.shares) for row in rows],
        "totals": totals,
        "note": table.note,
        "footer": _(
            "%(chain)s, block %(height)s. The exact rows are attached to this file as table.csv.",
            chain=provenance.chain,
            height=provenance.height,
        ),
        "attachment": _("The exact rows of this table"),
    }


class _Layout(NamedTuple):
    """size_pt: of the type; shares: of each column how much it gets of the width that is left over, 0 of one that is as wide as what it holds."""

    is_landscape: bool
    size_pt: float
    shares: Sequence[int]


def _layout(table: Table, rows: Iterable[Sequence[str]]) -> _Layout:
    """Short columns are as wide as what they hold, long texts share the rest; smaller type where all that does not fit."""
    longest = [0] * len(table.columns)
    for row in rows:
        for place, text in enumerate(row):
            longest[place] = max(longest[place], _width(text))
    for place, column in enumerate(table.columns):
        longest[place] = max(longest[place] + len(shown.unit(column.kind, table.currency)), 1)
    texts = [place for place, column in enumerate(table.columns) if not (column.is_number or column.is_time)]
    sharing = {place for place in texts if longest[place] > _WHOLE_CHARACTERS}
    if not sharing:
        sharing = {max(texts or range(len(longest)), key=longest.__getitem__)}
    needed = sum(
        _GAP_CHARACTERS + (min(width, _BROKEN_CHARACTERS) if place in sharing and width > _WHOLE_CHARACTERS else width)
        for place, width in enumerate(longest)
    )
    is_landscape = len(table.columns) > _LANDSCAPE_COLUMNS or needed > _CHARACTERS[False]
    size_pt = min(_SIZE_PT_MAX, max(_SIZE_PT_MIN, round(_SIZE_PT_MAX * _CHARACTERS[is_landscape] / needed, 1)))
    return _Layout(is_landscape, size_pt, [longest[place] if place in sharing else 0 for place in range(len(longest))])


def _width(text: str) -> int:
    """In characters; a Chinese one is two."""
    return len(text) if text.isascii() else sum(1 + (character >= "\u2e80") for character in text)


def _broken(row: Sequence[str], shares: Sequence[int]) -> Sequence[str]:
    """A row whose long texts may be broken where they have no space, as a key has none."""
    return [
        _WORD.sub(lambda word: _ZERO_WIDTH.join(word[0]), text) if share > _WHOLE_CHARACTERS else text
        for text, share in zip(row, shares, strict=True)
    ]


def _rows(table: Table) -> list[Sequence[str]]:
    """The rows as the page shows them: amounts add up to their sum, as shown."""
    added = shown.added_up(table)
    columns = (
        added[place] if place in added else [_text(row[place], column, table) for row in table.rows]
        for place, column in enumerate(table.columns)
    )
    return list(zip(*columns, strict=True))


def _text(exact: object, column: Column, table: Table) -> str:
    value = column.shown(exact)
    if isinstance(value, str):
        if column.kind == "quality":
            return translate(shown.QUALITY_WORDS.get(value, (value, ""))[0])
        return value
    return shown.show(value, column.kind, tz=table.tz, currency=table.currency)


def _totals(table: Table, totals: Sequence[object]) -> list[str]:
    texts = [
        "" if value is None else _text(value, column, table)
        for value, column in zip(totals, table.columns, strict=True)
    ]
    return [texts[0] or _("Sum"), *texts[1:]]


@cache
def _template() -> bytes:
    return (resources.files("gridweb") / "exports" / "table.typ").read_bytes()


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(fonts_folder())])


PDF: Final = Format("pdf", "PDF", ".pdf", "application/pdf", PDF_ROWS_MAX, True, to_pdf)
