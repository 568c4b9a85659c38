"""What a node is asked of the documents of a month. ``ledger`` knows no tariffs: whoever puts a node together passes in what makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ledger.store.reader import LedgerReader


class DocumentLine(NamedTuple):
    """A line of a document. energy_wh, amount_nano: exact, what its run adds; amount: quanta, what the document adds; tax_ppm: None for no tax."""

    line_kind: str
    account: str
    energy_wh: int
    amount_nano: int
    amount: int
    tax_ppm: int | None


class DocumentTax(NamedTuple):
    """What of a document one rate is paid on, and the tax, in quanta."""

    tax_ppm: int
    taxed: int
    tax: int


class MonthDocument(NamedTuple):
    """A document: the first of a party is its invoice. net, tax, gross: whole quanta; taxed: how much of net tax is paid on.

    rounding_nano: what rounding added to the exact lines; tax_ppm: the rate of the tariff, which lines have that name no other; taxes: by rate.
    """

    party: str
    run: str
    net: int
    taxed: int
    tax: int
    gross: int
    rounding_nano: int
    quantum_nano: int
    tax_ppm: int
    taxes: Sequence[DocumentTax]
    lines: Sequence[DocumentLine]


class DisputedPart(NamedTuple):
    """Of a party with open disputes of the month: disputed_nano + due_nano = gross_nano, what all its documents come to. disputes: how many."""

    party: str
    disputes: int
    gross_nano: int
    disputed_nano: int
    due_nano: int


class UnchargedPart(NamedTuple):
    """A component that is left out of a party's month, since the month has no power factor. point: the first that lacks something; reason: ``not_there`` or ``partial``."""

    party: str
    component: str
    point: str
    reason: str


class AreaMonth(NamedTuple):
    """The documents of some parties of an area, by party, then by run. height: the block as of which they are;

    slots_expected: of the month; slots_settled: how many of them are settled, up to the last one that has a run; in some of them nobody may be billed.

    without_tariff: names of those of these parties that are billed and name no tariff; following: the ``start`` of the next parties, None
    behind the last. disputed: of these parties, as of the newest block; nothing where an earlier one was asked for. uncharged: components that are left out.
    """

    height: int
    slots_expected: int
    slots_settled: int
    documents: Sequence[MonthDocument]
    disputed: Sequence[DisputedPart]
    without_tariff: Sequence[str]
    following: int | None
    uncharged: Sequence[UnchargedPart] = ()


class Documents(Protocol):
    """What makes the documents of a node."""

    def __call__(
        self, reader: LedgerReader, area: str, month: str, *, party: str | None, start: int, height: int | None = None
    ) -> AreaMonth:
        """Those of a month (``2026-07``) of an area that is there, of one party or of all from the ``start``-th on.

        height: of the last block that counts, entries of the registry included; None for the newest. UsageError says why there are none.
        """
