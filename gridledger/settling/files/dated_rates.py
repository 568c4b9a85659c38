"""``[[invoice.later_rates]]`` of ``rules.toml``: the tax on what is delivered from a local day on, each in place of the rate before it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Final

from gridcore.errors import excerpt
from gridcore.forms import integer
from gridledger.settling.files.dated_prices import ENTRIES_OF_PRICES_MAX
from gridledger.settling.files.fault import fault
from settlement.tariffs.taxes import RateFrom

KEY: Final = "later_rates"
FROM, TAX_PPM = "valid_from", "tax_ppm"
TAX_PPM_MAX: Final = 1_000_000
LATER_RATES_MAX: Final = ENTRIES_OF_PRICES_MAX - 1
"""Each is an entry of every tariff on the ledger, behind the first one; a few are left for newer files."""
_RULES: Final = "rules.toml"
_RATE: Final = integer(0, TAX_PPM_MAX)


def read_later_rates(value: object) -> tuple[RateFrom, ...]:
    """The rates by ascending days. ``value``: of the key; FilesError naming entry and key at the first fault."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        what, right = f"[invoice] {KEY} is no list of tables", f"give each as a table [[invoice.{KEY}]]"
        raise fault(_RULES, what, right)
    if len(value) > LATER_RATES_MAX:
        what = f"[[invoice.{KEY}]]: {len(value)} entries"
        raise fault(_RULES, what, f"give at most {LATER_RATES_MAX}; settle fewer months at once")
    rates = [_rate(number, item) for number, item in enumerate(value, 1)]
    for number, (before, after) in enumerate(pairwise(rates), 2):
        if after.day <= before.day:
            what = f"[[invoice.{KEY}]] {number}, {FROM}: is not after that of entry {number - 1}"
            raise fault(_RULES, what, "give the entries in the order of their days")
    return tuple(rates)


def _rate(number: int, table: Mapping[str, object]) -> RateFrom:
    where = f"[[invoice.{KEY}]] {number}"
    if other := sorted(table.keys() ^ {FROM, TAX_PPM}):
        key = f"{other[0]} is missing" if other[0] in (FROM, TAX_PPM) else f"{excerpt(other[0])} is no key"
        raise fault(_RULES, f"{where}: {key}", f"an entry has {FROM} and {TAX_PPM}")
    day, tax_ppm = table[FROM], table[TAX_PPM]
    if type(day) is not date:
        what = f"{where}, {FROM} = {excerpt(str(day))} is no day"
        raise fault(_RULES, what, "give a local day as 2026-07-01, without quotes and without a time")
    if not isinstance(tax_ppm, int) or not _RATE.holds(tax_ppm):
        what = f"{where}, {TAX_PPM} = {excerpt(str(tax_ppm))} is no rate"
        raise fault(_RULES, what, f"give {_RATE.words}, in millionths")
    return RateFrom(day.toordinal(), tax_ppm)
