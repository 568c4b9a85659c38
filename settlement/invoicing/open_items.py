"""What of each issued document is still open: a party's payments are set against what it owes, the oldest due date first. Pure, in integers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

NOTHING: Final[Mapping[str, int]] = {}


class Item(NamedTuple):
    """An issued document of a party. corrects: the number of its invoice, "" of an invoice; due_date: ISO; gross_nano: above 0 the party owes.

    month: of which documents it may be disputed, as ``2026-07``; "" where nobody can dispute it.
    """

    number: str
    corrects: str
    due_date: str
    gross_nano: int
    month: str = ""

    @property
    def invoice(self) -> str:
        """The number of the invoice that it belongs to."""
        return self.corrects or self.number

    @property
    def age(self) -> tuple[str, str]:
        """What falls due first is set off first, by number on the same day."""
        return self.due_date, self.number


class OpenItems(NamedTuple):
    """open_nano: of each document by number, of the sign of its amount; disputed_nano: what of that is disputed, and not due.

    rest_nano: of the balance what no document says, such as a prepayment (below 0). The open amounts and the rest come to the balance of
    documents and payments, exactly.
    """

    open_nano: Mapping[str, int]
    disputed_nano: Mapping[str, int]
    rest_nano: int


def open_items(items: Sequence[Item], paid_nano: int, contested_nano: Mapping[str, int] = NOTHING) -> OpenItems:
    """What is open of all documents of a party in one currency. paid_nano: what its payments take off, below 0 where it was paid.

    contested_nano: what of its documents of a month stands contested, by month, as ``settlement.invoicing.disputed`` says.

    A correction changes what its own invoice comes to. After that, payments and documents in the party's favour are set against what it owes:
    document by document, the oldest due date first, what is disputed last. Where more is in its favour than it owes, all that it owes is set
    off, and what it was paid is set against the rest. So only one side has open items.
    """
    by_invoice: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_invoice[item.invoice].append(item)
    own: list[Item] = []
    for of_invoice in by_invoice.values():
        own += _unpaid(of_invoice, sum(item.gross_nano for item in of_invoice))
    contested = _contested(own, contested_nano)
    balance_nano = sum(item.gross_nano for item in own) - paid_nano
    due = [item._replace(gross_nano=item.gross_nano - contested[item.number]) for item in own]
    disputed = [item._replace(gross_nano=contested[item.number]) for item in own]
    # Payments count for what is due first, so what is left of the balance is disputed first.
    disputed_nano = {item.number: item.gross_nano for item in _unpaid(disputed, balance_nano)}
    due_nano = {item.number: item.gross_nano for item in _unpaid(due, balance_nano - sum(disputed_nano.values()))}
    open_nano = {item.number: due_nano[item.number] + disputed_nano[item.number] for item in items}
    return OpenItems(open_nano, disputed_nano, balance_nano - sum(open_nano.values()))


def _unpaid(items: Sequence[Item], balance_nano: int) -> list[Item]:
    """The same documents with what is left of each: together the balance, up to what those of its sign come to, and of that the newest."""
    sign = -1 if balance_nano < 0 else 1
    left_nano = abs(balance_nano)
    found: list[Item] = []
    for item in sorted(items, key=lambda one: one.age, reverse=True):
        part_nano = min(left_nano, max(0, sign * item.gross_nano))
        left_nano -= part_nano
        found.append(item._replace(gross_nano=sign * part_nano))
    return found


def _contested(items: Sequence[Item], contested_nano: Mapping[str, int]) -> Mapping[str, int]:
    """What of each document is contested, by number: of a month's the oldest first, at most what is owed of it."""
    left_nano = dict(contested_nano)
    found: dict[str, int] = {}
    for item in sorted(items, key=lambda one: one.age):
        found[item.number] = min(left_nano.get(item.month, 0), max(0, item.gross_nano))
        if found[item.number]:
            left_nano[item.month] -= found[item.number]
    return found
