"""At which rate tax is paid on the lines of a tariff's components."""

from __future__ import annotations

from collections.abc import Iterable

from settlement.tariffs.components import Component


def rates_of_month(components: Iterable[Component], first_day: int, own_ppm: int) -> dict[str, int | None]:
    """The rate of each component's line of a month, None for no tax. first_day: of the month; own_ppm: of the tariff.

    A line has one rate in a month: that of its first entry in it. No tax is paid on one of which an entry is not taxed.
    """
    found: dict[str, int | None] = {}
    of_month = [one for one in components if one.until_day is None or one.until_day > first_day]
    for one in sorted(of_month, key=lambda entry: entry.from_day or 0):
        if one.is_taxed:
            found.setdefault(one.name, own_ppm if one.tax_ppm is None else one.tax_ppm)
        else:
            found[one.name] = None
    return found
