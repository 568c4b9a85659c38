"""An invoice out of exact lines, with fractions (``invoice_total/1``), and the invoice of a month after some runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor


def rounded(value: Fraction, rule: str) -> int:
    """To the nearest whole number; ties away from zero, or to the even one."""
    low = floor(value)
    below, above = value - low, low + 1 - value
    if below != above:
        return low if below < above else low + 1
    if rule == "half_even":
        return low if low % 2 == 0 else low + 1
    return low + 1 if value > 0 else low


def invoice(
    lines_nano: Mapping[str, int],
    untaxed: Sequence[str],
    tax_ppm: int,
    quantum_nano: int,
    rule: str,
    own_ppm: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """net, tax, gross in quanta and rounding in nano, of lines by kind. own_ppm: of kinds that have another rate than ``tax_ppm``."""
    lines = {kind: rounded(Fraction(nano, quantum_nano), rule) for kind, nano in lines_nano.items()}
    net = sum(lines.values())
    taxed: dict[int, int] = defaultdict(int)
    for kind, amount in lines.items():
        if kind not in untaxed:
            taxed[(own_ppm or {}).get(kind, tax_ppm)] += amount
    tax = sum(rounded(Fraction(amount * rate, 1_000_000), rule) for rate, amount in taxed.items())
    return {
        "net": net,
        "tax": tax,
        "gross": net + tax,
        "rounding_nano": sum(
            amount * quantum_nano - nano for amount, nano in zip(lines.values(), lines_nano.values(), strict=True)
        ),
    }
