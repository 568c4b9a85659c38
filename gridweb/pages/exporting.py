"""``/exports``: what is too large for one request, made beside the pages: a month of an area, one file a party or a day, in one ZIP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

from quart import Blueprint, redirect, request, send_file
from quart.typing import ResponseReturnValue

from gridcore.serving.problems import Problem
from gridweb.access import READS_ALL, Viewer, requires
from gridweb.books import BooksReading
from gridweb.exports.format import Provenance
from gridweb.exports.formats import FORMATS
from gridweb.exports.jobs import Export, Part
from gridweb.i18n import N_, _, translate
from gridweb.jobs import STATE_TITLES
from gridweb.pages import Entry
from gridweb.pages.balance import area_balance_table, balance_entries_table, borders_table
from gridweb.pages.balance_documents import (
    area_balance_documents_table,
    balance_documents_of_area,
    household_balance_document_lines_table,
)
from gridweb.pages.balance_months import balance_month_table
from gridweb.pages.balances import PartyBooks, Span, account_table, balances_table, choose_span
from gridweb.pages.certificates import area_certificate_months_table, area_certificates_table, certificates_table
from gridweb.pages.components import components_table
from gridweb.pages.disputes import area_disputes_table, dispute_versions_table
from gridweb.pages.documents import household_document_lines_table, names_tariff, why_refused
from gridweb.pages.households import parties_table
from gridweb.pages.imbalance import exchanges_table, imbalance_slots_table
from gridweb.pages.issued import issued_document_table, issued_table
from gridweb.pages.issued_states import not_usable, read_book
from gridweb.pages.month_tables import (
    Month,
    choose_month,
    household_month_lines_table,
    household_month_table,
    household_months_table,
)
from gridweb.pages.payments import area_payments_table
from gridweb.pages.quality import missing_table
from gridweb.pages.registry import names_table
from gridweb.pages.runs import runs_table
from gridweb.pages.scope import choose_area
from gridweb.pages.tariffs import tariff_table
from gridweb.pages.troubles import exceptions_table
from gridweb.points import parties_of
from gridweb.site import site, source, viewer
from gridweb.source import AreaInfo, Source, SourceMissing
from gridweb.tables import Table
from gridweb.views import render_fragment, render_page

pages = Blueprint("exporting", __name__)

NAVIGATION = (Entry("/exports", N_("Exports"), READS_ALL, 90, section="/runs"),)

TableOfParty = Callable[..., Awaitable[Table]]


class Covers(Enum):
    """What of the ledger an export has."""

    MONTH = "month"
    YEAR = "year"
    NOW = "now"


@dataclass(frozen=True)
class Content:
    """What an export of a month, of the year around it, or of what there is by now holds. ``parts``: its files, in order."""

    title: str
    parts: Callable[[Source, Viewer, AreaInfo, Month], Awaitable[Sequence[Part]]]
    covers: Covers = Covers.MONTH
    needs_book: bool = False

    def span(self, month: Month) -> str:
        """The name of the month or of its year; "" of what there is by now."""
        return {Covers.MONTH: month.name, Covers.YEAR: month.name[:4], Covers.NOW: ""}[self.covers]


async def _a_party_each(
    table: TableOfParty, source: Source, viewer: Viewer, area: AreaInfo, month: Month
) -> Sequence[Part]:
    return [
        Part(f"{party}-{month.name}", partial(table, source, viewer, party, month=month.name))
        for party in await parties_of(source, area)
    ]


async def _a_day_each(
    read: Callable[[Source, str, str], Awaitable[Table]], source: Source, _viewer: Viewer, area: AreaInfo, month: Month
) -> Sequence[Part]:
    return [Part(f"{area.area}-{day.date}", partial(read, source, area.area, day.date)) for day in month.days]


async def _document_lines_of(source: Source, viewer: Viewer, party: str, *, month: str) -> Table:
    """A month of which the node makes no documents ends the export with the reason: a file without lines would be taken for one without charges."""
    if reason := await why_refused(source, party, month):
        raise SourceMissing(reason)
    return await household_document_lines_table(source, viewer, party, month=month)


async def _runs_of(source: Source, area: str, day: str) -> Table:
    return await runs_table(source, area, day=day)


async def _exceptions_by_day(source: Source, viewer: Viewer, area: AreaInfo, month: Month) -> Sequence[Part]:
    """With who has taken what, for whom the page shows it."""
    return [
        Part(f"{area.area}-{day.date}", partial(exceptions_table, source, viewer, area=area.area, day=str(day.start_s)))
        for day in month.days
    ]


async def _years_of_parties(source: Source, viewer: Viewer, area: AreaInfo, month: Month) -> Sequence[Part]:
    """The year of each party month by month."""
    year = month.name[:4]
    return [
        Part(f"{party}-{year}", partial(household_months_table, source, viewer, party, year=year))
        for party in await parties_of(source, area)
    ]


async def _disputes_of(source: Source, viewer: Viewer, area: AreaInfo, _month: Month) -> Sequence[Part]:
    """The disputes of an area's parties, then what each contests beside what it came to since."""
    parties = set(await parties_of(source, area))
    listed = await area_disputes_table(source, area, parties)
    return [
        Part(f"{area.area}-disputes", partial(area_disputes_table, source, area, parties)),
        *(
            Part(f"{dispute}-versions", partial(dispute_versions_table, source, viewer, dispute))
            for dispute in map(str, next(zip(*listed.rows, strict=True), ()))
        ),
    ]


async def _tariffs_of(source: Source, _viewer: Viewer, area: AreaInfo, _month: Month) -> Sequence[Part]:
    """The prices of an area's rules, then the components of each tariff of the ledger."""
    names = [str(name) for (name,) in (await names_table(source, "tariff")).rows]
    return [
        Part(f"{area.area}-tariff", partial(tariff_table, source, area.area)),
        *(Part(f"{name}-components", partial(components_table, source, name)) for name in names),
    ]


async def _certificates_of(source: Source, viewer: Viewer, area: AreaInfo, _month: Month) -> Sequence[Part]:
    """The certificates of an area and what became known in each month, then those of each party."""
    return [
        Part(f"{area.area}-certificates", partial(area_certificates_table, source, area.area)),
        Part(f"{area.area}-certificate-months", partial(area_certificate_months_table, source, area.area)),
        *(
            Part(f"{party}-certificates", partial(certificates_table, source, viewer, party))
            for party in await parties_of(source, area)
        ),
    ]


async def _accounts_of_year(source: Source, _viewer: Viewer, area: AreaInfo, month: Month) -> Sequence[Part]:
    """The balances of all parties, a file for each month, then the account of each party: what all months have is read once."""
    span = await choose_span(source, area, None, month.name[:4])
    reading = BooksReading(source, area, span.known, span.newest)
    parties = await parties_of(source, area)
    return [
        *(
            Part(f"{area.area}-balances-{name}", partial(_balances_of, source, area, reading, name))
            for name in span.months
        ),
        *(
            Part(f"{party}-account-{span.name}", partial(_account_of, source, area, reading, span, party))
            for party in parties
        ),
    ]


async def _balances_by_month(source: Source, _viewer: Viewer, area: AreaInfo, month: Month) -> Sequence[Part]:
    """What losses and imbalances come to in each month of the year."""
    span = await choose_span(source, area, None, month.name[:4])
    return [
        Part(f"{area.area}-balance-{name}", partial(balance_month_table, source, area.area, month=name))
        for name in span.months
    ]


async def _balance_documents_of(source: Source, viewer: Viewer, area: AreaInfo, month: Month) -> Sequence[Part]:
    """The documents of all who answer in an area, then the lines of each one's. SourceMissing where the node makes none of the month."""
    answers = await balance_documents_of_area(source, area, month.name)
    if reason := answers[0].get("reason"):
        raise SourceMissing(reason)
    parties = dict.fromkeys(document["party"] for answer in answers for document in answer["documents"])
    lines = partial(household_balance_document_lines_table, source, viewer, area=area.area, month=month.name)
    return [
        Part(
            f"{area.area}-balance-documents-{month.name}",
            partial(area_balance_documents_table, source, area.area, month=month.name),
        ),
        *(Part(f"{party}-balance-document-lines-{month.name}", partial(lines, party)) for party in parties),
    ]


async def _payments_of(source: Source, _viewer: Viewer, area: AreaInfo, month: Month) -> Sequence[Part]:
    return [Part(f"{area.area}-payments-{month.name}", partial(_payments_table, source, area.area, month.name))]


async def _payments_table(source: Source, area: str, month: str) -> Table:
    """A month of which the node has no payments to tell ends the export with the reason."""
    table = await area_payments_table(source, area, month=month)
    if table.note and not table.rows:
        raise SourceMissing(table.note)
    return table


async def _issued_of(source: Source, viewer: Viewer, _area: AreaInfo, month: Month) -> Sequence[Part]:
    """What was issued of a month, of whatever area. SourceMissing where the book cannot be used."""
    book = await read_book(source)
    if book.fault:
        raise SourceMissing(not_usable(book))
    return [
        Part(f"issued-{month.name}", partial(issued_table, source, month=month.name)),
        *(
            Part(one.number, partial(_issued_document_of, source, viewer, one.party, one.number))
            for one in book.documents
            if one.month == month.name
        ),
    ]


async def _issued_document_of(source: Source, viewer: Viewer, party: str, number: str) -> Table:
    """A document without lines is one whose files were changed meanwhile, and ends the export."""
    table = await issued_document_table(source, viewer, party, number)
    if not table.rows:
        raise SourceMissing(table.note)
    return table


async def _balances_of(source: Source, area: AreaInfo, reading: BooksReading, month: str) -> Table:
    span = await choose_span(source, area, month, None)
    return balances_table(area, span, await reading.through(month), (await source.as_of()).currency)


async def _account_of(source: Source, area: AreaInfo, reading: BooksReading, span: Span, party: str) -> Table:
    books = await reading.through(span.known[-1])
    return await account_table(source, PartyBooks(party, area, span, books, await names_tariff(source, party)))


CONTENTS: Final[Mapping[str, Content]] = {
    "lines": Content(N_("Statement lines, a file for each party"), partial(_a_party_each, household_month_lines_table)),
    "kinds": Content(
        N_("Statements by kind of line, a file for each party"), partial(_a_party_each, household_month_table)
    ),
    "years": Content(N_("Statements of the year by month, a file for each party"), _years_of_parties, Covers.YEAR),
    "documents": Content(
        N_("Lines of invoices and credit notes, a file for each party"),
        partial(_a_party_each, _document_lines_of),
    ),
    "issued": Content(
        N_("Issued documents of the month, and a file for each with its lines"), _issued_of, needs_book=True
    ),
    "accounts": Content(
        N_("Accounts of the year, a file for each party, and balances, a file for each month"),
        _accounts_of_year,
        Covers.YEAR,
    ),
    "payments": Content(N_("Payments of the month"), _payments_of),
    "parties": Content(N_("Parties by day, a file for each day"), partial(_a_day_each, parties_table)),
    "runs": Content(N_("Settlement runs, a file for each day"), partial(_a_day_each, _runs_of)),
    "exceptions": Content(N_("Exceptions by money at stake, a file for each day"), _exceptions_by_day),
    "disputes": Content(
        N_("Disputes there ever were, and a file for each with what it came to since"), _disputes_of, Covers.NOW
    ),
    "tariffs": Content(
        N_("Prices of the area, and the components of each tariff, with their time"), _tariffs_of, Covers.NOW
    ),
    "certificates": Content(
        N_("Green certificates of the area and by month, and a file for each party"), _certificates_of, Covers.NOW
    ),
    "imbalance": Content(
        N_("Balance groups slot by slot, a file for each day"), partial(_a_day_each, imbalance_slots_table)
    ),
    "exchanges": Content(
        N_("Schedule exchanges between balance groups, a file for each day"), partial(_a_day_each, exchanges_table)
    ),
    "balance": Content(
        N_("Balance of the area slot by slot, a file for each day"), partial(_a_day_each, area_balance_table)
    ),
    "borders": Content(N_("Borders to other areas, a file for each day"), partial(_a_day_each, borders_table)),
    "entries": Content(
        N_("Losses and imbalances as they are posted, a file for each day"), partial(_a_day_each, balance_entries_table)
    ),
    "balances": Content(
        N_("Losses and imbalances by who answers, a file for each month of the year"), _balances_by_month, Covers.YEAR
    ),
    "balance-documents": Content(
        N_("Documents of losses and imbalances, and a file for each who answers with its lines"), _balance_documents_of
    ),
    "missing": Content(N_("Missing readings, a file for each day"), partial(_a_day_each, missing_table)),
}


@pages.get("/exports")
@requires(*READS_ALL)
async def show_exports() -> str:
    """What is at work and what is ready, of who asks; and the form for a new one."""
    areas, area = await choose_area(source(), request.args.get("area"))
    month, months = await choose_month(source(), area, request.args.get("month"))
    return await render_page(
        "exports/exports.html",
        areas=areas,
        area=area,
        month=month,
        months=list(reversed(months)),
        contents={name: one for name, one in CONTENTS.items() if not one.needs_book or site().issued is not None},
        formats=FORMATS.values(),
        **_listed(),
    )


@pages.get("/exports/list")
@requires(*READS_ALL)
async def show_list() -> str:
    """The list alone: asked for again while something is at work."""
    return await render_fragment("exports/list.html", **_listed())


def _listed() -> dict[str, Any]:
    return {"jobs": site().exports.of(viewer().name), "state_titles": STATE_TITLES}


@pages.post("/exports")
@requires(*READS_ALL)
async def start_export() -> ResponseReturnValue:
    """Begin an export; the list shows it."""
    form = await request.form
    content, chosen = CONTENTS.get(form.get("content", "")), FORMATS.get(form.get("format", ""))
    if content is None or chosen is None:
        raise Problem("bad-request", f"content is one of {', '.join(CONTENTS)}; format one of {', '.join(FORMATS)}")
    area = await source().area(form.get("area", ""))
    month, _months = await choose_month(source(), area, form.get("month"))
    parts = await content.parts(source(), viewer(), area, month)
    as_of = await source().as_of()
    where = Provenance(as_of.chain, as_of.height, as_of.ledger_time_s, _(as_of.mark) if as_of.mark else "")
    span = content.span(month)
    title = " · ".join(part for part in (translate(content.title), area.area, span, chosen.title) if part)
    name = "-".join(part for part in (area.area, form["content"], span) if part) + ".zip"
    site().exports.start(viewer().name, title, name, parts, chosen, where)
    return redirect("/exports", 303)


@pages.get("/exports/<job>/file")
@requires(*READS_ALL)
async def send_export(job: str) -> ResponseReturnValue:
    """The file of an export that is ready."""
    found = _find(job)
    if found.path is None:
        raise Problem("not-found", "this export has no file (yet)")
    return await send_file(found.path, "application/zip", as_attachment=True, attachment_filename=found.file_name)


@pages.post("/exports/<job>/remove")
@requires(*READS_ALL)
async def remove_export(job: str) -> ResponseReturnValue:
    """Stop an export, or remove its file."""
    site().exports.remove(_find(job))
    return redirect("/exports", 303)


def _find(job: str) -> Export:
    return site().exports.find(viewer().name, job)
