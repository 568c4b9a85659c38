"""At which rate tax is paid on what a tariff charges: by days, for a rate may change inside a month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from settlement.tariffs.components import Component


class RateFrom(NamedTuple):
    """The tax rate of a tariff from a local day on (``date.toordinal``), until the next one."""

    day: int
    tax_ppm: int


class RateSpan(NamedTuple):
    """Days that follow each other, up to ``until_day`` (excluded), of one rate; None where no tax is paid."""

    until_day: int
    tax_ppm: int | None


def rate_on(own: Sequence[RateFrom], day: int) -> int:
    """The tariff's rate on a day; before its first day the first one. own: ascending by day, at least one."""
    return next((one.tax_ppm for one in reversed(own) if one.day <= day), own[0].tax_ppm)


def rate_spans(component: Component, own: Sequence[RateFrom], first_day: int, last_day: int) -> list[RateSpan]:
    """The rates of an entry from one day to another, both included: its own, else those of the tariff, neighbours of one rate together.

    own: of the tariff, as of ``rate_on``.
    """
    end_day = last_day + 1
    if not component.is_taxed:
        return [RateSpan(end_day, None)]
    begins = {one.day for one in own} | {one.day for one in component.later_rates}
    changes = sorted(day for day in begins if first_day < day < end_day)
    spans: list[RateSpan] = []
    for day, until_day in zip([first_day, *changes], [*changes, end_day], strict=True):
        own_ppm = component.own_rate_on(day)
        tax_ppm = rate_on(own, day) if own_ppm is None else own_ppm
        if spans and spans[-1].tax_ppm == tax_ppm:
            spans.pop()
        spans.append(RateSpan(until_day, tax_ppm))
    return spans
