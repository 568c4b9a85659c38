"""Simulated worlds for programs and notebooks: a world settled under a tariff, a mechanism or traders of one's own (docs/simulate-api.md)."""

from __future__ import annotations

from pathlib import Path

from gridledger.settling.settled_folder import check_out
from gridledger.simulating.direct import Directed, DirectPlan, run_direct
from gridledger.simulating.own_traders import Traders
from simulators.grid.households import orders_of_slot
from simulators.scenarios.gallery import find_scenario


def simulate(
    scenario: str,
    out: Path,
    *,
    seed: int | None = None,
    slots: int | None = None,
    households: int | None = None,
    rules: Path | None = None,
    traders: Traders = orders_of_slot,
    has_bills: bool = False,
    resume: bool = False,
) -> Directed:
    """Settle a world as ``gridledger simulate run --direct`` does, and return it with every number as columns.

    Args:
        scenario: a name of the gallery, or a path that ends in ``.toml``.
        out: an absent or empty folder for its files.
        seed: in place of the scenario's.
        slots: of 15 minutes, in place of the scenario's days.
        households: homes that trade, in place of the scenario's.
        rules: a ``rules.toml`` of ``settle files``, or a folder of one with its files, in place of the scenario's tariff.
        traders: called with world and slot, at most one ``OrderIntent`` of each home: energies in Wh, limits in 1e-6 of the currency per kWh;
            or ``Adaptive``, which is told what the gate of the slot before came to.
        has_bills: whether statements and invoices are written too, into ``out/settlement``.
        resume: go on with what a killed call has left beside ``out``, where it has. Traders are asked again, and must say the same.

    Raises:
        UsageError: for what does not fit, in one line; then nothing is left in ``out``.
    """
    check_out(out)
    found = find_scenario(scenario).sized(seed=seed, slots=slots, households=households, rules=rules)
    plan = DirectPlan(out, found, has_bills=has_bills, orders=traders, goes_on=resume)
    return run_direct(plan, lambda _: None)
