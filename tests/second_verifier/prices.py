"""The prices of rules in a slot: docs/spec/registry.md, "Prices"."""

from collections.abc import Mapping
from dataclasses import replace

from tests.second_verifier.contracts import Contract
from tests.second_verifier.encoding import MalformedError
from tests.second_verifier.registry import Opened, PriceSeries, Rules


def price_at(opened: Opened, slot_start_s: int) -> int | None:
    """What the entry of a series says; None behind its end."""
    series = opened.row.value
    if not isinstance(series, PriceSeries):
        raise MalformedError("an entry that is no price series")
    number = (slot_start_s - opened.row.from_s) // series.slot_s
    return series.prices[number] if number < len(series.prices) else None


def rules_of_slot(contract: Contract, rules: Rules, series: Mapping[str, Opened], slot_start_s: int) -> Rules:
    """The rules with the prices of a slot; with their own where the contract does not take those together."""
    prices = dict(rules.prices)
    for key, name in rules.series.items():
        price = price_at(series[name], slot_start_s)
        prices[key] = prices[key] if price is None else price
    varied = replace(rules, prices=prices)
    try:
        contract.check_rules(varied)
    except MalformedError:
        return rules
    return varied
