"""The account of a party: what its documents come to less what was paid, over some months, from an opening to a closing balance. Pure, in integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

INVOICE: Final = "invoice"
CREDIT: Final = "credit"
DEBIT: Final = "debit"
DOCUMENTS: Final = (INVOICE, CREDIT, DEBIT)
NOTHING: Final[Mapping[str, int]] = {}


class Taxed(NamedTuple):
    """What of a document one rate is paid on, and the tax."""

    tax_ppm: int
    taxed_nano: int
    tax_nano: int


class Entry(NamedTuple):
    """What moves an account. month: a local one, as ``2026-07``; sort: of a document one of DOCUMENTS, of a payment its ground.

    name: of a document its run, of a payment its reference; date: of a payment its local day, "" of a document, which is of its whole month;
    net_nano, taxes (by rate): of a document; tax_ppm: the rate of its tariff, which lines have that name no other; owed_nano: what the party owes
    more, below 0: less.
    """

    month: str
    sort: str
    name: str
    date: str
    owed_nano: int
    net_nano: int = 0
    tax_ppm: int = 0
    taxes: Sequence[Taxed] = ()

    @property
    def is_document(self) -> bool:
        """Whether it is an invoice or a correction of one."""
        return self.sort in DOCUMENTS

    @property
    def taxed_nano(self) -> int:
        """Of net, what tax is paid on."""
        return sum(one.taxed_nano for one in self.taxes)

    @property
    def tax_nano(self) -> int:
        """The tax of all rates."""
        return sum(one.tax_nano for one in self.taxes)

    @property
    def rate_ppm(self) -> int | None:
        """The one rate at which tax is paid, that of the tariff where none is; None where there are several."""
        rates = {one.tax_ppm for one in self.taxes} or {self.tax_ppm}
        return rates.pop() if len(rates) == 1 else None

    def by_rate(self) -> Mapping[int, TaxSum]:
        """The document by rate; what no tax is paid on stands with the rate of its tariff, which is always there."""
        found = {one.tax_ppm: TaxSum(one.tax_ppm, 1, one.taxed_nano, *one[1:], sum(one[1:])) for one in self.taxes}
        own = found.get(self.tax_ppm, TaxSum(self.tax_ppm, 1, 0, 0, 0, 0))
        untaxed_nano = self.net_nano - self.taxed_nano
        found[self.tax_ppm] = own._replace(
            net_nano=own.net_nano + untaxed_nano, gross_nano=own.gross_nano + untaxed_nano
        )
        return found


class TaxSum(NamedTuple):
    """The documents that have something of one tax rate: how many, and what that comes to; net_nano + tax_nano = gross_nano."""

    tax_ppm: int
    documents: int
    net_nano: int
    taxed_nano: int
    tax_nano: int
    gross_nano: int


class Account(NamedTuple):
    """Some months of an account: opening_nano and all entries come to closing_nano; above 0 the party owes.

    contested_nano: what stands contested of documents up to the last month, by the month, as ``settlement.invoicing.disputed`` says.
    """

    opening_nano: int
    entries: Sequence[Entry]
    contested_nano: Mapping[str, int] = NOTHING

    @property
    def invoiced_nano(self) -> int:
        """What the documents come to, tax included."""
        return sum(entry.owed_nano for entry in self.entries if entry.is_document)

    @property
    def paid_nano(self) -> int:
        """What the payments take off, debts that were given up included."""
        return -sum(entry.owed_nano for entry in self.entries if not entry.is_document)

    @property
    def closing_nano(self) -> int:
        """What the party owes afterwards."""
        return self.opening_nano + self.invoiced_nano - self.paid_nano

    @property
    def disputed_nano(self) -> int:
        """What of the closing balance is disputed, and not due: payments count for what is not disputed first."""
        return min(sum(self.contested_nano.values()), max(self.closing_nano, 0))

    @property
    def due_nano(self) -> int:
        """What of the closing balance is due; with what is disputed it is all of it."""
        return self.closing_nano - self.disputed_nano

    @property
    def taxes(self) -> Sequence[TaxSum]:
        """The documents by tax rate, the highest first."""
        by_rate: dict[int, list[TaxSum]] = {}
        for entry in self.entries:
            if entry.is_document:
                for rate, one in entry.by_rate().items():
                    by_rate.setdefault(rate, []).append(one)
        return [_sum_of(rate, by_rate[rate]) for rate in sorted(by_rate, reverse=True)]


def account_of(
    entries: Iterable[Entry], first_month: str, last_month: str, contested_nano: Mapping[str, int] = NOTHING
) -> Account:
    """The account of a party from one month to another, both included. entries: all there ever were up to then, those of a month in order.

    contested_nano: by month what stands contested of its documents by now; months after the last one do not count.

    A correction of a month is of that month, whenever it was made; a payment is of the month in which it was recorded. Entries are put in
    order by month, in a month its documents before its payments.
    """
    opening_nano, found = 0, list[Entry]()
    for entry in entries:
        if entry.month < first_month:
            opening_nano += entry.owed_nano
        elif entry.month <= last_month:
            found.append(entry)
    ordered = sorted(found, key=lambda entry: (entry.month, not entry.is_document))
    return Account(opening_nano, ordered, _through(contested_nano, last_month))


def by_month(account: Account, months: Sequence[str]) -> Mapping[str, Account]:
    """The same account month by month: each begins with what the one before ends with. months: ascending, at least those of its entries."""
    found, opening_nano = {}, account.opening_nano
    for month in months:
        own = [entry for entry in account.entries if entry.month == month]
        found[month] = Account(opening_nano, own, _through(account.contested_nano, month))
        opening_nano = found[month].closing_nano
    return found


def _through(contested_nano: Mapping[str, int], last_month: str) -> Mapping[str, int]:
    return {month: nano for month, nano in contested_nano.items() if month <= last_month}


def sort_of(owed_nano: int, *, is_first: bool) -> str:
    """What a document is called: the first one of a party and month its invoice, of later ones what lowers it a credit note."""
    if is_first:
        return INVOICE
    return CREDIT if owed_nano < 0 else DEBIT


def _sum_of(rate: int, parts: Sequence[TaxSum]) -> TaxSum:
    sums = [sum(column) for column in zip(*parts, strict=True)]
    return TaxSum(rate, *sums[1:])
