"""One line of a document that was issued, step by step: what the month came to by its issue's block, less what was issued of it before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridledger.settling import balance_derivation, month_derivation
from gridledger.settling.balance_books import balance_book, month_histories
from gridledger.settling.balance_derivation import TITLES
from gridledger.settling.balance_month_derivation import day_step, owed_by_day, owed_by_rate
from gridledger.settling.chain import Scope
from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.derivation import Step, Text, bracketed, numbers
from gridledger.settling.documents import Books, month_billing
from gridledger.settling.files.fault import nearest
from gridledger.settling.month_derivation import DocumentName, MonthDerivation, quanta_unit, rounded_steps
from gridledger.settling.month_lines import month_lines
from gridledger.settling.outgoing.book import Book, DocumentLineRow, DocumentRow, IssueRow, read_book
from gridledger.settling.outgoing.fields import BALANCE
from gridledger.settling.outgoing.making import check_book, slots_to_issue, without_rates
from ledger.store.offline import reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from settlement.invoicing.issued import Claim, Line, together
from settlement.invoicing.total import HALF_UP_AWAY


class _Found(NamedTuple):
    """A kind of line of a document of a book: its issue, its row with all rates together, and what was issued of its kind before, by the same terms."""

    issue: IssueRow
    document: DocumentRow
    row: DocumentLineRow
    before: Line


class _Now(NamedTuple):
    """What a kind of line came to by the issue's block: how, exact, by the rate of its tax. terms: None where nothing is owed by the document's terms any more."""

    title: Text
    steps: Sequence[Step]
    energy_wh: int
    amounts_nano: Mapping[int | None, int]
    terms: InvoiceTerms | None
    run: str


def derive_issued_line(data_dir: Path, folder: Path, number: str, kind: str, guard: Path | None) -> MonthDerivation:
    """The derivation of NUMBER/KIND of a book. UsageError where the book has no such line, or is of another ledger."""
    found = _find(folder, number, kind)
    with reading(data_dir, CONTRACTS, guard) as reader:
        check_book(reader, [found.issue], Scope(found.issue.zone, reader.height), folder)
        is_balance = found.document.subject == BALANCE
        now = (_of_balance if is_balance else _of_party)(reader, found)
    document, not_checked = found.document, (balance_derivation if is_balance else month_derivation).NOT_CHECKED
    terms = now.terms or InvoiceTerms(document.currency, document.tax_ppm, document.quantum_nano, HALF_UP_AWAY)
    name = DocumentName(document.party, document.month, kind, None)
    steps = [*now.steps, *_changes(found, now, terms)]
    return MonthDerivation(name, now.run, now.title, steps, {"amount": found.row.amount}, terms, (not_checked,))


def _find(folder: Path, number: str, kind: str) -> _Found:
    book = Book()
    for batch in read_book(folder, Book()):
        document = next((one for one in batch.documents if one.number == number), None)
        if document is None:
            book.add(batch)
            continue
        known = {row.line_kind: row for row in without_rates(batch.lines) if row.number == number}
        if kind not in known:
            raise UsageError(f"--line {number}: the document has no line {excerpt(kind)}; {nearest(kind, known)}")
        row = known[kind]
        before = book.claims(document.of).get(document.terms, Claim()).of_kind(kind)
        return _Found(batch.issue, document, row, together([Line(row.account, 0, 0, 0), *before]))
    raise UsageError(f"--line {excerpt(number)}: the book {folder} has no document of this number")


def _books(reader: LedgerReader, issue: IssueRow) -> Books:
    return Books(reader, Scope(issue.zone, issue.height, issue.area or None), issue.month, is_of_files=False)


def _of_party(reader: LedgerReader, found: _Found) -> _Now:
    """By the tariff and the runs of the party's points."""
    books, document = _books(reader, found.issue), found.document
    billing = month_billing(books, slots_to_issue(reader, books.scope, document.month), document.party).billing
    run, terms = billing.sheets.names[-1], billing.terms_in(document.party, document.month)
    if not _is_by(document, terms):
        return _Now(_TAKEN_BACK, [], 0, _NOTHING, None, run)
    lines = [one for one in month_lines(billing, document.party, run) if one.kind == found.row.line_kind]
    if not lines:
        return _Now(_TAKEN_BACK, [], 0, _NOTHING, terms, run)
    steps = [step for one in lines for step in one.steps]
    amounts_nano = {one.tax_ppm: one.amount_nano for one in lines}
    return _Now(lines[0].title, steps, sum(one.energy_wh for one in lines), amounts_nano, terms, run)


def _of_balance(reader: LedgerReader, found: _Found) -> _Now:
    """By the borders, groups and terms of the area."""
    books, document, kind = _books(reader, found.issue), found.document, found.row.line_kind
    billing = month_billing(books, slots_to_issue(reader, books.scope, document.month)).billing
    histories = list(month_histories(books, billing.dataset, document.area))
    run, terms = histories[-1].known[-1].run, balance_book(books, billing).terms_of(document.party, document.month)
    if terms is None or not _is_by(document, terms):
        return _Now(TITLES[kind], [], 0, _NOTHING, None, run)
    days = owed_by_day(histories, billing.dataset.timezone, kind, document.party)
    energy_wh = sum(one.energy_wh for one in days.values())
    step = day_step(days, document.area, f"{document.party}/SLOT/{kind}", document.currency)
    return _Now(TITLES[kind], [step], energy_wh, owed_by_rate(days, terms), terms, run)


def _is_by(document: DocumentRow, terms: InvoiceTerms) -> bool:
    """Whether the document was made by the terms that hold by its issue's block."""
    return document.terms == (terms.currency, terms.tax_ppm, terms.quantum_nano)


def _changes(found: _Found, now: _Now, terms: InvoiceTerms) -> Iterator[Step]:
    """What is owed by now, rounded once, less what was issued before, as the row says it."""
    row, before, nano = found.row, found.before, f"1e-9 {terms.currency}"
    if now.terms is None:
        what = {
            "en": f"Owed by a tax of {terms.tax_ppm} ppm: nothing any more, other terms hold",
            "zh_CN": f"按税率 {terms.tax_ppm} ppm 的应付：已适用其他条款，全部冲回",
        }
        yield Step(what, numbers("0"), 0, nano, holds=True)
    rounded = rounded_steps(now.amounts_nano, terms, {"en": "Rounded once", "zh_CN": "只取整一次"})
    yield from rounded
    quanta, now_nano = sum(step.result for step in rounded), sum(now.amounts_nano.values())
    for column, owed, issued, said, unit in (
        ("energy_wh", now.energy_wh, before.energy_wh, row.energy_wh, "Wh"),
        ("amount_nano", now_nano, before.amount_nano, row.amount_nano, nano),
        ("amount", quanta, before.amount, row.amount, quanta_unit(terms)),
    ):
        what = {
            "en": f"{column}: less what was issued before; {row.number} says {said}",
            "zh_CN": f"{column}：减去此前已开具的部分；{row.number} 为 {said}",
        }
        yield Step(what, numbers(f"{owed} − {bracketed(issued)}"), owed - issued, unit, holds=owed - issued == said)


_NOTHING: Final[Mapping[int | None, int]] = {None: 0}
_TAKEN_BACK: Text = {"en": "a line that was issued and is owed no more", "zh_CN": "已开具而不再应付的项目"}
