"""Simulated worlds for programs and notebooks, through meters, agents and nodes: with traders and gateways of one's own (docs/simulate-api.md)."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError
from gridledger.demo.needed import check_broker, check_engine
from gridledger.demo.resuming import is_begun
from gridledger.demo.run import AGENT, Outcome, Plan, perform
from gridledger.demo.summary import Summary
from gridledger.founding.folder import take_folder
from gridledger.simulating.own_traders import Traders
from gridledger.simulating.settled import SettledWorld
from simulators.grid.households import orders_of_slot
from simulators.scenarios.gallery import find_scenario

_NAME: Final = "simulate_with_agents"


class Performed(NamedTuple):
    """A run through meters, agents and nodes that has ended: what it came to, and every number of it as columns; ``settled.world`` is the world."""

    outcome: Summary
    settled: SettledWorld


def simulate_with_agents(
    scenario: str,
    out: Path,
    *,
    seed: int | None = None,
    slots: int | None = None,
    households: int | None = None,
    rules: Path | None = None,
    traders: Traders = orders_of_slot,
    gateway: Sequence[str] = AGENT,
    speed: int | None = None,
    resume: bool = False,
) -> Performed:
    """Run a world as ``gridledger simulate run`` does: meters answer on sockets, agents read and sign, nodes decide and settle.

    Args:
        scenario: a name of the gallery, or a path that ends in ``.toml``.
        out: an absent or empty folder for its files.
        seed: in place of the scenario's.
        slots: of 15 minutes, in place of the scenario's days.
        households: homes that trade, in place of the scenario's.
        rules: in place of the scenario's tariff, as ``simulate`` takes it.
        traders: asked for all slots before anything starts, ``Adaptive`` ones slot by slot; each order is signed by its home, and only homes that
            trade place some.
        gateway: a command in place of ours for the agent of each area; ``--config FILE`` is added to it, a file as ``gridledger edge run`` takes it.
        speed: simulated seconds in one second at most; None for no limit.
        resume: keep in ``out`` what is needed to go on, and go on where a killed call has kept it. Traders are asked again, and must say the same.

    Raises:
        UsageError: for what does not fit, in one line; then nothing has started.
        GridError: where a process cannot go on; what it said is in ``out/run``.
    """
    found = find_scenario(scenario).sized(seed=seed, slots=slots, households=households, rules=rules)
    check_broker(found)
    check_engine(found)
    if not gateway or shutil.which(gateway[0]) is None:
        raise UsageError(f"gateway: there is no program {' '.join(gateway)!r}; give a command, as a list of words")
    goes_on = resume and is_begun(out, found)
    folder = out.resolve() if resume else take_folder(out, f"{_NAME}: out")
    plan = Plan(
        folder, found, speed=speed, traders=traders, gateway=tuple(gateway), is_resumable=resume, is_begun=goes_on
    )
    begun_s = time.monotonic()
    outcome = _performed(plan)
    return Performed(replace(outcome.summary, wall_s=round(time.monotonic() - begun_s, 1)), outcome.settled)


def _performed(plan: Plan) -> Outcome:
    """Run it in this thread, or in one of its own where this one has an event loop, as that of a notebook has."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return perform(plan, _Silent(), _NAME)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(perform, plan, _Silent(), _NAME).result()


class _Silent:
    """Tells nobody."""

    def show_progress(self, line: str) -> None:
        """Nothing."""

    def show_pages(self, url: str, is_answering: bool) -> None:
        """There are none."""

    def show_outcome(self, outcome: Outcome) -> None:
        """It is returned."""
