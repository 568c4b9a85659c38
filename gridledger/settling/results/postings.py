"""Both sides of the book by account, slot and run: ``postings.csv``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gridledger.settling.results.party_lines import Sides
from gridledger.tables.columns import Column, IntColumn, Places, Table, TextColumn, utf8
from gridledger.tables.results import PostingRow
from settlement.contract_kit_1 import Int64Column, add, exact_sum

_SLOTS_AT_ONCE = 256


class Postings:
    """What each account is debited and credited in each slot and run; memory is used only where something is posted."""

    def __init__(self, slot_start_s: Int64Column, parties: Sequence[str], accounts: Sequence[str]) -> None:
        self._slot_start_s = slot_start_s
        self._counter = list(accounts)
        self._names = sorted({*parties, *accounts}, key=utf8)
        self._runs: dict[str, Sides] = {}
        self.count = 0
        self.sum_nano = 0

    def add(self, run: str, party: str, slots: Places, sides: Sides) -> None:
        """What a party's lines debit and credit it with, and its counter-accounts the other way round."""
        shape = (len(self._names), self._slot_start_s.size)
        book = self._runs.get(run)
        if book is None:
            book = self._runs[run] = Sides(*(np.zeros(shape, dtype=np.int64) for _ in Sides._fields))
        _post(book, self._names.index(party), slots, sides.debit_nano.sum(axis=0), sides.credit_nano.sum(axis=0))
        for account, debit_nano, credit_nano in zip(self._counter, *sides, strict=True):
            _post(book, self._names.index(account), slots, credit_nano, debit_nano)

    def tables(self) -> Iterator[Table]:
        """The rows of the file, in order; what they are and come to is counted as they are made."""
        runs = list(self._runs)
        for start in range(0, self._slot_start_s.size, _SLOTS_AT_ONCE):
            part = slice(start, start + _SLOTS_AT_ONCE)
            debits = np.stack([sides.debit_nano[:, part] for sides in self._runs.values()])
            credits_ = np.stack([sides.credit_nano[:, part] for sides in self._runs.values()])
            table = self._table(runs, self._slot_start_s[part], debits, credits_)
            self.count += table.rows
            yield table

    def _table(
        self, runs: Sequence[str], slot_start_s: Int64Column, debits: NDArray[np.int64], credits_: NDArray[np.int64]
    ) -> Table:
        run, account, slot = np.nonzero((debits != 0) | (credits_ != 0))
        debit_nano, credit_nano = debits[run, account, slot], credits_[run, account, slot]
        # a debit that is taken back is a credit
        debit = add(np.maximum(debit_nano, 0), -np.minimum(credit_nano, 0), "debit_nano")
        credit = add(np.maximum(credit_nano, 0), -np.minimum(debit_nano, 0), "credit_nano")
        self.sum_nano += exact_sum(debit) - exact_sum(credit)
        columns: list[Column] = [
            IntColumn(slot_start_s[slot]),
            TextColumn(self._names, account.astype(np.int32)),
            IntColumn(debit),
            IntColumn(credit),
            TextColumn(runs, run.astype(np.int32)),
        ]
        return Table(PostingRow._fields, columns).sorted()


def _post(book: Sides, place: int, slots: Places, debit_nano: Int64Column, credit_nano: Int64Column) -> None:
    """Add to one account; ContractError where a sum leaves int64."""
    book.debit_nano[place, slots] = add(book.debit_nano[place, slots], debit_nano, "debit_nano")
    book.credit_nano[place, slots] = add(book.credit_nano[place, slots], credit_nano, "credit_nano")
