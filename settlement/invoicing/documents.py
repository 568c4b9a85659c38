"""The invoice of a party and month, and the credit notes by which later runs change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from settlement.invoicing.total import InvoiceTotal, TaxOfRate, invoice_total


class LineOf(NamedTuple):
    """What a line of a document is of: a kind of line, and the rate of the tax on it, None for no tax."""

    line_kind: str
    tax_ppm: int | None


def highest_first(tax_ppm: int | None) -> int:
    """Sorts rates of tax: the highest first, no tax last."""
    return 1 if tax_ppm is None else -tax_ppm


class InvoiceLine(NamedTuple):
    """What a kind of line came to in a month at a rate of tax (None: no tax), exact. A kind may have a line of each of several rates."""

    line_kind: str
    amount_nano: int
    tax_ppm: int | None


class Document(NamedTuple):
    """An invoice, or a credit note: what it adds, in quanta. lines: by kind and rate; rounding_nano: what rounding its lines added.

    taxes: of each rate that it adds something of, the highest first; they come to ``tax``.
    """

    lines: Mapping[LineOf, int]
    net: int
    tax: int
    gross: int
    rounding_nano: int
    taxes: Sequence[TaxOfRate]

    @property
    def taxed(self) -> int:
        """How much of net tax is paid on, at any rate."""
        return sum(one.taxed for one in self.taxes)

    def amount_of(self, line_kind: str) -> int:
        """What a kind of line comes to, at all rates."""
        return sum(amount for of, amount in self.lines.items() if of.line_kind == line_kind)


def documents(states: Sequence[Sequence[InvoiceLine]], *, quantum_nano: int, rounding: str) -> list[Document | None]:
    """The documents of a month, one a state: the first one's invoice, then what each changes; None where that is nothing.

    states: all lines of the month as each run left them, the oldest first. The sum of the documents is the invoice of the last
    state, whatever came between. The terms are those of ``invoice_total``, and so are the errors.
    """
    found: list[Document | None] = []
    before = Document({}, 0, 0, 0, 0, ())
    for state in states:
        rates_ppm = [line.tax_ppm for line in state]
        total = invoice_total([line.amount_nano for line in state], rates_ppm, quantum_nano, rounding)
        now = _document_of(state, total)
        change = _less(now, before)
        is_change = change.rounding_nano or change.tax or any(change.lines.values())
        found.append(change if is_change else None)
        before = now
    return found


def _document_of(lines: Sequence[InvoiceLine], total: InvoiceTotal) -> Document:
    amounts = {LineOf(one.line_kind, one.tax_ppm): amount for one, amount in zip(lines, total.lines, strict=True)}
    return Document(amounts, total.net, total.tax, total.gross, total.rounding_nano, total.taxes)


def _less(now: Document, before: Document) -> Document:
    lines = [*now.lines, *(of for of in before.lines if of not in now.lines)]
    return Document(
        lines={of: now.lines.get(of, 0) - before.lines.get(of, 0) for of in lines},
        net=now.net - before.net,
        tax=now.tax - before.tax,
        gross=now.gross - before.gross,
        rounding_nano=now.rounding_nano - before.rounding_nano,
        taxes=_taxes_less(now.taxes, before.taxes),
    )


def _taxes_less(now: Sequence[TaxOfRate], before: Sequence[TaxOfRate]) -> list[TaxOfRate]:
    of_now, of_before = ({one.tax_ppm: one for one in taxes} for taxes in (now, before))
    found = []
    for rate in sorted({*of_now, *of_before}, reverse=True):
        nothing = TaxOfRate(rate, 0, 0)
        one, other = of_now.get(rate, nothing), of_before.get(rate, nothing)
        found.append(TaxOfRate(rate, one.taxed - other.taxed, one.tax - other.tax))
    return [one for one in found if one.taxed or one.tax]
