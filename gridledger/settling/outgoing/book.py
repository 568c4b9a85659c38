"""The book of documents that were issued: a folder with a folder for each issue, of which no file is written twice.

Each issue says the SM3 of its own files and of the issue before it: whatever is changed afterwards is found when the book is read.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from sys import intern
from typing import Any, Final, NamedTuple, TypeVar, get_type_hints

from gridcore.errors import UsageError
from gridcore.files import sync_files
from gridcore.forms import Form, integer
from gridcore.sm3 import hasher
from gridledger.settling.files.fault import FilesError, fault
from gridledger.settling.files.table import Fields, Header, Table
from gridledger.settling.outgoing.fields import BALANCE, FORMS
from gridledger.settling.results.general_ledger import EntryRow
from gridledger.tables.files import write_rows
from settlement.invoicing.account import sort_of
from settlement.invoicing.documents import LineOf
from settlement.invoicing.issued import Claim, Line, Tax, Terms, total

ISSUE: Final = "issue.csv"
DOCUMENTS: Final = "documents.csv"
LINES: Final = "document_lines.csv"
TAXES: Final = "document_taxes.csv"
ENTRIES: Final = "general_ledger.csv"
ISSUES_MAX: Final = 9_999
DOCUMENTS_MAX: Final = 1 << 20
"""Documents of a book: what they come to is in memory, about 3 KB for one of eight lines."""
NUMBERS_MAX: Final = 999_999
"""Documents of an issuer and year."""
_DIGESTS: Final[Mapping[str, str]] = {
    "documents_sm3": DOCUMENTS,
    "lines_sm3": LINES,
    "taxes_sm3": TAXES,
    "entries_sm3": ENTRIES,
}
"""The files that an issue names, by where it says their SM3."""
_READ_BYTES: Final = 1024 * 1024
_WHOLE: Final = re.compile(r"-?[0-9]{1,38}", re.ASCII)
_NAME: Final = re.compile(r"[0-9]{4}", re.ASCII)
_RIGHT: Final = "a book is written by settle issue alone; take it from your backup"


class IssueRow(NamedTuple):
    """The one row of ``ISSUE``. dates: ISO; chain to slots_settled: as of ``DocumentedMonth``; ..._sm3: of the files, hex; previous_sm3: of the issue before, "" of the first."""

    issue: int
    issuer: str
    date: str
    due_date: str
    month: str
    chain: str
    zone: str
    area: str
    height: int
    digest: str
    slots: int
    slots_settled: int
    documents: int
    documents_sm3: str
    lines_sm3: str
    taxes_sm3: str
    entries_sm3: str
    previous_sm3: str


class DocumentRow(NamedTuple):
    """A document. number: ISSUER-YEAR-000001; sort: invoice, credit or debit; corrects: the number of its invoice, "" of an invoice.

    subject: ``ENERGY`` or ``BALANCE``; area: "" for all of the zone; tax_ppm: of the tariff, ``TAXES`` has all rates; net, tax, gross: quanta; rounding:
    nano.
    """

    number: str
    date: str
    due_date: str
    sort: str
    corrects: str
    party: str
    month: str
    zone: str
    area: str
    subject: str
    currency: str
    tax_ppm: int
    quantum_nano: int
    net: int
    tax: int
    gross: int
    rounding: int

    @property
    def of(self) -> Subject:
        """What it is of."""
        return Subject(self.party, self.month, self.zone, self.area, self.subject)

    @property
    def terms(self) -> Terms:
        """With which documents it may be added up."""
        return Terms(self.currency, self.tax_ppm, self.quantum_nano)


class DocumentLineRow(NamedTuple):
    """A line of a document. energy_wh, amount_nano: exact; amount: quanta.

    tax_ppm: the rate of its tax, None for no tax and for several together. ``LINES`` has it where some kind of an issue has a line of each of several.
    """

    number: str
    line_kind: str
    account: str
    energy_wh: int
    amount_nano: int
    amount: int
    tax_ppm: int | None = None


class DocumentTaxRow(NamedTuple):
    """What of a document one rate is paid on, and its tax; quanta."""

    number: str
    tax_ppm: int
    taxed: int
    tax: int


class Subject(NamedTuple):
    """What an invoice and its corrections are of."""

    party: str
    month: str
    zone: str
    area: str
    subject: str


class Batch(NamedTuple):
    """An issue, whole."""

    issue: IssueRow
    documents: Sequence[DocumentRow]
    lines: Sequence[DocumentLineRow]
    taxes: Sequence[DocumentTaxRow]


class Book:
    """What was issued so far: of each subject its invoice's number, and what its documents come to by their terms."""

    def __init__(self) -> None:
        self.issues: list[IssueRow] = []
        self.invoices: dict[Subject, str] = {}
        self._claims: dict[Subject, dict[Terms, list[Claim]]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._lines_of: dict[LineOf, LineOf] = {}
        self.documents = 0

    def add(self, batch: Batch) -> None:
        """The next issue. FilesError where it does not go on from those before, or says otherwise than its documents."""
        self.issues.append(batch.issue)
        if (batch.issue.issue, batch.issue.documents) != (len(self.issues), len(batch.documents)):
            raise fault(ISSUE, f"is not of issue {len(self.issues)} with {len(batch.documents)} documents", _RIGHT)
        lines: dict[str, dict[LineOf, Line]] = defaultdict(dict)
        for row in batch.lines:
            of = LineOf(intern(row.line_kind), row.tax_ppm)
            known = self._lines_of.setdefault(of, of)
            lines[row.number][known] = Line(intern(row.account), row.energy_wh, row.amount_nano, row.amount)
        taxes: dict[str, dict[int, Tax]] = defaultdict(dict)
        for tax in batch.taxes:
            taxes[tax.number][tax.tax_ppm] = Tax(tax.taxed, tax.tax)
        for one in batch.documents:
            if one.number != self.next_number(batch.issue.issuer, one.date):
                raise fault(DOCUMENTS, f"has number {one.number} where it is not the next one", _RIGHT)
            if not _is_in(one, batch.issue):
                raise fault(ISSUE, f"has another date, month, zone or area than {one.number}", _RIGHT)
            if one.corrects != self.invoices.get(one.of, ""):
                raise fault(DOCUMENTS, f"{one.number} corrects another document than its invoice", _RIGHT)
            if one.sort != (sort := sort_of(one.gross, is_first=not one.corrects)):
                raise fault(DOCUMENTS, f"{one.number} is called {one.sort} where it is {sort}", _RIGHT)
            claim = Claim(lines[one.number], taxes[one.number])
            if (claim.net, claim.tax, claim.gross) != (one.net, one.tax, one.gross):
                raise fault(DOCUMENTS, f"{one.number} is not the sum of its lines and taxes", _RIGHT)
            self.invoices.setdefault(one.of, one.number)
            self._claims.setdefault(one.of, {}).setdefault(one.terms, []).append(claim)
            key = batch.issue.issuer, one.date[:4]
            self._numbers[key] = self._numbers.get(key, 0) + 1
            self.documents += 1
        if self.documents > DOCUMENTS_MAX:
            raise UsageError(
                f"a book has at most {DOCUMENTS_MAX} documents; begin another one, for another issuer or chain"
            )

    def claims(self, of: Subject) -> Mapping[Terms, Claim]:
        """What was issued of a subject, all documents together."""
        return {terms: total(claims) for terms, claims in self._claims.get(of, {}).items()}

    def subjects(self, month: str, zone: str, area: str) -> Iterator[Subject]:
        """Of a month of a zone or area; balances are of areas, so those of a zone have all of its areas."""
        for of in self.invoices:
            if (of.month, of.zone) == (month, zone) and (not area or of.area == area):
                yield of

    def next_number(self, issuer: str, date: str, given: int = 0) -> str:
        """The number of the issuer's next document; ``given``: how many others come before it. UsageError where none is left."""
        number = self._numbers.get((issuer, date[:4]), 0) + given + 1
        if number > NUMBERS_MAX:
            raise UsageError(f"{issuer} has {NUMBERS_MAX} documents in {date[:4]}: no number is left")
        return f"{issuer}-{date[:4]}-{number:06}"


def _is_in(one: DocumentRow, issue: IssueRow) -> bool:
    """Whether a document says what its issue says; balances are of areas, also where a zone is issued as a whole."""
    is_same = (one.date, one.due_date, one.month, one.zone) == (issue.date, issue.due_date, issue.month, issue.zone)
    return is_same and (one.area == issue.area or (not issue.area and one.subject == BALANCE))


def folder_of(book: Path, issue: int) -> Path:
    """Where an issue lies."""
    return book / f"{issue:04}"


def read_book(folder: Path, book: Book) -> Iterator[Batch]:
    """The issues one after the other, each when ``book`` has it; none of a folder that is absent or empty.

    book: empty; the lines of one issue alone are in memory beside it. FilesError where something is not as it was issued.
    """
    names = sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)) if folder.is_dir() else []
    for place, name in enumerate(names, start=1):
        if name != f"{place:04}":
            raise FilesError(f"{folder}: has no issue {place:04}, and {name}; {_RIGHT}")
        try:
            batch = _read_batch(folder / name, digest_of(folder / names[place - 2] / ISSUE) if place > 1 else "")
            book.add(batch)
        except FilesError as error:
            raise FilesError(f"{folder / name}/{error}") from None
        yield batch


class Parts(NamedTuple):
    """Lines and taxes of one document."""

    lines: Sequence[DocumentLineRow]
    taxes: Sequence[DocumentTaxRow]


def read_parts(folder: Path, issue: IssueRow) -> Mapping[str, Parts]:
    """Lines and taxes of the documents of an issue that was read, by number. FilesError where its files are not those that were issued."""
    for name, digest in ((LINES, issue.lines_sm3), (TAXES, issue.taxes_sm3)):
        if digest_of(folder / name) != digest:
            raise _not_issued(name)
    lines, taxes = defaultdict[str, list[DocumentLineRow]](list), defaultdict[str, list[DocumentTaxRow]](list)
    for line in _rows(folder, LINES, DocumentLineRow):
        number = intern(line.number)
        kept = line._replace(number=number, line_kind=intern(line.line_kind), account=intern(line.account))
        lines[number].append(kept)
    for tax in _rows(folder, TAXES, DocumentTaxRow):
        taxes[tax.number].append(tax)
    return {number: Parts(lines.get(number, []), taxes.get(number, [])) for number in {**lines, **taxes}}


def is_rated(lines: Iterable[DocumentLineRow]) -> bool:
    """Whether the lines of an issue say the rates of their tax."""
    return any(row.tax_ppm is not None for row in lines)


def write_batch(
    out: Path,
    issue: IssueRow,
    documents: Sequence[DocumentRow],
    lines: Sequence[DocumentLineRow],
    taxes: Sequence[DocumentTaxRow],
    entries: Sequence[EntryRow],
) -> IssueRow:
    """Make the files of an issue in ``out``, which is empty, so that they survive a power failure; its row as it stands there."""
    write_rows(out / DOCUMENTS, DocumentRow._fields, documents)
    _write_lines(out / LINES, lines)
    write_rows(out / TAXES, DocumentTaxRow._fields, taxes)
    write_rows(out / ENTRIES, EntryRow._fields, entries)
    documents_sm3, lines_sm3, taxes_sm3, entries_sm3 = _digests(out)
    whole = issue._replace(
        documents_sm3=documents_sm3, lines_sm3=lines_sm3, taxes_sm3=taxes_sm3, entries_sm3=entries_sm3
    )
    write_rows(out / ISSUE, IssueRow._fields, [whole])
    sync_files(out)
    return whole


def _write_lines(path: Path, lines: Sequence[DocumentLineRow]) -> None:
    """With the column of rates where some line says one."""
    *fields, rate = DocumentLineRow._fields
    if is_rated(lines):
        write_rows(path, (*fields, rate), [(*row[:-1], "" if row.tax_ppm is None else row.tax_ppm) for row in lines])
    else:
        write_rows(path, fields, [row[:-1] for row in lines])


def digest_of(path: Path) -> str:
    """The SM3 of a file, hex. FilesError where there is none, or something else: a pipe and a device have no end."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _digest_of(path.name, file)
        finally:
            os.close(file)
    except OSError as error:
        raise fault(path.name, f"cannot be read ({error.strerror})", _RIGHT) from None


def _digest_of(name: str, file: int) -> str:
    """Of an open file, as long as it is at first. OSError."""
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise fault(name, "is no file", _RIGHT)
    digest, left = hasher(), found.st_size
    while left > 0 and (data := os.read(file, min(left, _READ_BYTES))):
        digest.update(data)
        left -= len(data)
    return digest.digest().hex()


def _digests(folder: Path) -> list[str]:
    """Of the files that an issue names."""
    return [digest_of(folder / name) for name in _DIGESTS.values()]


def _read_batch(folder: Path, previous_sm3: str) -> Batch:
    issues = _rows(folder, ISSUE, IssueRow)
    if len(issues) != 1:
        raise fault(ISSUE, f"holds {len(issues)} rows, not one", _RIGHT)
    issue = issues[0]
    if issue.previous_sm3 != previous_sm3:
        raise fault(ISSUE, "names another issue before it than the one that is there", _RIGHT)
    for (field, name), digest in zip(_DIGESTS.items(), _digests(folder), strict=True):
        if getattr(issue, field) != digest:
            raise _not_issued(name)
    documents, lines = _rows(folder, DOCUMENTS, DocumentRow), _rows(folder, LINES, DocumentLineRow)
    return Batch(issue, documents, lines, _rows(folder, TAXES, DocumentTaxRow))


def _not_issued(name: str) -> FilesError:
    return fault(name, f"is not the file that was issued, of which {ISSUE} says the SM3", _RIGHT)


def _forms(fields: Sequence[str], whole: Sequence[str]) -> Iterator[tuple[str, Form]]:
    """What the fields of a file may hold; ``whole``: those that are numbers."""
    for field in fields:
        if field in FORMS or field in whole:
            yield field, FORMS.get(field, integer())


R = TypeVar("R", bound=NamedTuple)


def _rows(folder: Path, name: str, record: type[R]) -> list[R]:
    """The rows of a file; a number that a record may lack is None where its field is empty, or its column not there."""
    hints = get_type_hints(record)
    optional = [field for field, kind in hints.items() if kind == int | None]
    required = [field for field in record._fields if field not in optional]
    whole = [field for field, kind in hints.items() if kind is int]
    found: list[R] = []
    if not (folder / name).is_file():
        raise fault(name, "is not there", _RIGHT)
    for block in Table(folder / name, Header(required, optional)).blocks():
        columns: dict[str, list[Any]] = {field: column.texts() for field, column in block.columns.items()}
        for field in (one for one in (*whole, *optional) if one in columns):
            columns[field] = _numbers(block.columns[field], is_optional=field in optional)
        for field, form in _forms(list(columns), whole):
            values = enumerate(columns[field])
            wrong = next((at for at, value in values if value is not None and not form.holds(value)), None)
            if wrong is not None:
                raise block.columns[field].fault(wrong, f"is not {form.words}", _RIGHT)
        nothing = [None] * len(block.row)
        found += [record(*row) for row in zip(*(columns.get(one, nothing) for one in record._fields), strict=True)]
    return found


def _numbers(fields: Fields, *, is_optional: bool) -> list[int | None]:
    """Whole numbers; None of an empty field where it may be empty."""
    found: list[int | None] = []
    for at, text in enumerate(fields.texts()):
        if not _WHOLE.fullmatch(text) and not (is_optional and not text):
            raise fields.fault(at, "is no whole number", _RIGHT)
        found.append(int(text) if text else None)
    return found
