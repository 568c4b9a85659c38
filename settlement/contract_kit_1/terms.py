"""The terms of a contract: what an area's rules say beside their timeline. A fault is said in words, "" where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PRICES = "prices"
"""The term that every contract has: a map of price key to whole numbers of micro per kWh."""
PRICE_MICRO_PER_KWH_MAX = 10**9
"""Of either sign. A slot moves at most 1.6 x 10^9 Wh of a party, so that its amounts and their sum stay within int64."""


def fault_of_keys(given: Mapping[str, object], keys: Sequence[str], what: str = "") -> str:
    """What ``given`` lacks of ``keys``, or holds beside them; ``what``: the name of the map, "" for the terms themselves."""
    place = f"{what} " if what else ""
    for key in keys:
        if key not in given:
            return f"{place}lacks the field {key}"
    unknown = sorted(set(given) - set(keys))
    return f"{place}holds the unknown field {unknown[0]!r}; its fields are {', '.join(keys)}" if unknown else ""


def fault_of_prices(terms: Mapping[str, Any], keys: Sequence[str]) -> str:
    """What is wrong with the prices among ``terms``, unless they are exactly those of ``keys`` and none is absurd."""
    fault = fault_of_keys(terms[PRICES], keys, PRICES)
    if fault:
        return fault
    for key in keys:
        price = terms[PRICES][key]
        if abs(price) > PRICE_MICRO_PER_KWH_MAX:
            return f"{PRICES}: {key} is {price}, outside -{PRICE_MICRO_PER_KWH_MAX} to {PRICE_MICRO_PER_KWH_MAX}"
    return ""
