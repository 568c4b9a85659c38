"""From exact amounts in nano-currency to the amounts of an invoice in the currency's minor unit (``invoice_total/1``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from settlement.errors import SettlementError

HALF_UP_AWAY: Final = "half_up_away"
HALF_EVEN: Final = "half_even"
_PPM: Final = 1_000_000


class TaxOfRate(NamedTuple):
    """The lines of an invoice that one rate is paid on, in quanta: taxed, their sum; tax, rounded once."""

    tax_ppm: int
    taxed: int
    tax: int


@dataclass(frozen=True, slots=True)
class InvoiceTotal:
    """An invoice in quanta (minor units); ``rounding_nano``: what rounding the lines added, in nano-currency. taxes: the highest rate first."""

    lines: tuple[int, ...]
    net: int
    tax: int
    gross: int
    rounding_nano: int
    taxes: tuple[TaxOfRate, ...]


def invoice_total(
    lines_nano: Sequence[int], tax_ppm: int | Sequence[int | None], quantum_nano: int, rounding: str
) -> InvoiceTotal:
    """Round each line once to ``quantum_nano``, and the tax on the sum of those of a rate once; gross is net + all tax.

    ``tax_ppm``: the rate of all lines, or of each one, None for no tax.
    ``rounding``: HALF_UP_AWAY (ties away from zero) or HALF_EVEN (ties to the even quantum). Negative lines are credits.
    SettlementError for a quantum below 1, a negative tax, or an unknown rounding.
    """
    rates = [tax_ppm] * len(lines_nano) if isinstance(tax_ppm, int) else tax_ppm
    named = {rate for rate in rates if rate is not None}
    lowest = tax_ppm if isinstance(tax_ppm, int) else min(named, default=0)
    if quantum_nano < 1:
        raise SettlementError(f"the quantum must be at least 1 nano: {quantum_nano}")
    if lowest < 0:
        raise SettlementError(f"the tax must not be negative: {lowest} ppm")
    if rounding not in (HALF_UP_AWAY, HALF_EVEN):
        raise SettlementError(f"unknown rounding {rounding!r}: {HALF_UP_AWAY} or {HALF_EVEN}")
    lines = tuple(_rounded(line, quantum_nano, rounding) for line in lines_nano)
    taxes = []
    for rate in sorted(named, reverse=True):
        taxed = sum(line for line, of_line in zip(lines, rates, strict=True) if of_line == rate)
        taxes.append(TaxOfRate(rate, taxed, _rounded(taxed * rate, _PPM, rounding)))
    net, tax = sum(lines), sum(one.tax for one in taxes)
    return InvoiceTotal(lines, net, tax, net + tax, net * quantum_nano - sum(lines_nano), tuple(taxes))


def _rounded(amount: int, unit: int, rounding: str) -> int:
    """``amount`` / ``unit`` to the nearest whole number."""
    whole, over = divmod(abs(amount), unit)
    is_tie_up = rounding == HALF_UP_AWAY or whole % 2 == 1
    if 2 * over > unit or (2 * over == unit and is_tie_up):
        whole += 1
    return -whole if amount < 0 else whole
