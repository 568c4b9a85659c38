"""The prices of rules in a slot: those that rules state, or what price series say instead (docs/spec/registry.md, "Prices")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.rules import Rules
from ledger.contract import Contract
from ledger.leaves.columns import Int64
from ledger.registry.bodies import Registered, in_force_ever


def rules_of_slot(registered: Registered, contract: Contract, rules: Rules, slot_start_s: int, height: int) -> Rules:
    """Rules with the prices that hold in a slot, by what was recorded up to ``height``, and without series.

    Where a series says no price the rules' own holds, and all of them where the contract does not take the prices of the slot.
    """
    own = rules._replace(series=None)
    if rules.series is None:
        return own
    prices = prices_of_slot(registered, rules.prices, rules.series, slot_start_s, height)
    return own if contract.fault_of({**rules.terms, "prices": prices}) else own._replace(prices=prices)


def prices_of_slot(
    registered: Registered, prices: Mapping[str, int], series: Mapping[str, str] | None, slot_start_s: int, height: int
) -> dict[str, int]:
    """Prices, micro per kWh, with what the price series of some say of a slot by what was recorded up to ``height``; where one says none, its own."""
    found = dict(prices)
    for key, name in (series or {}).items():
        entry = in_force_ever(registered, PRICE_SERIES, name, slot_start_s, height)
        price = None if entry is None else entry.record.price_at(entry.entry.from_s, slot_start_s)
        found[key] = found[key] if price is None else price
    return found


def prices_by_key(rules: Sequence[Rules]) -> dict[str, Int64]:
    """The prices of rules, int64[rules] by key: the keys are the contract's, and so the same in all of them."""
    keys = rules[0].prices if rules else ()
    return {key: np.array([of_rules.prices[key] for of_rules in rules], dtype=np.int64) for key in keys}
