"""A day's energy as a drawing of streams: what entered an area's feeder, and where it went. Pure; Wh, exact until they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridweb.pages.day_figures import Balance

WIDTH, HEIGHT, NODE = 1_000, 400, 16
"""Of the drawing, and the width of a node, in its units."""
GAP: Final = 30
"""Between two nodes of a side; in the middle they lie against one another."""
MIDDLE: Final = WIDTH // 2


class Stream(NamedTuple):
    """``name``: of its colour; ``ppm``: of all that entered; ``path``: its outline; ``node_top``, ``node_height``: of its end at the side."""

    name: str
    energy_wh: int
    ppm: int
    path: str
    node_left: int
    node_top: int
    node_height: int


class Sankey(NamedTuple):
    """What entered and what left, the same in sum."""

    entered_wh: int
    sources: list[Stream]
    sinks: list[Stream]


def sankey_of(balance: Balance) -> Sankey | None:
    """The streams of the slots of which all is known; None without one, and where losses are below 0 and nothing adds up to a drawing."""
    known = (balance.feeder_import_wh, balance.export_wh, balance.import_wh, balance.feeder_export_wh, balance.loss_wh)
    if not balance.slots or None in known:
        return None
    grid_wh, fed_wh, taken_wh, out_wh, loss_wh = (value or 0 for value in known)
    entered_wh = grid_wh + fed_wh
    if entered_wh <= 0 or loss_wh < 0 or entered_wh != taken_wh + out_wh + loss_wh:
        return None
    sources = [("from-grid", grid_wh), ("fed-in", fed_wh)]
    sinks = [("taken", taken_wh), ("to-grid", out_wh), ("lost", loss_wh)]
    return Sankey(entered_wh, _side(sources, entered_wh, is_left=True), _side(sinks, entered_wh, is_left=False))


def _side(parts: Sequence[tuple[str, int]], whole_wh: int, *, is_left: bool) -> list[Stream]:
    """Streams of one side, from above: nodes apart at the side, one beneath the other in the middle."""
    shown = [(name, energy_wh) for name, energy_wh in parts if energy_wh]
    room = HEIGHT - GAP * 2
    found, so_far_wh = [], 0
    for place, (name, energy_wh) in enumerate(shown):
        top = GAP + room * so_far_wh // whole_wh
        so_far_wh += energy_wh
        bottom = GAP + room * so_far_wh // whole_wh
        shift = GAP * (2 * place - len(shown) + 1) // 2
        node_left = 0 if is_left else WIDTH - NODE
        side_x = NODE if is_left else WIDTH - NODE
        path = _ribbon(side_x, top + shift, bottom + shift, top, bottom)
        ppm = 1_000_000 * energy_wh // whole_wh
        found.append(Stream(name, energy_wh, ppm, path, node_left, top + shift, max(bottom - top, 1)))
    return found


def _ribbon(side_x: int, side_top: int, side_bottom: int, top: int, bottom: int) -> str:
    """The outline of a stream between a node and the middle."""
    bend = (side_x + MIDDLE) // 2
    there = f"M{side_x} {side_top} C{bend} {side_top} {bend} {top} {MIDDLE} {top}"
    return f"{there} L{MIDDLE} {bottom} C{bend} {bottom} {bend} {side_bottom} {side_x} {side_bottom} Z"
