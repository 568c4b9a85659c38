"""What who answers for losses, imbalances and penalties is invoiced, tax and rounding included: the documents of a month, and a year by month.

``/balance/documents`` and ``/balance/year`` have all of an area, ``/households/<party>/balance/documents`` and ``…/balance/year`` who answers his own.
The node computes them, issued or not; the pages of the month fetch what these show when they are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from quart import Blueprint, request

from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.books import Books, BooksReading, documents_path
from gridweb.i18n import N_, _
from gridweb.pages.balance import KIND_WORDS
from gridweb.pages.balance_months import area_of_party, party_path
from gridweb.pages.balances import TAX_COLUMNS, Span, choose_span
from gridweb.pages.documents import (
    AREA_COLUMNS,
    COLUMNS,
    LINE_COLUMNS,
    NOTHING,
    PARTIES_MAX,
    document_rows,
    line_rows,
    note_of_answer,
    refused,
    sums_from,
)
from gridweb.pages.month_tables import choose_month, choose_year
from gridweb.reasons import said
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page
from settlement.area_balance import KINDS
from settlement.invoicing.account import Account, by_month

pages = Blueprint("balance_documents", __name__)

Answer = Mapping[str, Any]
YEAR_COLUMNS: Final = (
    Column("documents", N_("Documents"), "count"),
    Column("opening_nano", N_("Opening balance"), "amount_nano"),
    Column("net_nano", N_("Net amount"), "amount_nano"),
    Column("tax_nano", N_("Tax"), "amount_nano"),
    Column("invoiced_nano", N_("Invoiced"), "amount_nano"),
    Column("closing_nano", N_("Closing balance"), "amount_nano"),
)
MONTH_COLUMNS: Final = (Column("month", N_("Month"), "month"), *YEAR_COLUMNS)
PARTY_COLUMNS: Final = (Column("party", N_("Who answers")), *YEAR_COLUMNS)


@serves_table("/areas/<area>/balance/documents", *READS_ALL)
async def area_balance_documents_table(source: Source, area: str, *, month: str | None = None) -> Table:
    """The documents of all who answer for losses or a balance group of an area, of a local month, by who answers, then by run. Above 0 it is owed."""
    info = await source.area(area)
    chosen, _names = await choose_month(source, info, month)
    answers = await balance_documents_of_area(source, info, chosen.name)
    documents = [document for answer in answers for document in answer["documents"]]
    rows = [(document["party"], *row) for document, row in zip(documents, document_rows(documents), strict=True)]
    return Table(
        name=f"{area}-balance-documents-{chosen.name}",
        columns=(PARTY_COLUMNS[0], *AREA_COLUMNS[1:]),
        rows=rows,
        title=_("Documents of losses and imbalances of %(month)s, area %(area)s", month=chosen.name, area=area),
        note=await _note(source, answers),
        links=[party_path(document["party"], area, chosen.name) for document in documents],
        totals=sums_from(rows, 3),
        tz=info.tz,
        currency=(await source.as_of()).currency,
    )


@serves_table("/households/<party>/balance/documents", *EVERY_ROLE)
async def household_balance_documents_table(
    source: Source, viewer: Viewer, party: str, *, area: str | None = None, month: str | None = None
) -> Table:
    """The same of one who answers; without an area of the one that its registration names."""
    check_party(viewer, party)
    info, name, answer = await _of_party(source, party, area, month)
    rows = list(document_rows(answer["documents"]))
    return Table(
        name=f"{party}-balance-documents-{name}",
        columns=COLUMNS,
        rows=rows,
        title=_("Documents of losses and imbalances of %(month)s, party %(party)s", month=name, party=party),
        note=await _note(source, [answer]),
        totals=sums_from(rows, 2),
        tz=info.tz,
        currency=(await source.as_of()).currency,
    )


@serves_table("/households/<party>/balance/documents/lines", *EVERY_ROLE)
async def household_balance_document_lines_table(
    source: Source, viewer: Viewer, party: str, *, area: str | None = None, month: str | None = None
) -> Table:
    """The lines of these documents, tax included: exact, and as they are rounded once. Above 0 it is owed."""
    check_party(viewer, party)
    info, name, answer = await _of_party(source, party, area, month)
    rows = [row for document in answer["documents"] for row in line_rows(document, KINDS)]
    words = {**KIND_WORDS, "": N_("Tax")}
    columns = tuple(replace(column, words=words) if column.key == "line_kind" else column for column in LINE_COLUMNS)
    return Table(
        name=f"{party}-balance-document-lines-{name}",
        columns=columns,
        rows=rows,
        title=_(
            "Lines of the documents of losses and imbalances of %(month)s, party %(party)s", month=name, party=party
        ),
        totals=(None, None, None, None, sum(row[4] for row in rows), None, None) if rows else None,
        tz=info.tz,
        currency=(await source.as_of()).currency,
    )


@serves_table("/households/<party>/balance/taxes", *EVERY_ROLE)
async def household_balance_taxes_table(
    source: Source,
    viewer: Viewer,
    party: str,
    *,
    area: str | None = None,
    month: str | None = None,
    year: str | None = None,
) -> Table:
    """The documents of losses and imbalances of a party's local month or year by tax rate."""
    check_party(viewer, party)
    info = await area_of_party(source, party, area)
    span = await choose_span(source, info, month, year)
    books = await _books(source, info, replace(span, known=span.months), party)
    rows = [] if books.fault else [tuple(one) for one in books.account(party, span.first).taxes]
    return Table(
        name=f"{party}-balance-taxes-{span.name}",
        columns=TAX_COLUMNS,
        rows=rows,
        title=_("Tax on losses and imbalances of %(span)s by rate, party %(party)s", span=span.name, party=party),
        totals=sums_from(rows, 1),
        tz=info.tz,
        currency=(await source.as_of()).currency,
    )


@serves_table("/households/<party>/balance/year", *EVERY_ROLE)
async def household_balance_year_table(
    source: Source, viewer: Viewer, party: str, *, area: str | None = None, year: str | None = None
) -> Table:
    """What a party is invoiced for losses, imbalances and penalties of an area month by month of a local year; each month begins with what all before come to."""
    check_party(viewer, party)
    info = await area_of_party(source, party, area)
    span = await _year(source, info, year)
    return await _months(source, info, party, span, await _books(source, info, span, party))


@serves_table("/areas/<area>/balance/year", *READS_ALL)
async def area_balance_year_table(source: Source, area: str, *, year: str | None = None) -> Table:
    """The same of all who answer in an area, of the whole year."""
    info = await source.area(area)
    span = await _year(source, info, year)
    books = await _books(source, info, span, None)
    accounts = {party: books.account(party, span.first) for party in sorted(books.entries, key=str.encode)}
    rows = [] if books.fault or not books.is_whole else [(party, *_moved(one)) for party, one in accounts.items()]
    return Table(
        name=f"{area}-balance-year-{span.name}",
        columns=PARTY_COLUMNS,
        rows=rows,
        title=_("Losses and imbalances of %(year)s by who answers, area %(area)s", year=span.name, area=area),
        note=_note_of_year(books, span),
        links=[_year_path(party, info, span) for party in accounts] if rows else (),
        totals=sums_from(rows, 1),
        tz=info.tz,
        currency=(await source.as_of()).currency,
    )


async def balance_documents_of_area(source: Source, area: AreaInfo, month: str) -> Sequence[Answer]:
    """What the node says of those who answer in an area, part by part."""
    try:
        return await source.pages(documents_path(area.area, month, of_balance=True), rows_max=PARTIES_MAX)
    except SourceMissing as missing:
        return [refused(missing)]


async def _of_party(source: Source, party: str, area: str | None, month: str | None) -> tuple[AreaInfo, str, Answer]:
    """The area, the month by name, and what the node says of one who answers."""
    info = await area_of_party(source, party, area)
    chosen, _names = await choose_month(source, info, month)
    try:
        path = documents_path(info.area, chosen.name, of_balance=True)
        answer: Answer = await source.cached(path, party=party)
    except SourceMissing as missing:
        answer = refused(missing)
    return info, chosen.name, answer


async def _note(source: Source, answers: Sequence[Answer]) -> str:
    """How far the month is and what documents rest on, or why there are none; and who answers without any."""
    documents = [document for answer in answers for document in answer["documents"]]
    without = [party for answer in answers for party in answer["without_tariff"]]
    notes = []
    if documents or answers[0].get("reason"):
        whole = {**answers[0], "documents": documents}
        notes.append(note_of_answer({**NOTHING, **whole}, (await source.as_of()).currency))
    elif not without:
        notes.append(_("There are no documents: nothing is posted of the month."))
    if without:
        notes.append(_without(without))
    if answers[-1]["next"] is not None:
        notes.append(
            _("The first %(parties)s parties; gridledger settle documents makes those of all.", parties=PARTIES_MAX)
        )
    return " ".join(notes)


def _without(parties: Sequence[str]) -> str:
    return _("No documents of who answers and names no tariff: %(parties)s.", parties=", ".join(parties))


async def _year(source: Source, area: AreaInfo, year: str | None) -> Span:
    """The year that an address names, else the newest one."""
    chosen, _years = await choose_year(source, area, year)
    return await choose_span(source, area, None, f"{chosen:04}")


async def _books(source: Source, area: AreaInfo, span: Span, party: str | None) -> Books:
    """The documents of balances as entries of accounts. SourceAway, SourceBusy."""
    if not span.known:
        return Books(span.first)
    of = {"party": party} if party is not None else {"parties_max": PARTIES_MAX}
    reading = BooksReading(source, area, span.known, span.newest, of_balance=True, **of)
    return await reading.through(span.known[-1])


def _moved(account: Account) -> tuple[int, ...]:
    """The values of ``YEAR_COLUMNS``."""
    net_nano, tax_nano = (sum(getattr(one, name) for one in account.entries) for name in ("net_nano", "tax_nano"))
    amounts = account.opening_nano, net_nano, tax_nano, account.invoiced_nano, account.closing_nano
    return len(account.entries), *amounts


async def _months(source: Source, area: AreaInfo, party: str, span: Span, books: Books) -> Table:
    months: Iterable[tuple[str, Account]] = ()
    if not books.fault and books.entries.get(party):
        months = by_month(books.account(party, span.first), span.months).items()
    rows = [(month, *_moved(account)) for month, account in months]
    return Table(
        name=f"{party}-balance-year-{span.name}",
        columns=MONTH_COLUMNS,
        rows=rows,
        title=_("Losses and imbalances of %(year)s by month, party %(party)s", year=span.name, party=party),
        note=_note_of_year(books, span),
        links=[party_path(party, area.area, str(row[0])) for row in rows],
        totals=_totals(rows),
        tz=area.tz,
        currency=(await source.as_of()).currency,
    )


def _totals(rows: Sequence[Sequence[Any]]) -> Sequence[object] | None:
    """Sums of what months add; of balances there is none."""
    if not rows:
        return None
    documents, net_nano, tax_nano, invoiced_nano = (sum(row[at] for row in rows) for at in (1, 3, 4, 5))
    return None, documents, None, net_nano, tax_nano, invoiced_nano, None


def _note_of_year(books: Books, span: Span) -> str:
    """What the figures of a year are, or why there are none."""
    if books.fault:
        return _(
            "There is no balance: documents of a month before it cannot be had (%(reason)s).", reason=said(books.fault)
        )
    if not books.is_whole:
        return _("There are more than %(parties)s parties: each one's own page has its year.", parties=PARTIES_MAX)
    notes = []
    if any(books.entries.values()):
        notes.append(
            _(
                "Documents alone: payments are recorded for points, and are in the account of who has some. "
                "A correction is of the month that it corrects. Above 0 is owed."
            )
        )
    else:
        notes.append(_("There are no documents: nobody answers for anything up to then, or who does names no tariff."))
    if unfinished := books.unfinished(span.months):
        notes.append(_("Not complete yet: %(months)s.", months=", ".join(unfinished)))
    without = [month for month in books.without_tariff if month in span.months]
    if without:
        notes.append(
            _("Somebody answers without a tariff, and has no documents: %(months)s.", months=", ".join(without))
        )
    return " ".join(notes)


def _year_path(party: str, area: AreaInfo, span: Span) -> str:
    return f"/households/{quote(party)}/balance/year?{urlencode({'area': area.area, 'year': span.name})}"


@pages.get("/balance/documents")
@requires(*READS_ALL)
async def show_documents() -> str:
    """The documents of an area's month."""
    area = await source().area(request.args.get("area", ""))
    where = {"area": area.area, "month": (await choose_month(source(), area, request.args.get("month")))[0].name}
    return await render_page(
        "balance/documents.html",
        area=area,
        span=where["month"],
        party="",
        balance=f"/balance/month?{urlencode(where)}",
        documents=await part_of(area_balance_documents_table(source(), **where)),
        documents_url=table_url(area_balance_documents_table, **where),
    )


@pages.get("/households/<party>/balance/documents")
@requires(*EVERY_ROLE)
async def show_documents_of_party(party: str) -> str:
    """The documents of one who answers, with their lines and taxes."""
    check_party(viewer(), party)
    area = await area_of_party(source(), party, request.args.get("area"))
    where = {"area": area.area, "month": (await choose_month(source(), area, request.args.get("month")))[0].name}
    of = {"party": party, **where}
    return await render_page(
        "balance/documents.html",
        area=area,
        span=where["month"],
        party=party,
        balance=party_path(party, **where),
        documents=await part_of(household_balance_documents_table(source(), viewer(), **of)),
        documents_url=table_url(household_balance_documents_table, **of),
        lines=await part_of(household_balance_document_lines_table(source(), viewer(), **of)),
        lines_url=table_url(household_balance_document_lines_table, **of),
        taxes=await part_of(household_balance_taxes_table(source(), viewer(), **of)),
        taxes_url=table_url(household_balance_taxes_table, **of),
    )


@pages.get("/balance/year")
@requires(*READS_ALL)
async def show_year() -> str:
    """The year of all who answer in an area."""
    area = await source().area(request.args.get("area", ""))
    chosen, years = await choose_year(source(), area, request.args.get("year"))
    where = {"area": area.area, "year": f"{chosen:04}"}
    return await render_page(
        "balance/year.html",
        path="/balance/year",
        area=area,
        party="",
        year=chosen,
        years=years,
        table=await part_of(area_balance_year_table(source(), **where)),
        url=table_url(area_balance_year_table, **where),
    )


@pages.get("/households/<party>/balance/year")
@requires(*EVERY_ROLE)
async def show_year_of_party(party: str) -> str:
    """The year of one who answers, month by month, with its taxes."""
    check_party(viewer(), party)
    area = await area_of_party(source(), party, request.args.get("area"))
    chosen, years = await choose_year(source(), area, request.args.get("year"))
    where = {"area": area.area, "year": f"{chosen:04}"}
    return await render_page(
        "balance/year.html",
        path=f"/households/{quote(party)}/balance/year",
        area=area,
        party=party,
        year=chosen,
        years=years,
        table=await part_of(household_balance_year_table(source(), viewer(), party, **where)),
        url=table_url(household_balance_year_table, party=party, **where),
        taxes=await part_of(household_balance_taxes_table(source(), viewer(), party, **where)),
        taxes_url=table_url(household_balance_taxes_table, party=party, **where),
    )
