"""The documents of a month of an area as a node answers them: of one party, or of some parties at a time.

What was answered is kept as long as nothing changes from which it follows: a balance needs the documents of every month before. What is disputed
of them is looked up for each answer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import GridError, UsageError
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.transactions.registry_register import RegistryRegister
from gridledger.settling.chain import Scope, billed_in
from gridledger.settling.dataset import parties_of
from gridledger.settling.disputed import Contestable, contestable_of_month, disputed_row
from gridledger.settling.documents import (
    Books,
    billing_of,
    charged_in,
    months_of_year,
    parties_by_year,
    slots_of_months,
)
from gridledger.settling.month_documents import slots_of_month
from gridledger.settling.results.billing import Billing
from ledger.http.documents import AreaMonth, DisputedPart, DocumentLine, DocumentTax, MonthDocument, UnchargedPart
from ledger.leaves.columns import Int64
from ledger.leaves.runs import RUNS
from ledger.store.reader import LedgerReader
from settlement.contract_kit_1 import ContractError

PARTIES_AT_ONCE: Final = 64
"""Parties of one answer: their month is held in memory, about 100 KiB for each point and run."""


LINES_KEPT_MAX: Final = 1 << 17
"""Lines of all documents that are kept, about 400 bytes each with what a dispute of them would be of; a point counts as one."""
CHANGING: Final = (RegistryRegister.kind, RegistryApprove.kind)
"""Kinds of transactions by which the registry says something else."""


class _Asked(NamedTuple):
    """A question that was answered. height: of the last block that counts; None for the newest, whichever that is."""

    area: str
    month: str
    party: str | None
    start: int
    height: int | None


class RunsMade(NamedTuple):
    """The runs of a month's slots: how many were made, and the height of the newest one. A ledger never takes one back, so both tell whether there are others."""

    made: int
    newest_height: int


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
        self._kept: OrderedDict[_Asked, _Kept] = OrderedDict()
        self._lines = 0
        self._lock = threading.Lock()

    def __call__(
        self, reader: LedgerReader, area: str, month: str, *, party: str | None, start: int, height: int | None = None
    ) -> AreaMonth:
        """Of one party, or of PARTIES_AT_ONCE from the ``start``-th on, as of a block that is there, by itself the newest.

        UsageError for a month without settled slots, and one that two contracts have settled.
        """
        found = reader.registry.zone_of_area(area)
        if found is None:
            raise UsageError(f"no area {area!r} on this chain")
        scope = Scope(found[0].name, reader.height if height is None else height, area)
        asked = _Asked(area, month, party, start, height)
        months = slots_of_months(reader, scope)
        if month not in months:
            has = f"it has {', '.join(months)}" if months else "none is settled yet"
            raise UsageError(f"month {month}: area {area} has no settled slot of it; {has}")
        with self._lock:
            kept = self._kept.get(asked)
        if kept is None or not _holds(reader, scope, months, month, kept):
            kept = _made(reader, scope, months, asked)
        self._keep(asked, kept._replace(height=scope.height))
        is_newest = height in (None, reader.height)
        disputed = _disputed(reader, kept.contestable) if is_newest else []
        return kept.answer._replace(height=scope.height, disputed=disputed)

    def _keep(self, asked: _Asked, kept: _Kept) -> None:
        """Keep an answer, those used least recently go first."""
        with self._lock:
            before = self._kept.pop(asked, None)
            self._lines += kept.lines - (0 if before is None else before.lines)
            self._kept[asked] = kept
            while self._lines > LINES_KEPT_MAX and len(self._kept) > 1:
                self._lines -= self._kept.popitem(last=False)[1].lines


def _holds(reader: LedgerReader, scope: Scope, months: Mapping[str, Int64], month: str, kept: _Kept) -> bool:
    """Whether nothing has changed from which an answer follows."""
    runs = _runs_of(reader, scope, _slots_under(months, month, is_of_year=kept.is_of_year))
    return kept.runs == runs and not is_changed_between(reader, kept.height, scope.height)


def _slots_under(months: Mapping[str, Int64], month: str, *, is_of_year: bool) -> Int64:
    """The slots on whose runs an answer rests."""
    return np.concatenate([slots for _, slots in months_of_year(months, month)]) if is_of_year else months[month]


def _runs_of(reader: LedgerReader, scope: Scope, slot_start_s: Int64) -> RunsMade:
    found = (RUNS.load(reader, start_s, scope.zone) for start_s in slot_start_s.tolist())
    heights = [height for leaf in found if leaf is not None for _, height in leaf.runs if height <= scope.height]
    return RunsMade(len(heights), max(heights))


def is_changed_between(reader: LedgerReader, after_height: int, height: int) -> bool:
    """Whether blocks after a height, up to another, have registered anything: tariffs, parties, points, prices."""
    return any(reader.accepted_acts(kind, height, after_height) for kind in CHANGING)


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
        runs=_runs_of(reader, scope, _slots_under(months, asked.month, is_of_year=is_of_year)),
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
        terms = billing.terms(issued)
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
        document = issued.document
        yield MonthDocument(
            party=issued.party,
            run=issued.run,
            net=document.net,
            taxed=document.taxed,
            tax=document.tax,
            gross=document.gross,
            rounding_nano=document.rounding_nano,
            quantum_nano=terms.quantum_nano,
            tax_ppm=terms.tax_ppm,
            taxes=[DocumentTax(*one) for one in document.taxes],
            lines=lines,
        )
