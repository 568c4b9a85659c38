"""What one party is billed in one run: its lines by slot, kind and price, and both sides of the book behind them.

Of a correction, everything is new less old. A price that changed is another line: the old one is taken back in a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import GridError
from gridledger.tables.columns import Flags, Places
from ledger.contract import LineLike
from settlement.contract_kit_1 import INT64_MAX, Int64Column, magnitude

_LOW_BITS: Final = 32
_LOW_MASK: Final = (1 << _LOW_BITS) - 1


class Kind(NamedTuple):
    """A kind of line and its counter-account."""

    line_kind: str
    account: str


class Rows(NamedTuple):
    """Lines as columns of one length. slot: places in ``Dataset.slot_start_s``; kind: places in a list of kinds.

    is_priced: bool[n]; the price is 0 where a line has none.
    """

    slot: Int64Column
    kind: Int64Column
    is_priced: Flags
    price_micro_per_kwh: Int64Column
    energy_wh: Int64Column
    amount_nano: Int64Column

    def take(self, at: Places | Flags) -> Rows:
        """Some of the rows, in the order of ``at``."""
        return Rows._make(column[at] for column in self)


class Sides(NamedTuple):
    """What lines debit and credit their party with by counter-account, int64[accounts, slots], never netted."""

    debit_nano: NDArray[np.int64]
    credit_nano: NDArray[np.int64]


class Signed(NamedTuple):
    """Lines that count (sign 1) or are taken back (-1). Their rows go by slot, then by point: as many points in every slot.

    partners: int32[rows], whom each row names, a place in ``Billing.partners``; None where there is nobody but the first of them.
    """

    sign: int
    lines: Sequence[LineLike]
    partners: NDArray[np.int32] | None = None


def rows_of(parts: Sequence[Signed], kinds: Sequence[Kind], slots: Places) -> list[Rows]:
    """The rows of each line. ``slots``: of which slots the lines are."""
    return [_rows_of(part.sign, line, kinds, slots) for part in parts for line in part.lines]


def merged(parts: Sequence[Rows]) -> Rows:
    """One row for each slot, kind and price, without those of which nothing is left, in the order of statements.

    The places of kinds ascend as their names do. GridError where a sum could leave int64.
    """
    rows = Rows._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    rows = rows.take(np.lexsort((rows.price_micro_per_kwh, rows.is_priced, rows.kind, rows.slot)))
    lines = (rows.slot, rows.kind)
    is_new_line = _differs(lines)
    if is_new_line.all():
        return rows
    starts = np.flatnonzero(is_new_line | _differs((rows.is_priced, rows.price_micro_per_kwh)))
    most = int(np.diff(np.append(starts, rows.slot.size)).max())
    if max(magnitude(rows.energy_wh), magnitude(rows.amount_nano)) > INT64_MAX // most:
        raise GridError("the lines of one party and slot come to more than the signed 64-bit range holds")
    sums = (np.add.reduceat(column, starts) for column in (rows.energy_wh, rows.amount_nano))
    rows = rows.take(starts)._replace(**dict(zip(("energy_wh", "amount_nano"), sums, strict=True)))
    rows = rows.take((rows.energy_wh != 0) | (rows.amount_nano != 0))
    keys = (rows.amount_nano, rows.price_micro_per_kwh, rows.is_priced, rows.energy_wh, rows.kind, rows.slot)
    return rows.take(np.lexsort(keys))


def sides_of(parts: Sequence[Signed], accounts: Sequence[str], slots: Places) -> Sides:
    """Both sides of the book behind lines, by ``accounts`` and ``slots``; GridError where a sum could leave int64."""
    sides = Sides(*(np.zeros((len(accounts), slots.size), dtype=np.int64) for _ in Sides._fields))
    count = sum(len(part.lines) for part in parts)
    for part in parts:
        for line in part.lines:
            amount_nano = line.amount_nano.reshape(slots.size, -1)
            if magnitude(line.amount_nano) > INT64_MAX // max(1, count * amount_nano.shape[1]):
                raise GridError("the amounts of one party and slot come to more than the signed 64-bit range holds")
            place = accounts.index(line.account)
            sides.debit_nano[place] += part.sign * np.maximum(amount_nano, 0).sum(axis=1)
            sides.credit_nano[place] -= part.sign * np.minimum(amount_nano, 0).sum(axis=1)
    return sides


def exact_sums(values: NDArray[np.int64], starts: Places) -> NDArray[np.object_]:
    """Sums along the last axis from each start to the next, Python integers, exact at any size (fewer than 2^31 values)."""
    high, low = (np.add.reduceat(limb, starts, axis=-1) for limb in (values >> _LOW_BITS, values & _LOW_MASK))
    sums: NDArray[np.object_] = np.add(high.astype(np.object_) * (1 << _LOW_BITS), low, dtype=np.object_)
    return sums


def _rows_of(sign: int, line: LineLike, kinds: Sequence[Kind], slots: Places) -> Rows:
    at = np.flatnonzero((line.energy_wh != 0) | (line.amount_nano != 0))
    points = max(1, line.energy_wh.size // max(1, slots.size))
    price = line.price_micro_per_kwh
    kind = kinds.index(Kind(line.kind, line.account))
    return Rows(
        slot=slots[at // points],
        kind=np.full(at.size, kind, dtype=np.int64),
        is_priced=np.full(at.size, price is not None, dtype=np.bool_),
        price_micro_per_kwh=price[at] if isinstance(price, np.ndarray) else np.full(at.size, price or 0, np.int64),
        energy_wh=sign * line.energy_wh[at],
        amount_nano=sign * line.amount_nano[at],
    )


def _differs(keys: Sequence[Int64Column | Flags]) -> Flags:
    """Where a row has other keys than the one before it; the first one has."""
    differs = np.ones(keys[0].size, dtype=np.bool_)
    differs[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return differs
