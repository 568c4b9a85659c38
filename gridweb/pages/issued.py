"""Documents that were issued, as the book of ``gridledger settle issue`` has them: of a month, of a party, and each one with its lines.

``/documents/issued`` has those of a month for the utility; ``/households/<party>/issued`` those of a party, which its month, year and account fetch;
``…/issued/<number>`` one with its lines, to be taken along.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from quart import Blueprint, request

from gridcore.errors import GridError
from gridcore.serving.problems import Problem
from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.choosing import asked_choice, choose
from gridweb.i18n import N_, _
from gridweb.issued import IssuedBook, IssuedDocument
from gridweb.pages.balance import KIND_WORDS
from gridweb.pages.documents import SORTS
from gridweb.pages.issued_states import (
    STATE_WORDS,
    Stated,
    kept,
    not_usable,
    read_book,
    read_known,
    stated,
    stated_of_all,
)
from gridweb.site import source, viewer
from gridweb.source import Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("issued", __name__)

SUBJECT_WORDS: Final = {"energy": N_("energy"), "balance": N_("area balance")}
COLUMNS: Final = (
    Column("number", N_("Number"), "name"),
    Column("date", N_("Issued on"), "day"),
    Column("due_date", N_("Due on"), "day"),
    Column("sort", N_("Document"), words=SORTS),
    Column("month", N_("Month"), "month"),
    Column("subject", N_("Of what"), words=SUBJECT_WORDS),
    Column("area", N_("Area")),
    Column("state", N_("State"), words=STATE_WORDS),
    Column("gross_nano", N_("Gross amount"), "amount_nano"),
    Column("open_nano", N_("Still open"), "amount_nano"),
    Column("disputed_nano", N_("Of it disputed, not due"), "amount_nano"),
    Column("net_nano", N_("Net amount"), "amount_nano"),
    Column("tax_nano", N_("Tax"), "amount_nano"),
    Column("corrects", N_("Corrects"), "name"),
    Column("corrected_by", N_("Corrected by"), "name"),
)
ALL_COLUMNS: Final = (COLUMNS[0], Column("party", N_("Party")), *COLUMNS[1:])
LINE_COLUMNS: Final = (
    Column("line_kind", N_("Line")),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("exact_nano", N_("Exact amount"), "amount_nano"),
    Column("tax_ppm", N_("Tax rate"), "share"),
    Column("taxed_nano", N_("Of it taxed"), "amount_nano"),
    Column("amount_nano", N_("Amount"), "amount_nano"),
    Column("account", N_("Paid to"), "name"),
)
_SPAN: Final = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2]))?", re.ASCII)


@serves_table("/households/<party>/issued", *EVERY_ROLE)
async def household_issued_table(
    source: Source, viewer: Viewer, party: str, *, month: str | None = None, year: str | None = None
) -> Table:
    """The documents that were issued to a party, of a local month or year, else all: number, dates, state, what is still open, and what of that is disputed. Above 0 it is owed."""
    check_party(viewer, party)
    span = _span(month or year or "")
    book = await read_book(source)
    found = [one for one in await _of_party(source, book, party) if one.document.month.startswith(span)]
    rows = [_row(one) for one in found]
    return Table(
        name=f"{party}-issued" + (f"-{span}" if span else ""),
        columns=COLUMNS,
        rows=rows,
        title=_("Issued documents of %(party)s, %(span)s", party=party, span=span)
        if span
        else _("Issued documents of %(party)s", party=party),
        note=_note(book, found),
        links=[_path(one.document) for one in found],
        totals=_totals(COLUMNS, rows),
        tz=await _tz(source),
        currency=(await source.as_of()).currency,
    )


@serves_table("/issued", *READS_ALL)
async def issued_table(source: Source, *, month: str | None = None) -> Table:
    """All documents that were issued of a local month, of whatever area, by number; without a month: of the newest one of which there are any."""
    book = await read_book(source)
    chosen = _span(month or (book.months[-1] if book.months else ""))
    of_month = [one for one in book.documents if one.month.startswith(chosen)]
    parties = {one.party for one in of_month}
    known = await read_known(source, parties, party=None)
    by_number = await asyncio.to_thread(stated_of_all, book, parties, known)
    found = [by_number[one.number] for one in of_month]
    rows = [(one.document.number, one.document.party, *_row(one)[1:]) for one in found]
    return Table(
        name=f"issued-{chosen}" if chosen else "issued",
        columns=ALL_COLUMNS,
        rows=rows,
        title=_("Issued documents of %(span)s", span=chosen) if chosen else _("Issued documents"),
        note=_note(book, found),
        links=[_path(one.document) for one in found],
        totals=_totals(ALL_COLUMNS, rows),
        tz=await _tz(source),
        currency=(await source.as_of()).currency,
    )


@serves_table("/households/<party>/issued/<number>", *EVERY_ROLE)
async def issued_document_table(source: Source, viewer: Viewer, party: str, number: str) -> Table:
    """One issued document of a party: its lines and its taxes, which come to its gross amount."""
    check_party(viewer, party)
    book = await read_book(source)
    if book.fault:
        return Table(number, LINE_COLUMNS, [], title=_("Document %(number)s", number=number), note=not_usable(book))
    document = find(book, party, number)
    try:
        parts = await kept().parts(document)
    except GridError as error:
        return Table(
            number,
            LINE_COLUMNS,
            [],
            title=_("Document %(number)s", number=number),
            note=not_usable(IssuedBook(fault=str(error))),
        )
    rows: list[tuple[Any, ...]] = [
        (line.line_kind, line.energy_wh or None, line.exact_nano, line.tax_ppm, None, line.amount_nano, line.account)
        for line in parts.lines
    ]
    rows += [("", None, None, tax.tax_ppm, tax.taxed_nano, tax.tax_nano, None) for tax in parts.taxes]
    words = {
        **{kind: title for area in await source.areas() for kind, title in area.contract.line_titles.items()},
        "": N_("Tax"),
    }
    if document.subject == "balance":
        words |= KIND_WORDS
    named = {"number": document.number, "party": party, "month": document.month}
    titles = {
        "invoice": _("Invoice %(number)s of %(month)s, party %(party)s", **named),
        "credit": _("Credit note %(number)s of %(month)s, party %(party)s", **named),
        "debit": _("Further debit %(number)s of %(month)s, party %(party)s", **named),
    }
    return Table(
        name=document.number,
        columns=(Column("line_kind", N_("Line"), words=words), *LINE_COLUMNS[1:]),
        rows=rows,
        title=titles[document.sort],
        note=_dates(document),
        totals=(None, None, None, None, None, sum(row[5] for row in rows), None) if rows else None,
        tz=await _tz(source),
        currency=document.currency,
    )


async def _of_party(source: Source, book: IssuedBook, party: str) -> Sequence[Stated]:
    """All documents of a party."""
    return stated(book, party, await read_known(source, book.by_party.keys() & {party}, party=party))


def find(book: IssuedBook, party: str, number: str) -> IssuedDocument:
    """A document of a party. Problem 404 for any other, somebody else's too."""
    found = next((one for one in book.by_party.get(party, ()) if one.number == number), None)
    if found is None:
        raise Problem("not-found", "no document of this number was issued to this party")
    return found


def _span(text: str) -> str:
    if text and not _SPAN.fullmatch(text):
        raise Problem("bad-request", "month: write YYYY-MM; year: four digits")
    return text


def _row(one: Stated) -> tuple[Any, ...]:
    document = one.document
    named = (document.number, document.date, document.due_date, document.sort, document.month, document.subject)
    standing = one.standing
    state = None if standing.state is None else standing.state.value
    amounts = (document.gross_nano, standing.open_nano, standing.disputed_nano, document.net_nano, document.tax_nano)
    return (
        *named,
        document.area or None,
        state,
        *amounts,
        document.corrects or None,
        ", ".join(one.corrected_by) or None,
    )


def _totals(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Sequence[object] | None:
    """The sums of amounts; of what is open none where payments, or disputes, are not known."""
    if not rows:
        return None
    return [_sum(row[at] for row in rows) if column.is_number else None for at, column in enumerate(columns)]


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value or 0 for value in known)


def _note(book: IssuedBook, found: Sequence[Stated]) -> str:
    if book.fault:
        return not_usable(book)
    if not found:
        return _("No document of it has been issued yet.")
    notes = [
        _(
            "What a party pays, and what it has to get, is set against what it owes, the oldest due date first. "
            "An issued document stays as it is; a later one corrects it."
        )
    ]
    if any(one.standing.disputed_nano for one in found):
        notes.append(
            _(
                "What is disputed is not due while the dispute stands; what is paid counts for what is not disputed first."
            )
        )
    if any(one.standing.state is None for one in found):
        notes.append(
            _(
                "Where no state is given there is too much for one list, or the node makes no documents of the month: each party's account says what is paid, disputed and due."
            )
        )
    return " ".join(notes)


def _dates(document: IssuedDocument) -> str:
    text = _("Issued on %(date)s, due on %(due)s.", date=document.date, due=document.due_date)
    if document.corrects:
        text += " " + _("It corrects %(number)s.", number=document.corrects)
    return text


def _path(document: IssuedDocument) -> str:
    return f"/households/{document.party}/issued/{document.number}"


async def _tz(source: Source) -> str:
    areas = await source.areas()
    return areas[0].tz if areas else "UTC"


@pages.get("/documents/issued")
@requires(*READS_ALL)
async def show_issued() -> str:
    """The documents of a month."""
    book = await part_of(read_book(source()))
    months = book.value.months if book.value else ()
    month = _span(request.args.get("month") or (months[-1] if months else ""))
    table = await part_of(issued_table(source(), month=month or None))
    given = dict(request.args.items())
    return await render_page(
        "documents/issued.html",
        month=month,
        before=max((one for one in months if one < month), default=None),
        after=min((one for one in months if one > month), default=None),
        book=book.value,
        away_table=table.away,
        chosen=None if table.value is None else choose(table.value, asked_choice(given, table.value), given),
        url=table_url(issued_table, month=month or None),
    )


@pages.get("/households/<party>/issued")
@requires(*EVERY_ROLE)
async def show_of_party(party: str) -> str:
    """What was issued to a party, of a month or a year, or all of it."""
    check_party(viewer(), party)
    span = {name: request.args[name] for name in ("month", "year") if request.args.get(name)}
    return await render_page(
        "documents/party.html",
        party=party,
        table=await part_of(household_issued_table(source(), viewer(), party, **span)),
        url=table_url(household_issued_table, party=party, **span),
    )


@pages.get("/households/<party>/issued/<number>")
@requires(*EVERY_ROLE)
async def show_document(party: str, number: str) -> str:
    """One document, with its state and its lines."""
    check_party(viewer(), party)
    return await render_page(
        "documents/document.html",
        party=party,
        number=number,
        facts=await part_of(_facts(party, number)),
        table=await part_of(issued_document_table(source(), viewer(), party, number)),
        url=table_url(issued_document_table, party=party, number=number),
    )


async def _facts(party: str, number: str) -> list[tuple[Column, object]]:
    """What a document says of itself, and what has become of it; nothing of a book that cannot be used."""
    book = await read_book(source())
    if book.fault:
        return []
    document = find(book, party, number)
    found = await _of_party(source(), book, party)
    row = next(_row(one) for one in found if one.document.number == document.number)
    return [(column, value) for column, value in zip(COLUMNS, row, strict=True) if value is not None]
