"""From exact amounts in nano-currency to the amounts of an invoice in the currency's minor unit (``invoice_total/1``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from settlement.errors import SettlementError

HALF_UP_AWAY: Final = "half_up_away"
HALF_EVEN: Final = "half_even"
_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class InvoiceTotal:
    """An invoice in quanta (minor units); ``rounding_nano``: what rounding the lines added, in nano-currency."""

    lines: tuple[int, ...]
    net: int
    tax: int
    gross: int
    rounding_nano: int


def invoice_total(
    lines_nano: Sequence[int], tax_ppm: int, quantum_nano: int, rounding: str, is_taxed: Sequence[bool] | None = None
) -> InvoiceTotal:
    """Round each line once to ``quantum_nano``, and the tax on their sum once; gross is net + tax.

    ``is_taxed``: on which lines tax is paid, by itself on all.
    ``rounding``: HALF_UP_AWAY (ties away from zero) or HALF_EVEN (ties to the even quantum). Negative lines are credits.
    SettlementError for a quantum below 1, a negative tax, or an unknown rounding.
    """
    if quantum_nano < 1:
        raise SettlementError(f"the quantum must be at least 1 nano: {quantum_nano}")
    if tax_ppm < 0:
        raise SettlementError(f"the tax must not be negative: {tax_ppm} ppm")
    if rounding not in (HALF_UP_AWAY, HALF_EVEN):
        raise SettlementError(f"unknown rounding {rounding!r}: {HALF_UP_AWAY} or {HALF_EVEN}")
    lines = tuple(_rounded(line, quantum_nano, rounding) for line in lines_nano)
    net = sum(lines)
    taxed = net if is_taxed is None else sum(line for line, counts in zip(lines, is_taxed, strict=True) if counts)
    tax = _rounded(taxed * tax_ppm, _PPM, rounding)
    return InvoiceTotal(lines, net, tax, net + tax, net * quantum_nano - sum(lines_nano))


def _rounded(amount: int, unit: int, rounding: str) -> int:
    """``amount`` / ``unit`` to the nearest whole number."""
    whole, over = divmod(abs(amount), unit)
    is_tie_up = rounding == HALF_UP_AWAY or whole % 2 == 1
    if 2 * over > unit or (2 * over == unit and is_tie_up):
        whole += 1
    return -whole if amount < 0 else whole
