"""What a row of ``orders.csv`` stands for beside one limit order: a price ramp, the same order in many slots, an order that is all or none;
and when an order came and went (docs/settle-files.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridcore.transactions.market_order import COUNTER_MAX, LIMIT_MICRO_PER_KWH_MAX, ramp
from gridcore.transactions.market_profile import SPAN_S_MAX
from gridledger.settling.dataset import NEVER, Orders, OrderTimes
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import ABSENT, Bools, integers
from gridledger.settling.files.stamps import DAY_S
from gridledger.settling.files.table import Block, Fields
from ledger.state.client_ids import IDS_PER_HOUR_MAX
from settlement.contract_kit_1 import Int64Column

ARRIVAL, CANCELLED = "arrival", "cancelled_at"
ALL_OR_NONE: Final = "all_or_none"
_STEPS, _LAST, _END = "steps", "last_price_micro_per_kwh", "end_s"
COLUMNS: Final = (_STEPS, _LAST, _END, ALL_OR_NONE, ARRIVAL, CANCELLED)
ARRIVAL_MAX: Final = 1 << 53
"""A sequence, or a time of any unit down to microseconds."""
ORDERS_MAX: Final = 1 << 24
"""That the rows of one file stand for."""
MOMENTS_OF_DAY_MAX: Final = 22 * IDS_PER_HOUR_MAX
"""Moments of a UTC day's slots at which orders come or go, each a transaction of the importer: a ledger takes so many an hour of a signer, valid for at
most 24 hours, and some bring energies.
"""
YES: Final = "yes"
_NO_PRICE: Final = LIMIT_MICRO_PER_KWH_MAX + 1
"""Stands for an empty ``last_price_micro_per_kwh``."""


class Forms(NamedTuple):
    """What rows stand for. slots: how many, from the row's own on, int64[n]; steps: of a ramp, 1 of any other row; last: its last limit."""

    slots: Int64Column
    steps: Int64Column
    last: Int64Column
    all_or_none: Bools


class Given(NamedTuple):
    """The orders that rows stand for, row by row. row, ahead: int64[m]: the place of the row, and how many slots behind its own; counter, quantity_wh,
    price_micro_per_kwh: int64[m].
    """

    row: Int64Column
    ahead: Int64Column
    counter: Int64Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column


class Limits(NamedTuple):
    """What each row says of one order, int64[n]."""

    counter: Int64Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column


def times_of(block: Block) -> OrderTimes:
    """The two columns; ABSENT and NEVER where a row says nothing. FilesError for an order that goes before it comes."""
    came, went = block.columns.get(ARRIVAL), block.columns.get(CANCELLED)
    arrival = np.full(len(block.row), ABSENT) if came is None else integers(came, 0, ARRIVAL_MAX, may_be_empty=True)
    if went is None:
        return OrderTimes(arrival, np.full_like(arrival, NEVER))
    cancelled = integers(went, 0, ARRIVAL_MAX, may_be_empty=True, absent=NEVER)
    for at in np.flatnonzero((cancelled != NEVER) & ((arrival == ABSENT) | (cancelled <= arrival))).tolist():
        if arrival[at] == ABSENT:
            raise went.fault(at, "says when the order went, and nothing when it came", f"give its {ARRIVAL} too")
        what = f"{cancelled[at]} is not behind {arrival[at]}, when the order came"
        raise went.fault(at, what, "an order is withdrawn after it came, or never")
    return OrderTimes(arrival, cancelled)


def times_of_all(parts: Sequence[OrderTimes], row: Int64Column, file: str) -> OrderTimes | None:
    """Those of a whole file, whose orders stand in the rows ``row``; None where none says when it came. FilesError where only some do."""
    arrival, cancelled_at = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    silent = np.flatnonzero(arrival == ABSENT)
    if len(silent) == len(arrival):
        return None
    if len(silent):
        right = f"give a whole number, 0 to {ARRIVAL_MAX}, or leave the column empty in all rows"
        raise fault(file, "is empty, and other rows say when they came", right, row=int(row[silent[0]]), column=ARRIVAL)
    return OrderTimes(arrival, cancelled_at)


def check_moments(orders: Orders, start_s: Int64Column, row: Int64Column, file: str) -> None:
    """FilesError, of the first row that is too many, where a day has more than MOMENTS_OF_DAY_MAX. start_s: of each one's slot."""
    if orders.times is None:
        return
    arrival, cancelled_at = orders.times
    is_batched = np.ones(len(row), dtype=np.bool_) if orders.all_or_none is None else ~orders.all_or_none
    is_gone = cancelled_at != NEVER
    at = np.append(arrival[is_batched], cancelled_at[is_gone])
    slot_start_s, rows = (np.append(column[is_batched], column[is_gone]) for column in (start_s, row))
    by_moment = np.lexsort((rows, at, slot_start_s))
    slot_start_s, at, rows = slot_start_s[by_moment], at[by_moment], rows[by_moment]
    is_new = np.append(True, (np.diff(slot_start_s) != 0) | (np.diff(at) != 0))[: len(at)]
    moments = np.flatnonzero(is_new)
    _, first, count = np.unique(slot_start_s[moments] // DAY_S, return_index=True, return_counts=True)
    for begin in first[count > MOMENTS_OF_DAY_MAX].tolist():
        beyond = int(moments[begin + MOMENTS_OF_DAY_MAX])
        what = f"with {at[beyond]} in slot {slot_start_s[beyond]} orders of a day come and go at more than {MOMENTS_OF_DAY_MAX} moments"
        right = (
            f"each is a transaction; count {ARRIVAL} and {CANCELLED} in larger steps, or settle fewer orders at once"
        )
        raise fault(file, what, right, row=int(rows[beyond]), column=ARRIVAL)


def forms_of(block: Block, start_s: Int64Column, slots: Int64Column, slot_s: int) -> Forms | None:
    """What the rows of a block stand for; None where each is one order that may be filled in part.

    start_s: int64[n], each row's slot; slots: starts of all slots. FilesError for a form that is none.
    """
    columns, count = block.columns, len(start_s)
    if not any(name in columns for name in (_STEPS, _LAST, _END, ALL_OR_NONE)):
        return None
    steps, last = _ramps(columns.get(_STEPS), columns.get(_LAST), count)
    ends = columns.get(_END)
    in_slots = np.ones(count, dtype=np.int64) if ends is None else _slots(ends, start_s, slots, slot_s)
    is_whole = np.zeros(count, dtype=np.bool_)
    if (words := columns.get(ALL_OR_NONE)) is not None:
        is_whole = np.array([text == YES for text in words.texts()], dtype=np.bool_)
        for at in np.flatnonzero((words.lengths() > 0) & ~is_whole).tolist():
            raise words.fault(at, f"{excerpt(words.text(at))} is none", f"write {YES}, or leave it empty")
        for at in np.flatnonzero(is_whole & (steps > 1)).tolist():
            raise words.fault(at, "a ramp is not all or none", "leave it empty, or give the order without steps")
    return Forms(in_slots, steps, last, is_whole)


def _ramps(steps: Fields | None, last: Fields | None, count: int) -> tuple[Int64Column, Int64Column]:
    """Steps and last limits; a row says both, or neither."""
    many = np.ones(count, dtype=np.int64)
    limit = np.full(count, _NO_PRICE)
    if steps is not None:
        many = integers(steps, 2, COUNTER_MAX, may_be_empty=True, absent=1)
    if last is not None:
        most = LIMIT_MICRO_PER_KWH_MAX
        limit = integers(last, -most, most, may_be_empty=True, absent=_NO_PRICE)
    half = (many > 1) != (limit != _NO_PRICE)
    for at in np.flatnonzero(half).tolist():
        fields = steps if many[at] > 1 else last
        if fields is not None:
            raise fields.fault(at, "makes a ramp alone", f"a ramp has {_STEPS} and {_LAST}: give both, or neither")
    return many, limit


def _slots(ends: Fields, start_s: Int64Column, slots: Int64Column, slot_s: int) -> Int64Column:
    """In how many slots each row orders; a row without an end in its own alone."""
    until_s = int(slots[-1]) + slot_s
    end_s = integers(ends, 0, until_s, may_be_empty=True)
    span_s = np.where(end_s == ABSENT, slot_s, end_s - start_s)
    bad = (span_s <= 0) | (span_s > SPAN_S_MAX) | (span_s % slot_s != 0)
    if bad.any():
        right = f"give the end of a slot behind {start_s[int(np.argmax(bad))]}, at most {SPAN_S_MAX} s later"
        raise ends.fault(int(np.argmax(bad)), f"{ends.text(int(np.argmax(bad)))} is none", right)
    return np.asarray(span_s // slot_s)


def given_by(forms: Forms, limits: Limits, block: Block) -> Given:
    """The orders that rows stand for: of a ramp one a step, under counters from the row's own on; in each of its slots the same.

    FilesError for a ramp that does not fit into the counters or its quantity, and for more than ORDERS_MAX.
    """
    for name, bad, right in (
        ("order", limits.counter + forms.steps - 1 > COUNTER_MAX, f"each step has a counter, up to {COUNTER_MAX}"),
        ("quantity_wh", limits.quantity_wh < forms.steps, "each step has at least 1 Wh"),
    ):
        for at in np.flatnonzero(bad).tolist():
            fields = block.columns[name]
            raise fields.fault(at, f"{excerpt(fields.text(at))} does not fit {forms.steps[at]} steps", right)
    count = forms.slots * forms.steps
    check_count(int(count.sum()), block.columns["order"])
    row = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    quantity_wh, price = limits.quantity_wh[row], limits.price_micro_per_kwh[row]
    for at in np.flatnonzero(forms.steps > 1).tolist():
        parts = ramp(
            int(limits.quantity_wh[at]), int(limits.price_micro_per_kwh[at]), int(forms.last[at]), int(forms.steps[at])
        )
        own = slice(int(np.searchsorted(row, at)), int(np.searchsorted(row, at, side="right")))
        quantity_wh[own], price[own] = (np.tile(column, int(forms.slots[at])) for column in zip(*parts, strict=True))
    step = within % forms.steps[row]
    return Given(row, within // forms.steps[row], limits.counter[row] + step, quantity_wh, price)


def check_count(orders: int, fields: Fields) -> None:
    """FilesError, of the last row, where a file stands for more orders than ORDERS_MAX."""
    if orders > ORDERS_MAX:
        what = f"with this row the file stands for {orders} orders or more"
        raise fields.fault(len(fields) - 1, what, f"give at most {ORDERS_MAX} in one folder")


def slot_of(order: Sequence[str], row: Int64Column) -> Int64Column:
    """int64[m]: the slot in the id of each one's row."""
    start_s = np.array([int(name.split("/")[-2]) for name in order], dtype=np.int64)
    return start_s[row]


def ids_of(order: Sequence[str], row: Int64Column, slot_start_s: Int64Column, counter: Int64Column) -> list[str]:
    """The ids of given orders: of the party of their row's id, in their own slot, under their own counter."""
    starts = zip(row.tolist(), slot_start_s.tolist(), counter.tolist(), strict=True)
    return [f"{moved(order[at], start_s).rpartition('/')[0]}/{own}" for at, start_s, own in starts]


def moved(order: str, slot_start_s: int) -> str:
    """The id of an order in another slot; what is no id as it is."""
    parts = order.rsplit("/", 2)
    return order if len(parts) < 3 else f"{parts[0]}/{slot_start_s}/{parts[2]}"
