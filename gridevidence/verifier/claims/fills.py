"""What an order got: at the price of the gate, or in trades that have prices of their own."""

from __future__ import annotations

from typing import NamedTuple

from gridevidence.layout import (
    ALL_OR_NONE,
    FEE_FILL_ROW,
    FEE_TRADE_ROW,
    FILL_ROW,
    PAIRED_FILL_ROW,
    TIMED_FILL_ROW,
    TRADE_ROW,
    WANTED_FILL_ROW,
)
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.bundle import Order
from gridevidence.verifier.examination import ClearedArea


class Wants(NamedTuple):
    """What is asked of an order under ``conditional_bid/1``: see WANTED_TERMS."""

    bid: int
    choice: int
    energy_kinds: int
    seller: int


class Fill(NamedTuple):
    """A row of the clearing: what an order got, and what its trades come to, None where a gate has one price for all; wants: under a contract
    that asks for it.
    """

    party: int
    counter: int
    side: int  # and ALL_OR_NONE, where it is
    quantity_wh: int
    limit: int
    filled_wh: int
    amount_nano: int | None = None
    wants: Wants | None = None
    fee_nano: int | None = None
    """What is paid beyond the amount for the way of what was bought, under a contract with such fees."""
    place: int = 0
    arrival: int | None = None
    """When the order came, under a contract that asks for it: its place among those of its area, from 0."""

    @property
    def sells(self) -> bool:
        """Whether the order sells."""
        return self.side % ALL_OR_NONE == 1

    @property
    def asked(self) -> tuple[int, ...]:
        """What the contract asks of the order, as the book says it."""
        placed = () if self.fee_nano is None else (self.place,)
        return self.wants or placed or (() if self.arrival is None else (self.arrival,))

    @property
    def is_whole(self) -> bool:
        """Whether it may be: an order that is all or none got all."""
        return self.side < ALL_OR_NONE or self.filled_wh == self.quantity_wh


class TradeRow(NamedTuple):
    """A row of the clearing: a trade between two orders."""

    buyer: int
    buy_counter: int
    seller: int
    sell_counter: int
    energy_wh: int
    price: int
    fee: int = 0
    """What the buyer pays beyond the price."""


def trade_of(row: bytes) -> TradeRow:
    """A trade, from a row of either layout."""
    return TradeRow(*(TRADE_ROW if len(row) == TRADE_ROW.size else FEE_TRADE_ROW).unpack(row))


def fill_of(row: bytes) -> Fill:
    """A fill, from a row of any layout."""
    if len(row) == WANTED_FILL_ROW.size:
        values = WANTED_FILL_ROW.unpack(row)
        return Fill(*values[:7])._replace(wants=Wants(*values[7:]))
    if len(row) == FEE_FILL_ROW.size:
        placed = FEE_FILL_ROW.unpack(row)
        return Fill(*placed[:7])._replace(fee_nano=placed[7], place=placed[8])
    if len(row) == TIMED_FILL_ROW.size:
        timed = TIMED_FILL_ROW.unpack(row)
        return Fill(*timed[:6])._replace(arrival=timed[6])
    return Fill(*(FILL_ROW if len(row) == FILL_ROW.size else PAIRED_FILL_ROW).unpack(row))


def hold_price(price: int, fill: Fill, what: str) -> None:
    """Hold that a price is within the limit of a fill's order."""
    is_within = price >= fill.limit if fill.sells else price <= fill.limit
    hold(is_within, f"{what} was filled beyond its limit")


def hold_amount(row: ClearedArea, order: Order, fill: Fill) -> None:
    """Hold that a fill comes to no worse than its limit; and where its trades are shown, that they are the clearing's, the order's
    own, each within its limit, and give the fill's energy and amount.
    """
    what, amount_nano, fee_nano = order.order.what, fill.amount_nano or 0, fill.fee_nano or 0
    hold(fee_nano >= 0 and (fee_nano == 0 or fill.side == 0), f"{what} has fees that no buyer has")
    hold(fill.side < ALL_OR_NONE, f"{what} is all or none, and the contract trades in pairs")
    worst_nano = fill.limit * fill.filled_wh
    is_within = amount_nano + fee_nano <= worst_nano if fill.side == 0 else amount_nano >= worst_nano
    hold(is_within, f"{what} was filled beyond its limit")
    if not order.trades:
        return
    has_fees = fill.fee_nano is not None
    is_row = all((len(one.row) == FEE_TRADE_ROW.size) == has_fees for one in order.trades)
    hold(is_row, f"a trade shown with {what} is another contract's")
    trades = [trade_of(one.row) for one in order.trades]
    hold(all(one.root == row.trades_root for one in order.trades), f"a trade of {what} is not a row of the clearing")
    own = (fill.party, fill.counter)
    hold(
        all((trade[:2], trade[2:4])[fill.side] == own for trade in trades),
        f"a trade shown with {what} is another order's",
    )
    partners = [(trade[2:4], trade[:2])[fill.side] for trade in trades]
    hold(len(set(partners)) == len(partners), f"{what} trades twice with one order")
    hold(min(trade.energy_wh for trade in trades) > 0, f"a trade of {what} is of no energy")
    for trade in trades:
        hold(trade.fee >= 0, f"a trade of {what} has a negative fee")
        hold_price(trade.price if fill.sells else trade.price + trade.fee, fill, what)
    if has_fees and not fill.sells:
        same(f"the fees of the trades of {what}", sum(trade.energy_wh * trade.fee for trade in trades), fee_nano)
    same(f"the energy of the trades of {what}", sum(trade.energy_wh for trade in trades), fill.filled_wh)
    same(f"what the trades of {what} come to", sum(trade.energy_wh * trade.price for trade in trades), amount_nano)
