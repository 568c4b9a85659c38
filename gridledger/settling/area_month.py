"""The documents of a month of an area as a node answers them: of one party, or of some parties at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gridcore.errors import GridError, UsageError
from gridledger.settling.chain import Scope, billed_in
from gridledger.settling.dataset import parties_of
from gridledger.settling.documents import Books, billing_of, charged_in, slots_of_months
from gridledger.settling.month_documents import slots_of_month
from gridledger.settling.results.billing import Billing
from ledger.http.documents import AreaMonth, DocumentLine, MonthDocument
from ledger.store.reader import LedgerReader
from settlement.contract_kit_1 import ContractError

PARTIES_AT_ONCE: Final = 64
"""Parties of one answer: their month is held in memory, about 100 KiB for each point and run."""


def documents_of_area(reader: LedgerReader, area: str, month: str, *, party: str | None, start: int) -> AreaMonth:
    """The documents of a month of an area that is there, as of the newest block: of one party, or of PARTIES_AT_ONCE from the ``start``-th on.

    UsageError for a month without settled slots, and one that two contracts have settled.
    """
    found = reader.registry.zone_of_area(area)
    if found is None:
        raise UsageError(f"no area {area!r} on this chain")
    scope = Scope(found[0].name, reader.height, area)
    months = slots_of_months(reader, scope)
    if month not in months:
        has = f"it has {', '.join(months)}" if months else "none is settled yet"
        raise UsageError(f"month {month}: area {area} has no settled slot of it; {has}")
    slots = months[month]
    billed = billed_in(reader, scope, slots, None if party is None else [party])
    names = sorted(parties_of(billed.points), key=str.encode)
    own = set(names[start : start + PARTIES_AT_ONCE])
    books = Books(reader, scope, month, is_of_files=False)
    points = [point for point in billed.points if point.party in own]
    charged = charged_in(books, slots, billed._replace(points=points))
    try:
        documents = list(_documents(billing_of(books, charged))) if charged.tariffs else []
    except (ContractError, GridError) as error:
        raise UsageError(f"month {month}: {error}") from None
    return AreaMonth(
        slots_expected=slots_of_month(reader, scope, month),
        slots_settled=len(slots),
        documents=documents,
        without_tariff=charged.without_tariff,
        following=start + PARTIES_AT_ONCE if start + PARTIES_AT_ONCE < len(names) else None,
    )


def _documents(billing: Billing) -> Iterator[MonthDocument]:
    """The documents of the one month of a billing."""
    for run in billing.sheets.names:
        for party in billing.points_of_party:
            billing.billed(billing.run(run), party)
    account_of = {kind.line_kind: kind.account for kind in billing.kinds}
    for issued in billing.invoices.issued(billing.sheets.names):
        terms = billing.terms(issued)
        lines: Sequence[DocumentLine] = [
            DocumentLine(row.line_kind, account_of[row.line_kind], row.energy_wh, row.amount_nano, row.amount)
            for row in billing.invoices.line_rows([issued])
        ]
        document = issued.document
        yield MonthDocument(
            party=issued.party,
            run=issued.run,
            net=document.net,
            tax=document.tax,
            gross=document.gross,
            rounding_nano=document.rounding_nano,
            quantum_nano=terms.quantum_nano,
            tax_ppm=terms.tax_ppm,
            lines=lines,
        )
