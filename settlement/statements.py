"""Settled slots as people read them: statement lines, the double entry behind them, totals of a slot and of a day.

These functions are the ledger's ``Statements`` protocol (``ledger.contract``); the composition root passes this module in.
Columns have one row for each of ``billed``: of a large area one point costs one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from gridcore.errors import require
from ledger.contract import (
    Billed,
    DayTotal,
    KindTotal,
    LineLike,
    Positions,
    Posting,
    SlotPostings,
    SlotTotal,
    StatementLine,
    Vocabulary,
)
from settlement.catalogue import CATALOGUE
from settlement.contract_kit_1 import Int64Column, exact_sum

_LOW_BITS: Final = 32
_LOW_MASK: Final = (1 << _LOW_BITS) - 1


def vocabulary(contract_id: str) -> Vocabulary:
    """What people read about a contract of the catalogue."""
    return CATALOGUE[contract_id].vocabulary


def lines(lines: Sequence[LineLike], billed: Sequence[Billed]) -> list[StatementLine]:
    """The statement lines of one slot, by row, then by kind in the contract's order.

    A line exists exactly where its energy is positive.
    """
    found: list[list[StatementLine]] = [[] for _ in billed]
    for line in lines:
        _check_rows(line.energy_wh, billed)
        at = np.flatnonzero(line.energy_wh)
        price = line.price_micro_per_kwh
        prices = [price] * len(at) if price is None or isinstance(price, int) else price[at].tolist()
        values = zip(at.tolist(), line.energy_wh[at].tolist(), prices, line.amount_nano[at].tolist(), strict=True)
        for row, wh, of_row, nano in values:
            found[row].append(StatementLine(*billed[row], line.kind, wh, of_row, nano, line.account))
    return [line for of_row in found for line in of_row]


def postings(lines: Sequence[LineLike], billed: Sequence[Billed]) -> SlotPostings:
    """The double entry of the lines of one slot; debits equal credits, or the process stops.

    A positive amount debits the party and credits the counter-account, a negative one the other way round. Each side is
    summed by account, exact at any size, and the two are never netted, so that both sides of the book can be audited.
    """
    debits, credits_ = _Sums(len(billed)), _Sums(len(billed))
    accounts: dict[str, list[int]] = {}
    for line in lines:
        owed, due = np.maximum(line.amount_nano, 0), np.minimum(line.amount_nano, 0)
        debits.add(owed)
        credits_.add(due)  # negative: the smallest int64 has no positive twin
        account = accounts.setdefault(line.account, [0, 0])
        account[0] -= exact_sum(due)
        account[1] += exact_sum(owed)
    of_parties = [
        Posting(row.party, debit, -credit)
        for row, debit, credit in zip(billed, debits.values(), credits_.values(), strict=True)
        if debit or credit
    ]
    of_accounts = [Posting(name, *sides) for name, sides in sorted(accounts.items()) if any(sides)]
    both = (*of_parties, *of_accounts)
    balanced = sum(posting.debit_nano for posting in both) == sum(posting.credit_nano for posting in both)
    require(balanced, "the debits of a slot equal its credits")
    return SlotPostings(of_parties, of_accounts)


def kind_totals(lines: Sequence[LineLike]) -> list[KindTotal]:
    """The lines of each kind, summed; exact at any size."""
    return [
        KindTotal(
            line.kind, int(np.count_nonzero(line.energy_wh)), exact_sum(line.energy_wh), exact_sum(line.amount_nano)
        )
        for line in lines
    ]


def kind_totals_by(lines: Sequence[LineLike], place: Int64Column, places: int) -> list[list[KindTotal]]:
    """The lines of each kind, summed over the rows of each place, of those kinds of which there is a line; exact at any size.

    place: int64[n], of each row 0 ... places - 1.
    """
    found: list[list[KindTotal]] = [[] for _ in range(places)]
    for line in lines:
        energies = line.energy_wh
        counts = np.bincount(place[energies != 0], minlength=places).tolist()
        sums = (_sums_by(place, places, column) for column in (energies, line.amount_nano))
        for of_place, count, *of_kind in zip(found, counts, *sums, strict=True):
            if count:
                of_place.append(KindTotal(line.kind, count, *of_kind))
    return found


def _sums_by(place: Int64Column, places: int, column: Int64Column) -> list[int]:
    """The sums of an int64 column over the rows of each place, in two limbs: exact for fewer than 2^31 rows."""
    high, low = np.zeros(places, dtype=np.int64), np.zeros(places, dtype=np.int64)
    np.add.at(high, place, column >> _LOW_BITS)
    np.add.at(low, place, column & _LOW_MASK)
    return _joined(high, low)


def slot_totals(positions: Positions, billed: Sequence[Billed]) -> list[SlotTotal]:
    """What is paid for each point and one slot, beside the price of the supplier alone."""
    _check_rows(positions.pays_nano, billed)
    columns = (positions.pays_nano.tolist(), positions.supplier_only_nano.tolist())
    return [SlotTotal(*row, *total) for row, *total in zip(billed, *columns, strict=True)]


def day_totals(slots: Iterable[Positions], billed: Sequence[Billed]) -> list[DayTotal]:
    """Each point's totals over ``slots``; exact at any size."""
    sums = [_Sums(len(billed)) for _ in Positions._fields]
    taken, fed_in = _Sums(len(billed)), _Sums(len(billed))  # of what was traded: a difference could leave int64
    for positions in slots:
        for column_sum, column in zip(sums, positions, strict=True):
            column_sum.add(column)
        taken.add(np.minimum(positions.bought_wh, positions.import_wh))
        fed_in.add(np.minimum(positions.sold_wh, positions.export_wh))
    columns = [column_sum.values() for column_sum in sums]
    _imports, _exports, bought, sold, pays, alone = columns
    columns.append(_differences(alone, pays))
    columns += [_differences(bought, taken.values()), _differences(sold, fed_in.values())]
    return [DayTotal(*row, *of_row) for row, *of_row in zip(billed, *columns, strict=True)]


def _differences(whole: Sequence[int], part: Sequence[int]) -> list[int]:
    return [one - other for one, other in zip(whole, part, strict=True)]


class _Sums:
    """Sums of int64 columns, row by row, in two limbs: exact for fewer than 2^31 columns of any values."""

    def __init__(self, rows: int) -> None:
        self._high, self._low = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)

    def add(self, column: Int64Column) -> None:
        """Add one column; it has a value for every row."""
        require(column.size == self._low.size, f"{self._low.size} rows, not {column.size}")
        self._high += column >> _LOW_BITS
        self._low += column & _LOW_MASK

    def values(self) -> list[int]:
        """The sums, Python integers."""
        return _joined(self._high, self._low)


def _joined(high: Int64Column, low: Int64Column) -> list[int]:
    """Sums out of their two limbs, Python integers."""
    return [(above << _LOW_BITS) + below for above, below in zip(high.tolist(), low.tolist(), strict=True)]


def _check_rows(column: Int64Column, billed: Sequence[Billed]) -> None:
    """A column has one row for each of ``billed``, or the process stops."""
    require(column.size == len(billed), f"{len(billed)} points beside a column of {column.size} rows")
