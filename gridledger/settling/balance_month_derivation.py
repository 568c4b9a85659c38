"""A line of a document for a balance, step by step: from what is owed of each slot, in plain sums, to the integer that the file says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gridcore.errors import UsageError, excerpt
from gridcore.run_names import run_rank
from gridledger.settling.balance_books import balance_book, month_histories
from gridledger.settling.balance_derivation import NOT_CHECKED, TITLES, Owed, check_kind, owed_of
from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.derivation import Step, Text, bracketed, numbers
from gridledger.settling.documents import DocumentFolder, StatedRow, billings, opened_books, stated_rows
from gridledger.settling.month_derivation import DocumentName, MonthDerivation, quanta_unit, rounded_steps
from gridledger.settling.results.balance_book import BALANCE_INVOICE_LINES, BalanceIssued, BalanceLineRow
from settlement.area_balance import SlotHistory


class _Line(NamedTuple):
    """A line of a document, and what is known of each slot; stated: its row of the file."""

    area: str
    name: DocumentName
    issued: BalanceIssued
    histories: Sequence[SlotHistory]
    timezone: str
    stated: StatedRow | None

    def of_days(self, until: str | None) -> Mapping[str, Owed]:
        """What is owed by local day after a run; None: after none."""
        return (
            {} if until is None else owed_by_day(self.histories, self.timezone, self.name.kind, self.name.party, until)
        )


def owed_by_day(
    histories: Iterable[SlotHistory], timezone: str, kind: str, party: str, until: str | None = None
) -> dict[str, Owed]:
    """What somebody owes of a kind for the slots of each local day, by what is known last, or by a run; days of nothing are not there."""
    zone, found = ZoneInfo(timezone), dict[str, Owed]()
    for history in histories:
        states = [one for one in history.known if until is None or run_rank(one.run) <= run_rank(until)]
        owed = owed_of(states[-1], kind, party) if states else Owed()
        day = datetime.fromtimestamp(history.slot_start_s, zone).date().isoformat()
        before = found.get(day, Owed())
        found[day] = Owed(before.energy_wh + owed.energy_wh, 0, before.pays_nano + owed.pays_nano)
    return {day: owed for day, owed in found.items() if owed != Owed()}


def day_step(days: Mapping[str, Owed], area: str, line: str, currency: str) -> Step:
    """The step that adds up what is owed by local day. line: names a slot's entry."""
    what = {
        "en": f"Owed for all slots, by local day; each slot: --area {area} --line {line}",
        "zh_CN": f"全部时段的应付，按本地日；每个时段：--area {area} --line {line}",
    }
    formula = " + ".join(bracketed(days[day].pays_nano) for day in sorted(days)) or "0"
    return Step(what, numbers(formula), sum(one.pays_nano for one in days.values()), f"1e-9 {currency}", holds=True)


def derive_balance_line(folder: DocumentFolder, area: str, name: DocumentName) -> MonthDerivation:
    """The derivation of PARTY/MONTH/KIND of an area's balance. UsageError where the folder's ledger has no such document."""
    check_kind(name.kind)
    with opened_books(folder) as books:
        (billing,) = billings(books, month=name.month)
        own = [one for one in balance_book(books, billing).issued() if one.of == (name.party, name.month, area)]
        runs = [one.run for one in own]
        if not own or name.run not in (None, *runs):
            which = "" if name.run is None else f" of run {excerpt(name.run)}"
            has = ", ".join(runs) or "none"
            words = f"{name.party} has no document for the balance of area {area}{which}; it has {has}"
            raise UsageError(f"--line {name.party}/{name.month}/{name.kind}: {words}")
        histories, timezone = list(month_histories(books, billing.dataset, area)), billing.dataset.timezone
    run = runs[-1] if name.run is None else name.run
    place = runs.index(run)
    row = (name.party, name.month, area, run, name.kind)
    stated = stated_rows(folder, BALANCE_INVOICE_LINES, name.party, name.month)
    said = next((one for one in stated if one.fields[: len(row)] == row), None)
    line = _Line(area, name, own[place], histories, timezone, said)
    steps = list(_steps(line, runs[place - 1] if place else None))
    amounts = {"amount": line.issued.document.amount_of(name.kind)}
    return MonthDerivation(name, run, TITLES[name.kind], steps, amounts, line.issued.terms, (NOT_CHECKED,))


def _steps(line: _Line, before: str | None) -> Iterator[Step]:
    """From local days to the row of the file. before: the run of the document before, None of an invoice."""
    terms, run, name = line.issued.terms, line.issued.run, line.name
    nano = f"1e-9 {terms.currency}"
    now, then = line.of_days(run), line.of_days(before)
    exact_wh, exact_nano = (sum(one[at] for one in now.values()) for at in (0, 2))
    known_wh, known_nano = (sum(one[at] for one in then.values()) for at in (0, 2))
    yield day_step(now, line.area, f"{name.party}/SLOT/{name.kind}", terms.currency)
    for column, exact, known, unit in (
        ("energy_wh", exact_wh, known_wh, "Wh"),
        ("amount_nano", exact_nano, known_nano, nano),
    ):
        yield _of_row(line.stated, column, exact, known, unit)
    rounded = rounded_steps(owed_by_rate(now, terms), terms, {"en": "Rounded once", "zh_CN": "只取整一次"})
    yield from rounded
    known_steps: Sequence[Step] = ()
    if before is not None:
        words: Text = {"en": "Before this document", "zh_CN": "本单据之前的金额"}
        known_steps = rounded_steps(owed_by_rate(then, terms), terms, words)
        yield from known_steps
    quanta, earlier = (sum(one.result for one in steps) for steps in (rounded, known_steps))
    step = _of_row(line.stated, "amount", quanta, earlier, quanta_unit(terms))
    yield step._replace(holds=step.holds and step.result == line.issued.document.amount_of(name.kind))


def owed_by_rate(days: Mapping[str, Owed], terms: InvoiceTerms) -> Mapping[int | None, int]:
    """What is owed for some local days by the rate of tax of each, nano; nothing at the rate of the month's first day where no day owes anything."""
    found = defaultdict[int | None, int](int)
    for day in sorted(days):
        found[terms.rate_on(date.fromisoformat(day).toordinal())] += days[day].pays_nano
    return found or {terms.tax_ppm: 0}


def _of_row(stated: StatedRow | None, column: str, now: int, before: int, unit: str) -> Step:
    """What a document adds to a line, as its row says it."""
    formula = f"{now} − {bracketed(before)}" if before else str(now)
    place = BalanceLineRow._fields.index(column)
    if stated is None:
        what: Text = {
            "en": f"{column}: {BALANCE_INVOICE_LINES} has no such row",
            "zh_CN": f"{column}：{BALANCE_INVOICE_LINES} 中没有此行",
        }
        return Step(what, numbers(formula), now - before, unit, holds=now == before)
    said = stated.fields[place]
    what = {
        "en": f"{column}: {BALANCE_INVOICE_LINES}, row {stated.number}, says {said}",
        "zh_CN": f"{column}：{BALANCE_INVOICE_LINES} 第 {stated.number} 行为 {said}",
    }
    return Step(what, numbers(formula), now - before, unit, holds=said == str(now - before))
