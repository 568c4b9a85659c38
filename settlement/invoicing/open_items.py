"""What of each issued document is still open: a party's payments are set against what it owes, the oldest due date first. Pure, in integers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Item(NamedTuple):
    """An issued document of a party. corrects: the number of its invoice, "" of an invoice; due_date: ISO; gross_nano: above 0 the party owes."""

    number: str
    corrects: str
    due_date: str
    gross_nano: int

    @property
    def invoice(self) -> str:
        """The number of the invoice that it belongs to."""
        return self.corrects or self.number

    @property
    def age(self) -> tuple[str, str]:
        """What falls due first is set off first, by number on the same day."""
        return self.due_date, self.number


class OpenItems(NamedTuple):
    """open_nano: of each document by number, of the sign of its amount; rest_nano: of the balance what no document says, such as a prepayment (below 0).

    The open amounts and the rest come to the balance of documents and payments, exactly.
    """

    open_nano: Mapping[str, int]
    rest_nano: int


def open_items(items: Sequence[Item], paid_nano: int) -> OpenItems:
    """What is open of all documents of a party in one currency. paid_nano: what its payments take off, below 0 where it was paid.

    A correction changes what its invoice comes to. Payments, and invoices that the party has to get, are set against what it owes, the oldest
    due date first; where it has to get more than it owes, what it owes is set off and what it was paid is set against that. Nothing is both open
    on one side and on the other.
    """
    by_invoice: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_invoice[item.invoice].append(item)
    claims = {invoice: sum(item.gross_nano for item in of) for invoice, of in by_invoice.items()}
    balance_nano = sum(claims.values()) - paid_nano
    sign = -1 if balance_nano < 0 else 1
    left_nano = abs(balance_nano)
    open_nano = {item.number: 0 for item in items}
    ages = {invoice: min(item.age for item in of) for invoice, of in by_invoice.items()}
    for invoice in sorted(by_invoice, key=ages.__getitem__, reverse=True):
        of_invoice_nano = min(left_nano, max(0, sign * claims[invoice]))
        left_nano -= of_invoice_nano
        for item in sorted(by_invoice[invoice], key=lambda one: one.age, reverse=True):
            part_nano = min(of_invoice_nano, max(0, sign * item.gross_nano))
            of_invoice_nano -= part_nano
            open_nano[item.number] = sign * part_nano
    return OpenItems(open_nano, sign * left_nano)
