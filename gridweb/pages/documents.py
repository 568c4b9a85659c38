"""``/documents``: invoices and credit notes of a month, of an area for the utility; a household's stand on its month's page.

The node computes them from registry and runs. A household's are of its own slots alone, whoever was billed at its points before or after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from quart import Blueprint, request

from gridcore.transactions.dispute_document import LINE
from gridweb import format as forms
from gridweb.access import EVERY_ROLE, READS_ALL, Role, Viewer, check_party, requires
from gridweb.books import documents_path
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.components import percent_text
from gridweb.pages.month_tables import choose_month, month_line_path
from gridweb.pages.registry import read_entries
from gridweb.pages.scope import choose_area
from gridweb.points import find_point
from gridweb.reasons import said
from gridweb.site import source
from gridweb.source import AreaInfo, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page
from settlement.invoicing.account import CREDIT, DEBIT, INVOICE, sort_of

pages = Blueprint("documents", __name__)

NAVIGATION = (Entry("/documents", N_("Documents"), READS_ALL, 20, section="/runs"),)

PARTIES_MAX: Final = 512
"""Parties of an area that one table has: the node makes their documents anew at each height. ``settle documents`` makes those of all."""
NAMED_MAX: Final = 16
"""Parties without a tariff, parties that dispute something, and components that are not charged, that the note of a table names."""
SORTS: Final[Mapping[str, str]] = {
    INVOICE: N_("invoice"),
    CREDIT: N_("credit note"),
    DEBIT: N_("further debit"),
}
COLUMNS: Final = (
    Column("document", N_("Document"), words=SORTS),
    Column("run", N_("Run"), "run"),
    Column("net_nano", N_("Net amount"), "amount_nano"),
    Column("tax_nano", N_("Tax"), "amount_nano"),
    Column("gross_nano", N_("Gross amount"), "amount_nano"),
    Column("rounding_nano", N_("Rounding in it"), "amount_nano"),
)
AREA_COLUMNS: Final = (Column("party", N_("Party")), *COLUMNS)
LINE_COLUMNS: Final = (
    Column("run", N_("Run"), "run"),
    Column("line_kind", N_("Line")),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("exact_nano", N_("Exact amount"), "amount_nano"),
    Column("amount_nano", N_("Amount"), "amount_nano"),
    Column("tax_ppm", N_("Tax rate"), "share"),
    Column("account", N_("Paid to"), "name"),
)

Answer = Mapping[str, Any]
NOTHING: Final[Answer] = {
    "documents": (),
    "slots_expected": 0,
    "slots_settled": 0,
    "disputed": (),
    "without_tariff": (),
    "uncharged": (),
    "next": None,
}


@serves_table("/households/<party>/documents", *EVERY_ROLE)
async def household_documents_table(source: Source, viewer: Viewer, party: str, *, month: str | None = None) -> Table:
    """The documents of a household's local month: its invoice, and a credit note or further debit for each correction. Above 0 it is owed."""
    check_party(viewer, party)
    area, name, answer = await documents_of_party(source, party, month)
    rows = list(document_rows(answer["documents"]))
    currency = (await source.as_of()).currency
    contest = contest_url(party, name, "total") if viewer.role is Role.HOUSEHOLD else None
    return Table(
        name=f"{party}-documents-{name}",
        columns=COLUMNS,
        rows=rows,
        title=_("Documents of %(month)s, party %(party)s", month=name, party=party),
        note=note_of_answer(answer, currency),
        buttons=[contest if row[0] == "invoice" else None for row in rows] if contest else (),
        button=_("Contest"),
        totals=sums_from(rows, 2),
        tz=area.tz,
        currency=currency,
    )


@serves_table("/households/<party>/documents/lines", *EVERY_ROLE)
async def household_document_lines_table(
    source: Source, viewer: Viewer, party: str, *, month: str | None = None
) -> Table:
    """The lines of these documents, tax and subscriptions included: exact, and as they are rounded once. Above 0 it is owed."""
    check_party(viewer, party)
    area, name, answer = await documents_of_party(source, party, month)
    kinds = list(area.contract.lines)
    rows = [row for document in answer["documents"] for row in line_rows(document, kinds)]
    words = {**area.contract.line_titles, "": N_("Tax")}
    is_own, currency = viewer.role is Role.HOUSEHOLD, (await source.as_of()).currency
    by_key = {"line_kind": words, "account": area.contract.account_titles}
    columns = tuple(replace(column, words=by_key.get(column.key, column.words)) for column in LINE_COLUMNS)
    return Table(
        name=f"{party}-document-lines-{name}",
        columns=columns,
        rows=rows,
        title=_("Lines of the documents of %(month)s, party %(party)s", month=name, party=party),
        note=note_of_answer(answer, currency),
        links=[month_line_path(party, name, kind) if kind in kinds else None for _run, kind, *_rest in rows],
        buttons=[_contest_line(party, name, kind, kinds) for _run, kind, *_rest in rows] if is_own else (),
        button=_("Contest"),
        totals=(None, None, None, None, sum(row[4] for row in rows), None, None) if rows else None,
        tz=area.tz,
        currency=currency,
    )


@serves_table("/areas/<area>/documents", *READS_ALL)
async def area_documents_table(source: Source, area: str, *, month: str | None = None) -> Table:
    """The documents of all parties of an area that name a tariff, by party, then by run; each row leads to the party's month."""
    info = await source.area(area)
    chosen, _names = await choose_month(source, info, month)
    answers = await _of_area(source, info, chosen.name)
    documents = [document for answer in answers for document in answer["documents"]]
    currency = (await source.as_of()).currency
    rows = [(document["party"], *row) for document, row in zip(documents, document_rows(documents), strict=True)]
    return Table(
        name=f"{area}-documents-{chosen.name}",
        columns=AREA_COLUMNS,
        rows=rows,
        title=_("Documents of %(month)s, area %(area)s", month=chosen.name, area=area),
        note=_area_note(answers, currency),
        links=[f"/households/{document['party']}/month?month={chosen.name}" for document in documents],
        totals=sums_from(rows, 3),
        tz=info.tz,
        currency=currency,
    )


def contest_url(party: str, month: str, part: str, line_kind: str = "") -> str:
    """Where a household contests a line of its documents, their tax or their total."""
    named = {"month": month, "part": part, **({"line": line_kind} if line_kind else {})}
    return f"/households/{quote(party)}/contest-document?{urlencode(named)}"


def _contest_line(party: str, month: str, line_kind: str, of_contract: Sequence[str]) -> str | None:
    """Of a row of the lines: its component, or the tax; None of a line of the contract, which is contested slot by slot."""
    if line_kind in of_contract:
        return None
    return contest_url(party, month, LINE, line_kind) if line_kind else contest_url(party, month, "tax")


async def documents_of_party(source: Source, party: str, month: str | None) -> tuple[AreaInfo, str, Answer]:
    """The area of a party, the month by name, and what the node says of it; nothing of a party that never named a tariff."""
    area = (await find_point(source, party)).area
    chosen, _names = await choose_month(source, area, month)
    if not await names_tariff(source, party):
        return area, chosen.name, NOTHING
    try:
        path = documents_path(area.area, chosen.name)
        answer: Answer = await source.cached(path, party=party)
    except SourceMissing as missing:
        answer = refused(missing)
    return area, chosen.name, answer


async def names_tariff(source: Source, party: str) -> bool:
    """Whether a party names a tariff, or ever did: who never did has no documents."""
    return any(entry["value"].get("tariff") is not None for entry in await read_entries(source, "party", party))


async def why_refused(source: Source, party: str, month: str) -> str:
    """Why the node makes no documents of a party's month: for want of a price, or while no slot is settled; "" where it does or no tariff is named."""
    _area, _month, answer = await documents_of_party(source, party, month)
    return str(answer.get("reason", ""))


async def _of_area(source: Source, area: AreaInfo, month: str) -> Sequence[Answer]:
    """What the node says of the parties of an area, part by part."""
    try:
        return await source.pages(documents_path(area.area, month), rows_max=PARTIES_MAX)
    except SourceMissing as missing:
        return [refused(missing)]


def refused(missing: SourceMissing) -> Answer:
    """No documents, and why the node makes none."""
    return {**NOTHING, "reason": str(missing)}


def document_rows(documents: Sequence[Answer]) -> Iterator[tuple[Any, ...]]:
    """Documents as rows of ``COLUMNS``: of each party the first one is its invoice."""
    before = ""
    for one in documents:
        sort = sort_of(one["gross"], is_first=one["party"] != before)
        before = one["party"]
        amounts = [one[key] * one["quantum_nano"] for key in ("net", "tax", "gross")]
        yield (sort, one["run"], *amounts, one["rounding_nano"])


def line_rows(document: Answer, kinds: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The lines of a document as rows of ``LINE_COLUMNS``: those of the contract in its order (``kinds``), those of the tariff by name, its taxes.

    All of them come to its gross.
    """
    run, quantum_nano = document["run"], document["quantum_nano"]
    place = {kind: at for at, kind in enumerate(kinds)}
    for line in sorted(document["lines"], key=lambda one: place.get(one["line_kind"], len(kinds))):
        amount_nano = line["amount"] * quantum_nano
        exact = line["energy_wh"] or None, line["amount_nano"]
        yield run, line["line_kind"], *exact, amount_nano, line["tax_ppm"], line["account"]
    for tax in document["taxes"]:
        if tax["tax"]:
            yield run, "", None, None, tax["tax"] * quantum_nano, tax["tax_ppm"], None


def sums_from(rows: Sequence[Sequence[Any]], first: int) -> Sequence[object] | None:
    """The last row: the sums of the columns from a place on."""
    if not rows:
        return None
    return [None] * first + [sum(row[at] for row in rows) for at in range(first, len(rows[0]))]


def note_of_answer(answer: Answer, currency: str) -> str:
    """How far a month is, and what its documents rest on; or why there are none."""
    settled, expected = answer["slots_settled"], answer["slots_expected"]
    if reason := answer.get("reason"):
        return _("There are no documents. The node says: %(reason)s", reason=said(reason))
    if not answer["documents"]:
        return _("There are no documents: no tariff is named, or no slot of the month is settled yet.")
    notes = [_("Settled: %(settled)s of %(expected)s slots.", settled=settled, expected=expected)]
    if settled < expected:
        notes.append(_("The month is not complete: these are its documents so far."))
    documents = answer["documents"]
    named = [[tax["tax_ppm"] for tax in document["taxes"]] or [document["tax_ppm"]] for document in documents]
    rates = dict.fromkeys(percent_text(rate) for of_document in named for rate in of_document)
    notes.append(_("Tax: %(tax)s %%.", tax=" / ".join(rates)))
    notes.extend(_disputed_notes(answer["disputed"], currency))
    notes.extend(_uncharged_notes(answer["uncharged"]))
    notes.append(_("They are computed from the ledger: no bundle proves them."))
    return " ".join(notes)


def _uncharged_notes(uncharged: Sequence[Answer]) -> Iterator[str]:
    """Which components are left out since nothing tells their power factor, the first of them by name."""
    for one in uncharged[:NAMED_MAX]:
        yield _(
            "%(component)s of %(party)s is not charged, as the reactive energy of point %(point)s is missing or of other slots.",
            component=one["component"],
            party=one["party"],
            point=one["point"],
        )
    if len(uncharged) > NAMED_MAX:
        yield _("%(count)s more components are not charged.", count=forms.count(len(uncharged) - NAMED_MAX))


def _disputed_notes(disputed: Sequence[Answer], currency: str) -> Iterator[str]:
    """What of the documents is not due, of the first parties by name."""
    for one in disputed[:NAMED_MAX]:
        yield _(
            "%(party)s: of the gross amount %(disputed)s is disputed, and not due while the dispute stands; %(due)s is due.",
            party=one["party"],
            disputed=forms.money(one["disputed_nano"], currency, 4),
            due=forms.money(one["due_nano"], currency, 4),
        )
    if len(disputed) > NAMED_MAX:
        count = forms.count(len(disputed) - NAMED_MAX)
        yield _("%(count)s more parties dispute something: their accounts say what is due.", count=count)


def _area_note(answers: Sequence[Answer], currency: str) -> str:
    notes = [
        note_of_answer(
            {
                **answers[0],
                **{
                    key: [one for answer in answers for one in answer[key]]
                    for key in ("documents", "disputed", "uncharged")
                },
            },
            currency,
        )
    ]
    without = [party for answer in answers for party in answer["without_tariff"]]
    if without:
        named = without[:NAMED_MAX]
        if len(without) > NAMED_MAX:
            named.append(_("%(count)s more", count=forms.count(len(without) - NAMED_MAX)))
        notes.append(
            _("No documents of parties that are billed and name no tariff: %(parties)s.", parties=", ".join(named))
        )
    if answers[-1]["next"] is not None:
        notes.append(
            _("The first %(parties)s parties; gridledger settle documents makes those of all.", parties=PARTIES_MAX)
        )
    return " ".join(notes)


@pages.get("/documents")
@requires(*READS_ALL)
async def show_documents() -> str:
    """One area's month."""
    areas, area = await choose_area(source(), request.args.get("area"))
    chosen = await choose_month(source(), area, request.args.get("month"))
    month = chosen.month
    return await render_page(
        "documents/documents.html",
        areas=areas,
        area=area,
        month=month,
        before=chosen.before,
        after=chosen.after,
        table=await part_of(area_documents_table(source(), area.area, month=month.name)),
        url=table_url(area_documents_table, area=area.area, month=month.name),
    )
