"""How far each issued document is: corrected, paid, set off, open, disputed or overdue, by the book and what the ledger has of payments and disputes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gridcore.serving.problems import Problem
from gridcore.transactions.payment import GROUNDS
from gridweb.contested import Contested, read_contested
from gridweb.format import zone_of
from gridweb.i18n import N_, _
from gridweb.issued import Issued, IssuedBook, IssuedDocument
from gridweb.reasons import said
from gridweb.site import site
from gridweb.source import Source, SourceGone, SourceMissing
from settlement.invoicing.open_items import Item, OpenItems, open_items

AREAS_MAX: Final = 32
"""Areas whose payments a list of all parties reads."""
PAYMENTS_MAX: Final = 65_536
"""Payments that it reads, of all areas together."""
ENERGY: Final = "energy"
"""The subject of a party's own month: what it can contest."""
END_S: Final = 253_402_214_400
"""Behind every instant that has a date: 31 December 9999."""

Answer = Mapping[str, Any]


class DocumentState(StrEnum):
    """What has become of a document."""

    OPEN = "open"
    PART = "part"
    OVERDUE = "overdue"
    DISPUTED = "disputed"
    DISPUTED_PART = "disputed_part"
    SETTLED = "settled"
    TO_PAY_OUT = "to_pay_out"


STATE_WORDS: Final = {
    DocumentState.OPEN.value: N_("not paid yet"),
    DocumentState.PART.value: N_("paid in part"),
    DocumentState.OVERDUE.value: N_("overdue"),
    DocumentState.DISPUTED.value: N_("disputed, not due"),
    DocumentState.DISPUTED_PART.value: N_("disputed in part"),
    DocumentState.SETTLED.value: N_("paid or set off"),
    DocumentState.TO_PAY_OUT.value: N_("to be paid out"),
}


class Standing(NamedTuple):
    """What is open of a document; disputed_nano: what of that is disputed, and not due. None where payments, or disputes, are not known."""

    open_nano: int | None = None
    disputed_nano: int | None = None
    state: DocumentState | None = None


class Stated(NamedTuple):
    """A document with what has become of it."""

    document: IssuedDocument
    corrected_by: Sequence[str]
    standing: Standing


class Known(NamedTuple):
    """What the ledger says of issued documents. paid: as ``read_paid``; today: the local day of its time, ISO."""

    paid: Mapping[str, int] | None
    contested: Contested
    today: str


def kept() -> Issued:
    """What reads the book. Problem 404 where none is configured."""
    found = site().issued
    if found is None:
        raise Problem("not-found", "no book of issued documents is configured (web.book)")
    return found


async def read_book(source: Source) -> IssuedBook:
    """The book, with a fault where it is of another ledger than the pages. Problem 404 where none is configured; SourceAway, SourceBusy."""
    book = await kept().book()
    return IssuedBook(fault=fault) if (fault := await _other_ledger(source, book)) else book


async def _other_ledger(source: Source, book: IssuedBook) -> str:
    """Why a book is not of this ledger, or of what it has by now; "" where it is. Its newest issue names all before it."""
    newest = book.newest
    if newest is None:
        return ""
    as_of = await source.as_of()
    if newest.chain != as_of.chain:
        return f"is of chain {newest.chain}, these pages are of {as_of.chain}"
    if newest.height > as_of.newest:
        return f"issue {newest.issue} is of block {newest.height}, the node is at {as_of.newest}: wait until it has caught up"
    try:
        digest = (await source.cached(f"blocks/{newest.height}"))["digest"]
    except (SourceGone, SourceMissing):
        return ""  # pruned, or before the snapshot that the node began with
    return (
        "" if digest == newest.digest else f"issue {newest.issue} is of another block {newest.height} than the node's"
    )


async def read_known(source: Source, parties: Collection[str], *, party: str | None) -> Known:
    """What the ledger says of the documents of some parties. party: the one of them whose payments are read alone, None for those of all. SourceAway, SourceBusy."""
    today = await _today(source)
    if not parties:
        return Known({}, Contested({}), today)
    return Known(await read_paid(source, party), await read_contested(source, parties), today)


async def read_paid(source: Source, party: str | None) -> Mapping[str, int] | None:
    """What payments take off, by party: of one, or of all; None where all are too many for a page. SourceAway, SourceBusy."""
    span = {"from_s": 0, "until_s": END_S}
    if party is not None:
        try:
            area = (await source.cached("credit", party=party))["area"]
        except SourceMissing:
            return {}  # billed at no point: nobody can record a payment of it
        return _paid(await source.pages(f"areas/{area}/payments", **span, party=party))
    areas = await source.areas()
    if len(areas) > AREAS_MAX:
        return None
    found: list[Answer] = []
    left = PAYMENTS_MAX
    for one in areas:
        pages = await source.pages(f"areas/{one.area}/payments", rows_max=max(left, 1), **span)
        left -= sum(len(page["payments"]) for page in pages)
        if pages[-1]["next"] is not None or left < 0:
            return None
        found += pages
    return _paid(found)


def _paid(pages: Sequence[Answer]) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for paid in (paid for page in pages for paid in page["payments"]):
        found[paid["party"]] += GROUNDS[paid["ground"]].sign * paid["amount_nano"]
    return found


async def _today(source: Source) -> str:
    """The local day of the ledger's time, ISO: by the clock of the first area."""
    areas, as_of = await source.areas(), await source.as_of()
    tz = areas[0].tz if areas else "UTC"
    return datetime.fromtimestamp(as_of.ledger_time_s, UTC).astimezone(zone_of(tz)).date().isoformat()


def stated(book: IssuedBook, party: str, known: Known) -> list[Stated]:
    """All documents of a party, in the order of their issue."""
    documents, contested = book.by_party.get(party, ()), known.contested.of(party)
    left: OpenItems | None = None
    if known.paid is not None and contested is not None:
        left = open_items([_item(one) for one in documents], known.paid.get(party, 0), contested)
    return [Stated(one, book.corrected_by.get(one.number, ()), _standing(one, left, known.today)) for one in documents]


def stated_of_all(book: IssuedBook, parties: Iterable[str], known: Known) -> Mapping[str, Stated]:
    """All documents of some parties, by number. For a thread: a book has many."""
    return {one.document.number: one for party in parties for one in stated(book, party, known)}


def _item(one: IssuedDocument) -> Item:
    month = one.month if one.subject == ENERGY else ""
    return Item(one.number, one.corrects, one.due_date, one.gross_nano, month)


def _standing(one: IssuedDocument, left: OpenItems | None, today: str) -> Standing:
    if left is None:
        return Standing()
    open_nano, disputed_nano = left.open_nano[one.number], left.disputed_nano[one.number]
    return Standing(open_nano, disputed_nano, _state(one, open_nano, disputed_nano, today))


def _state(one: IssuedDocument, open_nano: int, disputed_nano: int, today: str) -> DocumentState:
    if not open_nano:
        return DocumentState.SETTLED
    if open_nano < 0:
        return DocumentState.TO_PAY_OUT
    if open_nano == disputed_nano:
        return DocumentState.DISPUTED
    if one.due_date < today:
        return DocumentState.OVERDUE
    if disputed_nano:
        return DocumentState.DISPUTED_PART
    return DocumentState.OPEN if open_nano == one.gross_nano else DocumentState.PART


def not_usable(book: IssuedBook) -> str:
    """The note of a book that cannot be used."""
    return _(
        "The book of issued documents cannot be used, and nothing of it is shown: %(reason)s", reason=said(book.fault)
    )
