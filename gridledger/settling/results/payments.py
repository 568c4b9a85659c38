"""The payments of a month: ``payments.csv``, one by one, and ``paid.csv``, what a party's come to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.transactions.payment import GROUNDS
from gridledger.tables.columns import utf8
from gridledger.tables.files import write_rows

PAYMENTS: Final = "payments.csv"
PAID: Final = "paid.csv"


class PaymentRow(NamedTuple):
    """A payment, by party, then in the order of the blocks. transaction: its id on the ledger, hex, which no later call changes.

    date: local; time_s: ledger time, UTC seconds; ground: of ``GROUNDS``; account: the other side; amount_nano: above 0; reference: SM3 of
    the words that name the movement, hex.
    """

    party: str
    month: str
    transaction: str
    date: str
    time_s: int
    height: int
    point: str
    ground: str
    account: str
    amount_nano: int
    reference: str
    signer: str

    @property
    def owed_nano(self) -> int:
        """What the party owes more by it; below 0: less."""
        return -GROUNDS[self.ground].sign * self.amount_nano


class PaidRow(NamedTuple):
    """What the payments of a party and month come to by ground, nano. owed_nano: what the party owes more by all of them; below 0: less."""

    party: str
    month: str
    received_nano: int
    paid_out_nano: int
    written_off_nano: int
    reinstated_nano: int
    owed_nano: int


def paid_rows(payments: Sequence[PaymentRow]) -> list[PaidRow]:
    """One of each party that has a payment, by the bytes of their names; all are of one month."""
    by_party: dict[str, list[PaymentRow]] = {}
    for one in payments:
        by_party.setdefault(one.party, []).append(one)
    return [_paid(by_party[party]) for party in sorted(by_party, key=utf8)]


def write_payments(out: Path, payments: Sequence[PaymentRow]) -> None:
    """Make both files."""
    write_rows(out / PAYMENTS, PaymentRow._fields, payments)
    write_rows(out / PAID, PaidRow._fields, paid_rows(payments))


def _paid(own: Sequence[PaymentRow]) -> PaidRow:
    sums = {f"{ground}_nano": sum(one.amount_nano for one in own if one.ground == ground) for ground in GROUNDS}
    return PaidRow(party=own[0].party, month=own[0].month, **sums, owed_nano=sum(one.owed_nano for one in own))
