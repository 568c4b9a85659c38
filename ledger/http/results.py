"""A settled slot for a person: statement lines and postings, computed again from the positions that the ledger keeps.

The state holds positions as columns; lines follow from them by the area's contract, and postings from the lines: a positive
amount debits the party and credits the counter-account, a negative one the other way round, each side summed by account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gridcore.errors import broken
from ledger.contract import SlotSettlementLike
from ledger.http.problems import Problem
from ledger.http.view import LedgerView
from ledger.state.columns import Int64, chunks, unpack
from ledger.state.registry import Area
from ledger.state.runs import energy_of


class Line(NamedTuple):
    """One statement line. ``amount_nano`` > 0: the party owes ``account``."""

    party: str
    line_kind: str
    energy_wh: int
    price_micro_per_kwh: int
    amount_nano: int
    account: str


class Posting(NamedTuple):
    """What one run debits and credits to one account."""

    account: str
    debit_nano: int
    credit_nano: int


class Total(NamedTuple):
    """What a party pays for one slot (negative: receives), and what the supplier alone would have asked for."""

    party: str
    pays_nano: int
    supplier_only_nano: int


@dataclass(frozen=True)
class RunResult:
    """One run of one slot: its leaf, and the settlement of the area's settling rows (``parties``, row by row)."""

    leaf: Mapping[str, Any]
    parties: tuple[str, ...]
    settled: SlotSettlementLike

    def totals(self, first: int, end: int) -> list[Total]:
        """Totals of the settling rows first ... end - 1."""
        columns = (self.settled.pays_nano[first:end].tolist(), self.settled.supplier_only_nano[first:end].tolist())
        return [Total(*row) for row in zip(self.parties[first:end], *columns, strict=True)]

    def lines(self, first: int, end: int) -> list[Line]:
        """Lines of the settling rows first ... end - 1, by row, then in the contract's order of kinds."""
        columns = [
            (line.kind, line.price_micro_per_kwh, line.account, line.energy_wh[first:end], line.amount_nano[first:end])
            for line in self.settled.lines
        ]
        found: list[list[Line]] = [[] for _ in self.parties[first:end]]
        for kind, price, account, energy_wh, amount_nano in columns:
            for row in np.flatnonzero(energy_wh).tolist():
                party = self.parties[first + row]
                found[row].append(Line(party, kind, int(energy_wh[row]), price, int(amount_nano[row]), account))
        return [line for lines in found for line in lines]


def load_run(view: LedgerView, area: Area, slot_start_s: int, run: str) -> RunResult:
    """A run that the ledger has. Problem 404 when it has not (yet)."""
    key = f"{area.id}/{slot_start_s}/{run}"
    with view.reader.frozen():
        leaf = view.reader.get(f"run/{key}")
        if leaf is None:
            raise Problem("not-found", f"no run {run!r} of slot {slot_start_s} in area {area.id!r} yet")
        parts = [view.must(f"positions/{key}/{chunk}")["columns"] for chunk, _, _ in chunks(leaf["points"])]
        rules = view.must(f"rules/{view.must(f'area/{area.id}')['rules']}")
    columns = [np.concatenate([unpack(part[index]) for part in parts]) for index in range(8)]
    return RunResult(leaf, area.parties, _settle(view, area, leaf, columns, rules["prices"]))


def _settle(
    view: LedgerView, area: Area, leaf: Mapping[str, Any], columns: Sequence[Int64], prices: Mapping[str, int]
) -> SlotSettlementLike:
    contract = view.contracts.get(leaf["contract"]) or broken(f"this node has contract {leaf['contract']}")
    return contract.settle(
        energy_of(columns[0], columns[1], area.modulus_wh, area.ratio),
        energy_of(columns[2], columns[3], area.modulus_wh, area.ratio),
        columns[4],
        columns[5],
        trade_price_micro_per_kwh=leaf.get("price_micro_per_kwh"),
        prices=prices,
    )


def postings_of(lines: Sequence[Line]) -> list[Posting]:
    """Both sides of the book, summed by account and never netted; parties in order, then counter-accounts by name."""
    parties: dict[str, list[int]] = {}
    accounts: dict[str, list[int]] = {}
    for line in lines:
        party = parties.setdefault(line.party, [0, 0])
        account = accounts.setdefault(line.account, [0, 0])
        side = 0 if line.amount_nano > 0 else 1
        party[side] += abs(line.amount_nano)
        account[1 - side] += abs(line.amount_nano)
    entries = [*parties.items(), *sorted(accounts.items())]
    return [Posting(name, debit, credit) for name, (debit, credit) in entries if debit or credit]
