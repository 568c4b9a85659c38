"""The documents of a month of an area as a node answers them: of one party, or of some parties at a time.

What was answered is kept as long as nothing changes from which it follows: a balance needs the documents of every month before. What is disputed
of them is looked up for each answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import GridError, UsageError
from gridledger.settling.answered_months import (
    PARTIES_AT_ONCE,
    KeptAnswers,
    RunsMade,
    is_changed_between,
    months_of_area,
    runs_made,
    told,
)
from gridledger.settling.chain import Scope, billed_in
from gridledger.settling.dataset import parties_of
from gridledger.settling.disputed import Contestable, contestable_of_month, disputed_row
from gridledger.settling.documents import (
    Books,
    billing_of,
    charged_in,
    months_of_year,
    parties_by_year,
)
from gridledger.settling.month_documents import slots_of_month
from gridledger.settling.results.billing import Billing
from ledger.http.documents import AreaMonth, DisputedPart, DocumentLine, MonthDocument, UnchargedPart
from ledger.leaves.columns import Int64
from ledger.store.reader import LedgerReader
from settlement.contract_kit_1 import ContractError

LINES_KEPT_MAX: Final = 1 << 17
"""Lines of all documents that are kept, about 400 bytes each with what a dispute of them would be of; a point counts as one."""


class _Asked(NamedTuple):
    """A question that was answered. height: of the last block that counts; None for the newest, whichever that is."""

    area: str
    month: str
    party: str | None
    start: int
    height: int | None


class _Kept(NamedTuple):
    """An answer without what is disputed, and what it follows from: the runs of the month's slots, and the registry up to a height.

    is_of_year: whether it follows from the runs of all months of the year up to this one, as steps of a year do; contestable: of its parties.
    """

    is_of_year: bool
    runs: RunsMade
    height: int
    answer: AreaMonth
    contestable: Sequence[Contestable]

    @property
    def lines(self) -> int:
        """How much room it takes."""
        points = sum(len(one.points) for one in self.contestable)
        return 1 + points + sum(1 + len(document.lines) for document in self.answer.documents)


class AreaDocuments:
    """The documents of one node (``ledger.http.documents.Documents``). Callable from several threads."""

    def __init__(self) -> None:
        self._kept = KeptAnswers[_Asked, _Kept]()

    def __call__(
        self, reader: LedgerReader, area: str, month: str, *, party: str | None, start: int, height: int | None = None
    ) -> AreaMonth:
        """Of one party, or of PARTIES_AT_ONCE from the ``start``-th on, as of a block that is there, by itself the newest.

        UsageError for a month without settled slots, and one that two contracts have settled.
        """
        scope, _, _, months = months_of_area(reader, area, month, height)
        asked = _Asked(area, month, party, start, height)
        kept = self._kept.find(asked)
        if kept is None or not _holds(reader, scope, months, month, kept):
            kept = _made(reader, scope, months, asked)
        self._kept.keep(asked, kept._replace(height=scope.height), lines_max=LINES_KEPT_MAX)
        is_newest = height in (None, reader.height)
        disputed = _disputed(reader, kept.contestable) if is_newest else []
        return kept.answer._replace(height=scope.height, disputed=disputed)


def _holds(reader: LedgerReader, scope: Scope, months: Mapping[str, Int64], month: str, kept: _Kept) -> bool:
    """Whether nothing has changed from which an answer follows."""
    runs = runs_made(reader, scope.zone, scope.height, _slots_under(months, month, is_of_year=kept.is_of_year))
    return kept.runs == runs and not is_changed_between(reader, kept.height, scope.height)


def _slots_under(months: Mapping[str, Int64], month: str, *, is_of_year: bool) -> Int64:
    """The slots on whose runs an answer rests."""
    return np.concatenate([slots for _, slots in months_of_year(months, month)]) if is_of_year else months[month]


def _made(reader: LedgerReader, scope: Scope, months: Mapping[str, Int64], asked: _Asked) -> _Kept:
    """The documents, and what they follow from."""
    slot_start_s = months[asked.month]
    billed = billed_in(reader, scope, slot_start_s, None if asked.party is None else [asked.party])
    names = sorted(parties_of(billed.points), key=str.encode)
    end = asked.start + PARTIES_AT_ONCE
    own = set(names[asked.start : end])
    books = Books(reader, scope, asked.month, is_of_files=False)
    points = [point for point in billed.points if point.party in own]
    charged = charged_in(books, slot_start_s, billed._replace(points=points))
    try:
        billing = billing_of(books, charged) if charged.tariffs else None
        documents = [] if billing is None else list(_documents(billing))
    except (ContractError, GridError) as error:
        raise UsageError(f"month {asked.month}: {error}") from None
    is_of_year = bool(parties_by_year(charged.tariffs))
    answer = AreaMonth(
        height=scope.height,
        slots_expected=slots_of_month(reader, scope, asked.month),
        slots_settled=len(slot_start_s),
        documents=documents,
        disputed=(),
        without_tariff=charged.without_tariff,
        following=end if end < len(names) else None,
        uncharged=[] if billing is None else _uncharged(billing),
    )
    return _Kept(
        is_of_year=is_of_year,
        runs=runs_made(reader, scope.zone, scope.height, _slots_under(months, asked.month, is_of_year=is_of_year)),
        height=scope.height,
        answer=answer,
        contestable=[] if billing is None else contestable_of_month(billing),
    )


def _disputed(reader: LedgerReader, contestable: Sequence[Contestable]) -> list[DisputedPart]:
    """Of the parties that have open disputes of their documents by now."""
    rows = [disputed_row(reader, of) for of in contestable]
    return [
        DisputedPart(one.party, one.disputes, one.gross_nano, one.disputed_nano, one.due_nano)
        for one in rows
        if one.disputes
    ]


def _uncharged(billing: Billing) -> list[UnchargedPart]:
    """Of the one month of a billing."""
    return [UnchargedPart(one.party, one.component, one.point, one.reason) for one in billing.uncharged()]


def _documents(billing: Billing) -> Iterator[MonthDocument]:
    """The documents of the one month of a billing."""
    for run in billing.sheets.names:
        for party in billing.points_of_party:
            billing.billed(billing.run(run), party)
    account_of = {kind.line_kind: kind.account for kind in billing.kinds}
    for issued in billing.invoices.issued(billing.sheets.names):
        lines: Sequence[DocumentLine] = [
            DocumentLine(
                row.line_kind,
                account_of[row.line_kind],
                row.energy_wh,
                row.amount_nano,
                row.amount,
                None if row.tax_ppm == "" else int(row.tax_ppm),
            )
            for row in billing.invoices.line_rows([issued])
        ]
        yield told(issued.party, issued.run, issued.document, billing.terms(issued), lines)
