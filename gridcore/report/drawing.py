"""Charts as inline SVG: numbers over time, cells of a grid of times and things, and flows between sides.

A drawing is 960 wide and says its numbers in titles, which a browser shows under the pointer. Colours are classes of ``report.css``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

from gridcore.report.markup import Text, say

WIDTH: Final = 960
_LEFT: Final = 64
_TOP: Final = 12
_PLOT: Final = WIDTH - _LEFT
_TICKS: Final = 4
_TIMES_SHOWN: Final = 9
_NAME_LETTERS_MAX: Final = 9
_LETTER_WIDTH: Final = 7
"""Of a name's letters, on average at most."""
_FLOW_GAP: Final = 10
_FLOW_HEIGHT: Final = 260
_FLOW_BAR: Final = 14
_LABEL_LINES: Final = 15
"""Height of a text line."""
Format = Callable[[float], str]


class Series(NamedTuple):
    """Numbers over time, None where there is none. look: a class of ``report.css``."""

    name: Text
    look: str
    values: Sequence[float | None]


class Flow(NamedTuple):
    """An amount from a thing on the left to one on the right, both named."""

    source: Text
    target: Text
    amount: float
    look: str


class Limit(NamedTuple):
    """A value that is drawn as a dashed line."""

    name: Text
    value: float


class Scale(NamedTuple):
    """From values to places: ``low`` stands at ``bottom``."""

    low: float
    high: float
    height: float

    @property
    def bottom(self) -> float:
        """The place of the lowest value."""
        return _TOP + self.height

    def at(self, value: float) -> float:
        """The place of a value."""
        return self.bottom - (value - self.low) / (self.high - self.low) * self.height


def chart(
    times: Sequence[str],
    stacked: Sequence[Series],
    lines: Sequence[Series],
    show: Format,
    *,
    limits: Sequence[Limit] = (),
    from_zero: bool = True,
    height: int = 200,
) -> str:
    """Areas on top of each other and lines over them. times: what each place on the axis is called."""
    count = len(times)
    tops = [sum(one.values[at] or 0 for one in stacked) for at in range(count)]
    seen = [*(tops if stacked else []), *(limit.value for limit in limits)]
    seen += [value for one in lines for value in one.values if value is not None]
    ticks = _ticks([*seen, 0.0] if from_zero else seen)
    scale = Scale(ticks[0], ticks[-1], height)
    below = [0.0] * count
    drawn = [_grid(ticks, scale, show)]
    for one in stacked:
        above = [low + (value or 0) for low, value in zip(below, one.values, strict=True)]
        drawn.append(_area(below, above, scale, one.look))
        below = above
    drawn += [_line(one, scale) for one in lines]
    drawn += [_limit(limit, scale) for limit in limits]
    drawn.append(_pointer(times, [*stacked, *lines], scale, show))
    return _svg(scale.bottom + 24, [*drawn, _times(times, scale.bottom + 16)]) + legend(
        [(one.look, one.name) for one in [*stacked, *lines]]
    )


def cells(times: Sequence[str], rows: Sequence[str], looks: Sequence[Sequence[str]], titles: Sequence[str]) -> str:
    """A row for each thing, a cell for each time; ``looks`` [rows][times]: a class, "" for none. titles: what each row's pointer says."""
    height = max(4, min(16, 520 // max(1, len(rows))))
    step = _PLOT / max(1, len(times))
    paths: dict[str, list[str]] = {}
    for row, of_row in enumerate(looks):
        first = 0
        for at in range(1, len(of_row) + 1):
            if at == len(of_row) or of_row[at] != of_row[first]:
                if of_row[first]:
                    x, width = _LEFT + first * step, (at - first) * step
                    paths.setdefault(of_row[first], []).append(
                        f"M{x:.1f} {_TOP + row * height}h{width:.1f}v{height - 1}h-{width:.1f}z"
                    )
                first = at
    drawn = [f'<path class="{look}" d="{"".join(parts)}"/>' for look, parts in sorted(paths.items())]
    every = ceil(11 / height)
    drawn += [
        f'<text class="name" x="{_LEFT - 4}" y="{_TOP + row * height + height / 2 + 4:.1f}">{escape(_short(name))}</text>'
        for row, name in enumerate(rows)
        if row % every == 0
    ]
    drawn += [
        f'<rect class="over" x="0" y="{_TOP + row * height}" width="{WIDTH}" height="{height}"><title>{escape(title)}</title></rect>'
        for row, title in enumerate(titles)
    ]
    bottom = _TOP + len(rows) * height
    return _svg(bottom + 24, [*drawn, _times(times, bottom + 16)])


def _short(name: str) -> str:
    """A name that has room beside a row or below a bar; the pointer says all of it."""
    return name if len(name) <= _NAME_LETTERS_MAX else f"{name[: _NAME_LETTERS_MAX - 1]}…"


def flows(links: Sequence[Flow], show: Format) -> str:
    """Bands from the left to the right, as wide as their amounts, largest first."""
    links = sorted((link for link in links if link.amount > 0), key=lambda link: -link.amount)
    total = sum(link.amount for link in links) or 1.0
    scale = _FLOW_HEIGHT / total
    sides = [_places([(link.source, link.amount) for link in links], scale)]
    sides.append(_places([(link.target, link.amount) for link in links], scale))
    used = [dict.fromkeys(side, 0.0) for side in sides]
    left, right = _LEFT + 150, WIDTH - 210
    drawn = []
    for link in links:
        width = link.amount * scale
        y = [side[name][0] + of[name] for side, of, name in zip(sides, used, (link.source, link.target), strict=True)]
        used[0][link.source] += width
        used[1][link.target] += width
        x0, x1, middle = left + _FLOW_BAR, right, (left + right) / 2
        drawn.append(
            f'<path class="{link.look} band" d="M{x0} {y[0]:.1f}C{middle} {y[0]:.1f} {middle} {y[1]:.1f} {x1} {y[1]:.1f}v{width:.1f}'
            f'C{middle} {y[1] + width:.1f} {middle} {y[0] + width:.1f} {x0} {y[0] + width:.1f}z">'
            f"<title>{escape(link.source.en)} → {escape(link.target.en)}: {escape(show(link.amount))}</title></path>"
        )
    for side, x, anchor, at in ((sides[0], left, "end", left - 8), (sides[1], right, "start", right + _FLOW_BAR + 8)):
        for name, (y0, amount) in side.items():
            size = amount * scale
            drawn.append(f'<rect class="node" x="{x}" y="{y0:.1f}" width="{_FLOW_BAR}" height="{max(size, 1):.1f}"/>')
            drawn.append(_label(name, show(amount), at, y0 + size / 2, anchor))
    bottom = max(max((y0 + amount * scale for y0, amount in side.values()), default=0.0) for side in sides)
    return _svg(max(bottom, _FLOW_HEIGHT) + 16, drawn)


def columns(names: Sequence[str], values: Sequence[float], show: Format) -> str:
    """A bar for each thing, in their order, up or down from zero; below it its name, where all names have room."""
    ticks = _ticks([*values, 0.0])
    scale = Scale(ticks[0], ticks[-1], 160)
    step = _PLOT / max(1, len(values))
    zero = scale.at(0)
    shorts = [_short(name) for name in names]
    is_named = max(map(len, shorts), default=0) * _LETTER_WIDTH <= step
    drawn = [_grid(ticks, scale, show)]
    for at, (name, value) in enumerate(zip(names, values, strict=True)):
        y = scale.at(value)
        look = "gain" if value >= 0 else "pain"
        drawn.append(
            f'<rect class="{look}" x="{_LEFT + at * step + step * 0.1:.1f}" y="{min(y, zero):.1f}" width="{step * 0.8:.2f}" '
            f'height="{max(abs(y - zero), 0.5):.1f}"><title>{escape(name)}: {escape(show(value))}</title></rect>'
        )
        if is_named:
            drawn.append(
                f'<text x="{_LEFT + (at + 0.5) * step:.1f}" y="{scale.bottom + 16}">{escape(shorts[at])}</text>'
            )
    return _svg(scale.bottom + (24 if is_named else 10), drawn)


def legend(items: Sequence[tuple[str, Text]]) -> str:
    """What colours mean."""
    shown = "".join(f'<span class="item"><i class="key {look}"></i>{say(name)}</span>' for look, name in items)
    return f'<p class="soft keys">{shown}</p>'


def _svg(height: float, drawn: Sequence[str]) -> str:
    """A drawing that scrolls in a narrow window, where its words would be too small to read."""
    return f'<div class="wide"><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img">{"".join(drawn)}</svg></div>'


def _ticks(values: Sequence[float]) -> list[float]:
    """Round values around all of some, three to six."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [step * number for number in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1)]


def _grid(ticks: Sequence[float], scale: Scale, show: Format) -> str:
    return "".join(
        f'<line x1="{_LEFT}" x2="{WIDTH}" y1="{scale.at(tick):.1f}" y2="{scale.at(tick):.1f}"/>'
        f'<text class="name" x="{_LEFT - 6}" y="{scale.at(tick) + 4:.1f}">{escape(show(tick))}</text>'
        for tick in ticks
    )


def _x(at: float, count: int) -> float:
    return _LEFT + at * _PLOT / max(1, count)


def _area(below: Sequence[float], above: Sequence[float], scale: Scale, look: str) -> str:
    """Steps: a value holds for its whole slot."""
    count = len(above)
    up = "".join(
        f"L{_x(at, count):.1f} {scale.at(value):.1f}H{_x(at + 1, count):.1f}" for at, value in enumerate(above)
    )
    down = "".join(
        f"L{_x(at + 1, count):.1f} {scale.at(below[at]):.1f}H{_x(at, count):.1f}" for at in range(count - 1, -1, -1)
    )
    return f'<path class="{look}" d="M{_LEFT} {scale.at(below[0]) if count else scale.bottom:.1f}{up}{down}z"/>'


def _line(one: Series, scale: Scale) -> str:
    count, parts, is_open = len(one.values), [], False
    for at, value in enumerate(one.values):
        if value is None:
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{_x(at, count):.1f} {scale.at(value):.1f}H{_x(at + 1, count):.1f}")
        is_open = True
    return f'<path class="stroke {one.look}" d="{"".join(parts)}"/>'


def _limit(limit: Limit, scale: Scale) -> str:
    y = scale.at(limit.value)
    line = f'<line class="limit" x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _both(limit.name, f'class="name" x="{WIDTH - 4}" y="{y - 4:.1f}"')


def _both(name: Text, attributes: str, more: str = "") -> str:
    """A text in both languages, of which the page shows one."""
    return "".join(
        f'<text {attributes} lang="{lang}">{escape(words)}{more}</text>'
        for lang, words in (("en", name.en), ("zh", name.zh))
    )


def _pointer(times: Sequence[str], series: Sequence[Series], scale: Scale, show: Format) -> str:
    """What the pointer says at each time."""
    step = _PLOT / max(1, len(times))
    shown = []
    for at, time in enumerate(times):
        values = [(one.name.en, one.values[at]) for one in series]
        words = "\n".join([time, *(f"{name}: {show(value)}" for name, value in values if value is not None)])
        shown.append(
            f'<rect class="over" x="{_LEFT + at * step:.1f}" y="{_TOP}" width="{step:.2f}" height="{scale.height}"><title>{escape(words)}</title></rect>'
        )
    return "".join(shown)


def _times(times: Sequence[str], y: float) -> str:
    every = max(1, ceil(len(times) / _TIMES_SHOWN / 4) * 4) if len(times) > _TIMES_SHOWN else 1
    return "".join(
        f'<text x="{_x(at, len(times)):.1f}" y="{y:.0f}">{escape(time)}</text>'
        for at, time in enumerate(times)
        if at % every == 0
    )


def _places(ends: Sequence[tuple[Text, float]], scale: float) -> dict[Text, tuple[float, float]]:
    """Of each thing where it begins, and its amount; the largest first, apart from each other."""
    sums: dict[Text, float] = {}
    for name, amount in ends:
        sums[name] = sums.get(name, 0.0) + amount
    found, y = {}, float(_TOP)
    for name, amount in sorted(sums.items(), key=lambda item: -item[1]):
        found[name] = (y, amount)
        y += max(amount * scale, 2 * _LABEL_LINES) + _FLOW_GAP
    return found


def _label(name: Text, amount: str, x: float, y: float, anchor: str) -> str:
    more = f'<tspan class="strong" x="{x}" dy="{_LABEL_LINES}">{escape(amount)}</tspan>'
    return _both(name, f'class="{anchor}" x="{x}" y="{max(y, _LABEL_LINES):.1f}"', more)
