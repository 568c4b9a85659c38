"""Strips as inline SVG: what was, and what was said of it, around a window of time; under it how much of it was measured.

Half as wide as a drawing of ``drawing``: two stand side by side where there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 480
_LEFT: Final = 40
_TOP: Final = 8
_PLOT: Final = WIDTH - _LEFT - 8
_HEIGHT: Final = 84
_RIBBON_TOP: Final = _TOP + _HEIGHT + 5
_RIBBON: Final = 14
_TIMES_TOP: Final = _RIBBON_TOP + _RIBBON + 14
_BOTTOM: Final = _TIMES_TOP + 6


class Share(NamedTuple):
    """A part of each place in time, from 0 to 1. look: a class of ``report.css``."""

    look: str
    parts: Sequence[float]


class Strip(NamedTuple):
    """What is drawn. window: the places [first, behind the last] at which something is on; titles: what the pointer says at each place."""

    times: Sequence[str]
    window: tuple[int, int]
    true: Sequence[float]
    said: Sequence[float | None]
    shares: Sequence[Share]
    titles: Sequence[str]


def strip(one: Strip, show: Callable[[float], str]) -> str:
    """The truth as an area, what was said as a line over it, None where nothing was; shares as a ribbon, the first one at the bottom."""
    count = len(one.times)
    step = _PLOT / max(1, count)
    top = max([*one.true, *(value for value in one.said if value is not None), 0.0]) or 1.0
    first, end = (_LEFT + place * step for place in one.window)
    drawn = [
        f'<rect class="window" x="{first:.1f}" y="{_TOP}" width="{end - first:.1f}" height="{_RIBBON_TOP + _RIBBON - _TOP}"/>',
        _steps(one.true, step, top, "grid", is_area=True),
        _steps(one.said, step, top, "stroke taken", is_area=False),
        *_ribbon(one.shares, step),
        f'<line x1="{_LEFT}" x2="{_LEFT + _PLOT}" y1="{_TOP + _HEIGHT}" y2="{_TOP + _HEIGHT}"/>',
        f'<text class="name" x="{_LEFT - 5}" y="{_TOP + 8}">{escape(show(top))}</text>',
        f'<text class="name" x="{_LEFT - 5}" y="{_TOP + _HEIGHT}">0</text>',
        *_times(one, step),
        *(
            f'<rect class="over" x="{_LEFT + at * step:.1f}" y="{_TOP}" width="{step:.2f}" height="{_RIBBON_TOP + _RIBBON - _TOP}">'
            f"<title>{escape(title)}</title></rect>"
            for at, title in enumerate(one.titles)
        ),
    ]
    return f'<svg viewBox="0 0 {WIDTH} {_BOTTOM}" role="img">{"".join(drawn)}</svg>'


def strips(figures: Sequence[tuple[str, str, str]]) -> str:
    """Figures side by side: of each the heading and the words under the drawing as markup, and the drawing."""
    shown = "".join(
        f"<figure><h3>{head}</h3>{drawing}<figcaption>{words}</figcaption></figure>" for head, drawing, words in figures
    )
    return f'<div class="strips">{shown}</div>'


def _steps(values: Sequence[float | None], step: float, top: float, look: str, *, is_area: bool) -> str:
    """A value holds for its whole place."""
    parts, is_open = [], False
    for at, value in enumerate(values):
        if value is None:
            is_open = False
            continue
        x, y = _LEFT + at * step, _TOP + _HEIGHT * (1 - value / top)
        begin = f"M{x:.1f} {_TOP + _HEIGHT}L{x:.1f} {y:.1f}" if is_area else f"M{x:.1f} {y:.1f}"
        parts.append(f"{f'L{x:.1f} {y:.1f}' if is_open else begin}H{x + step:.1f}")
        is_open = True
    closed = f"V{_TOP + _HEIGHT}z" if is_area and parts else ""
    return f'<path class="{look}" d="{"".join(parts)}{closed}"/>'


def _ribbon(shares: Sequence[Share], step: float) -> list[str]:
    drawn, below = [], [0.0] * len(shares[0].parts)
    for share in shares:
        bars = [
            f"M{_LEFT + at * step:.1f} {_RIBBON_TOP + _RIBBON * (1 - low - part):.1f}h{max(step - 0.6, 0.6):.1f}v{_RIBBON * part:.1f}h-{max(step - 0.6, 0.6):.1f}z"
            for at, (low, part) in enumerate(zip(below, share.parts, strict=True))
            if part
        ]
        if bars:
            drawn.append(f'<path class="{share.look}" d="{"".join(bars)}"/>')
        below = [low + part for low, part in zip(below, share.parts, strict=True)]
    return drawn


def _times(one: Strip, step: float) -> list[str]:
    """Where the window begins and where it ends, which is enough to read the rest."""
    first, end = one.window
    places = [first] if (end - first) * step < 60 else [first, min(end, len(one.times) - 1)]
    return [
        f'<text x="{min(max(_LEFT + at * step, _LEFT + 16), WIDTH - 24):.1f}" y="{_TIMES_TOP}">{escape(one.times[at])}</text>'
        for at in places
    ]
