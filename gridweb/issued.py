"""Documents that were issued, out of the book that ``gridledger settle issue`` keeps: read beside the pages, and again when the folder has changed.

What reads a book (``BookReader``) is given by the composition root; it compares every file with what the book says of it. A book that cannot be used is
a ``fault`` of one line, on the pages that would show it, and nothing of it is shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, Protocol

from gridcore.errors import GridError
from gridcore.logs import get_logger

DOCUMENTS_MAX: Final = 1 << 16
"""Documents of a book that pages hold, about 1 KB each."""
LOOK_EVERY_S: Final = 2.0
"""How often it is looked at whether the folder has changed."""

log = get_logger(__name__)


class IssuedDocument(NamedTuple):
    """A document of the book. issue: from 1; dates: ISO; sort: invoice, credit or debit; corrects: the number of its invoice, "" of an invoice.

    area: "" for all of the zone; subject: energy or balance; amounts: above 0 the party owes, whole quanta but for the rounding in them.
    """

    issue: int
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
    quantum_nano: int
    net_nano: int
    tax_nano: int
    gross_nano: int
    rounding_nano: int


class IssuedLine(NamedTuple):
    """A line of a document. exact_nano: before it was rounded once; tax_ppm: of a document whose lines say the rate of their tax, else None."""

    line_kind: str
    account: str
    energy_wh: int
    exact_nano: int
    amount_nano: int
    tax_ppm: int | None = None


class IssuedTax(NamedTuple):
    """What of a document one rate is paid on, and its tax."""

    tax_ppm: int
    taxed_nano: int
    tax_nano: int


class IssuedParts(NamedTuple):
    """What a document holds; all of it comes to its gross."""

    lines: Sequence[IssuedLine]
    taxes: Sequence[IssuedTax]


class NewestIssue(NamedTuple):
    """Of which chain, block and digest (hex) of it the newest issue of a book is."""

    issue: int
    chain: str
    height: int
    digest: str


@dataclass(frozen=True)
class IssuedBook:
    """A book as it was read: all documents in the order of their issue. newest: None of a book without issues; fault: why nothing is shown, or ""."""

    documents: Sequence[IssuedDocument] = ()
    newest: NewestIssue | None = None
    fault: str = ""

    @cached_property
    def by_party(self) -> Mapping[str, Sequence[IssuedDocument]]:
        """The documents of each party, in the same order."""
        found: dict[str, list[IssuedDocument]] = {}
        for one in self.documents:
            found.setdefault(one.party, []).append(one)
        return found

    @cached_property
    def corrected_by(self) -> Mapping[str, Sequence[str]]:
        """The numbers of later documents, by that of the invoice that they correct."""
        found: dict[str, list[str]] = {}
        for one in self.documents:
            if one.corrects:
                found.setdefault(one.corrects, []).append(one.number)
        return found

    @cached_property
    def months(self) -> Sequence[str]:
        """Months of which something was issued, ascending."""
        return sorted({one.month for one in self.documents})


class BookReader(Protocol):
    """Reads the book of a configuration; all of it in threads of the pages."""

    def state(self) -> Hashable:
        """What changes when the folder does; cheap."""

    def read(self) -> IssuedBook:
        """The whole book, compared with what it says of itself. GridError in one line."""

    def parts(self, document: IssuedDocument) -> IssuedParts:
        """Lines and taxes of a document. GridError where its files are not those that were issued, or the book is another one by now."""


@dataclass
class Issued:
    """The book of the pages; used by one event loop alone."""

    reader: BookReader
    _book: IssuedBook = field(default_factory=IssuedBook)
    _state: Hashable = None
    _looked_s: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def book(self) -> IssuedBook:
        """The book as it is now; one request reads it, the others wait for that."""
        async with self._lock:
            if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
                state = await asyncio.to_thread(self.reader.state)
                if state != self._state or self._book.fault:  # what was wrong may be right without a trace in the files
                    self._book, self._state = await asyncio.to_thread(self._read), state
                self._looked_s = time.monotonic()
            return self._book

    def _read(self) -> IssuedBook:
        try:
            return self.reader.read()
        except GridError as error:
            if str(error) != self._book.fault:
                log.warning("book_not_usable", reason=str(error))
            return IssuedBook(fault=str(error))

    async def parts(self, document: IssuedDocument) -> IssuedParts:
        """Lines and taxes of a document. GridError."""
        return await asyncio.to_thread(self.reader.parts, document)
