"""``orders.csv``: what parties offered to buy and sell, as the demonstration writes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridcore.transactions.market_order import COUNTER_MAX, LIMIT_MICRO_PER_KWH_MAX, QUANTITY_WH_MAX
from gridledger.settling.dataset import InputFile, Orders, OrderTimes, PointRow, parties_of
from gridledger.settling.files.conditions import COLUMNS as CONDITIONS
from gridledger.settling.files.conditions import Asked, Placed, asked_of, conditions_of
from gridledger.settling.files.fault import FilesError, fault
from gridledger.settling.files.fields import Bools, Names, integers
from gridledger.settling.files.order_forms import COLUMNS as FORMS
from gridledger.settling.files.order_forms import (
    Given,
    Limits,
    check_count,
    check_moments,
    forms_of,
    given_by,
    ids_of,
    moved,
    slot_of,
    times_of,
    times_of_all,
)
from gridledger.settling.files.stamps import to_iso
from gridledger.settling.files.table import Block, Fields, Header, Table
from ledger.contract import BUY, SELL
from ledger.registry.consistency import TRADING_POINTS_MAX
from settlement.contract_kit_1 import Int64Column

TIME_S_MAX: Final = 2**33
_HEADER: Final = Header(
    ("slot_start_s", "order", "party", "side", "quantity_wh", "price_micro_per_kwh"), (*CONDITIONS, *FORMS)
)
_SIDES: Final = {"buy": BUY, "sell": SELL}
_COUNTER: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


class OrdersRead(NamedTuple):
    """The orders, and the file."""

    orders: Orders
    input_file: InputFile


class _Part(NamedTuple):
    """Orders of a block, unsorted. all_or_none, is_plain: bool[n], as of ``Placed``."""

    slot: Int64Column
    order: list[str]
    party: Int64Column
    side: Int64Column
    quantity_wh: Int64Column
    price: Int64Column
    row: Int64Column
    all_or_none: Bools
    is_plain: Bools
    asked: Asked
    times: OrderTimes

    def given(self, given: Given, slot_s: int) -> _Part:
        """The orders that its rows stand for; slots follow each other by ``slot_s``."""
        at, rows = given.row, given.row.tolist()
        start_s = slot_of(self.order, at) + given.ahead * slot_s
        bids = [self.asked.bid[row] for row in rows]
        asked = Asked(
            [moved(bid, start) if bid else "" for bid, start in zip(bids, start_s.tolist(), strict=True)],
            [self.asked.seller[row] for row in rows],
            [self.asked.energy_kind[row] for row in rows],
        )
        return self._replace(
            slot=self.slot[at] + given.ahead,
            order=ids_of(self.order, at, start_s, given.counter),
            party=self.party[at],
            side=self.side[at],
            quantity_wh=given.quantity_wh,
            price=given.price_micro_per_kwh,
            row=self.row[at],
            all_or_none=self.all_or_none[at],
            is_plain=self.is_plain[at],
            asked=asked,
            times=self.times.take(at),
        )


def no_orders() -> Orders:
    """The empty book."""
    nothing = np.zeros(0, dtype=np.int64)
    return Orders(nothing, (), (), np.zeros(0, dtype=np.int8), nothing, nothing)


def read_orders(path: Path, points: Sequence[PointRow], slot_start_s: Int64Column, slot_s: int) -> OrdersRead:
    """Read the file; FilesError at the first fault."""
    table = Table(path, _HEADER)
    parties = sorted(parties_of(points))
    reader = _Reader(parties, slot_start_s, slot_s)
    parts = [reader.part_of(block) for block in table.blocks()]
    if not parts:
        return OrdersRead(no_orders(), table.input_file())
    slot, party, side, quantity_wh, price, row = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("slot", "party", "side", "quantity_wh", "price", "row")
    )
    names = np.array([name.encode() for part in parts for name in part.order])
    order = np.lexsort((names, slot))
    again = np.flatnonzero((np.diff(slot[order]) == 0) & (names[order][1:] == names[order][:-1])) + 1
    if len(again):
        second = int(order[again].max())
        what = f"the order {names[second].decode()} stands in row {row[int(np.argmax(names == names[second]))]} already"
        raise fault(table.name, what, "give each order once", row=int(row[second]), column="order")
    _check_points(parties, party, row, points, table.name)
    ids = [name.decode() for name in names[order].tolist()]
    said = [[text for part in parts for text in part.asked[column]] for column in range(len(CONDITIONS))]
    asked = Asked(*([texts[at] for at in order.tolist()] for texts in said))
    times = times_of_all([part.times for part in parts], row, table.name)
    times = None if times is None else times.take(order)
    is_whole, is_plain = (
        np.concatenate([getattr(part, name) for part in parts])[order] for name in ("all_or_none", "is_plain")
    )
    placed = Placed(ids, party[order], side[order], quantity_wh[order], row[order], times and times.arrival, is_plain)
    orders = Orders(
        slot[order],
        ids,
        [parties[code] for code in party[order].tolist()],
        side[order].astype(np.int8),
        quantity_wh[order],
        price[order],
        conditions_of(placed, asked, table.name),
        is_whole if is_whole.any() else None,
        times,
    )
    check_moments(orders, slot_start_s[orders.slot], row[order], table.name)
    return OrdersRead(orders, table.input_file())


def _check_points(
    parties: Sequence[str], party: Int64Column, row: Int64Column, points: Sequence[PointRow], file: str
) -> None:
    """Refuse a party that trades with more points than its bundles can show."""
    count = Counter(party for point in points for party in point.parties)
    for code, at in zip(*np.unique(party, return_index=True), strict=True):
        if count[parties[code]] > TRADING_POINTS_MAX:
            what = f"{parties[code]} has {count[parties[code]]} points"
            right = f"who trades has at most {TRADING_POINTS_MAX}: give it several names"
            raise fault(file, what, right, row=int(row[at]), column="party")


class _Reader:
    """Reads blocks of orders."""

    def __init__(self, parties: Sequence[str], slot_start_s: Int64Column, slot_s: int) -> None:
        self._parties = parties
        self._party_names = Names(parties)
        self._side_names = Names(list(_SIDES))
        self._slot_start_s = slot_start_s
        self._slot_s = slot_s
        self._orders = 0

    def part_of(self, block: Block) -> _Part:
        columns = block.columns
        start_s = integers(columns["slot_start_s"], 0, TIME_S_MAX)
        slot = self._slots(columns["slot_start_s"], start_s)
        party = self._party_names.codes(columns["party"], "party of points.csv")
        side = self._side_names.codes(columns["side"], "side")
        counter = self._counters(columns, start_s, party)
        forms = forms_of(block, start_s, self._slot_start_s, self._slot_s)
        nothing = np.zeros(len(slot), dtype=np.bool_)
        part = _Part(
            slot,
            columns["order"].texts(),
            party,
            np.array(list(_SIDES.values()), dtype=np.int64)[side],
            integers(columns["quantity_wh"], 1, QUANTITY_WH_MAX),
            integers(columns["price_micro_per_kwh"], -LIMIT_MICRO_PER_KWH_MAX, LIMIT_MICRO_PER_KWH_MAX),
            block.row,
            nothing if forms is None else forms.all_or_none,
            ~nothing if forms is None else ~forms.all_or_none & (forms.steps == 1),
            asked_of(block, self._parties),
            times_of(block),
        )
        if forms is not None:
            limits = Limits(counter, part.quantity_wh, part.price)
            part = part.given(given_by(forms, limits, block), self._slot_s)
        self._orders += len(part.slot)
        check_count(self._orders, columns["order"])
        return part

    def _slots(self, fields: Fields, start_s: Int64Column) -> Int64Column:
        starts = self._slot_start_s
        slot = np.minimum(np.searchsorted(starts, start_s), len(starts) - 1)
        bad = starts[slot] != start_s
        if bad.any():
            at = int(np.argmax(bad))
            right = (
                f"slots start from {starts[0]} ({to_iso(int(starts[0]))}) to {starts[-1]} ({to_iso(int(starts[-1]))})"
            )
            raise fields.fault(at, f"{fields.text(at)} is the start of no slot of the readings", right)
        return slot

    def _counters(self, columns: Mapping[str, Fields], start_s: Int64Column, party: Int64Column) -> Int64Column:
        """The counter of each order; its id is its party, slot and counter: what the ledger calls it."""
        fields, counters = columns["order"], np.zeros(len(start_s), dtype=np.int64)
        for at, (text, start, code) in enumerate(zip(fields.texts(), start_s.tolist(), party.tolist(), strict=True)):
            before, _, counter = text.rpartition("/")
            is_counter = _COUNTER.fullmatch(counter) is not None and int(counter) <= COUNTER_MAX
            if before != f"{self._parties[code]}/{start}" or not is_counter:
                raise _fault_of_id(fields, at, f"{self._parties[code]}/{start}/1")
            counters[at] = int(counter)
        return counters


def _fault_of_id(fields: Fields, at: int, right: str) -> FilesError:
    return fields.fault(at, f"{excerpt(fields.text(at))} is no id of this order", f"write PARTY/SLOT/COUNTER: {right}")
