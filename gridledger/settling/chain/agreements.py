"""The agreements of a dataset as the chain has them, with the price series that they name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gridcore.errors import GridError, broken
from gridcore.master_data import Listed, Named
from gridcore.registry.agreement import AGREEMENT, Agreement, EndedAgreement
from gridledger.settling.chain.prices import known_prices, series_rows
from gridledger.settling.dataset import Dataset, SeriesRows
from ledger.leaves.columns import Int64
from ledger.store.ledger import Ledger


def agreement_rows(dataset: Dataset) -> Iterator[Listed]:
    """Series, then agreements, each with its end."""
    for rows in dataset.references:
        yield from series_rows(dataset, rows.key, column_of(rows, dataset.slot_start_s))
    for name, agreement, valid_from_s, valid_until_s in dataset.agreements:
        yield Named(AGREEMENT, name, agreement, valid_from_s or 0)
        if valid_until_s is not None:
            sides = (agreement.buyer, agreement.buyer_point, agreement.seller, agreement.seller_point)
            yield Named(AGREEMENT, name, EndedAgreement(*sides), valid_until_s)


def check_agreements(ledger: Ledger, dataset: Dataset) -> None:
    """GridError unless the ledger has the agreements and the prices that a dataset would make: they do not change afterwards."""
    after = "agreements do not change afterwards"
    for name, agreement, valid_from_s, valid_until_s in dataset.agreements:
        if ledger.in_force(AGREEMENT, name, valid_from_s or 0) != agreement:
            raise GridError(f"agreements.csv: agreement {name}: the ledger has another one, or none; {after}")
        last = ledger.in_force(AGREEMENT, name, 2**38)
        is_same_end = isinstance(last, Agreement) == (valid_until_s is None)
        ended = None if valid_until_s is None else ledger.in_force(AGREEMENT, name, valid_until_s)
        before = None if valid_until_s is None else ledger.in_force(AGREEMENT, name, valid_until_s - 1)
        if not is_same_end or isinstance(ended, Agreement) or isinstance(before, EndedAgreement):
            raise GridError(f"agreements.csv: agreement {name}: valid_until is another one in the ledger; {after}")
    for rows in dataset.references:
        column = column_of(rows, dataset.slot_start_s)
        if (known_prices(ledger, rows.key, dataset.slot_start_s, column) != column).any():
            raise GridError(f"prices.csv: {rows.key}: the ledger has other prices; prices do not change afterwards")


def column_of(rows: SeriesRows, slot_start_s: Int64) -> Int64:
    """int64[slots]: a price that has begun at the first slot."""
    place = np.searchsorted(rows.start_s, slot_start_s, side="right") - 1
    return rows.price_micro_per_kwh[place] if (place >= 0).all() else broken("the series begins with the first slot")
