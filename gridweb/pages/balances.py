"""What parties owe by their documents and payments: the account of a month or a year, its taxes, its months; and all parties of an area.

``/households/<party>/account`` and ``/documents/balances`` take as long as there are months before: the pages of the month, the year and the
documents fetch what these show when they are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quart import Blueprint, request

from gridcore.serving.problems import Problem
from gridweb import format as forms
from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.books import Books, BooksReading
from gridweb.i18n import N_, _
from gridweb.pages.documents import PARTIES_MAX, SORTS, names_tariff
from gridweb.pages.month_tables import choose_month, choose_year, month_names
from gridweb.pages.payments import GROUND_TITLES
from gridweb.points import find_point, newest_day
from gridweb.reasons import said
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page
from settlement.invoicing.account import Account, by_month

pages = Blueprint("balances", __name__)

OPENING: Final = "opening"
CLOSING: Final = "closing"
ENTRY_WORDS: Final[Mapping[str, str]] = {
    OPENING: N_("opening balance"),
    **SORTS,
    **GROUND_TITLES,
    CLOSING: N_("closing balance"),
}
COLUMNS: Final = (
    Column("entry", N_("What happened"), words=ENTRY_WORDS),
    Column("month", N_("Month"), "month"),
    Column("run", N_("Run"), "run"),
    Column("date", N_("Day"), "day"),
    Column("net_nano", N_("Net amount"), "amount_nano"),
    Column("tax_ppm", N_("Tax rate"), "share"),
    Column("tax_nano", N_("Tax"), "amount_nano"),
    Column("owed_nano", N_("Amount"), "amount_nano"),
)
TAX_COLUMNS: Final = (
    Column("tax_ppm", N_("Tax rate"), "share"),
    Column("documents", N_("Documents"), "count"),
    Column("net_nano", N_("Net amount"), "amount_nano"),
    Column("taxed_nano", N_("Of it taxed"), "amount_nano"),
    Column("tax_nano", N_("Tax"), "amount_nano"),
    Column("gross_nano", N_("Gross amount"), "amount_nano"),
)
BALANCE_COLUMNS: Final = (
    Column("opening_nano", N_("Opening balance"), "amount_nano"),
    Column("invoiced_nano", N_("Invoiced"), "amount_nano"),
    Column("paid_nano", N_("Paid"), "amount_nano"),
    Column("closing_nano", N_("Closing balance"), "amount_nano"),
    Column("disputed_nano", N_("Of it disputed, not due"), "amount_nano"),
    Column("due_nano", N_("Due now"), "amount_nano"),
)
MONTH_COLUMNS: Final = (Column("month", N_("Month"), "month"), *BALANCE_COLUMNS)
PARTY_COLUMNS: Final = (Column("party", N_("Party")), *BALANCE_COLUMNS)


@dataclass(frozen=True)
class Span:
    """Some months of an area: ``name`` is that of the month or the year. months: those of it; known: all from the area's first one to its last.

    newest: the newest month of the area.
    """

    name: str
    months: Sequence[str]
    known: Sequence[str]
    newest: str

    @property
    def first(self) -> str:
        """Its first month, also where the area has none of it."""
        return self.months[0] if self.months else f"{self.name}-01"


@dataclass(frozen=True)
class PartyBooks:
    """A party's account of a span. ``names_tariff``: whether it ever named a tariff, without which nothing is invoiced."""

    party: str
    area: AreaInfo
    span: Span
    books: Books
    names_tariff: bool

    @property
    def account(self) -> Account:
        """Opening balance and entries of the span."""
        return self.books.account(self.party, self.span.first)

    @property
    def has_balance(self) -> bool:
        """Whether there is an account to show."""
        return self.names_tariff and not self.books.fault

    @property
    def note(self) -> str:
        """What its figures are, or why there are none."""
        if not self.names_tariff:
            return _("The party names no tariff: nothing is invoiced, and there is no balance of documents.")
        return note_of(self.books, self.span)


async def choose_span(source: Source, area: AreaInfo, month: str | None, year: str | None) -> Span:
    """The month or the year that an address names, the newest month where it names none. Problem 400 for both, and for what is neither."""
    if month and year:
        raise Problem("bad-request", "name a month or a year, not both")
    newest = newest_day(area, (await source.as_of()).ledger_time_s)
    names = month_names(area, newest)
    if not year:
        chosen, _names = await choose_month(source, area, month)
        return Span(chosen.name, [chosen.name], [name for name in names if name <= chosen.name], names[-1])
    number, _years = await choose_year(source, area, year)
    text = f"{number:04}"
    known = [name for name in names if name[:4] <= text]
    return Span(text, [name for name in names if name[:4] == text], known, names[-1])


async def read_party(source: Source, party: str, month: str | None, year: str | None) -> PartyBooks:
    """A party's account of a month or a year. SourceAway, SourceBusy, SourceMissing."""
    area = (await find_point(source, party)).area
    span = await choose_span(source, area, month, year)
    is_charged = await names_tariff(source, party)
    books = Books(span.first)
    if is_charged and span.known:
        books = await BooksReading(source, area, span.known, span.newest, party=party).through(span.known[-1])
    return PartyBooks(party, area, span, books, is_charged)


@serves_table("/households/<party>/account", *EVERY_ROLE)
async def household_account_table(
    source: Source, viewer: Viewer, party: str, *, month: str | None = None, year: str | None = None
) -> Table:
    """A party's account of a local month or year: opening balance, documents, payments; their sum is the closing balance. Above 0 it is owed."""
    check_party(viewer, party)
    return await account_table(source, await read_party(source, party, month, year))


async def account_table(source: Source, found: PartyBooks) -> Table:
    """The same of books that were read."""
    party, account = found.party, found.account
    rows: list[Sequence[Any]] = []
    if found.has_balance:
        rows.append((OPENING, found.span.first, None, None, None, None, None, account.opening_nano))
    for entry in account.entries:
        if entry.is_document:
            of_document = entry.name, None, entry.net_nano, entry.rate_ppm, entry.tax_nano
            rows.append((entry.sort, entry.month, *of_document, entry.owed_nano))
        else:
            rows.append((entry.sort, entry.month, None, entry.date, None, None, None, entry.owed_nano))
    return Table(
        name=f"{party}-account-{found.span.name}",
        columns=COLUMNS,
        rows=rows,
        title=_("Account of %(span)s, party %(party)s", span=found.span.name, party=party),
        note=" ".join([found.note, *_disputed_note(account, (await source.as_of()).currency)]),
        totals=_closing(account) if found.has_balance else None,
        tz=found.area.tz,
        currency=(await source.as_of()).currency,
    )


def _disputed_note(account: Account, currency: str) -> Iterator[str]:
    """What of the closing balance is not due, where anything is disputed."""
    if account.disputed_nano:
        yield _(
            "Of the closing balance %(disputed)s is disputed, and not due while the dispute stands; %(due)s is due now.",
            disputed=forms.money(account.disputed_nano, currency, 4),
            due=forms.money(account.due_nano, currency, 4),
        )


def _closing(account: Account) -> Sequence[object]:
    net_nano, tax_nano = (sum(getattr(one, name) for one in account.entries) for name in ("net_nano", "tax_nano"))
    return CLOSING, None, None, None, net_nano, None, tax_nano, account.closing_nano


@serves_table("/households/<party>/account/taxes", *EVERY_ROLE)
async def household_taxes_table(
    source: Source, viewer: Viewer, party: str, *, month: str | None = None, year: str | None = None
) -> Table:
    """The documents of a party's local month or year by tax rate."""
    check_party(viewer, party)
    return await _taxes(source, await read_party(source, party, month, year))


async def _taxes(source: Source, found: PartyBooks) -> Table:
    rows = [tuple(one) for one in found.account.taxes]
    return Table(
        name=f"{found.party}-taxes-{found.span.name}",
        columns=TAX_COLUMNS,
        rows=rows,
        title=_("Tax of %(span)s by rate, party %(party)s", span=found.span.name, party=found.party),
        note="" if rows else found.note,
        totals=(None, *(sum(row[at] for row in rows) for at in range(1, len(TAX_COLUMNS)))) if rows else None,
        tz=found.area.tz,
        currency=(await source.as_of()).currency,
    )


@serves_table("/households/<party>/account/months", *EVERY_ROLE)
async def household_balances_table(source: Source, viewer: Viewer, party: str, *, year: str | None = None) -> Table:
    """The balances of a party month by month of a local year: each month begins with what the one before ends with."""
    check_party(viewer, party)
    _chosen, years = await choose_year(source, (await find_point(source, party)).area, year)
    return await _balances(source, await read_party(source, party, None, year or str(years[-1])))


async def _balances(source: Source, found: PartyBooks) -> Table:
    account, party = found.account, found.party
    months = by_month(account, found.span.months) if found.has_balance else {}
    rows = [(month, *balances_of(of_month)) for month, of_month in months.items()]
    return Table(
        name=f"{party}-balances-{found.span.name}",
        columns=MONTH_COLUMNS,
        rows=rows,
        title=_("Balances of %(span)s by month, party %(party)s", span=found.span.name, party=party),
        note="" if rows else found.note,
        links=[f"/households/{party}/month?month={row[0]}" for row in rows],
        totals=(None, None, account.invoiced_nano, account.paid_nano, None, None, None) if rows else None,
        tz=found.area.tz,
        currency=(await source.as_of()).currency,
    )


def balances_of(account: Account) -> tuple[int, ...]:
    """The values of ``BALANCE_COLUMNS``."""
    moved = account.opening_nano, account.invoiced_nano, account.paid_nano, account.closing_nano
    return *moved, account.disputed_nano, account.due_nano


@serves_table("/areas/<area>/balances", *READS_ALL)
async def area_balances_table(source: Source, area: str, *, month: str | None = None) -> Table:
    """What each party of an area owes by its documents and payments at the beginning and at the end of a local month."""
    info = await source.area(area)
    span = await choose_span(source, info, month, None)
    books = await BooksReading(source, info, span.known, span.newest, parties_max=PARTIES_MAX).through(span.name)
    return balances_table(info, span, books, (await source.as_of()).currency)


def balances_table(area: AreaInfo, span: Span, books: Books, currency: str) -> Table:
    """The same of books that were read; no row where some parties are not in them: sums would be of some."""
    rows: list[tuple[Any, ...]] = []
    if books.is_whole:
        rows = [
            (party, *balances_of(books.account(party, span.first))) for party in sorted(books.entries, key=str.encode)
        ]
    return Table(
        name=f"{area.area}-balances-{span.name}",
        columns=PARTY_COLUMNS,
        rows=rows,
        title=_("Balances of %(month)s, area %(area)s", month=span.name, area=area.area),
        note=note_of(books, span),
        links=[f"/households/{row[0]}/month?month={span.name}" for row in rows],
        totals=(None, *(sum(row[at] for row in rows) for at in range(1, len(PARTY_COLUMNS)))) if rows else None,
        tz=area.tz,
        currency=currency,
    )


def note_of(books: Books, span: Span) -> str:
    """What the figures of some books are, or why there are none."""
    if books.fault:
        return _(
            "There is no balance: documents or payments of a month before it cannot be had (%(reason)s).",
            reason=said(books.fault),
        )
    if not books.is_whole:
        return _(
            "There are more than %(parties)s parties: gridledger settle documents --year makes the balances of all.",
            parties=PARTIES_MAX,
        )
    notes = [
        _(
            "A correction is of the month that it corrects, a payment of the month in which it was recorded. Above 0 is owed."
        )
    ]
    if unfinished := books.unfinished(span.months):
        notes.append(_("Not complete yet: %(months)s.", months=", ".join(unfinished)))
    without = [month for month in books.without_tariff if month in span.months]
    if without:
        notes.append(
            _("Somebody is billed without a tariff, and has no documents: %(months)s.", months=", ".join(without))
        )
    return " ".join(notes)


@pages.get("/households/<party>/account")
@requires(*EVERY_ROLE)
async def show_account(party: str) -> str:
    """The account of a month or a year, with its taxes and balances."""
    check_party(viewer(), party)
    month, year = request.args.get("month"), request.args.get("year")
    found = await part_of(read_party(source(), party, month, year))
    return await render_page(
        "household/account.html",
        party=party,
        point=await find_point(source(), party),
        found=found,
        is_year=bool(year),
        currency=(await source().as_of()).currency,
        **({} if found.value is None else await _tables(found.value, year)),
    )


async def _tables(found: PartyBooks, year: str | None) -> dict[str, Any]:
    party = found.party
    of_span = {"year": year} if year else {"month": found.span.name}
    return {
        "table": await account_table(source(), found),
        "table_url": table_url(household_account_table, party=party, **of_span),
        "taxes": await _taxes(source(), found),
        "taxes_url": table_url(household_taxes_table, party=party, **of_span),
        "balances": await _balances(source(), found),
        "balances_url": table_url(household_balances_table, party=party, year=year),
    }


@pages.get("/documents/balances")
@requires(*READS_ALL)
async def show_balances() -> str:
    """What the parties of an area owe."""
    area = await source().area(request.args.get("area", ""))
    month, _names = await choose_month(source(), area, request.args.get("month"))
    return await render_page(
        "documents/balances.html",
        area=area,
        month=month,
        table=await part_of(area_balances_table(source(), area.area, month=month.name)),
        url=table_url(area_balances_table, area=area.area, month=month.name),
    )
