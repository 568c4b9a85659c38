"""Statements: the lines of a slot as rows for a person, and a party's totals beside the supplier-only price."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ledger.contract import SlotSettlementLike
from settlement.errors import SettlementError


class StatementRow(NamedTuple):
    """One line of one party's statement, in the columns of ``statements.csv``.

    ``energy_wh`` > 0; ``amount_nano`` > 0: the party owes ``account``, its counter-account.
    """

    run: str
    party: str
    slot_start_s: int
    line_kind: str
    energy_wh: int
    price_micro_per_kwh: int
    amount_nano: int
    account: str


class StatementTotal(NamedTuple):
    """What a party pays over some slots, what the supplier alone would have asked for, and the difference.

    ``saving_nano`` is negative where trading cost more than it saved.
    """

    party: str
    pays_nano: int
    supplier_only_nano: int
    saving_nano: int


def statement_rows(
    run: str, slot_start_s: int, settlement: SlotSettlementLike, parties: Sequence[str]
) -> list[StatementRow]:
    """The statement lines of one slot and run, by party in the order given, then by kind in the contract's order.

    ``parties``: one name per row of the settlement's columns. A line exists exactly where its energy is positive.
    SettlementError for a wrong number of parties.
    """
    _check_rows(settlement, parties)
    lines = settlement.lines
    by_party: list[list[StatementRow]] = [[] for _ in parties]
    for line in lines:
        rows = np.flatnonzero(line.energy_wh)
        energies, amounts = line.energy_wh[rows].tolist(), line.amount_nano[rows].tolist()
        for row, energy_wh, amount_nano in zip(rows.tolist(), energies, amounts, strict=True):
            by_party[row].append(
                StatementRow(
                    run,
                    parties[row],
                    slot_start_s,
                    line.kind,
                    energy_wh,
                    line.price_micro_per_kwh,
                    amount_nano,
                    line.account,
                )
            )
    return [row for rows_of_party in by_party for row in rows_of_party]


def statement_totals(settlements: Iterable[SlotSettlementLike], parties: Sequence[str]) -> list[StatementTotal]:
    """Per party the totals over ``settlements`` (a day's slots, say), exact at any number of slots.

    Every settlement has one row per party, in this order; SettlementError otherwise.
    """
    pays, supplier_only = [0] * len(parties), [0] * len(parties)
    for settlement in settlements:
        _check_rows(settlement, parties)
        pays = [total + nano for total, nano in zip(pays, settlement.pays_nano.tolist(), strict=True)]
        supplier_only = [
            total + nano for total, nano in zip(supplier_only, settlement.supplier_only_nano.tolist(), strict=True)
        ]
    return [
        StatementTotal(party, paid, alone, alone - paid)
        for party, paid, alone in zip(parties, pays, supplier_only, strict=True)
    ]


def _check_rows(settlement: SlotSettlementLike, parties: Sequence[str]) -> None:
    """SettlementError unless there is one party per row."""
    rows = settlement.pays_nano.size
    if len(parties) != rows:
        raise SettlementError(f"{len(parties)} parties for {rows} rows of a settlement: one each")
