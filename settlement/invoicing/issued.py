"""Documents that were sent stay: what a month comes to by now, less what was issued of it, is what has to be issued. Pure, in integers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from settlement.invoicing.documents import LineOf


class Line(NamedTuple):
    """A kind of line at a rate, or at all of them. account: who receives it; energy_wh, amount_nano: exact; amount: quanta."""

    account: str
    energy_wh: int
    amount_nano: int
    amount: int


class Terms(NamedTuple):
    """Of documents that may be added up: one currency, tax rate of the tariff and quantum; components may have rates of their own."""

    currency: str
    tax_ppm: int
    quantum_nano: int


class Tax(NamedTuple):
    """What of some lines one rate is paid on, and the tax; quanta."""

    taxed: int
    tax: int


class Claim(NamedTuple):
    """What is owed by some terms: lines by kind and rate (None: no tax, or all rates of the kind together), and the taxes on them by rate (ppm)."""

    lines: Mapping[LineOf, Line] = {}
    taxes: Mapping[int, Tax] = {}

    @property
    def net(self) -> int:
        """Without tax, quanta."""
        return sum(line.amount for line in self.lines.values())

    @property
    def tax(self) -> int:
        """Of all rates, quanta."""
        return sum(one.tax for one in self.taxes.values())

    @property
    def gross(self) -> int:
        """With tax, quanta."""
        return self.net + self.tax

    @property
    def is_nothing(self) -> bool:
        """Whether a document of it would say no amount of any kind; what is less than a quantum waits for the next document."""
        amounts = defaultdict[str, int](int)
        for of, line in self.lines.items():
            amounts[of.line_kind] += line.amount
        return not any(map(any, self.taxes.values())) and not any(amounts.values())

    def of_kind(self, line_kind: str) -> list[Line]:
        """The lines of a kind, at whatever rate."""
        return [line for of, line in self.lines.items() if of.line_kind == line_kind]

    def rounding_nano(self, quantum_nano: int) -> int:
        """What rounding added to the exact lines."""
        return self.net * quantum_nano - sum(line.amount_nano for line in self.lines.values())


class Difference(NamedTuple):
    """What a document is to say. is_rated: whether some kind of its lines has several rates, each with a line of its own."""

    terms: Terms
    claim: Claim
    is_rated: bool


def together(lines: Iterable[Line]) -> Line:
    """Some lines of one kind, at least one, as one."""
    first, *others = lines
    for line in others:
        first = Line(first.account, *(a + b for a, b in zip(first[1:], line[1:], strict=True)))
    return first


def total(claims: Iterable[Claim]) -> Claim:
    """Some claims of the same terms together."""
    lines: dict[LineOf, Line] = {}
    taxes: dict[int, Tax] = {}
    for claim in claims:
        for rate, tax in claim.taxes.items():
            taxed = taxes.get(rate, Tax(0, 0))
            taxes[rate] = Tax(taxed.taxed + tax.taxed, taxed.tax + tax.tax)
        for of, line in claim.lines.items():
            lines[of] = together([line, lines[of]]) if of in lines else line
    return Claim(
        {of: line for of, line in lines.items() if any(line[1:])},
        {rate: taxes[rate] for rate in sorted(taxes, reverse=True) if any(taxes[rate])},
    )


def differences(now: Mapping[Terms, Claim], issued: Mapping[Terms, Claim]) -> list[Difference]:
    """What has to be issued so that all documents together say what is owed now; what other terms said is taken back first."""
    before = [terms for terms in sorted(issued) if terms not in now]
    found = [_difference(terms, now.get(terms, Claim()), issued.get(terms, Claim())) for terms in [*before, *now]]
    return [one for one in found if not one.claim.is_nothing]


def _difference(terms: Terms, now: Claim, issued: Claim) -> Difference:
    """A kind that has several rates has a line of each, but where something was issued of it without its rate: then it has one of all."""
    rates = defaultdict[str, set[int | None]](set)
    for of in (*now.lines, *issued.lines):
        rates[of.line_kind].add(of.tax_ppm)
    unsaid = {of.line_kind for of, line in issued.lines.items() if of.tax_ppm is None and any(line[1:])}
    rated = {kind for kind, own in rates.items() if len(own - {None}) > 1} - unsaid
    only = {kind: next(iter(own)) for kind, own in rates.items() if len(own) == 1 and kind not in unsaid}

    def aligned(claim: Claim) -> Claim:
        lines: dict[LineOf, Line] = {}
        for of, line in claim.lines.items():
            key = of if of.line_kind in rated else LineOf(of.line_kind, only.get(of.line_kind))
            lines[key] = together([line, lines[key]]) if key in lines else line
        return claim._replace(lines=lines)

    change = total([aligned(now), _negated(aligned(issued))])
    return Difference(terms, change, is_rated=any(of.line_kind in rated for of in change.lines))


def _negated(claim: Claim) -> Claim:
    lines = {of: Line(line.account, *(-value for value in line[1:])) for of, line in claim.lines.items()}
    return Claim(lines, {rate: Tax(-one.taxed, -one.tax) for rate, one in claim.taxes.items()})
