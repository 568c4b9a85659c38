"""The terms of a contract: what an area's rules say beside their timeline. A fault is said in words, "" where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PRICES = "prices"
"""The term that every contract has: a map of price key to micro per kWh, whole numbers that the ledger bounds."""


def fault_of_keys(given: Mapping[str, object], keys: Sequence[str], what: str = "") -> str:
    """What ``given`` lacks of ``keys``, or holds beside them; ``what``: the name of the map, "" for the terms themselves."""
    place = f"{what} " if what else ""
    for key in keys:
        if key not in given:
            return f"{place}lacks the field {key}"
    unknown = sorted(set(given) - set(keys))
    return f"{place}holds the unknown field {unknown[0]!r}; its fields are {', '.join(keys)}" if unknown else ""
