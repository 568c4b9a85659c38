"""How far each issued document is: corrected, paid, set off, open or overdue, by the book and the payments that the ledger has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gridcore.serving.problems import Problem
from gridcore.transactions.payment import GROUNDS
from gridweb.format import zone_of
from gridweb.i18n import N_, _
from gridweb.issued import Issued, IssuedBook, IssuedDocument
from gridweb.site import site
from gridweb.source import Source, SourceGone, SourceMissing
from settlement.invoicing.open_items import Item, open_items

AREAS_MAX: Final = 32
"""Areas whose payments a list of all parties reads."""
PAYMENTS_MAX: Final = 65_536
"""Payments that it reads."""
END_S: Final = 253_402_214_400
"""Behind every instant that has a date: 31 December 9999."""

Answer = Mapping[str, Any]


class DocumentState(StrEnum):
    """What has become of a document."""

    OPEN = "open"
    PART = "part"
    OVERDUE = "overdue"
    SETTLED = "settled"
    TO_PAY_OUT = "to_pay_out"


STATE_WORDS: Final = {
    DocumentState.OPEN.value: N_("not paid yet"),
    DocumentState.PART.value: N_("paid in part"),
    DocumentState.OVERDUE.value: N_("overdue"),
    DocumentState.SETTLED.value: N_("paid or set off"),
    DocumentState.TO_PAY_OUT.value: N_("to be paid out"),
}


class Stated(NamedTuple):
    """A document with what is open of it; open_nano, state: None where payments are not known."""

    document: IssuedDocument
    corrected_by: Sequence[str]
    open_nano: int | None
    state: DocumentState | None


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
    for one in areas:
        pages = await source.pages(f"areas/{one.area}/payments", rows_max=PAYMENTS_MAX, **span)
        if pages[-1]["next"] is not None:
            return None
        found += pages
    return _paid(found)


def _paid(pages: Sequence[Answer]) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for paid in (paid for page in pages for paid in page["payments"]):
        found[paid["party"]] += GROUNDS[paid["ground"]].sign * paid["amount_nano"]
    return found


async def read_today(source: Source) -> str:
    """The local day of the ledger's time, ISO: by the clock of the first area."""
    areas, as_of = await source.areas(), await source.as_of()
    tz = areas[0].tz if areas else "UTC"
    return datetime.fromtimestamp(as_of.ledger_time_s, UTC).astimezone(zone_of(tz)).date().isoformat()


def stated(book: IssuedBook, party: str, paid: Mapping[str, int] | None, today: str) -> list[Stated]:
    """All documents of a party, in the order of their issue. paid: as ``read_paid``."""
    documents = book.by_party.get(party, ())
    left: Mapping[str, int] | None = None
    if paid is not None:
        items = [Item(one.number, one.corrects, one.due_date, one.gross_nano) for one in documents]
        left = open_items(items, paid.get(party, 0)).open_nano
    return [Stated(one, book.corrected_by.get(one.number, ()), *_state(one, left, today)) for one in documents]


def _state(one: IssuedDocument, left: Mapping[str, int] | None, today: str) -> tuple[int | None, DocumentState | None]:
    if left is None:
        return None, None
    open_nano = left[one.number]
    if not open_nano:
        return 0, DocumentState.SETTLED
    if open_nano < 0:
        return open_nano, DocumentState.TO_PAY_OUT
    if one.due_date < today:
        return open_nano, DocumentState.OVERDUE
    return open_nano, DocumentState.OPEN if open_nano == one.gross_nano else DocumentState.PART


def not_usable(book: IssuedBook) -> str:
    """The note of a book that cannot be used."""
    return _("The book of issued documents cannot be used, and nothing of it is shown: %(reason)s", reason=book.fault)
