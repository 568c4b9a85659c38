"""Prices, market and time-line of a scenario, as the ledger registers them and as the file ``rules.toml``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from gridcore.errors import UsageError
from gridcore.registry.rules import Rules
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from simulators.scenarios.schema import Scenario, Tariff


def rules_of(tariff: Tariff) -> Rules:
    """What areas are settled by."""
    return Rules(prices=tariff.prices, terms=_terms(tariff))


def check_tariff(tariff: Tariff) -> None:
    """Raise UsageError for a tariff that the contract refuses."""
    if fault := CONTRACT.fault_of({"prices": tariff.prices, **_terms(tariff)}):
        raise UsageError(f"tariff: {fault}")


def rules_toml(scenario: Scenario) -> str:
    """The same as the file ``rules.toml`` of a results folder."""
    tariff, times = scenario.tariff, scenario.timeline
    prices = "".join(f"{key} = {value}\n" for key, value in tariff.prices.items())
    market = "".join(f"{key} = {json.dumps(value)}\n" for key, value in _terms(tariff).items())
    timeline = f"gate_before_start_s = {times.gate_before_start_s}\nmetering_deadline_s = {times.metering_deadline_s}\n"
    return (
        f"# Illustrative prices, no utility's tariff.\n[prices]\n{prices}\n[market]\n{market}\n[timeline]\n{timeline}"
    )


def _terms(tariff: Tariff) -> dict[str, Any]:
    return asdict(tariff.terms)
