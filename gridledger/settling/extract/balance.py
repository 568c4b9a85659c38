"""What losses and imbalances of areas are worth, as ``[balance]`` of ``rules.toml`` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore.errors import UsageError
from gridcore.registry.balance_terms import BALANCE_PRICES, BALANCE_TERMS, BalanceTerms
from gridledger.settling.dataset import BalanceRules, Dataset, SeriesRows
from gridledger.settling.extract.changes import Changes
from gridledger.settling.extract.series import Keys
from gridledger.settling.files.stamps import to_iso
from ledger.leaves.columns import Int64
from ledger.registry.bodies import in_force
from ledger.registry.prices import prices_of_slot
from ledger.store.reader import LedgerReader

_OWN: Final = "balance_{}"
"""The key of a price that varies and that no series says."""


class _Terms(NamedTuple):
    """Of a slot, without its prices. series: the name of the series of some of these."""

    loss_responsible: str
    penalty: Mapping[str, Any] | None


class _Stated(NamedTuple):
    """The terms of all areas. series: the names of series by price, as the last slot has them; prices: from which slot on which."""

    terms: _Terms
    series: Mapping[str, str]
    prices: Changes[str]


def with_balance(reader: LedgerReader, dataset: Dataset, areas: Sequence[str], keys: Keys) -> Dataset:
    """A dataset with the terms of its areas' balances, by the newest block. Terms that no folder says are a line of its notes.

    keys: of prices.csv, to which those of prices that vary are added.
    """
    try:
        stated = _stated(reader, areas, dataset.slot_start_s)
        return dataset if stated is None else dataset._replace(balance=_rules(stated, keys))
    except UsageError as error:
        return dataset._replace(notes=[*dataset.notes, f"the terms of balances are left out: {error}"])


def _stated(reader: LedgerReader, areas: Sequence[str], slots: Int64) -> _Stated | None:
    """The terms of every area in every slot; None where no area has any. UsageError for several."""
    found: _Stated | None = None
    is_without = False
    for slot_start_s in slots.tolist():
        of_slot: dict[str, int] | None = None
        for area in areas:
            entry = in_force(reader, BALANCE_TERMS, area, slot_start_s, reader.height)
            where = f"in the slot from {to_iso(slot_start_s)} on area {area}"
            if entry is None:
                is_without = True
                if found is not None:
                    raise UsageError(f"{where} has none, and others have; name areas, and days, of the same terms")
                continue
            record = entry.record
            terms, series = _Terms(record.loss_responsible, record.penalty), record.series or {}
            prices = prices_of_slot(reader, record.prices, series, slot_start_s, reader.height)
            found = found or _Stated(terms, series, Changes())
            if is_without or terms != found.terms or (of_slot is not None and prices != of_slot):
                raise UsageError(
                    f"{where} has others than before, or than another area; name areas, and days, of the same terms"
                )
            of_slot, found = dict(prices), found._replace(series=series)
            for key, price in prices.items():
                found.prices.note(key, slot_start_s, price)
    return found


def _rules(stated: _Stated, keys: Keys) -> BalanceRules:
    """The prices of the first slot, and a key of prices.csv for each that varies."""
    prices = {key: stated.prices.found[key][0].value for key in BALANCE_PRICES}
    series: dict[str, str] = {}
    for key in BALANCE_PRICES:
        changes = stated.prices.found[key]
        named = stated.series.get(key)
        if named is None and len(changes) == 1:
            continue
        start_s, column = np.array(changes, dtype=np.int64).T
        wanted = [] if named is None else [named]
        series[key] = keys.place(SeriesRows("", None, None, start_s, column), [*wanted, _OWN.format(key)])
    terms = BalanceTerms(stated.terms.loss_responsible, prices, series or None, stated.terms.penalty)
    of_balance = sorted(set(series.values()), key=str.encode)
    return BalanceRules(terms, [rows for rows in keys.rows if rows.key in of_balance])
