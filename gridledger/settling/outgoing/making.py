"""One more issue of a book: for each who is invoiced what a month comes to by now, less what was issued of it, as numbered documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from gridcore.errors import UsageError, excerpt
from gridcore.files import sync_folder
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.party import PARTY
from gridledger.settling.balance_books import balance_book
from gridledger.settling.chain import Scope
from gridledger.settling.disputed import DisputedRow, disputed_of_month
from gridledger.settling.documented_month import MONTH_FORM
from gridledger.settling.documents import Books, MonthBilling, month_billing, parties_by_year, slots_of_months
from gridledger.settling.month_documents import scope_of, slots_of_month
from gridledger.settling.outgoing.book import (
    ISSUE,
    ISSUES_MAX,
    Batch,
    Book,
    DocumentLineRow,
    DocumentRow,
    DocumentTaxRow,
    IssueRow,
    Subject,
    digest_of,
    folder_of,
    read_book,
    write_batch,
)
from gridledger.settling.outgoing.dues import Due, dues_of
from gridledger.settling.results.balance_book import BalanceBook
from gridledger.settling.results.general_ledger import ROUNDING_ACCOUNT, TAX_ACCOUNT, EntryRow, entry_of
from gridledger.settling.settled_folder import WORK, made_whole
from gridledger.settling.uncharged_components import Uncharged
from gridledger.tables.columns import utf8
from ledger.leaves.columns import Int64
from ledger.registry.bodies import newest, open_entity
from ledger.store.offline import reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from settlement.invoicing.account import sort_of
from settlement.invoicing.documents import LineOf, highest_first
from settlement.invoicing.issued import Claim, Line, Terms, differences, together


class Asked(NamedTuple):
    """What is to be issued. issuer: an organisation, whose parties' documents they are; day: of the documents; due_days: until they are due.

    is_so_far: also of a month of which slots are not settled yet.
    """

    month: str
    area: str | None
    issuer: str
    day: date
    due_days: int
    is_so_far: bool = False

    @property
    def due_date(self) -> date:
        """When they are to be paid."""
        return self.day + timedelta(days=self.due_days)


class MadeIssue(NamedTuple):
    """What was issued. out: None where there was nothing to issue; without_tariff: who is billed, or answers for a balance, and has no terms.

    later_months: issued before, they may differ now: steps of a year go by what this month came to. disputed: what of all documents of the month is not due, by party.
    left_out: whose documents the issuer does not issue, and that are not in the book. uncharged: as of ``Noted``.
    """

    out: Path | None
    batch: Batch
    without_tariff: Sequence[str]
    later_months: Sequence[str] = ()
    disputed: Sequence[DisputedRow] = ()
    left_out: Sequence[LeftOut] = ()
    uncharged: Sequence[Uncharged] = ()


class LeftOut(NamedTuple):
    """Parties of another organisation of which there is something to issue: by name."""

    organisation: str
    parties: Sequence[str]


class Noted(NamedTuple):
    """Names of parties. without_tariff: who has no terms; by_year: who is charged by steps of a year; disputed: of the issuer's parties that contest something.

    left_out: of other organisations, by their names; uncharged: components that are left out of the issuer's parties.
    """

    without_tariff: Sequence[str]
    by_year: Sequence[str]
    disputed: Sequence[DisputedRow]
    left_out: Sequence[LeftOut]
    uncharged: Sequence[Uncharged]


class Made(NamedTuple):
    """What an issue holds beside its own row."""

    documents: Sequence[DocumentRow]
    lines: Sequence[DocumentLineRow]
    taxes: Sequence[DocumentTaxRow]
    entries: Sequence[EntryRow]


def issue(data_dir: Path, folder: Path, asked: Asked, guard: Path | None) -> MadeIssue:
    """Add an issue to the book in ``folder``, which is made where there is none; nothing of it after a fault.

    UsageError for a month, area or organisation that the ledger has not, a month that is not complete, a date before that of the newest issue, and a book of
    another ledger; FilesError for a book that was changed.
    """
    if MONTH_FORM.fullmatch(asked.month) is None:
        raise UsageError(f"--month {excerpt(asked.month)}: write YYYY-MM, as 2026-07")
    book = _book_to_write(folder)
    out, newest_issue = folder_of(folder, len(book.issues) + 1), folder_of(folder, len(book.issues))
    with reading(data_dir, CONTRACTS, guard) as reader:
        scope = scope_of(reader, asked.area)
        _check_issuer(reader, asked.issuer)
        check_book(reader, book.issues, scope, folder)
        row = _begun(reader, scope, asked, book)
        if book.issues:
            row = row._replace(previous_sm3=digest_of(newest_issue / ISSUE))
        made, noted = made_rows(reader, scope, row, book)
        batch = Batch(row._replace(documents=len(made.documents)), made.documents, made.lines, made.taxes)
        if not made.documents:
            return MadeIssue(None, batch, noted.without_tariff, (), noted.disputed, noted.left_out, noted.uncharged)
        with made_whole(out) as work:
            if out.exists():
                raise UsageError(f"--book {folder}: another call has issued meanwhile; call again")
            written = write_batch(work, batch.issue, *made)
        sync_folder(folder)
    later = _later_months(book, batch, noted)
    written_batch, without = batch._replace(issue=written), noted.without_tariff
    return MadeIssue(out, written_batch, without, later, noted.disputed, noted.left_out, noted.uncharged)


def made_rows(reader: LedgerReader, scope: Scope, row: IssueRow, book: Book) -> tuple[Made, Noted]:
    """What an issue holds, by the blocks up to the height of the scope, and whom to note; the book has what was issued before."""
    books = Books(reader, scope, row.month, is_of_files=False)
    found = month_billing(books, slots_to_issue(reader, scope, row.month))
    balance = balance_book(books, found.billing)
    without = sorted({*found.without_tariff, *balance.without_terms}, key=utf8)
    dues = _all_dues(found, balance, row, book, set(without))
    disputed = [one for one in disputed_of_month(books, found.billing) if one.disputes]
    own, others = list[Due](), list[Due]()
    for one in dues:
        (own if _organisation_of(reader, one.of.party) in (None, row.issuer) else others).append(one)
    contesting = [one for one in disputed if _organisation_of(reader, one.party) in (None, row.issuer)]
    uncharged = [one for one in found.billing.uncharged() if _organisation_of(reader, one.party) in (None, row.issuer)]
    left_out = _left_out(reader, others, book)
    noted = Noted(without, parties_by_year(found.billing.tariffs), contesting, left_out, uncharged)
    return _numbered(own, row, book), noted


def _left_out(reader: LedgerReader, dues: Sequence[Due], book: Book) -> list[LeftOut]:
    """Whose documents are still to be issued of some dues: nobody whose own organisation has issued them into the same book."""
    found: dict[str, set[str]] = {}
    for of, terms, claim in dues:
        if differences({terms: claim}, book.claims(of)):
            found.setdefault(_organisation_of(reader, of.party) or "", set()).add(of.party)
    return [LeftOut(name, sorted(found[name], key=utf8)) for name in sorted(found, key=utf8)]


def _later_months(book: Book, batch: Batch, noted: Noted) -> Sequence[str]:
    """Months of the year that were issued and go by what the batch changes of one before them."""
    issue = batch.issue
    if not any(one.party in noted.by_year for one in batch.documents):
        return ()
    year = [one for one in book.issues if one.zone == issue.zone and one.month[:4] == issue.month[:4]]
    return sorted({one.month for one in year if one.month > issue.month})


def check_book(reader: LedgerReader, issues: Sequence[IssueRow], scope: Scope, folder: Path) -> None:
    """UsageError unless a book is of this ledger, and of what it has by now."""
    for one in issues[-1:]:
        if one.chain != reader.chain:
            raise UsageError(f"--data: is chain {reader.chain}; the book {folder} is of {one.chain}")
        if scope.height < one.height:
            words = f"is at height {scope.height}, the newest issue of {folder} at {one.height}"
            raise UsageError(f"--data: {words}; start the node, it catches up by itself")
        if reader.digest(one.height).hex() != one.digest:
            raise UsageError(f"--data: its block {one.height} is another one than that of the book {folder}")
        then = Scope(one.zone, one.height, one.area or None)
        slots = slots_of_month(reader, then, one.month), len(slots_to_issue(reader, then, one.month))
        if (one.slots, one.slots_settled) != slots:
            words = (
                f"issue {one.issue} says {one.slots_settled} of {one.slots} slots, the ledger {slots[1]} of {slots[0]}"
            )
            raise UsageError(f"--book {folder}: {words}; take the book from your backup")


def _book_to_write(folder: Path) -> Book:
    """The book that one more issue is added to."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--book {folder}: is no folder")
    book = Book()
    for _ in read_book(folder, book):
        pass
    left = f".{folder_of(folder, 1).name}{WORK}"  # what a first call that was killed has left, and its lock
    if not book.issues and folder.exists() and any(not path.name.startswith(left) for path in folder.iterdir()):
        raise UsageError(f"--book {folder}: holds other files and no issue; name a book, or an absent or empty folder")
    if len(book.issues) >= ISSUES_MAX:
        raise UsageError(f"--book {folder}: has {ISSUES_MAX} issues, and takes no more")
    return book


def slots_to_issue(reader: LedgerReader, scope: Scope, month: str) -> Int64:
    """The settled slots of a month. UsageError where there is none."""
    months = slots_of_months(reader, scope)
    if month not in months:
        has = f"it has {', '.join(months)}" if months else "none is settled yet"
        raise UsageError(f"--month {month}: the ledger has no settled slot of it; {has}")
    return months[month]


def _check_issuer(reader: LedgerReader, issuer: str) -> None:
    """UsageError unless an organisation of the ledger is named."""
    if open_entity(reader, ORGANISATION, issuer) is None:
        words = "is no organisation of this ledger; name the one whose parties are invoiced"
        raise UsageError(f"--issuer {excerpt(issuer)}: {words}")


def _begun(reader: LedgerReader, scope: Scope, asked: Asked, book: Book) -> IssueRow:
    """The row of an issue before it has documents. UsageError for a date, or a share of the month, that does not go on from what was issued."""
    newest = max((one.date for one in book.issues if one.issuer == asked.issuer), default="")
    if asked.day.isoformat() < newest:
        raise UsageError(f"--date {asked.day}: {asked.issuer} has issued on {newest} already; dates follow numbers")
    area = scope.area or ""
    others = {one.area for one in book.issues if (one.month, one.zone) == (asked.month, scope.zone)}
    if ("" in others and area) or (others - {""} and not area):
        by = "as a whole; leave --area out" if area else f"by area ({', '.join(sorted(others))}); name one with --area"
        raise UsageError(f"--month {asked.month}: zone {scope.zone} was issued {by}")
    slots, settled = slots_of_month(reader, scope, asked.month), len(slots_to_issue(reader, scope, asked.month))
    if settled < slots and not asked.is_so_far:
        words = f"{settled} of its {slots} slots are settled; issue it when the rest is, or what there is with --so-far"
        raise UsageError(f"--month {asked.month}: {words}")
    return IssueRow(
        issue=len(book.issues) + 1,
        issuer=asked.issuer,
        date=asked.day.isoformat(),
        due_date=asked.due_date.isoformat(),
        month=asked.month,
        chain=reader.chain,
        zone=scope.zone,
        area=area,
        height=scope.height,
        digest=reader.digest(scope.height).hex(),
        slots=slots,
        slots_settled=settled,
        documents=0,
        documents_sm3="",
        lines_sm3="",
        taxes_sm3="",
        entries_sm3="",
        previous_sm3="",
    )


def _all_dues(found: MonthBilling, balance: BalanceBook, row: IssueRow, book: Book, without: set[str]) -> list[Due]:
    """What is owed by now, and nothing of what was issued and is owed no more. Who has no terms by now keeps what was issued."""
    dues = dues_of(found.billing, balance, row.zone, row.area)
    known = {one.of for one in dues}
    for of in book.subjects(row.month, row.zone, row.area):
        if of not in known and of.party not in without:
            terms = next(iter(book.claims(of)))
            dues.append(Due(of, terms, Claim()))
    return sorted(dues, key=lambda one: tuple(map(utf8, one.of)))


def _organisation_of(reader: LedgerReader, party: str) -> str | None:
    """Whose a party is: that never changes. None where it has no row: who answers for a balance on a ledger of files, where there is one organisation."""
    found = newest(reader, PARTY, party)
    return None if found is None else found.record.organisation


def _numbered(dues: Sequence[Due], row: IssueRow, book: Book) -> Made:
    documents, lines = list[DocumentRow](), list[DocumentLineRow]()
    taxes, entries, has_rates = list[DocumentTaxRow](), list[EntryRow](), False
    for of, terms, claim in dues:
        for by, change, is_rated in differences({terms: claim}, book.claims(of)):
            one = _document(of, by, change, row, book, len(documents))
            documents.append(one)
            own = [
                DocumentLineRow(one.number, line_of.line_kind, *change.lines[line_of], line_of.tax_ppm)
                for line_of in sorted(change.lines, key=_in_order)
            ]
            lines += own
            taxes += [DocumentTaxRow(one.number, rate, *tax) for rate, tax in change.taxes.items()]
            entries += _entries(one, own)
            has_rates |= is_rated
    return Made(documents, lines if has_rates else without_rates(lines), taxes, entries)


def _in_order(of: LineOf) -> tuple[bytes, int]:
    return utf8(of.line_kind), highest_first(of.tax_ppm)


def without_rates(lines: Sequence[DocumentLineRow]) -> list[DocumentLineRow]:
    """The lines of an issue by kinds, all rates of one together, as issues have them in which no kind has several."""
    return [
        DocumentLineRow(number, kind, *together(Line(*row[2:-1]) for row in rows))
        for (number, kind), rows in groupby(lines, key=lambda row: (row.number, row.line_kind))
    ]


def _document(of: Subject, terms: Terms, change: Claim, row: IssueRow, book: Book, given: int) -> DocumentRow:
    corrects = book.invoices.get(of, "")
    return DocumentRow(
        number=book.next_number(row.issuer, row.date, given),
        date=row.date,
        due_date=row.due_date,
        sort=sort_of(change.gross, is_first=not corrects),
        corrects=corrects,
        party=of.party,
        month=of.month,
        zone=of.zone,
        area=of.area,
        subject=of.subject,
        currency=terms.currency,
        tax_ppm=terms.tax_ppm,
        quantum_nano=terms.quantum_nano,
        net=change.net,
        tax=change.tax,
        gross=change.gross,
        rounding=change.rounding_nano(terms.quantum_nano),
    )


def _entries(one: DocumentRow, lines: Sequence[DocumentLineRow]) -> Iterator[EntryRow]:
    """The double entry of a document: together they are its gross amount."""
    owed = [(row.line_kind, row.account, row.amount_nano) for row in without_rates(lines)]
    owed += [("tax", TAX_ACCOUNT, one.tax * one.quantum_nano), ("rounding", ROUNDING_ACCOUNT, one.rounding)]
    for kind, account, nano in owed:
        if nano:
            yield entry_of(f"{one.number}/{account}/{kind}", one.date, "", kind, one.party, account, nano)
