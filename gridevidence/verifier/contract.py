"""What a settlement contract computes of one point and of one book: as much of it as a bundle shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

TRADE_PRICE: Final = (
    "trade_price_micro_per_kwh"  # where the price of a line comes from that has the price of the clearing
)


class LineKind(NamedTuple):
    """A kind of line. ``sign``: +1 where the party owes energy x price, -1 where it is owed; ``price``: a key of the rules'
    prices, TRADE_PRICE, or None: the amount is a share of a sum, and the line has no price of its own.
    """

    name: str
    sign: int
    price: str | None


class Point(NamedTuple):
    """One point in one slot: Wh, and what it pays in nano; None where that is asked."""

    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int | None


class Slot(NamedTuple):
    """What all points of a slot rest on: the leaf of the run, and the prices of the rules."""

    run: Mapping[str, Any]
    prices: Mapping[str, int]

    def price_of(self, kind: LineKind) -> int | None:
        """The price of a kind of line, as the rules or the clearing give it; 0 where nothing was traded."""
        if kind.price is None:
            return None
        return int(self.run.get("price_micro_per_kwh", 0) if kind.price == TRADE_PRICE else self.prices[kind.price])

    def priced_line(self, kind: LineKind, energy_wh: int) -> PointLine:
        """The line of a kind that has a price."""
        price = self.price_of(kind) or 0
        return PointLine(energy_wh, price, kind.sign * energy_wh * price)


class PointLine(NamedTuple):
    """One kind of line of a point. ``amount_nano`` > 0: the party owes."""

    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int


class Cleared(NamedTuple):
    """What a gate comes to: volume, price (None where nothing is traded), and the fill of each order in rank order."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: list[int]


class Contract(NamedTuple):
    """The arithmetic of one contract version, each in a file of the folder ``contracts``.

    rules, run: shapes of its rules' leaf and its run's. line_kinds: a kind's number in a line row is its place. check_run: halts
    where a run cannot be one. lines_of_point: one line a kind, in the order of the kinds. check_point: halts where what a point
    bought, sold and pays cannot be so. alone_of_point: what its energy would have cost with the supplier alone. rationings:
    those that ``clear`` knows, none where the contract takes no orders. clear(orders, rules): orders = (side 0 buy or 1 sell,
    quantity in Wh, limit) in rank order. not_checked: what the lines rest on beyond the bundle.
    """

    contract_id: str
    rules: Mapping[str, Any]
    run: Mapping[str, Any]
    line_kinds: tuple[LineKind, ...]
    check_run: Callable[[Mapping[str, Any]], None]
    lines_of_point: Callable[[Point, Slot], list[PointLine]]
    check_point: Callable[[Point, Slot], None]
    alone_of_point: Callable[[Point, Slot], int]
    rationings: tuple[str, ...]
    clear: Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], Cleared]
    not_checked: tuple[str, ...]
