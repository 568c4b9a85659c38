"""Where a household's energy came from and went to, as shares and bars; and what is usual at this time of its day. Pure; Wh and nano, exact
until they are drawn.

What a house uses of its own sun behind the meter is measured by nobody: flows are what passes the meter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridweb.bill import Curve, Interval, Totals, totals_of

PPM: Final = 1_000_000
PLOT_UNITS: Final = 1_000
"""The height of a chart of bars and the width of a bar of shares, in the units of its drawing."""


class Share(NamedTuple):
    """A part of a bar of shares. ``name``: of its colour; ``start``, ``width``: of PLOT_UNITS; ``ppm``: of the whole."""

    name: str
    energy_wh: int
    ppm: int
    start: int
    width: int


def shares(parts: Sequence[tuple[str, int]]) -> list[Share]:
    """Parts (name, Wh) of a whole side by side, each from where the one before ends; none where the whole is 0."""
    whole, found, so_far_wh = sum(energy_wh for _, energy_wh in parts), [], 0
    for name, energy_wh in parts if whole else ():
        start = PLOT_UNITS * so_far_wh // whole
        so_far_wh += energy_wh
        found.append(Share(name, energy_wh, PPM * energy_wh // whole, start, PLOT_UNITS * so_far_wh // whole - start))
    return found


class Flows(NamedTuple):
    """What passed the meter, Wh: taken from neighbours and from the supplier, fed in to neighbours and to the supplier."""

    from_neighbours_wh: int
    from_supplier_wh: int
    to_neighbours_wh: int
    to_supplier_wh: int

    @property
    def taken_wh(self) -> int:
        """All that was taken."""
        return self.from_neighbours_wh + self.from_supplier_wh

    @property
    def fed_wh(self) -> int:
        """All that was fed in."""
        return self.to_neighbours_wh + self.to_supplier_wh

    @property
    def taken(self) -> list[Share]:
        """Where it came from."""
        return shares([("from-neighbours", self.from_neighbours_wh), ("from-supplier", self.from_supplier_wh)])

    @property
    def fed(self) -> list[Share]:
        """Where it went."""
        return shares([("to-neighbours", self.to_neighbours_wh), ("to-supplier", self.to_supplier_wh)])


def flows_of(import_wh: int, export_wh: int, bought_wh: int, sold_wh: int) -> Flows:
    """The flows of a slot: what was traded counts as far as it was taken and fed in."""
    bought, sold = min(bought_wh, import_wh), min(sold_wh, export_wh)
    return Flows(bought, import_wh - bought, sold, export_wh - sold)


def flows_of_slots(slots: Iterable[Interval]) -> Flows:
    """The flows of those slots that are settled: what one bought too much is not set off against what another took too much."""
    settled = [slot[1:5] for slot in slots if slot.is_settled]
    found = [flows_of(*(value or 0 for value in values)) for values in settled]
    return Flows(*(sum(column) for column in zip(*found, strict=True))) if found else Flows(0, 0, 0, 0)


def flows_of_curve(curve: Curve) -> Flows:
    """The same of a curve: slot by slot, so that they are what was really shared."""
    taken_wh, fed_wh = sum(curve.import_wh), sum(curve.export_wh)
    bought_wh, sold_wh = (
        sum(map(min, traded, metered))
        for traded, metered in ((curve.bought_wh, curve.import_wh), (curve.sold_wh, curve.export_wh))
    )
    return Flows(bought_wh, taken_wh - bought_wh, sold_wh, fed_wh - sold_wh)


# ------------------------------------------------------------------------------------------------------------------- bars


class Span(NamedTuple):
    """An hour, a day or a month: its whole name, and a short label. ``flows``: None where nothing of it is known, which is a gap; ``is_partial``: not all of its slots are settled."""

    name: str
    label: str
    href: str
    flows: Flows | None
    pays_nano: int | None = None
    is_partial: bool = False


class Piece(NamedTuple):
    """A rectangle of a bar, in PLOT_UNITS from above. ``name``: of its colour."""

    name: str
    top: int
    height: int


class Bar(NamedTuple):
    """A span with what is drawn of it: taken upwards from the line of zero, fed in downwards."""

    span: Span
    pieces: list[Piece]


class Bars(NamedTuple):
    """A chart of bars. ``zero``: where its line of zero lies, in PLOT_UNITS from above; ``most_wh``: of what its highest bar is."""

    bars: list[Bar]
    zero: int
    most_wh: int


def bars_of(spans: Sequence[Span]) -> Bars:
    """All spans by one scale."""
    known = [span.flows for span in spans if span.flows is not None]
    up_wh = max((flows.taken_wh for flows in known), default=0)
    down_wh = max((flows.fed_wh for flows in known), default=0)
    scale_wh = max(up_wh + down_wh, 1)
    zero = PLOT_UNITS * up_wh // scale_wh
    return Bars([Bar(span, _pieces(span.flows, zero, scale_wh)) for span in spans], zero, max(up_wh, down_wh))


def _pieces(flows: Flows | None, zero: int, scale_wh: int) -> list[Piece]:
    if flows is None:
        return []
    tall = [PLOT_UNITS * energy_wh // scale_wh for energy_wh in flows]
    pieces = [
        Piece("from-neighbours", zero - tall[0], tall[0]),
        Piece("from-supplier", zero - tall[0] - tall[1], tall[1]),
        Piece("to-neighbours", zero, tall[2]),
        Piece("to-supplier", zero + tall[2], tall[3]),
    ]
    return [piece for piece in pieces if piece.height]


# ------------------------------------------------------------------------------------------------------------------ usual


@dataclass(frozen=True)
class Usual:
    """A day so far, and the mean of earlier days up to the same slot. ``until_s``: where that slot ends, UTC seconds; ``days``: how many."""

    until_s: int
    days: int
    today: Totals
    mean: Totals


def usual_of(day: Sequence[Interval], earlier: Sequence[Sequence[Interval]], slot_s: int) -> Usual | None:
    """What is usual up to the last slot that is settled without a gap; None without one, and without an earlier day that has as many."""
    count = next((place for place, interval in enumerate(day) if not interval.is_settled), len(day))
    whole = [one[:count] for one in earlier if len(one) >= count and all(slot.is_settled for slot in one[:count])]
    if not count or not whole:
        return None
    sums = [totals_of(one, count) for one in whole]
    return Usual(day[count - 1].start_s + slot_s, len(whole), totals_of(day[:count], count), _mean(sums))


def _mean(sums: Sequence[Totals]) -> Totals:
    """Field by field, rounded half up."""
    count = len(sums)
    names = ("expected", "settled", "import_wh", "export_wh", "bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
    return Totals(*((2 * sum(getattr(one, name) for one in sums) + count) // (2 * count) for name in names))
