"""The documents of a folder computed again from what its ledger keeps, and compared with its files row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from gridledger.settling.balance_books import balance_book
from gridledger.settling.chain import payments_of_month
from gridledger.settling.documents import DocumentFolder, billings, opened_books, stated_rows
from gridledger.settling.results.balance_book import BALANCE_INVOICE_LINES, BALANCE_INVOICES
from gridledger.settling.results.billing import Billed, Billing, OfRun
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
    months: list[str] = []
    computed: dict[str, list[Fields]] = {
        name: [] for name in (INVOICES, INVOICE_LINES, INVOICE_TAXES, BALANCE_INVOICES, BALANCE_INVOICE_LINES)
    }
    partners: list[PartnerRow] = []
    with opened_books(folder) as books:
        for billing in billings(books, month=month, with_partners=True):
            book = PartnerBook(billing.months.calendar.day, billing.partners)
            (name,) = billing.months.names
            progress(f"computing {name}")
            months.append(name)
            for run in map(billing.run, billing.sheets.names):
                for party in billing.points_of_party:
                    _note(book, billing, run, billing.billed(run, party))
            balance = balance_book(books, billing)
            book.add_balance(balance.days)
            partners += book.rows()
            of_balance = balance.issued()
            computed[BALANCE_INVOICES] += [tuple(map(str, row)) for row in balance.rows(of_balance)]
            computed[BALANCE_INVOICE_LINES] += [tuple(map(str, row)) for row in balance.line_rows(of_balance)]
            issued = list(billing.invoices.issued(billing.sheets.names))
            computed[INVOICES] += [tuple(map(str, row)) for row in billing.invoices.rows(issued)]
            computed[INVOICE_LINES] += [tuple(map(str, row)) for row in billing.invoices.line_rows(issued)]
            computed[INVOICE_TAXES] += [tuple(map(str, row)) for row in tax_rows(issued)]
        if books.month is not None:
            computed[PAYMENTS] = [
                tuple(map(str, row)) for row in payments_of_month(books.reader, books.scope, books.month)
            ]
    for rows in computed.values():
        rows.sort(key=lambda row: (utf8(row[0]), row[1]))  # by party, then by month; within a month they are in order
    computed[PARTNERS] = [tuple(map(str, row)) for row in partners]
    computed[PARTNER_MONTHS] = [tuple(map(str, row)) for row in month_rows(partners)]
    optional = [name for name in (BALANCE_INVOICES, BALANCE_INVOICE_LINES) if not computed[name]]
    for name in (one for one in optional if not (folder.out / one).exists()):
        del computed[name]  # no area has terms of a balance
    found = (_first_differing(folder, name, month, rows) for name, rows in computed.items())
    differing = next((one for one in found if one is not None), None)
    return DocumentsAgain(months, len(computed[INVOICES]), len(computed[INVOICE_LINES]), differing)


def _note(book: PartnerBook, billing: Billing, run: OfRun, billed: Billed) -> None:
    """Tell the book of partners what a run is to a party."""
    book.add_lines(run.name, run.sheet.slots, billed.parts)
    book.add_charges(run.name, billing.months.first_slot, billed.charges.of_partners)


def _first_differing(
    folder: DocumentFolder, name: str, month: str | None, computed: Sequence[Fields]
) -> Differing | None:
    for stated, row in zip_longest(stated_rows(folder, name, month=month), computed):
        if stated is None:
            return Differing(name, None, None, row)
        if stated.fields != row:
            return Differing(name, stated.number, stated.fields, row)
    return None
