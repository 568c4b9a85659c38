"""What a settlement contract computes of one point and of one book: as much of it as a bundle shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class PointLine(NamedTuple):
    """One kind of line of a point. ``sign``: +1 where the party owes energy x price, -1 where it is owed."""

    energy_wh: int
    price_micro_per_kwh: int
    sign: int

    @property
    def amount_nano(self) -> int:
        """Positive: the party owes."""
        return self.sign * self.energy_wh * self.price_micro_per_kwh


class Cleared(NamedTuple):
    """What a gate comes to: volume, price (None where nothing is traded), and the fill of each order in rank order."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: list[int]


class Contract(NamedTuple):
    """The arithmetic of one contract version, each in a file of the folder ``contracts``.

    rules: shape of its rules' leaf. line_kinds: a kind's number in a line row is its place. rationings: those that ``clear``
    knows. lines_of_point(taken, prices, trade price): one line a kind, in the order of the kinds; taken = (import, export,
    bought, sold) in Wh of one point in one slot; trade price: 0 where nothing was traded. clear(orders, rules): orders =
    (side 0 buy or 1 sell, quantity in Wh, limit) in rank order.
    """

    contract_id: str
    rules: Mapping[str, Any]
    line_kinds: tuple[str, ...]
    rationings: tuple[str, ...]
    lines_of_point: Callable[[Sequence[int], Mapping[str, int], int], list[PointLine]]
    clear: Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], Cleared]
