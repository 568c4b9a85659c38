"""The terms of the balances of a dataset's areas as the chain has them, with the price series that they name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gridcore.master_data import Listed, Named
from gridcore.registry.balance_terms import BALANCE_TERMS, BalanceTerms
from gridledger.settling.chain.agreements import column_of
from gridledger.settling.chain.prices import other_series_name, series_rows
from gridledger.settling.dataset import BalanceRules, Dataset

WORD: Final = "balance"
"""Begins the names of the series that terms of balances name."""


def balance_rows(dataset: Dataset) -> Iterator[Listed]:
    """Series, then the terms of each area, from the beginning."""
    if dataset.balance is None:
        return
    for rows in dataset.balance.series:
        yield from series_rows(dataset, series_of(rows.key), column_of(rows, dataset.slot_start_s))
    for area in dict.fromkeys(point.area for point in dataset.points):
        yield Named(BALANCE_TERMS, area, terms_of(dataset.balance))


def terms_of(balance: BalanceRules) -> BalanceTerms:
    """The terms with the names that their series have on the chain."""
    series = balance.terms.series
    named = None if series is None else {key: series_of(name) for key, name in series.items()}
    return balance.terms._replace(series=named)


def series_of(key: str) -> str:
    """The name on the chain of the series of a key of prices.csv."""
    return other_series_name(WORD, key)
