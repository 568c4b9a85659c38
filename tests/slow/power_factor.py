"""The power factor's adjustment, row by row of its tables, with fractions (docs/spec/mechanisms.md, power_factor_adjustment/1)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext


def table(standard: int) -> dict[int, int]:
    """Tenths of a per mille that are added, by the hundredths of a power factor, walked down and up from the standard."""
    found, added = {standard: 0}, 0
    for hundredths in range(standard - 1, -1, -1):
        added += 50 if standard - hundredths <= 20 else 100 if standard - hundredths <= 25 else 200
        found[hundredths] = added
    taken, last = 0, {90: 95, 85: 94, 80: 92}[standard]
    for hundredths in range(standard + 1, 101):
        if hundredths <= last:
            taken += 15 if hundredths > 90 else 10
        found[hundredths] = -taken
    return found


def hundredths_of(active_wh: int, reactive_varh: int) -> int:
    """cos phi to two digits, a half up."""
    with localcontext() as context:
        context.prec = 200
        apparent = Decimal(active_wh**2 + reactive_varh**2).sqrt()
        return int((100 * Decimal(active_wh) / apparent).to_integral_value(ROUND_HALF_UP))
