"""Traders and gateways of one's own, through real agents and sockets: the fixture that others test theirs with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gridcore.errors import GridError, UsageError
from gridledger.simulating.own_traders import Adaptive, Told
from gridledger.simulating.pytest_plugin import Simulate, SimulateWithAgents, simulated, simulated_with_agents
from gridledger.simulating.with_agents import simulate_with_agents
from simulators.grid.gates import Gate
from simulators.grid.households import OrderIntent
from simulators.grid.world import World
from tests.demo.catalogue_rules import RULES_OF

__all__ = ["simulated", "simulated_with_agents"]
pytestmark = pytest.mark.slow
SLOTS = 2
OWN_AGENT = """
import pathlib, sys
from gridledger.cli import main
pathlib.Path("{seen}").write_text(" ".join(sys.argv[1:]))
sys.exit(main(["edge", "run", *sys.argv[1:]]))
"""
LONG_GATE = RULES_OF["p2p_call_auction/1"]["rules.toml"] + "\n[timeline]\ngate_before_start_s = 1200\n"
"""Homes order for two slots before the first one begins."""
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"traders": lambda *_: [OrderIntent("H001", "buy", 1, 1)] * 2}, "slot 0: H001 has two orders; give one at most"),
    (
        {"traders": lambda *_: [OrderIntent("L001", "buy", 1, 1)]},
        "L001 places no orders here; who does is H001 to H024",
    ),
    ({"traders": lambda *_: [OrderIntent("H001", "hold", 1, 1)]}, "H001: side 'hold' is neither 'buy' nor 'sell'"),
    (
        {"traders": lambda *_: [OrderIntent("H001", "buy", 10**8 + 1, 1)]},
        "quantity_wh 100000001: must be a whole number (int) from 1 to 100000000",
    ),
    (
        {"traders": lambda *_: [OrderIntent("H001", "buy", 1, 0.5)]},  # type: ignore[arg-type]
        "price_micro_per_kwh 0.5: must be a whole number (int) from -1000000000 to 1000000000",
    ),
    ({"gateway": ["no-such-agent"]}, "gateway: there is no program 'no-such-agent'; give a command"),
    ({"households": 11_301}, "households.trading 11301: through agents 11300 at most; give --direct"),
]


def one_seller(told: list[Gate | None], *, fails: bool = False) -> Adaptive:
    """The first home sells to all others, at a limit that follows what each gate came to."""

    def begin(world: World) -> Told:
        seller, *buyers = world.traders

        def ask(slot: int, gate: Gate | None) -> Sequence[OrderIntent]:
            told.append(gate)
            if fails and slot:
                raise FileNotFoundError(f"no idea what to do in slot {slot}")
            limit = 300_000 if gate is None else 10_000 + (gate.price_micro_per_kwh["A1"] or 0)
            return [OrderIntent(seller, "sell", 700, limit), *(OrderIntent(home, "buy", 100, limit) for home in buyers)]

        return ask

    return Adaptive(begin)


def test_traders_that_learn_and_an_own_agent_go_on_through_sockets_to_what_a_direct_run_settles(
    simulated: Simulate, tmp_path: Path
) -> None:
    seen, rules, out = tmp_path / "seen", tmp_path / "rules.toml", tmp_path / "out"
    rules.write_text(LONG_GATE)
    agent = [sys.executable, "-c", OWN_AGENT.format(seen=seen)]
    told, direct_told = list[Gate | None](), list[Gate | None]()
    size: dict[str, Any] = {"slots": SLOTS, "rules": rules}
    with pytest.raises(FileNotFoundError, match="no idea what to do in slot 1"):
        simulate_with_agents("village_day", out, **size, traders=one_seller([], fails=True), resume=True)
    run = simulate_with_agents("village_day", out, **size, traders=one_seller(told), gateway=agent, resume=True)
    direct = simulated("village_day", **size, traders=one_seller(direct_told))
    assert told == direct_told
    assert [gate and gate.price_micro_per_kwh["A1"] for gate in told] == [None, 300_000]
    assert run.settled.parties() == direct.settled.parties()
    assert run.outcome.energy_traded_wh == direct.outcome.traded_wh == SLOTS * 700
    assert run.outcome.readings_missing == 0
    assert (run.settled.quality == direct.settled.quality).all()
    assert seen.read_text() == f"--config {out / 'run' / 'edge-1.toml'}"
    assert "gridledger simulate run" not in (out / "report.html").read_text("utf-8"), "no command says these traders"


@pytest.mark.parametrize(("how", "words"), REFUSED, ids=[words[:40] for _, words in REFUSED])
def test_what_does_not_fit_is_one_line_and_starts_nothing(
    how: dict[str, Any], words: str, simulated_with_agents: SimulateWithAgents, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        simulated_with_agents("village_day", slots=SLOTS, **how)
    assert words in str(caught.value)
    assert not list(tmp_path.glob("*/*"))


def test_an_agent_that_cannot_work_ends_the_run_with_its_last_word_also_beside_another_loop(
    simulated_with_agents: SimulateWithAgents,
) -> None:
    agent = [sys.executable, "-c", "import sys; print('my meters are not here'); sys.exit(2)"]

    async def as_in_a_notebook(run: Callable[..., Any]) -> None:
        run("village_day", slots=SLOTS, gateway=agent)

    with pytest.raises(GridError, match="edge-1 ended with status 2: my meters are not here"):
        asyncio.run(as_in_a_notebook(simulated_with_agents))
