"""Rows as InfluxDB writes and reads them: line protocol out, CSV in, and the escapes of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

from gridcore.errors import require
from gridseries.series import AnyRow, AnySeries, Row, Series, Tags_co, Values_co

_TAG_ESCAPES: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


def rows_of(series: Series[Tags_co, Values_co], answer: Iterator[list[str]]) -> Iterator[Row[Tags_co, Values_co]]:
    """Rows of an answer in CSV: blocks, each with its own header; a block has only the fields that occur in it."""
    time_at, tags_at, fields_at = 0, [0], [0]
    for cells in answer:
        if len(cells) < 3:
            continue  # between blocks
        if cells[2] == "table":
            time_at = cells.index("_time")
            tags_at = [cells.index(tag) for tag in series.tags]
            fields_at = [cells.index(field) if field in cells else -1 for field in series.fields]
            continue
        values = [cells[at] if at >= 0 else "" for at in fields_at]
        yield series.row(
            (_unescaped(cells[at]) for at in tags_at),
            int(datetime.fromisoformat(cells[time_at]).timestamp()),
            (int(value) if value else None for value in values),
        )


def lines_of(series: AnySeries, rows: Sequence[AnyRow]) -> bytes:
    """Rows in line protocol, whole seconds."""
    # A format for the row with all its values, which most are; heads (measurement and tags) come again and again.
    whole = f" {','.join(f'{name}=%di' for name in series.fields)} %d"
    heads: dict[tuple[str, ...], str] = {}
    lines = []
    for tags, time_s, values in rows:
        head = heads.get(tags)
        if head is None:
            head = heads[tags] = _head(series, tags)
        if None not in values:
            lines.append(head + whole % (*values, time_s))
            continue
        fields = [f"{name}={value}i" for name, value in zip(series.fields, values, strict=True) if value is not None]
        require(bool(fields), "a row has a value")
        lines.append(f"{head} {','.join(fields)} {time_s}")
    return "\n".join(lines).encode()


def _head(series: AnySeries, tags: tuple[str, ...]) -> str:
    return series.name + "".join(
        f",{name}={escaped(text).translate(_TAG_ESCAPES)}" for name, text in zip(series.tags, tags, strict=True)
    )


def escaped(text: str) -> str:
    """A tag value that InfluxDB can hold: percent sign, backslash and control characters as %25, %5C ...; empty: "%"."""
    if not text:
        return "%"
    if text.isprintable() and "%" not in text and "\\" not in text:
        return text
    return "".join(
        character if character.isprintable() and character not in "%\\" else quote(character, safe="")
        for character in text
    )


def _unescaped(text: str) -> str:
    """Inverse of ``escaped``."""
    return unquote(text) if text != "%" else ""


def quoted(text: str) -> str:
    """A text in a delete predicate."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
