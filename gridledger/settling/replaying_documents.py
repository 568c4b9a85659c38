"""The documents of a folder computed again from what its ledger keeps, and compared with its files row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from gridledger.settling.balance_books import balance_book
from gridledger.settling.chain import payments_of_month
from gridledger.settling.documents import DocumentFolder, billings, opened_books, stated_rows
from gridledger.settling.results.balance_book import BALANCE_INVOICE_LINES, BALANCE_INVOICES, BalanceBook
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.invoices import INVOICE_LINES, INVOICE_TAXES, INVOICES, tax_rows
from gridledger.settling.results.market_partners import (
    PARTNER_MONTHS,
    PARTNERS,
    PartnerBook,
    PartnerRow,
    month_rows,
)
from gridledger.settling.results.payments import PAYMENTS
from gridledger.tables.columns import utf8

Fields = tuple[str, ...]


class Differing(NamedTuple):
    """The first row that is not what the ledger gives. row: of the file, None behind its end; stated, computed: None where there is none."""

    file: str
    row: int | None
    stated: Fields | None
    computed: Fields | None


class DocumentsAgain(NamedTuple):
    """How much was computed again; ``differing``: None where every row is the same."""

    months: Sequence[str]
    documents: int
    lines: int
    differing: Differing | None


def documents_again(folder: DocumentFolder, month: str | None, progress: Callable[[str], None]) -> DocumentsAgain:
    """Compute the documents of all months, or of one, and what market partners receive. UsageError for what is no folder of documents, and for a month that it has not."""
    months, partners = list[str](), list[PartnerRow]()
    computed = defaultdict[str, list[tuple[object, ...]]](list)
    with opened_books(folder) as books:
        for billing in billings(books, month=month, with_partners=True):
            (name,) = billing.months.names
            progress(f"computing {name}")
            months.append(name)
            balance = balance_book(books, billing)
            partners += _partner_rows(billing, balance)
            issued = list(billing.invoices.issued(billing.sheets.names))
            computed[INVOICES] += billing.invoices.rows(issued)
            computed[INVOICE_LINES] += billing.invoices.line_rows(issued)
            computed[INVOICE_TAXES] += tax_rows(issued)
            of_balance = balance.issued()
            computed[BALANCE_INVOICES] += balance.rows(of_balance)
            computed[BALANCE_INVOICE_LINES] += balance.line_rows(of_balance)
        if books.month is not None:
            computed[PAYMENTS] += payments_of_month(books.reader, books.scope, books.month)
    tables = {name: _by_party(map(_fields, rows)) for name, rows in computed.items()}
    tables[PARTNERS] = [*map(_fields, partners)]
    tables[PARTNER_MONTHS] = [*map(_fields, month_rows(partners))]
    for name in (BALANCE_INVOICES, BALANCE_INVOICE_LINES):
        if not tables[name] and not (folder.out / name).exists():
            del tables[name]  # no area has terms of a balance
    found = (_first_differing(folder, name, month, rows) for name, rows in tables.items())
    differing = next((one for one in found if one is not None), None)
    return DocumentsAgain(months, len(tables[INVOICES]), len(tables[INVOICE_LINES]), differing)


def _partner_rows(billing: Billing, balance: BalanceBook) -> list[PartnerRow]:
    """What partners receive of a billing and its balances. Every run is billed to every party on the way, which tells the billing's invoices what they come to."""
    book = PartnerBook(billing.months.calendar.day, billing.partners)
    for run in map(billing.run, billing.sheets.names):
        for party in billing.points_of_party:
            billed = billing.billed(run, party)
            book.add_lines(run.name, run.sheet.slots, billed.parts)
            book.add_charges(run.name, billing.months.first_slot, billed.charges.of_partners)
    book.add_balance(balance.days)
    return book.rows()


def _fields(row: tuple[object, ...]) -> Fields:
    """A row as its file has it."""
    return tuple(map(str, row))


def _by_party(rows: Iterable[Fields]) -> list[Fields]:
    """By party, then by month; within a month they are in order."""
    return sorted(rows, key=lambda row: (utf8(row[0]), row[1]))


def _first_differing(
    folder: DocumentFolder, name: str, month: str | None, computed: Sequence[Fields]
) -> Differing | None:
    for stated, row in zip_longest(stated_rows(folder, name, month=month), computed):
        if stated is None:
            return Differing(name, None, None, row)
        if stated.fields != row:
            return Differing(name, stated.number, stated.fields, row)
    return None
