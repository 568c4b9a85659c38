"""A folder of the accounts of a ledger's year: what each party owed before, its documents and payments, its taxes, and what it owes at the end."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import GridError, UsageError, excerpt
from gridledger.settling.chain import Scope, billed_in, payments_of_span, timezone_of
from gridledger.settling.disputed import disputed_of_month
from gridledger.settling.documents import Books, billing_of, charged_in, slots_of_months
from gridledger.settling.month_documents import scope_of, slots_of_month
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.months import span_of_month
from gridledger.settling.settled_folder import check_out, made_whole
from gridledger.settling.uncharged_components import Uncharged
from gridledger.tables.columns import utf8
from gridledger.tables.files import write_rows
from ledger.leaves.columns import Int64
from ledger.store.offline import reading
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from settlement.contract_kit_1 import ContractError
from settlement.invoicing.account import Account, Entry, Taxed, account_of, by_month, sort_of

YEAR: Final = "year.csv"
ACCOUNTS: Final = "accounts.csv"
BALANCES: Final = "balances.csv"
TAXES: Final = "taxes.csv"
OPENING: Final = "opening"
YEAR_FORM: Final = re.compile(r"[0-9]{4}", re.ASCII)


class DocumentedYear(NamedTuple):
    """The row of ``year.csv``. area: empty for all areas of the zone; height, digest: of the newest block that counts.

    slots: of the year's months that have settled ones; slots_settled: how many are settled, as of ``AreaMonth``; parties: that have accounts; without_tariff: how
    many others were billed, and named no tariff.
    """

    year: str
    chain: str
    zone: str
    area: str
    height: int
    digest: str
    slots: int
    slots_settled: int
    parties: int
    without_tariff: int

    @property
    def is_complete(self) -> bool:
        """Whether every slot of these months is settled."""
        return self.slots_settled == self.slots


class AccountRow(NamedTuple):
    """An entry of a party's account; all of a party come to its closing balance. entry: ``opening``, a sort of document, or a payment's ground.

    run: of a document; tax_ppm: of one, "" where it has several rates; date, reference: of a payment; owed_nano: what the party owes more by it, below 0: less.
    """

    party: str
    entry: str
    month: str
    run: str
    date: str
    reference: str
    net_nano: int
    taxed_nano: int
    tax_ppm: int | str
    tax_nano: int
    owed_nano: int


class BalanceRow(NamedTuple):
    """A month of a party: opening_nano + invoiced_nano - paid_nano = closing_nano, with which its next month begins; disputed_nano + due_nano is it too."""

    party: str
    month: str
    opening_nano: int
    invoiced_nano: int
    paid_nano: int
    closing_nano: int
    disputed_nano: int
    due_nano: int


class TaxRow(NamedTuple):
    """The documents of a party and year by tax rate; taxed_nano: how much of net_nano tax is paid on. What no tax is paid on stands with the tariff's rate."""

    party: str
    year: str
    tax_ppm: int
    documents: int
    net_nano: int
    taxed_nano: int
    tax_nano: int
    gross_nano: int


class MadeYear(NamedTuple):
    """A folder that was made. months_missing: months of the year that have no settled slot; without_tariff: names of who was billed and has no account; entries: rows of ``accounts.csv``;

    closing_nano: of all, disputed_nano of it is not due; uncharged: components that are left out of months of the year.
    """

    year: DocumentedYear
    months_missing: Sequence[str]
    without_tariff: Sequence[str]
    entries: int
    closing_nano: int
    disputed_nano: int
    uncharged: Sequence[Uncharged]


def make_year(
    data_dir: Path,
    year: str,
    out: Path,
    *,
    area: str | None = None,
    guard: Path | None = None,
    progress: Callable[[int, int], None],
) -> MadeYear:
    """Make ``out``, absent or an empty folder, of which there is none after a fault. progress: told months that were read, and of how many.

    UsageError for a year or area that the ledger has not, and where nobody who is billed names a tariff; GridError where a month has no documents.
    """
    if YEAR_FORM.fullmatch(year) is None:
        raise UsageError(f"--year {excerpt(year)}: write YYYY, as 2026")
    check_out(out)
    with reading(data_dir, CONTRACTS, guard) as reader, made_whole(out) as work:
        scope = scope_of(reader, area)
        months = slots_of_months(reader, scope)
        own = {name: slots for name, slots in months.items() if name[:4] == year}
        if not own:
            has = f"it has {', '.join(dict.fromkeys(name[:4] for name in months))}" if months else "none is settled yet"
            raise UsageError(f"--year {year}: the ledger has no settled slot of it; {has}")
        found = _read(reader, scope, {name: slots for name, slots in months.items() if name[:4] <= year}, progress)
        last = f"{year}-12"
        _add_payments(reader, scope, found.entries, last)
        if not found.entries:
            raise UsageError(f"nobody who is billed names a tariff up to {year}; register one (docs/tariffs.md)")
        accounts = {
            party: account_of(entries, f"{year}-01", last, found.contested_nano.get(party, {}))
            for party, entries in found.entries.items()
        }
        entries = _write(work, year, accounts)
        documented = DocumentedYear(
            year=year,
            chain=reader.chain,
            zone=scope.zone,
            area=scope.area or "",
            height=scope.height,
            digest=reader.digest(scope.height).hex(),
            slots=sum(slots_of_month(reader, scope, name) for name in own),
            slots_settled=sum(map(len, own.values())),
            parties=len(accounts),
            without_tariff=len(found.without_tariff),
        )
        write_rows(work / YEAR, DocumentedYear._fields, [documented])
    return MadeYear(
        year=documented,
        months_missing=[name for name in _months_of(year) if name not in own],
        without_tariff=found.without_tariff,
        entries=entries,
        closing_nano=sum(one.closing_nano for one in accounts.values()),
        disputed_nano=sum(one.disputed_nano for one in accounts.values()),
        uncharged=[one for one in found.uncharged if one.month in own],
    )


def _months_of(year: str) -> list[str]:
    return [f"{year}-{number:02}" for number in range(1, 13)]


class _Found(NamedTuple):
    """Entries by party, parties by the bytes of their names; contested_nano: what of their documents is disputed, by party and month; who was billed without ever having a document; what was left out."""

    entries: dict[str, list[Entry]]
    contested_nano: Mapping[str, Mapping[str, int]]
    without_tariff: Sequence[str]
    uncharged: Sequence[Uncharged]


def _read(
    reader: LedgerReader, scope: Scope, months: Mapping[str, Int64], progress: Callable[[int, int], None]
) -> _Found:
    """The documents of some months, one after the other: no more than one is in memory."""
    found: dict[str, list[Entry]] = {}
    contested_nano: dict[str, dict[str, int]] = defaultdict(dict)
    without, left_out = set[str](), list[Uncharged]()
    for done, (name, slots) in enumerate(months.items()):
        progress(done, len(months))
        books = Books(reader, scope, name, is_of_files=False)
        charged = charged_in(books, slots, billed_in(reader, scope, slots))
        without.update(charged.without_tariff)
        if charged.tariffs:
            try:
                billing = billing_of(books, charged)
                for party, entry in _documents(name, billing):
                    found.setdefault(party, []).append(entry)
                for row in disputed_of_month(books, billing):
                    contested_nano[row.party][name] = row.disputed_nano
                left_out += billing.uncharged()
            except ContractError as error:
                raise GridError(f"month {name}: {error}") from None
    ordered = {party: found[party] for party in sorted(found, key=utf8)}
    return _Found(ordered, contested_nano, sorted(without - found.keys(), key=utf8), left_out)


def _documents(month: str, billing: Billing) -> Iterator[tuple[str, Entry]]:
    """The documents of the one month of a billing as entries, with their parties."""
    for run in billing.sheets.names:
        for party in billing.points_of_party:
            billing.billed(billing.run(run), party)
    before = ""
    for issued in billing.invoices.issued(billing.sheets.names):
        document, terms = issued.document, billing.terms(issued)
        nano, is_first, before = terms.quantum_nano, issued.party != before, issued.party
        yield (
            issued.party,
            Entry(
                month=month,
                sort=sort_of(document.gross, is_first=is_first),
                name=issued.run,
                date="",
                owed_nano=document.gross * nano,
                net_nano=document.net * nano,
                tax_ppm=terms.tax_ppm,
                taxes=[Taxed(one.tax_ppm, one.taxed * nano, one.tax * nano) for one in document.taxes],
            ),
        )


def _add_payments(reader: LedgerReader, scope: Scope, entries: Mapping[str, list[Entry]], last: str) -> None:
    """The payments of parties that have documents, up to the end of a month."""
    _, end_s = span_of_month(last, timezone_of(reader, scope))
    for paid in payments_of_span(reader, scope, range(end_s), f"{last[:4]} and before"):
        if paid.party in entries:
            entries[paid.party].append(Entry(paid.month, paid.ground, paid.reference, paid.date, paid.owed_nano))


def _write(out: Path, year: str, accounts: Mapping[str, Account]) -> int:
    """Make the files of all parties; how many rows of ``accounts.csv``."""
    rows = [row for party, account in accounts.items() for row in _account_rows(party, year, account)]
    write_rows(out / ACCOUNTS, AccountRow._fields, rows)
    balances = [
        BalanceRow(
            party,
            month,
            of.opening_nano,
            of.invoiced_nano,
            of.paid_nano,
            of.closing_nano,
            of.disputed_nano,
            of.due_nano,
        )
        for party, account in accounts.items()
        for month, of in by_month(account, _months_of(year)).items()
    ]
    write_rows(out / BALANCES, BalanceRow._fields, balances)
    taxes = [TaxRow(party, year, *of_rate) for party, account in accounts.items() for of_rate in account.taxes]
    write_rows(out / TAXES, TaxRow._fields, taxes)
    return len(rows)


def _account_rows(party: str, year: str, account: Account) -> Iterator[AccountRow]:
    yield AccountRow(party, OPENING, f"{year}-01", "", "", "", 0, 0, 0, 0, account.opening_nano)
    for one in account.entries:
        named = (one.name, "", "") if one.is_document else ("", one.date, one.name)
        rate = "" if one.rate_ppm is None else one.rate_ppm
        taxed = (one.net_nano, one.taxed_nano)
        yield AccountRow(party, one.sort, one.month, *named, *taxed, rate, one.tax_nano, one.owed_nano)
