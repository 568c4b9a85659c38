"""Pieces of a page in both languages: texts, tables, bars. Whatever comes from a file is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import Final, NamedTuple

ZH_ZONES: Final = ("Asia/Shanghai", "Asia/Chongqing", "Asia/Urumqi", "Asia/Hong_Kong", "Asia/Macau", "Asia/Taipei")
"""Time zones whose reports open in Chinese."""
_MARK: Final = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="5" fill="#00697a"/>'
    '<path d="M5 7h6v4h8M5 17h6v-6" fill="none" stroke="#fff" stroke-width="2"/>'
    '<circle cx="5" cy="7" r="1.8" fill="#fff"/><circle cx="5" cy="17" r="1.8" fill="#fff"/><circle cx="19" cy="11" r="1.8" fill="#fff"/></svg>'
)
_BAR_WIDTH: Final = 960
_BAR_HEIGHT: Final = 220
_BASE: Final = 190
_WIDEST_BAR: Final = 60


class Text(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str


class Cell(NamedTuple):
    """A field of a table; numbers stand right, lists take several lines."""

    content: str
    is_number: bool = False
    is_list: bool = False


class StackedBar(NamedTuple):
    """A bar: its whole, the part of it that is set off, and a mark beside it; in one unit."""

    name: str
    whole: int
    part: int
    mark: int


def page(title: Text, tag: Text, content: Iterable[str], *, is_zh: bool) -> str:
    """A whole file. tag: what stands beside the title, a warning; ``is_zh``: which language it opens in."""
    css = (resources.files("gridcore.report") / "report.css").read_text("utf-8")
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if is_zh else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title.zh)} · {escape(title.en)}</title><style>{css}</style></head><body>"
        f'<input type="radio" name="language" id="en"{"" if is_zh else " checked"} aria-label="English">'
        f'<input type="radio" name="language" id="zh"{" checked" if is_zh else ""} aria-label="中文">'
        f'<header>{_MARK}<h1>{say(title)}</h1><span class="tag">{say(tag)}</span>'
        '<nav><label for="zh">中文</label><label for="en">English</label></nav></header>'
        f"<main>{''.join(content)}</main></body></html>\n"
    )


def tiles(items: Iterable[tuple[str, Text]]) -> str:
    """Large numbers, each with what it is."""
    shown = "".join(f"<div><b>{escape(value)}</b><small>{say(title)}</small></div>" for value, title in items)
    return f'<div class="figures">{shown}</div>'


def say(text: Text) -> str:
    """A text in both languages, of which the page shows one."""
    return f'<span lang="en">{escape(text.en)}</span><span lang="zh">{escape(text.zh)}</span>'


def word(value: object) -> Cell:
    """A text out of a file."""
    return Cell(escape(str(value)))


def number(shown: str) -> Cell:
    """A number as it is shown."""
    return Cell(escape(shown), is_number=True)


def table(heads: Sequence[tuple[Text, bool]], rows: Iterable[Sequence[Cell]]) -> str:
    """A table; heads: the title of each column, and whether it holds numbers."""
    head = "".join(f"<th{_right(is_number)}>{say(title)}</th>" for title, is_number in heads)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_right(cell.is_number)}{_folded(cell.is_list)}>{cell.content}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(pairs: Iterable[tuple[Text, str]]) -> str:
    """Names and values; a value is markup."""
    return "<dl>" + "".join(f"<div><dt>{say(name)}</dt><dd>{value}</dd></div>" for name, value in pairs) + "</dl>"


def section(title: Text, *content: str) -> str:
    """A part of the page."""
    return f"<section><h2>{say(title)}</h2>{''.join(content)}</section>"


def paragraph(text: Text) -> str:
    """A paragraph."""
    return f"<p>{say(text)}</p>"


def bars(values: Sequence[StackedBar], unit: str) -> str:
    """Stacked bars as a drawing, each with a title that says its numbers."""
    top = max((max(bar.whole, bar.mark) for bar in values), default=0) or 1
    step = _BAR_WIDTH / max(1, len(values))
    drawn = "".join(_bar(bar, at * step, step, top, unit) for at, bar in enumerate(values))
    every = max(1, len(values) // 12)
    names = "".join(
        f'<text x="{(at + 0.5) * step:.1f}" y="{_BASE + 16}">{escape(bar.name)}</text>'
        for at, bar in enumerate(values)
        if at % every == 0
    )
    line = f'<line x1="0" x2="{_BAR_WIDTH}" y1="{_BASE}" y2="{_BASE}"/>'
    return f'<svg viewBox="-20 0 {_BAR_WIDTH + 40} {_BAR_HEIGHT}" role="img">{drawn}{line}{names}</svg>'


def _bar(bar: StackedBar, left: float, step: float, top: int, unit: str) -> str:
    whole, part, mark = (value * (_BASE - 10) / top for value in (bar.whole, bar.part, bar.mark))
    width = min(step * 0.7, _WIDEST_BAR)
    x = left + (step - width) / 2
    title = f"{bar.name}: {bar.part} / {bar.whole} {unit}; {bar.mark} {unit}"
    return (
        f"<g><title>{escape(title)}</title>"
        f'<rect class="whole" x="{x:.1f}" y="{_BASE - whole:.1f}" width="{width:.1f}" height="{whole:.1f}"/>'
        f'<rect class="part" x="{x:.1f}" y="{_BASE - part:.1f}" width="{width:.1f}" height="{part:.1f}"/>'
        f'<rect class="mark" x="{x - width * 0.1:.1f}" y="{_BASE - mark - 1:.1f}" width="{width * 1.2:.1f}" height="2"/></g>'
    )


def kilo(wh: int) -> str:
    """Wh as kWh with three decimals, thousands apart."""
    sign, wh = ("-", -wh) if wh < 0 else ("", wh)
    return f"{sign}{wh // 1000:,}.{wh % 1000:03}"


def money(amount: int, quantum_nano: int) -> str:
    """Quanta as the currency, with as many decimals as a quantum needs, at least two."""
    sign, nano = ("-", -amount * quantum_nano) if amount < 0 else ("", amount * quantum_nano)
    decimals = f"{nano % 10**9:09}".rstrip("0").ljust(2, "0")
    return f"{sign}{nano // 10**9:,}.{decimals}"


def _folded(is_list: bool) -> str:
    return ' class="list"' if is_list else ""


def _right(is_number: bool) -> str:
    return ' class="number"' if is_number else ""
