"""What a month comes to by now, for each who is invoiced: of a party's points, and of the balances for which somebody answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.outgoing.book import Subject
from gridledger.settling.outgoing.fields import BALANCE, ENERGY
from gridledger.settling.results.balance_book import BalanceBook
from gridledger.settling.results.billing import Billing
from settlement.area_balance import counter_account
from settlement.invoicing.documents import Document, LineOf
from settlement.invoicing.issued import Claim, Line, Tax, Terms


class Due(NamedTuple):
    """What one invoice would say. claim: nothing where there would be none."""

    of: Subject
    terms: Terms
    claim: Claim


def dues_of(billing: Billing, balance: BalanceBook, zone: str, area: str) -> list[Due]:
    """Of the one month of a billing whose runs have all been read; area: "" for all of the zone."""
    return [*_of_parties(billing, zone, area), *_of_balances(balance, zone)]


def _of_parties(billing: Billing, zone: str, area: str) -> Iterator[Due]:
    (month,) = billing.months.names
    for run in billing.sheets.names:
        for party in billing.points_of_party:
            billing.billed(billing.run(run), party)
    for party in billing.points_of_party:
        whole = billing.invoices.whole(party, billing.sheets.names, 0)
        lines: dict[LineOf, Line] = {}
        for of_line, one in whole.lines.items():
            kind, account = billing.kinds[of_line.kind]
            amounts, rated = {} if whole.document is None else whole.document.lines, LineOf(kind, of_line.tax_ppm)
            lines[rated] = Line(account, one.energy_wh, one.amount_nano, amounts.get(rated, 0))
        of = Subject(party, month, zone, area, ENERGY)
        yield Due(of, _terms(billing.terms_in(party, month)), Claim(lines, _taxes(whole.document)))


def _of_balances(balance: BalanceBook, zone: str) -> Iterator[Due]:
    at_once = balance.at_once()
    for one in at_once.issued():
        of = Subject(one.of.party, one.of.month, zone, one.of.area, BALANCE)
        lines = {
            line.of: Line(counter_account(one.of.area, line.of.line_kind), *line.added, line.amount)
            for line in at_once.lines(one)
        }
        yield Due(of, _terms(one.terms), Claim(lines, _taxes(one.document)))


def _taxes(document: Document | None) -> Mapping[int, Tax]:
    return {one.tax_ppm: Tax(one.taxed, one.tax) for one in (document.taxes if document is not None else ())}


def _terms(terms: InvoiceTerms) -> Terms:
    return Terms(terms.currency, terms.tax_ppm, terms.quantum_nano)
