"""Double entry of one slot: every line of a statement debits one account and credits another.

A positive amount (the party owes) debits the party and credits the counter-account; a negative one the other way round.
An account's debits and credits are never netted against each other, so that both sides of the book can be audited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gridcore.errors import require
from ledger.contract import SlotSettlementLike
from settlement.contract_kit_1 import Int64Column, add, exact_sum, subtract
from settlement.errors import SettlementError


class Posting(NamedTuple):
    """What one slot debits and credits to one account; both >= 0, in nano, at least one of them positive."""

    account: str
    debit_nano: int
    credit_nano: int


@dataclass(frozen=True, slots=True)
class SlotPostings:
    """Both sides of one slot's book, in nano: int64[n] beside the parties, and (debit, credit) per counter-account."""

    party_debit_nano: Int64Column
    party_credit_nano: Int64Column
    accounts_nano: dict[str, tuple[int, int]]

    def rows(self, parties: Sequence[str]) -> list[Posting]:
        """One posting per account that anything is posted to: ``parties`` in the order given, then counter-accounts.

        SettlementError for a wrong number of parties, a name that occurs twice, or one that is a counter-account.
        """
        names = set(parties)
        if len(parties) != self.party_debit_nano.size:
            raise SettlementError(f"{len(parties)} parties for {self.party_debit_nano.size} rows of a slot: one each")
        if len(names) != len(parties):
            raise SettlementError("a party occurs twice in one slot")
        if not names.isdisjoint(self.accounts_nano):
            raise SettlementError(f"a party has the name of a counter-account: {', '.join(self.accounts_nano)}")
        of_parties = zip(parties, self.party_debit_nano.tolist(), self.party_credit_nano.tolist(), strict=True)
        of_accounts = ((account, *sides) for account, sides in self.accounts_nano.items())
        return [Posting(*posting) for posting in (*of_parties, *of_accounts) if posting[1] or posting[2]]


def slot_postings(settlement: SlotSettlementLike) -> SlotPostings:
    """The postings of one slot; debits equal credits, or the process stops.

    The kit's ContractError where an amount, or one side of a party's book, is outside int64.
    """
    rows = settlement.pays_nano.size
    party_debit, party_credit = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    accounts: dict[str, tuple[int, int]] = {}
    for line in settlement.lines:
        debit, credit = accounts.get(line.account, (0, 0))
        total_nano = exact_sum(line.amount_nano)
        # one price for all, and no energy is negative: the amounts of one kind of line have one sign
        if int(line.amount_nano.min(initial=0)) >= 0:
            party_debit = add(party_debit, line.amount_nano, "debit_nano")
            accounts[line.account] = (debit, credit + total_nano)
        else:
            require(int(line.amount_nano.max(initial=0)) == 0, "the amounts of one kind of line have one sign")
            party_credit = subtract(party_credit, line.amount_nano, "credit_nano")
            accounts[line.account] = (debit - total_nano, credit)
    debit_nano = exact_sum(party_debit) + sum(debit for debit, _ in accounts.values())
    credit_nano = exact_sum(party_credit) + sum(credit for _, credit in accounts.values())
    require(debit_nano == credit_nano, "the debits of a slot equal its credits")
    return SlotPostings(party_debit, party_credit, accounts)
