"""What a settlement contract computes of one point and of one book: as much of it as a bundle shows (docs/spec/contracts.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class LineKind(NamedTuple):
    """A kind of line. ``sign``: +1 where the party owes energy x price, -1 where it is owed."""

    name: str
    account: str
    sign: int
    price: str
    """Key of its price in the rules; TRADE_PRICE, or "" for a line without a price."""


TRADE_PRICE = "trade_price_micro_per_kwh"  # the clearing's price, in place of one of the rules


class PointLine(NamedTuple):
    """A line of a point: energy x price, signed; without a price the amount is the contract's own."""

    kind: LineKind
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    """Positive: the party owes."""


class Agreed(NamedTuple):
    """What one agreement of the point says of the slot. price: of a kWh, of a difference strike less reference; one of quantity and share is None."""

    is_seller: bool
    is_difference: bool
    price: int
    quantity_wh: int | None
    share_ppm: int | None


class Settled(NamedTuple):
    """What the lines of a point rest on. ``columns``, ``area``: the contract's columns by name, of the point and of its area.

    prices: of the point in the slot; area_prices: of its area, the same unless the point has rules of its own; terms: of the area.
    """

    import_wh: int
    export_wh: int
    columns: Mapping[str, int]
    area: Mapping[str, int]
    prices: Mapping[str, int]
    trade_price: int
    """0 where nothing was cleared."""
    area_prices: Mapping[str, int]
    terms: Mapping[str, Any]
    point: Mapping[str, Any]
    """What the registry says of the point."""
    agreements: Sequence[Agreed] = ()


def supplier_only_nano(of: Settled) -> int:
    """What the point would owe with the supplier alone."""
    import_keys = ("residual_price_micro_per_kwh", "network_residual_micro_per_kwh", "levy_micro_per_kwh")
    import_price = sum(of.prices[key] for key in import_keys)
    return of.import_wh * import_price - of.export_wh * of.prices["feed_in_price_micro_per_kwh"]


class Match(NamedTuple):
    """A trade of a gate: the ranks of both orders, its energy and price."""

    buy: int
    sell: int
    energy_wh: int
    price_micro_per_kwh: int
    fee_micro_per_kwh: int = 0
    """What the buyer pays beyond the price, for the way of each kWh."""


class Cleared(NamedTuple):
    """What a gate comes to: volume, price (None without one for all), the fill of each order in rank order, trades in their order."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: list[int]
    trades: Sequence[Match] = ()


class Contract(NamedTuple):
    """The arithmetic of one contract version, each in a file of the folder ``contracts``.

    terms: their shape in the rules. check_terms: halts where they have that shape and do not hold together. takes_prices: whether prices, each within its bound, may be so together. lines_of_point: one line a kind, in the order of the kinds. check_point: halts where a
    column that no sum of lines gives does not follow, or a price may not be. clear(orders, terms): orders = (side 0 buy or
    1 sell, quantity in Wh, limit) in rank order; None for a contract that takes no orders. trades_in_pairs: whether a gate comes to trades,
    each at a price of its own. ranks_by_arrival: whether orders rank as they came; each then has a fourth value, the rank before which it was withdrawn.
    """

    contract_id: str
    position_columns: tuple[str, ...]
    area_columns: tuple[str, ...]
    line_kinds: tuple[LineKind, ...]
    price_keys: tuple[str, ...]
    terms: Mapping[str, Any]
    takes_prices: Callable[[Mapping[str, int]], bool]
    lines_of_point: Callable[[Settled], list[PointLine]]
    check_point: Callable[[Settled], None]
    clear: Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], Cleared] | None
    not_checked: tuple[str, ...]
    """What its lines rest on beyond the bundle."""
    supplier_only: Callable[[Settled], int] = supplier_only_nano
    """What the energy that is billed would have cost with the supplier alone."""
    trades_in_pairs: bool = False
    has_buyers_price: bool = False
    """Whether a gate has a price for buyers beside its trades, which are at what sellers get."""
    takes_agreements: bool = False
    """Whether the point's agreements say what it traded; a bundle of another contract shows none."""
    ranks_by_arrival: bool = False
    order_terms: tuple[str, ...] = ()
    """What stands at the end of fill and book rows: of each order, behind the other values that ``clear`` is given."""
    check_terms: Callable[[Mapping[str, Any]], object] = lambda _: None
    has_grid_fees: bool = False
    """Whether trades have fees beyond their prices, which buyers pay: position column ``grid_fee_nano``."""


def priced_line(kind: LineKind, energy_wh: int, of: Settled) -> PointLine:
    """A line of energy x price."""
    price = of.trade_price if kind.price == TRADE_PRICE else of.prices[kind.price]
    return PointLine(kind, energy_wh, price, kind.sign * energy_wh * price)
