"""Documents that were sent stay: what a month comes to by now, less what was issued of it, is what has to be issued. Pure, in integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Line(NamedTuple):
    """A kind of line. account: who receives it; energy_wh, amount_nano: exact; amount: quanta."""

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
    """What is owed by some terms: lines by kind, and the taxes on them by rate (ppm)."""

    lines: Mapping[str, Line] = {}
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
        """Whether a document of it would say no amount; what is less than a quantum waits for the next document."""
        return not any(map(any, self.taxes.values())) and not any(line.amount for line in self.lines.values())

    def rounding_nano(self, quantum_nano: int) -> int:
        """What rounding added to the exact lines."""
        return self.net * quantum_nano - sum(line.amount_nano for line in self.lines.values())


def total(claims: Iterable[Claim]) -> Claim:
    """Some claims of the same terms together."""
    lines: dict[str, Line] = {}
    taxes: dict[int, Tax] = {}
    for claim in claims:
        for rate, tax in claim.taxes.items():
            taxed = taxes.get(rate, Tax(0, 0))
            taxes[rate] = Tax(taxed.taxed + tax.taxed, taxed.tax + tax.tax)
        for kind, line in claim.lines.items():
            known = lines.get(kind, Line(line.account, 0, 0, 0))
            lines[kind] = Line(line.account, *(a + b for a, b in zip(known[1:], line[1:], strict=True)))
    return Claim(
        {kind: line for kind, line in lines.items() if any(line[1:])},
        {rate: taxes[rate] for rate in sorted(taxes, reverse=True) if any(taxes[rate])},
    )


def differences(now: Mapping[Terms, Claim], issued: Mapping[Terms, Claim]) -> list[tuple[Terms, Claim]]:
    """What has to be issued so that all documents together say what is owed now; what other terms said is taken back first."""
    before = [terms for terms in sorted(issued) if terms not in now]
    found = [
        (terms, total([now.get(terms, Claim()), _negated(issued.get(terms, Claim()))])) for terms in [*before, *now]
    ]
    return [(terms, claim) for terms, claim in found if not claim.is_nothing]


def _negated(claim: Claim) -> Claim:
    lines = {kind: Line(line.account, *(-value for value in line[1:])) for kind, line in claim.lines.items()}
    return Claim(lines, {rate: Tax(-one.taxed, -one.tax) for rate, one in claim.taxes.items()})
