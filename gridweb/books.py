"""What the documents and payments of an area's parties are to their accounts: read from the node month by month, for balances.

A balance rests on all documents and payments there ever were up to a month: one that cannot be had keeps it back, with the reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gridcore.transactions.payment import GROUNDS
from gridweb.points import zone
from gridweb.source import AreaInfo, Source, SourceMissing
from settlement.invoicing.account import Account, Entry, Taxed, account_of, sort_of

Answer = Mapping[str, Any]


class SettledSlots(NamedTuple):
    """How many slots of a month have a run, and how many it has."""

    slots: int
    expected: int


@dataclass(frozen=True)
class Books:
    """The entries of accounts, by party, up to the end of the month ``last``. Only parties that have documents have any.

    contested_nano: what of their documents is disputed, by party and month; settled: by month; without_tariff: months in which somebody is billed and names no tariff; is_whole: whether all parties are there;
    fault: why there is no balance, "" where there is one.
    """

    last: str
    entries: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    contested_nano: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    settled: Mapping[str, SettledSlots] = field(default_factory=dict)
    without_tariff: Sequence[str] = ()
    is_whole: bool = True
    fault: str = ""

    def account(self, party: str, first_month: str) -> Account:
        """A party's account from a month to the last one."""
        return account_of(self.entries.get(party, ()), first_month, self.last, self.contested_nano.get(party, {}))

    def unfinished(self, months: Iterable[str]) -> list[str]:
        """Those of some months of which not every slot is settled."""
        return [
            month
            for month in months
            if month not in self.settled or self.settled[month].slots < self.settled[month].expected
        ]


class _MonthRead(NamedTuple):
    """The documents of a month, part by part; missing: what the node says where there are none."""

    answers: Sequence[Answer]
    missing: str = ""


class BooksReading:
    """The books of an area, of one party or of all (in parts that begin before ``parties_max``), read month by month as they are asked for.

    of_balance: the documents of the balance of the area in place of those of its points; no payment is of them.

    months: all from the area's first one to the last that counts; newest: the newest of the area, of which no slot may be settled yet. Where
    reading fails half way, it goes on there when it is asked again.
    """

    def __init__(
        self,
        source: Source,
        area: AreaInfo,
        months: Sequence[str],
        newest: str,
        *,
        party: str | None = None,
        parties_max: int | None = None,
        of_balance: bool = False,
    ) -> None:
        self._source, self._area, self._party, self._parties_max = source, area, party, parties_max
        self._of_balance = of_balance
        self._months, self._newest = months, newest
        self._read: dict[str, _MonthRead] = {}
        self._payments: list[Answer] | None = None
        self._latest: Books | None = None

    async def through(self, last: str) -> Books:
        """The books up to the end of one of the months; those that were asked for last are kept. SourceAway, SourceBusy."""
        if self._latest is None or self._latest.last != last or self._latest.fault:
            self._latest = await self._books_through(last)
        return self._latest

    async def _books_through(self, last: str) -> Books:
        months = [month for month in self._months if month <= last]
        for month in months:
            if month not in self._read:
                self._read[month] = await self._read_month(month)
        settled = {month: read for month in months if not (read := self._read[month]).missing}
        faults = [self._read[month].missing for month in months if month not in settled and month != self._newest]
        if faults:
            return Books(last, fault=faults[0])
        try:
            payments = await self._all_payments()
        except SourceMissing as missing:
            return Books(last, fault=str(missing))
        entries: dict[str, list[Entry]] = {} if self._party is None else {self._party: []}
        contested_nano: dict[str, dict[str, int]] = defaultdict(dict)
        for month, read in settled.items():
            for answer in read.answers:
                for one in answer["disputed"]:
                    contested_nano[one["party"]][month] = one["disputed_nano"]
                for party, entry in document_entries(month, answer["documents"]):
                    entries.setdefault(party, []).append(entry)
        for paid in payments:
            if paid["party"] in entries:
                entries[paid["party"]].append(payment_entry(self._area, paid))
        return Books(
            last,
            entries,
            contested_nano,
            {
                month: SettledSlots(read.answers[0]["slots_settled"], read.answers[0]["slots_expected"])
                for month, read in settled.items()
            },
            [month for month, read in settled.items() if any(answer["without_tariff"] for answer in read.answers)],
            all(read.answers[-1]["next"] is None for read in settled.values()),
        )

    async def _read_month(self, month: str) -> _MonthRead:
        path = documents_path(self._area.area, month, of_balance=self._of_balance)
        try:
            if self._party is not None:
                return _MonthRead([await self._source.cached(path, party=self._party)])
            return _MonthRead(await self._source.pages(path, rows_max=self._parties_max))
        except SourceMissing as missing:
            return _MonthRead((), str(missing))

    async def _all_payments(self) -> Sequence[Answer]:
        """Those up to the end of the last month; they are for points."""
        if self._of_balance:
            return ()
        if self._payments is None:
            asked: dict[str, Any] = {} if self._party is None else {"party": self._party}
            span = {"from_s": 0, "until_s": month_end_s(self._area, self._months[-1])}
            pages = await self._source.pages(f"areas/{self._area.area}/payments", **span, **asked)
            self._payments = [paid for page in pages for paid in page["payments"]]
        return self._payments


def documents_path(area: str, month: str, *, of_balance: bool = False) -> str:
    """Where the node answers the documents of a month."""
    return f"areas/{area}/months/{month}/{'balance-documents' if of_balance else 'documents'}"


def document_entries(month: str, documents: Iterable[Answer]) -> Iterator[tuple[str, Entry]]:
    """Documents of a month, as the node has them in order, as entries with their parties."""
    before = ""
    for one in documents:
        quantum_nano, is_first, before = one["quantum_nano"], one["party"] != before, one["party"]
        net_nano, gross_nano = (one[key] * quantum_nano for key in ("net", "gross"))
        taxes = [Taxed(tax["tax_ppm"], tax["taxed"] * quantum_nano, tax["tax"] * quantum_nano) for tax in one["taxes"]]
        sort = sort_of(gross_nano, is_first=is_first)
        yield (
            one["party"],
            Entry(month, sort, one["run"], "", gross_nano, net_nano, one["tax_ppm"], taxes),
        )


def payment_entry(area: AreaInfo, paid: Answer) -> Entry:
    """A payment as an entry, of the local day of its ledger time."""
    local = datetime.fromtimestamp(paid["time_s"], UTC).astimezone(zone(area))
    owed_nano = -GROUNDS[paid["ground"]].sign * paid["amount_nano"]
    return Entry(f"{local:%Y-%m}", paid["ground"], paid["reference"], local.date().isoformat(), owed_nano)


def month_end_s(area: AreaInfo, month: str) -> int:
    """Where a local month, as ``2026-07``, ends, UTC seconds; also one that the area's calendar does not reach to the end of."""
    year, number = int(month[:4]), int(month[5:])
    following = (year, number + 1) if number < 12 else (year + 1, 1)
    return int(datetime(*following, 1, tzinfo=zone(area)).timestamp())
