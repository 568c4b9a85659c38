"""What the ledger keeps of the gates of slots: orders while they stand, and what clearing made of them, area by area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gridcore.errors import broken
from gridcore.registry.point import word_of_kinds
from gridcore.rows import PackedRows
from ledger.leaves.book import SIDES, Wants, load_all_orders, load_orders
from ledger.leaves.cleared import CLEARED, ClearedLeaf, load_cleared
from ledger.leaves.clearing import CLEARING, ClearingLeaf
from ledger.leaves.columns import Digests, Int64, split_row
from ledger.leaves.family import Leaves
from ledger.leaves.fills import FillsLeaf, load_fills
from ledger.leaves.progress import PROGRESS
from ledger.leaves.trades import TradesLeaf, load_trades
from ledger.registry.areas import Area
from ledger.registry.zones import Zone
from ledger.state.clear import area_seed, book_rows, fill_rows
from ledger.state.ranks import by_order_id, order_id, order_keys
from ledger.state.trades import trade_rows
from ledger.store.reader import LedgerReader

_SIDE_NAMES = {side: name for name, side in SIDES.items()}


class ShownOrder(NamedTuple):
    """One order as queries show it; all_or_none: it is filled as a whole or not at all; filled_wh: None until the gate has
    cleared; amount_nano: what its trades come to, None until then and under a contract with one price for all. Of a condition of a bid: choice: its
    place among them, from 1, and energy_kind and seller (a party) where it names them; None of any other order.
    """

    order: str
    party: str
    all_or_none: bool
    side: str
    quantity_wh: int
    price_micro_per_kwh: int
    filled_wh: int | None
    amount_nano: int | None
    choice: int | None = None
    energy_kind: str | None = None
    seller: str | None = None


class AreaGate(NamedTuple):
    """What a cleared gate came to in one area. price_micro_per_kwh: None without one price for all; rules: entry digest of its rules.

    trades, trades_root: None under a contract with one price for all.
    """

    orders: int
    volume_wh: int
    price_micro_per_kwh: int | None
    rules: bytes
    book_root: bytes
    fills_root: bytes
    trades: int | None
    trades_root: bytes | None


@dataclass(frozen=True)
class GateOrders:
    """The orders of one area in a cleared gate, by rank; seed: from which the salts of their rows follow; ids: of transactions.

    trades: between these orders, which they name by their places in ``fills``; none under a contract with one price for all.
    """

    fills: FillsLeaf
    seed: bytes
    ids: Digests
    trades: TradesLeaf

    @property
    def fill_rows(self) -> PackedRows:
        """The rows of the area's fills root."""
        return fill_rows(self.fills)

    @property
    def book_rows(self) -> PackedRows:
        """The rows of the area's book root."""
        return book_rows(self.fills)

    @property
    def trade_rows(self) -> PackedRows:
        """The rows of the area's trades root."""
        return trade_rows(self.trades, self.fills)


def load_gate(leaves: Leaves, leaf: ClearingLeaf, number: int) -> AreaGate | None:
    """What a cleared gate came to in the area of this number; None for one that is newer."""
    if number >= leaf.areas:
        return None
    chunk, at = split_row(number)
    cleared = CLEARED.must(leaves, leaf.slot_start_s, leaf.zone, chunk)
    has_price = bool(cleared.has_price[at])
    return AreaGate(
        orders=int(cleared.orders[at]),
        volume_wh=int(cleared.volume_wh[at]),
        price_micro_per_kwh=int(cleared.price_micro_per_kwh[at]) if has_price else None,
        rules=cleared.rules[at].tobytes(),
        book_root=cleared.book_roots[at].tobytes(),
        fills_root=cleared.fills_roots[at].tobytes(),
        trades=None if cleared.trades is None else int(cleared.trades[at]),
        trades_root=None if cleared.trades_roots is None else cleared.trades_roots[at].tobytes(),
    )


def is_closed(reader: LedgerReader, zone: Zone, slot_start_s: int) -> bool:
    """Whether the gate of a slot has closed, and its orders, if it had any, are cleared."""
    first_s, closes_s = zone.timeline.first_slot_start_s, slot_start_s - zone.timeline.gate_before_start_s
    has_passed = slot_start_s >= first_s and reader.ledger_time_s >= closes_s
    return has_passed and slot_start_s not in PROGRESS.must(reader, zone.name).books


def load_areas(leaves: Leaves, zone: Zone, slot_start_s: int) -> ClearedLeaf:
    """What a cleared gate came to in every area that its zone had then."""
    areas = CLEARING.must(leaves, slot_start_s, zone.name).areas
    cleared = load_cleared(leaves, slot_start_s, zone.name, areas)
    return cleared if cleared is not None else broken(f"slot {slot_start_s} of zone {zone.name} was cleared")


def load_gate_orders(reader: LedgerReader, zone: Zone, slot_start_s: int, number: int) -> GateOrders:
    """The orders of the area of this number in a cleared gate."""
    cleared = load_areas(reader, zone, slot_start_s)
    fills = load_fills(reader, slot_start_s, zone.name, int(cleared.orders.sum()))
    first, end = np.searchsorted(fills.area, [number, number + 1]).tolist()
    fills, book = fills.take(slice(first, end)), load_all_orders(reader, slot_start_s, zone.name)
    keys = order_keys(book.party, book.counter)
    by_key = np.argsort(keys, kind="stable")
    own = book.take(by_key[np.searchsorted(keys[by_key], order_keys(fills.party, fills.counter))])
    seed = area_seed(number, slot_start_s, zone.name, own.seeds)
    trades = load_trades(reader, slot_start_s, zone.name, 0 if cleared.trades is None else int(cleared.trades.sum()))
    trades = trades.take(slice(*np.searchsorted(trades.area, [number, number + 1]).tolist()))
    trades = trades._replace(buy=trades.buy - first, sell=trades.sell - first)
    return GateOrders(fills, seed, own.ids, trades)


@dataclass(frozen=True)
class ShownOrders:
    """Orders of an area in a slot as columns int64[n], ascending by the bytes of their ids, for queries that show some. names: of parties, by number;
    wants: as of a book; filled_wh, amount_nano: None where all of them have none (``ShownOrder``).
    """

    slot_start_s: int
    names: Sequence[str]
    party: Int64
    counter: Int64
    all_or_none: Int64
    side: Int64
    quantity_wh: Int64
    price_micro_per_kwh: Int64
    wants: Int64
    filled_wh: Int64 | None = None
    amount_nano: Int64 | None = None

    def __len__(self) -> int:
        return len(self.party)

    def take(self, rows: Int64 | slice) -> ShownOrders:
        """Some of them."""
        columns: dict[str, Any] = {
            name: column[rows] for name, column in vars(self).items() if isinstance(column, np.ndarray)
        }
        return replace(self, **columns)

    def each(self) -> list[ShownOrder]:
        """As queries show them."""
        nothing = [None] * len(self)
        filled_wh = nothing if self.filled_wh is None else self.filled_wh.tolist()
        amount_nano = nothing if self.amount_nano is None else self.amount_nano.tolist()
        columns = (self.party, self.counter, self.all_or_none, self.side, self.quantity_wh, self.price_micro_per_kwh)
        return [
            ShownOrder(
                order=order_id(self.names[party], self.slot_start_s, counter),
                party=self.names[party],
                all_or_none=bool(all_or_none),
                side=_SIDE_NAMES[side],
                quantity_wh=quantity_wh,
                price_micro_per_kwh=price,
                filled_wh=filled,
                amount_nano=amount,
                **asked,
            )
            for party, counter, all_or_none, side, quantity_wh, price, filled, amount, asked in zip(
                *(column.tolist() for column in columns),
                filled_wh,
                amount_nano,
                said_of_wants(self.names, self.wants),
                strict=True,
            )
        ]


def load_shown_orders(reader: LedgerReader, area: Area, slot_start_s: int) -> ShownOrders:
    """All orders of an area in a slot."""
    registry, zone = reader.registry, area.zone
    if CLEARING.load(reader, slot_start_s, zone.name) is not None:
        orders = int(load_areas(reader, zone, slot_start_s).orders.sum())
        fills = load_fills(reader, slot_start_s, zone.name, orders)
        first, end = np.searchsorted(fills.area, [area.number, area.number + 1]).tolist()
        fills = fills.take(slice(first, end))
        columns = (
            fills.party,
            fills.counter,
            fills.all_or_none,
            fills.side,
            fills.quantity_wh,
            fills.price_micro_per_kwh,
            _wants_of(reader, zone, slot_start_s, fills),
        )
        shown = ShownOrders(slot_start_s, registry.parties, *columns, fills.filled_wh, fills.amount_nano)
    else:
        book = load_orders(reader, slot_start_s, zone.name)
        book = book.take(np.flatnonzero(book.area == area.number))
        columns = (
            book.party,
            book.counter,
            book.all_or_none,
            book.side,
            book.quantity_wh,
            book.price_micro_per_kwh,
            book.wants,
        )
        shown = ShownOrders(slot_start_s, registry.parties, *columns)
    return shown.take(by_order_id(registry, np.zeros_like(shown.party), shown.party, shown.counter))


def _wants_of(reader: LedgerReader, zone: Zone, slot_start_s: int, fills: FillsLeaf) -> Int64:
    """int64[n]: what filled orders ask for, as the book has it: fills number sellers anew. The book is read under a contract that takes conditions alone."""
    if "choice" not in fills.order_terms:
        return np.zeros_like(fills.party)
    book = load_all_orders(reader, slot_start_s, zone.name)
    keys = order_keys(book.party, book.counter)
    by_key = np.argsort(keys, kind="stable")
    return book.wants[by_key[np.searchsorted(keys[by_key], order_keys(fills.party, fills.counter))]]


def said_of_wants(names: Sequence[str], wants: Int64) -> list[dict[str, Any]]:
    """What each order asks for as a condition of a bid: ``choice`` (from 1), and ``energy_kind`` and ``seller`` where it names them; nothing of
    others. names: of parties, by number.
    """
    said: list[dict[str, Any]] = [{} for _ in wants]
    asking = np.flatnonzero(wants)
    columns = (np.asarray(column).tolist() for column in Wants.unpacked(wants[asking]))
    for row, choice, kinds, seller in zip(asking.tolist(), *columns, strict=True):
        said[row]["choice"] = choice + 1
        if (word := word_of_kinds(kinds)) is not None:
            said[row]["energy_kind"] = word
        if seller:
            said[row]["seller"] = names[seller - 1]
    return said
