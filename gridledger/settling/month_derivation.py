"""One line of a month's document, or its totals, step by step: from the ledger's registry and settled slots to the integer that its file says.

Each step is computed from what stands above it; what comes out is compared with the columns that make such documents, and with the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridcore.report.markup import money
from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.derivation import Step, Text, bracketed, numbers
from gridledger.settling.documents import DocumentFolder, StatedRow, billings, opened_books, stated_rows
from gridledger.settling.files.fault import nearest
from gridledger.settling.month_lines import MonthLine, month_lines, own_terms
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.invoices import INVOICE_LINES, INVOICES, InvoiceLineRow, InvoiceRow, Issued
from settlement.invoicing.documents import LineOf, highest_first
from settlement.invoicing.total import InvoiceTotal, TaxOfRate, invoice_total

_PPM: Final = 1_000_000
_PERCENT_NANO: Final = 100_000
"""A millionth as parts of a per cent."""
_ROUNDINGS: Final[Mapping[str, Text]] = {
    "half_up_away": {"en": "ties away from zero", "zh_CN": "四舍五入"},
    "half_even": {"en": "ties to the even one", "zh_CN": "四舍六入五成双"},
}
NOT_CHECKED: Final[Text] = {
    "en": "that the slots' runs follow from the blocks (gridledger settle replay --slot), and a stranger's view: no bundle proves a charge",
    "zh_CN": "各时段结算结果是否由区块得出（gridledger settle replay --slot）；外人无法据此核验：证据包不证明按月收取的项目",
}


class DocumentName(NamedTuple):
    """A line of a month's document; kind "": its totals; run: None for the last one that has a document."""

    party: str
    month: str
    kind: str
    run: str | None


class MonthDerivation(NamedTuple):
    """The steps of a line, in their order. amounts: what the document adds, in quanta, by the column of its file."""

    name: DocumentName
    run: str
    title: Text
    steps: Sequence[Step]
    amounts: Mapping[str, int]
    terms: InvoiceTerms
    not_checked: Sequence[Text] = (NOT_CHECKED,)

    @property
    def holds(self) -> bool:
        """Whether every step gives what document and file say."""
        return all(step.holds for step in self.steps)


class _Exact(NamedTuple):
    """What a line comes to, by the columns of ``INVOICE_LINES``; amount: rounded once, quanta."""

    energy_wh: int = 0
    amount_nano: int = 0
    amount: int = 0


class _State(NamedTuple):
    """A month after a run: its lines, exact, those without a price too, what they come to on an invoice, and its terms."""

    lines: Sequence[MonthLine]
    total: InvoiceTotal
    terms: InvoiceTerms

    def of_kind(self, kind: str) -> Mapping[int | None, _Exact]:
        """The lines of a kind by the rate of their tax, the highest first."""
        amounts = zip(self.lines, self.total.lines, strict=True)
        return {
            line.tax_ppm: _Exact(line.energy_wh, line.amount_nano, amount)
            for line, amount in amounts
            if line.kind == kind
        }

    @property
    def amounts(self) -> Mapping[str, int]:
        """net, tax, gross and rounding, by the columns of ``INVOICES``."""
        total = self.total
        return {"net": total.net, "tax": total.tax, "gross": total.gross, "rounding": total.rounding_nano}


class _Document(NamedTuple):
    """What is derived: the document, the months' states after its run and before it (None of a first one), and what the files say.

    stated_lines: by kind and rate of tax, "" for none.
    """

    issued: Issued
    now: _State
    before: _State | None
    billing: Billing
    stated_totals: StatedRow | None
    stated_lines: Mapping[tuple[str, str], StatedRow]


def derive_document(folder: DocumentFolder, name: DocumentName) -> MonthDerivation:
    """The derivation of a line of a folder of documents. UsageError where the ledger, or the month, has no such line."""
    with opened_books(folder) as books:
        (billing,) = billings(books, month=name.month, party=name.party)
    document = _document(folder, billing, name)
    of_document, terms = document.issued.document, document.now.terms
    if not name.kind:
        steps = list(_total_steps(document))
        title = {"en": "net, tax, gross and rounding", "zh_CN": "不含税额、税额、含税额与舍入差"}
        amounts = {
            "net": of_document.net,
            "tax": of_document.tax,
            "gross": of_document.gross,
            "rounding": of_document.rounding_nano,
        }
        return MonthDerivation(name, document.issued.run, title, steps, amounts, terms)
    titles = {line.kind: line.title for state in (document.before, document.now) if state for line in state.lines}
    amounts = {"amount": of_document.amount_of(name.kind)}
    return MonthDerivation(
        name, document.issued.run, titles[name.kind], list(_line_steps(document, name)), amounts, terms
    )


def _document(folder: DocumentFolder, billing: Billing, name: DocumentName) -> _Document:
    runs = billing.sheets.names
    for run in runs:
        billing.billed(billing.run(run), name.party)
    issued = list(billing.invoices.issued(runs))
    names = [one.run for one in issued]
    if name.run is not None and name.run not in names:
        raise UsageError(
            f"--run {excerpt(name.run)}: {name.party} has no document of that run in {name.month}; it has {', '.join(names) or 'none'}"
        )
    if not issued:
        _check_charged(billing, name)
        raise UsageError(f"--line {name.party}/{name.month}: that month came to nothing, and has no document")
    at = names.index(name.run) if name.run is not None else len(names) - 1
    run = names[at]
    first = runs.index(run) == 0
    now = _state(billing, name.party, run)
    before = None if first else _state(billing, name.party, runs[runs.index(run) - 1])
    kinds = list(dict.fromkeys(line.kind for state in (now, before) if state for line in state.lines))
    if name.kind and name.kind not in kinds:
        _check_charged(billing, name)
        words = f"{name.party} has no line {excerpt(name.kind)} in {name.month}; {nearest(name.kind, kinds)}"
        raise UsageError(f"--line {name.party}/{name.month}: {words}")
    totals = list(stated_rows(folder, INVOICES, name.party, name.month))
    kind_at, rate_at, run_at = (InvoiceLineRow._fields.index(field) for field in ("line_kind", "tax_ppm", "run"))
    lines = [row for row in stated_rows(folder, INVOICE_LINES, name.party, name.month) if row.fields[run_at] == run]
    of_kind = {(row.fields[kind_at], row.fields[rate_at]): row for row in lines}
    return _Document(issued[at], now, before, billing, totals[at] if at < len(totals) else None, of_kind)


def _check_charged(billing: Billing, name: DocumentName) -> None:
    """UsageError with the reason where a component was left out of a month."""
    of_line = (name.party, name.month, name.kind)
    for one in billing.uncharged():
        if (one.party, one.month, one.component) == of_line:
            raise UsageError(f"--line {'/'.join(of_line)}: {one.words}")


def _state(billing: Billing, party: str, run: str) -> _State:
    lines = [line for line in month_lines(billing, party, run) if line.energy_wh or line.amount_nano]
    terms = own_terms(billing, party)
    exact, rates_ppm = [line.amount_nano for line in lines], [line.tax_ppm for line in lines]
    return _State(lines, invoice_total(exact, rates_ppm, terms.quantum_nano, terms.rounding), terms)


def _line_steps(document: _Document, name: DocumentName) -> Iterator[Step]:
    """From a line's own steps to what the document says of it, one rate of tax behind the other."""
    billing, now, before, run = document.billing, document.now, document.before, document.issued.run
    runs = billing.sheets.names[: billing.sheets.names.index(run) + 1]
    made = {
        of.tax_ppm: one.amount_nano
        for of, one in billing.invoices.exact(name.party, runs, 0).items()
        if billing.kinds[of.kind].line_kind == name.kind
    }
    of_now, of_before = (state.of_kind(name.kind) if state is not None else {} for state in (now, before))
    for rate in sorted({*of_now, *of_before}, key=highest_first):
        yield from next((one.steps for one in now.lines if (one.kind, one.tax_ppm) == (name.kind, rate)), ())
        exact, known = of_now.get(rate, _Exact()), of_before.get(rate, _Exact())
        what = {"en": f"The month after run {run}", "zh_CN": f"批次 {run} 之后的本月金额"}
        nano = exact.amount_nano
        yield Step(what, numbers(str(nano)), nano, f"1e-9 {now.terms.currency}", holds=nano == made.get(rate, 0))
        stated = document.stated_lines.get((name.kind, "" if rate is None else str(rate)))
        for column, unit in (("energy_wh", "Wh"), ("amount_nano", f"1e-9 {now.terms.currency}")):
            earlier = getattr(known, column) if before is not None else None
            yield _of_row(stated, column, getattr(exact, column), earlier, unit)
        yield _rate_step(stated, rate)
        yield _rounded(now.terms, {"en": "Rounded once", "zh_CN": "只取整一次"}, nano, exact.amount)
        formula = str(exact.amount)
        if before is not None:
            once = {"en": "Before this document, rounded once", "zh_CN": "本单据之前的金额，只取整一次"}
            yield _rounded(before.terms, once, known.amount_nano, known.amount)
            formula = f"{exact.amount} − {bracketed(known.amount)}"
        amount = exact.amount - known.amount
        holds = amount == document.issued.document.lines.get(LineOf(name.kind, rate), 0)
        holds &= _says(stated, InvoiceLineRow._fields.index("amount"), amount)
        yield Step(_row_words(stated, INVOICE_LINES, "amount"), numbers(formula), amount, quanta_unit(now.terms), holds)


def _rate_step(stated: StatedRow | None, rate: int | None) -> Step:
    """At which rate tax is paid on a line, as its row says it."""
    said = "" if rate is None else str(rate)
    words = _row_words(stated, INVOICE_LINES, "tax_ppm")
    what = words if rate is not None else {"en": f"No tax; {words['en']}", "zh_CN": f"不计税；{words['zh_CN']}"}
    return Step(what, numbers(said or "0"), rate or 0, "ppm", holds=True)


def _of_row(stated: StatedRow | None, column: str, exact: int, known: int | None, unit: str) -> Step:
    """What the run adds to a line, as its row says it. known: what held before it, None of a first document."""
    added = exact if known is None else exact - known
    formula = str(exact) if known is None else f"{exact} − {bracketed(known)}"
    holds = _says(stated, InvoiceLineRow._fields.index(column), added)
    return Step(_row_words(stated, INVOICE_LINES, column), numbers(formula), added, unit, holds)


def _total_steps(document: _Document) -> Iterator[Step]:
    """Each line in quanta, then net, tax, gross and rounding, and what the document adds to those before it."""
    now, before, of_document = document.now, document.before, document.issued.document
    for line, amount in zip(now.lines, now.total.lines, strict=True):
        if line.amount_nano:
            taxed = _tax_words(line.tax_ppm, now.terms)
            words: Text = {"en": f"{line.kind}{taxed[0]}", "zh_CN": f"{line.kind}{taxed[1]}"}
            yield _rounded(now.terms, words, line.amount_nano, amount)
    formulas = _formulas(now)
    units = {column: quanta_unit(now.terms) for column in formulas} | {"rounding": f"1e-9 {now.terms.currency}"}
    for column, formula in formulas.items():
        if column == "tax" and len(now.total.taxes) > 1:
            yield from _tax_steps(now)
            what = {"en": "Tax: that of all rates", "zh_CN": "税额：各税率之和"}
            yield Step(what, numbers(formula), now.amounts[column], units[column], holds=True)
            continue
        yield Step(_TOTALS[column], numbers(formula), now.amounts[column], units[column], holds=True)
    made = {
        "net": of_document.net,
        "tax": of_document.tax,
        "gross": of_document.gross,
        "rounding": of_document.rounding_nano,
    }
    for column, amount in now.amounts.items():
        known = before.amounts[column] if before is not None else 0
        formula = f"{amount} − {bracketed(known)}" if before is not None else str(amount)
        holds = amount - known == made[column]
        holds &= _says(document.stated_totals, InvoiceRow._fields.index(column), amount - known)
        words = _row_words(document.stated_totals, INVOICES, column)
        yield Step(words, numbers(formula), amount - known, units[column], holds)


_TOTALS: Final[Mapping[str, Text]] = {
    "net": {"en": "Net: the sum of the lines", "zh_CN": "不含税额：各项之和"},
    "tax": {"en": "Tax: the taxed lines × its rate, rounded once", "zh_CN": "税额：计税项之和 × 税率，只取整一次"},
    "gross": {"en": "Gross: net + tax", "zh_CN": "含税额：不含税额 + 税额"},
    "rounding": {"en": "Rounding: what it added to the exact lines", "zh_CN": "舍入差：取整给精确金额增加的部分"},
}


def _formulas(state: _State) -> Mapping[str, str]:
    """How net, tax, gross and rounding come about."""
    total, terms = state.total, state.terms
    exact = sum(line.amount_nano for line in state.lines)
    return {
        "net": " + ".join(
            bracketed(one) for line, one in zip(state.lines, total.lines, strict=True) if line.amount_nano
        )
        or "0",
        "tax": _tax_formula(total.taxes, terms.tax_ppm),
        "gross": f"{total.net} + {bracketed(total.tax)}",
        "rounding": f"{total.net} × {terms.quantum_nano} − {bracketed(exact)}",
    }


def _tax_formula(taxes: Sequence[TaxOfRate], own_ppm: int) -> str:
    """Of one rate how its tax comes about, of several the taxes of all."""
    if len(taxes) > 1:
        return " + ".join(bracketed(one.tax) for one in taxes)
    (one,) = taxes or (TaxOfRate(own_ppm, 0, 0),)
    return f"{bracketed(one.taxed)} × {one.tax_ppm} ÷ {_PPM}"


def _tax_steps(state: _State) -> Iterator[Step]:
    """The tax of each rate."""
    for one in state.total.taxes:
        rate = money(one.tax_ppm, _PERCENT_NANO)
        what = {
            "en": f"Tax at {rate} %: the lines of this rate × the rate, rounded once",
            "zh_CN": f"税率 {rate} % 的税额：该税率各项之和 × 税率，只取整一次",
        }
        yield Step(
            what,
            numbers(f"{bracketed(one.taxed)} × {one.tax_ppm} ÷ {_PPM}"),
            one.tax,
            quanta_unit(state.terms),
            holds=True,
        )


def _tax_words(tax_ppm: int | None, terms: InvoiceTerms) -> tuple[str, str]:
    """What a line says of its tax where it is not the tariff's, in English and Chinese."""
    if tax_ppm is None:
        return " (no tax is paid on it)", "（不计税）"
    rate = money(tax_ppm, _PERCENT_NANO)
    return ("", "") if tax_ppm == terms.tax_ppm else (f" (taxed at {rate} %)", f"（税率 {rate} %）")


def _rounded(terms: InvoiceTerms, words: Text, exact: int, quanta: int) -> Step:
    rule = rounding_words(terms)
    what = {"en": f"{words['en']}, {rule['en']}", "zh_CN": f"{words['zh_CN']}，{rule['zh_CN']}"}
    formula = f"{bracketed(exact)} ÷ {terms.quantum_nano}"
    return Step(what, numbers(formula), quanta, quanta_unit(terms), holds=True)


def rounded_steps(amounts_nano: Mapping[int | None, int], terms: InvoiceTerms, words: Text) -> list[Step]:
    """What a kind of line comes to at each rate of its tax, rounded once; the results come to what it says on an invoice."""
    found: list[Step] = []
    for rate in sorted(amounts_nano, key=highest_first):
        taxed = _tax_words(rate, terms) if len(amounts_nano) > 1 else ("", "")
        what = {"en": f"{words['en']}{taxed[0]}", "zh_CN": f"{words['zh_CN']}{taxed[1]}"}
        (quanta,) = invoice_total([amounts_nano[rate]], 0, terms.quantum_nano, terms.rounding).lines
        found.append(_rounded(terms, what, amounts_nano[rate], quanta))
    return found


def rounding_words(terms: InvoiceTerms) -> Text:
    """What becomes of a half."""
    return _ROUNDINGS[terms.rounding]


def _row_words(stated: StatedRow | None, file: str, column: str) -> Text:
    """What a file says, or that it has no such row."""
    if stated is None:
        return {"en": f"{column}: {file} has no such row", "zh_CN": f"{column}：{file} 中没有此行"}
    said = stated.fields[(InvoiceRow if file == INVOICES else InvoiceLineRow)._fields.index(column)]
    return {
        "en": f"{column}: {file}, row {stated.number}, says {said}",
        "zh_CN": f"{column}：{file} 第 {stated.number} 行为 {said}",
    }


def _says(stated: StatedRow | None, place: int, amount: int) -> bool:
    """Whether a row says an amount; where the amount is nothing, no row is needed."""
    return amount == 0 if stated is None else stated.fields[place] == str(amount)


def quanta_unit(terms: InvoiceTerms) -> str:
    """The unit of an invoice's amounts."""
    digits = len(str(terms.quantum_nano)) - 1
    size = f"1e{digits - 9}" if terms.quantum_nano == 10**digits else f"{terms.quantum_nano}e-9"
    return f"{size} {terms.currency}"
