"""A folder of documents of a ledger's month: statements, postings, documents, general ledger and receipts of partners, as ``settle files`` makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gridcore.errors import UsageError, excerpt
from gridledger.settling.balance_books import balance_book
from gridledger.settling.chain import PartnersOfRuns, Scope, payments_of_month, timezone_of
from gridledger.settling.disputed import DISPUTED, DisputedRow, disputed_of_month
from gridledger.settling.documented_month import MONTH, MONTH_FORM, DocumentedMonth
from gridledger.settling.documents import Books, month_billing, slots_of_months
from gridledger.settling.results.months import span_of_month
from gridledger.settling.results.payments import PaymentRow, write_payments
from gridledger.settling.results.writing import Written, write_documents
from gridledger.settling.settled_folder import check_disk, check_out, made_whole
from gridledger.settling.uncharged_components import Uncharged
from gridledger.tables.files import write_rows
from ledger.leaves.chain import CHAIN
from ledger.store.offline import reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS


class Made(NamedTuple):
    """A folder that was made. without_tariff: names of who is billed and has no documents; payments: of the month, of all parties.

    without_terms: names of who answers for balances and names no tariff; disputed: of each party, what of its documents is due;
    uncharged: components that are left out since the month has no power factor.
    """

    month: DocumentedMonth
    written: Written
    without_tariff: Sequence[str]
    payments: Sequence[PaymentRow]
    without_terms: Sequence[str]
    disputed: Sequence[DisputedRow]
    uncharged: Sequence[Uncharged]


def make_documents(
    data_dir: Path,
    month: str,
    out: Path,
    *,
    area: str | None = None,
    guard: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Made:
    """Make ``out``, absent or an empty folder, of which there is none after a fault.

    UsageError for a month or area that the ledger has not, and where nobody who is billed names a tariff.
    """
    if MONTH_FORM.fullmatch(month) is None:
        raise UsageError(f"--month {excerpt(month)}: write YYYY-MM, as 2026-07")
    check_out(out)
    with reading(data_dir, CONTRACTS, guard) as reader, made_whole(out) as work:
        scope = scope_of(reader, area)
        months = slots_of_months(reader, scope)
        if month not in months:
            has = f"it has {', '.join(months)}" if months else "none is settled yet"
            raise UsageError(f"--month {month}: the ledger has no settled slot of it; {has}")
        books = Books(reader, scope, month, is_of_files=False)
        found = month_billing(books, months[month], partners=PartnersOfRuns(reader))
        payments = payments_of_month(reader, scope, month)
        check_disk([found.billing.dataset], out)
        balance = balance_book(books, found.billing)
        written = write_documents(work, found.billing, progress, payments, balance)
        write_payments(work, payments)
        disputed = disputed_of_month(books, found.billing)
        write_rows(work / DISPUTED, DisputedRow._fields, disputed)
        documented = DocumentedMonth(
            month=month,
            chain=reader.chain,
            zone=scope.zone,
            area=scope.area or "",
            height=scope.height,
            digest=reader.digest(scope.height).hex(),
            slots=slots_of_month(reader, scope, month),
            slots_settled=len(months[month]),
            parties=len(found.billing.points_of_party),
            without_tariff=len(found.without_tariff),
        )
        write_rows(work / MONTH, DocumentedMonth._fields, [documented])
    return Made(
        documented, written, found.without_tariff, payments, balance.without_terms, disputed, found.billing.uncharged()
    )


def scope_of(reader: LedgerReader, area: str | None) -> Scope:
    """All that the ledger has settled, of one area or of its one zone. UsageError for no such area, and for several zones."""
    if area is not None:
        found = reader.registry.zone_of_area(area)
        if found is None:
            raise UsageError(f"--area {excerpt(area)}: is no area of this chain")
        return Scope(found[0].name, reader.height, area)
    zones = reader.registry.zones
    if len(zones) != 1:
        known = ", ".join(f"{name} (zone {zone.name})" for zone in zones for name in zone.areas) or "no area"
        raise UsageError(f"--area is missing: this ledger has {known}; name one")
    return Scope(zones[0].name, reader.height)


def slots_of_month(reader: LedgerReader, scope: Scope, month: str) -> int:
    """How many slots a local month has since its zone's first one."""
    begins_s, end_s = span_of_month(month, timezone_of(reader, scope))
    slot_s, first_slot_s = CHAIN.must(reader).slot_s, reader.registry.zone(scope.zone).timeline.first_slot_start_s
    return len(range(max(first_slot_s, -(-begins_s // slot_s) * slot_s), end_s, slot_s))
