"""The documents of a ledger's months, made of its registry and its settled slots; and folders with files that say them.

A folder that ``settle files`` has made holds its ledger; one that ``settle documents`` has made says of which ledger and month it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridledger.settling.chain import (
    PartnersOfRuns,
    Scope,
    billed_in,
    files_scope,
    frame_of_ledger,
    is_any_settled,
    named_tariffs,
    read_runs,
    settled_slots,
    tariffs_of_ledger,
    timezone_of,
    with_ways,
)
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.reading import BilledThere
from gridledger.settling.dataset import Dataset, PartyTariff, parties_of
from gridledger.settling.documented_month import MONTH, read_month
from gridledger.settling.files.fault import FilesError, nearest
from gridledger.settling.files.table import Header, Table
from gridledger.settling.partners import NOBODY
from gridledger.settling.results.balance_book import (
    BALANCE_INVOICE_LINES,
    BALANCE_INVOICES,
    BalanceInvoiceRow,
    BalanceLineRow,
)
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.invoices import (
    INVOICE_LINES,
    INVOICE_TAXES,
    INVOICES,
    InvoiceLineRow,
    InvoiceRow,
    InvoiceTaxRow,
)
from gridledger.settling.results.market_partners import PARTNER_MONTHS, PARTNERS, PartnerMonthRow, PartnerRow
from gridledger.settling.results.months import months_of
from gridledger.settling.results.payments import PAYMENTS, PaymentRow
from gridledger.settling.results.tariff_lines import UsedOfYear
from gridledger.settling.settled_folder import LEDGER
from ledger.leaves.chain import CHAIN
from ledger.leaves.columns import Int64
from ledger.store.offline import StateBehindError, reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS

COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    INVOICES: InvoiceRow._fields,
    INVOICE_LINES: InvoiceLineRow._fields,
    INVOICE_TAXES: InvoiceTaxRow._fields,
    PAYMENTS: PaymentRow._fields,
    PARTNERS: PartnerRow._fields,
    PARTNER_MONTHS: PartnerMonthRow._fields,
    BALANCE_INVOICES: BalanceInvoiceRow._fields,
    BALANCE_INVOICE_LINES: BalanceLineRow._fields,
}


MONTH_CHARACTERS: Final = 7
"""Of a month, and of the one in a date."""


class Books(NamedTuple):
    """Of what documents are made. month: the only one, None for all; is_of_files: of ``settle files``, whose parties all name a tariff."""

    reader: LedgerReader
    scope: Scope
    month: str | None
    is_of_files: bool


class StatedRow(NamedTuple):
    """A row of a file as it stands there: its number, the header being row 1, and its fields."""

    number: int
    fields: tuple[str, ...]


class DocumentFolder(NamedTuple):
    """Files of documents. data_dir: of their ledger, None where the folder is a settled one, which holds its ledger; guard: of its node."""

    out: Path
    data_dir: Path | None = None
    guard: Path | None = None

    @property
    def named(self) -> str:
        """As the command line names it."""
        return f"--settled {self.out}" if self.data_dir is None else f"--documents {self.out}"

    @property
    def maker(self) -> str:
        """The command that makes such folders."""
        return "settle files" if self.data_dir is None else "settle documents"


@contextmanager
def opened_books(folder: DocumentFolder) -> Iterator[Books]:
    """The ledger of a folder, as its documents rest on it. UsageError where there is none that its maker has made, or another one."""
    if folder.data_dir is None:
        with _settled_reader(folder.out) as reader:
            yield Books(reader, files_scope(reader), None, is_of_files=True)
        return
    if not (folder.out / MONTH).is_file():
        raise UsageError(f"{folder.named}: holds no {MONTH}; name a folder that {folder.maker} has made")
    month = read_month(folder.out)
    with reading(folder.data_dir, CONTRACTS, folder.guard) as reader:
        where = f"--data {folder.data_dir}"
        if reader.chain != month.chain:
            raise UsageError(f"{where}: is chain {reader.chain}; the documents of {folder.out} are of {month.chain}")
        if reader.height < month.height:
            words = f"is at height {reader.height}, the documents of {folder.out} are of height {month.height}"
            raise UsageError(f"{where}: {words}; start the node, it catches up by itself")
        if month.height and reader.digest(month.height).hex() != month.digest:
            raise UsageError(f"{where}: its block {month.height} is another one than that of {folder.out}/{MONTH}")
        zones = reader.registry.zone_place if not month.area else _zone_names(reader, month.area)
        if month.zone not in zones:
            of_what = f"zone {month.zone}" if not month.area else f"area {month.area} in zone {month.zone}"
            raise UsageError(f"{where}: has no {of_what}, of which {folder.out}/{MONTH} says that the documents are")
        yield Books(reader, Scope(month.zone, month.height, month.area or None), month.month, is_of_files=False)


def _zone_names(reader: LedgerReader, area: str) -> Sequence[str]:
    """The zone that an area is in; none for a name that no area has."""
    found = reader.registry.zone_of_area(area)
    return [] if found is None else [found[0].name]


@contextmanager
def _settled_reader(out: Path) -> Iterator[LedgerReader]:
    if not (out / LEDGER).is_dir():
        raise UsageError(f"--settled {out}: holds no ledger; name a folder that settle files has made")
    with ExitStack() as resources:
        try:
            reader = resources.enter_context(reading(out / LEDGER, CONTRACTS))
        except StateBehindError:
            words = "the state of its ledger is behind its blocks; it catches up when files come onto it, the same ones will do"
            raise UsageError(f"--settled {out}: {words}: gridledger settle files DIR --onto {out}") from None
        if ZONE_NAME not in reader.registry.zone_place:
            raise UsageError(f"--settled {out}: its ledger was not made from files; only those have documents")
        yield reader


def stated_rows(
    folder: DocumentFolder, name: str, party: str | None = None, month: str | None = None
) -> Iterator[StatedRow]:
    """The rows of a file of documents, of one party or month (of a date too) or of all. FilesError for what its maker does not write."""
    path = folder.out / name
    if not path.is_file():
        raise UsageError(f"{folder.named}: holds no {name}; name a folder that {folder.maker} has made")
    try:
        for block in Table(path, Header(COLUMNS[name])).blocks():
            texts = [block.columns[column].texts() for column in COLUMNS[name]]
            for number, *fields in zip(block.row.tolist(), *texts, strict=True):
                if party in (None, fields[0]) and month in (None, fields[1][:MONTH_CHARACTERS]):
                    yield StatedRow(number, tuple(fields))
    except FilesError as error:
        raise FilesError(f"{folder.out}/{error}") from None


def billings(
    books: Books, *, month: str | None = None, party: str | None = None, with_partners: bool = False
) -> Iterator[Billing]:
    """Month by month, or of one, what every run is to every party that names a tariff; ``party``: to one party alone.

    with_partners: whom points name is looked up too.

    UsageError for a month or party that the ledger has not; GridError where a ledger of files does not say how somebody is invoiced.
    """
    if None not in (month, books.month) and month != books.month:
        raise UsageError(f"month {excerpt(str(month))}: the documents are of {books.month}")
    wanted = month or books.month
    slots = slots_of_months(books.reader, books.scope)
    if wanted is not None and wanted not in slots:
        has = f"it has {', '.join(slots)}" if slots else "none is settled yet"
        raise UsageError(f"month {excerpt(wanted)}: the ledger has no slot of it; {has}")
    for name, of_month in slots.items():
        if wanted in (None, name):
            partners = PartnersOfRuns(books.reader) if with_partners else None
            yield month_billing(books, of_month, party, partners).billing


def slots_of_months(reader: LedgerReader, scope: Scope) -> dict[str, Int64]:
    """The settled slots of a scope by the local months that they begin in, as ``2026-06``, ascending; without months of which no slot has a run, since nobody
    was billed in them.
    """
    starts, slot_s = settled_slots(reader, scope), CHAIN.must(reader).slot_s
    if not len(starts):
        return {}
    months = months_of(starts, slot_s, timezone_of(reader, scope))
    of_month = {name: starts[months.calendar.month == place] for place, name in enumerate(months.names)}
    return {name: slots for name, slots in of_month.items() if is_any_settled(reader, scope, slots)}


class Charged(NamedTuple):
    """Slots with the points of parties that name a tariff, and what each is charged by; who else is billed, by name, has no terms of an invoice."""

    frame: Dataset
    tariffs: Mapping[str, PartyTariff]
    without_tariff: Sequence[str]


def charged_in(books: Books, slot_start_s: Int64, billed: BilledThere) -> Charged:
    """Of those who are billed in some slots. UsageError, GridError as ``billings``."""
    reader, scope = books.reader, books.scope
    frame = frame_of_ledger(reader, scope, slot_start_s, billed)
    find_tariffs = tariffs_of_ledger if books.is_of_files else named_tariffs
    tariffs = find_tariffs(reader, frame, scope.height)
    without = sorted(parties_of(frame.points) - tariffs.keys(), key=str.encode)
    if without:
        frame = frame.without_energies([point for point in frame.points if point.party in tariffs])
    return Charged(frame, tariffs, without)


def billing_of(books: Books, charged: Charged, partners: PartnersOfRuns | None = None) -> Billing:
    """What every run of the slots is to every party that names a tariff; there is one at least. ``partners``: where it matters whom points name."""
    reader, scope = books.reader, books.scope
    runs = read_runs(reader, charged.frame, scope.zone, scope.height, partners)
    used = _used_before(books, charged)
    tariffs = with_ways(reader, charged.frame, charged.tariffs, scope.height)
    return Billing(charged.frame, runs, tariffs, NOBODY if partners is None else partners.named, used)


def _used_before(books: Books, charged: Charged) -> UsedOfYear:
    """What parties used in the year of the slots before their month, under components with steps of a year; one month at a time is in memory."""
    parties = parties_by_year(charged.tariffs)
    used: dict[str, dict[str, dict[str, int]]] = {party: {} for party in parties}
    if not parties:
        return used
    first = months_of(charged.frame.slot_start_s, charged.frame.slot_s, charged.frame.timezone).names[0]
    for name, slots in months_of_year(slots_of_months(books.reader, books.scope), first):
        billed = BilledThere((), ()) if name == first else billed_in(books.reader, books.scope, slots, parties)
        if not billed.points:
            continue
        earlier = charged_in(books, slots, billed)
        runs = read_runs(books.reader, earlier.frame, books.scope.zone, books.scope.height)
        for party, of_names in Billing(earlier.frame, runs, earlier.tariffs).used_of_year().items():
            for component, of_month in of_names.items():
                used[party].setdefault(component, {}).update(of_month)
    return used


def parties_by_year(tariffs: Mapping[str, PartyTariff]) -> list[str]:
    """Who is charged by steps of a year: their documents rest on all months of the year before."""
    return [party for party, one in tariffs.items() if any(part.is_of_year for part in one.components)]


def months_of_year(months: Mapping[str, Int64], last: str) -> list[tuple[str, Int64]]:
    """The months of a year up to one of them."""
    return [(name, slots) for name, slots in months.items() if name[:4] == last[:4] and name <= last]


class MonthBilling(NamedTuple):
    """What runs are to parties, and the names of those who are billed and name no tariff."""

    billing: Billing
    without_tariff: Sequence[str]


def month_billing(
    books: Books, slot_start_s: Int64, party: str | None = None, partners: PartnersOfRuns | None = None
) -> MonthBilling:
    """What every run of some slots is to every party that names a tariff in them, or to one party. ``partners``: as of ``billing_of``.

    UsageError, GridError as ``billings``.
    """
    billed = billed_in(books.reader, books.scope, slot_start_s, None if party is None else [party])
    if party is not None and not billed.points:
        known = sorted(parties_of(billed_in(books.reader, books.scope, slot_start_s).points))
        raise UsageError(f"party {excerpt(party)}: none of that name is billed; {nearest(party, known)}")
    charged = charged_in(books, slot_start_s, billed)
    if not charged.tariffs:
        who = "nobody who is billed names a" if party is None else f"party {party} names no"
        right = "register one and name it in the party's row (docs/tariffs.md)"
        raise UsageError(f"{who} tariff in these slots; {right}")
    return MonthBilling(billing_of(books, charged, partners), charged.without_tariff)
