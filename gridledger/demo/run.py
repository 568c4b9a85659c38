"""One demonstration from beginning to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Protocol

from firmware_profiles import load_profile
from gridcore import verify
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.sm3 import sm3
from gridledger import __version__
from gridledger.demo.day import Day, StandstillError, patiently
from gridledger.demo.devices import Broker, broker_of
from gridledger.demo.dropped import Dropped
from gridledger.demo.instruments import instruments_of
from gridledger.demo.pages import URL_WITHIN_S, wait_for_pages, write_web_config
from gridledger.demo.results import Tables, fetch_tables, write_results, write_world
from gridledger.demo.rules import rules_toml
from gridledger.demo.samples import save_samples
from gridledger.demo.scene import Scene, lay_out
from gridledger.demo.summary import Losses, Summary, losses_of, summarise, to_text
from gridledger.founding.folder import write_new
from gridledger.supervised import Supervised
from gridledger.tables.results import COLUMNS
from ledger.client import Client, NodeStatus
from ledger.trust import trust_of
from settlement.catalogue import contract_pin
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from simulators.grid.feeder import EXTRACT_NAME
from simulators.grid.world import World, build_world

_IMPORTED_S = time.perf_counter()
_log = get_logger(__name__)


@dataclass(frozen=True)
class Plan:
    """What to demonstrate. ``out``: an empty folder; ``pages_port``: 0 for any free port, None to run headless.

    ``drop_ppm``: of a million readings, how many are lost; ``organisations``: how many have a validator, None for one node alone.
    """

    out: Path
    slots: int
    households: int
    seed: int
    pages_port: int | None = None
    drop_ppm: int = 0
    organisations: int | None = None

    @property
    def dropped(self) -> Dropped:
        """The readings that are lost."""
        return Dropped(self.seed, self.drop_ppm)


@dataclass(frozen=True)
class Outcome:
    """Numbers for programs, text for people; ``url``: where the pages go on being served, None when headless.

    losses: None where no readings were lost on purpose.
    """

    summary: Summary
    losses: Losses | None
    text: str
    url: str | None


class Audience(Protocol):
    """Who is told what happens."""

    def show_progress(self, line: str) -> None:
        """How far it has come, for a moment."""

    def show_pages(self, url: str, is_answering: bool) -> None:
        """Where the pages are; once, before the first slot."""

    def show_outcome(self, outcome: Outcome) -> None:
        """What it came to; once, when the last slot is settled and every file is written."""


async def run_demo(plan: Plan, audience: Audience) -> Outcome:
    """Build the world, start the processes, run the slots, write the files; headless, end the processes.

    With pages they go on being served until SIGINT or SIGTERM. Before the outcome SIGTERM cancels, and everything ends.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    world = build_world(households=plan.households, slots=plan.slots, seed=plan.seed)
    scene = lay_out(plan.out, world, plan.pages_port, plan.organisations)
    write_new(plan.out / "trust.json", json.dumps(trust_of(scene.genesis), indent=2) + "\n")
    write_world(plan.out, world)
    write_new(plan.out / "rules.toml", rules_toml())
    if scene.pages_url is not None:
        write_web_config(scene)
    utility = Client(scene.url, chain=scene.chain, signer_id="utility", signer=scene.keys["utility"])
    async with (
        utility as client,
        broker_of(scene) as broker,
        instruments_of(scene, world, broker, plan.dropped) as instruments,
        _processes(scene, len(world.areas), broker),
    ):
        if scene.pages_url is not None:
            within_s = max(0.0, URL_WITHIN_S - elapsed_s())
            audience.show_pages(scene.pages_url, await wait_for_pages(scene.pages_url, within_s))
        day = Day(world, plan.seed, scene.chain, client, scene.keys, instruments.show, plan.dropped)
        async with instruments.speaking(broker):
            await day.run(lambda boundary: audience.show_progress(f"slot {boundary} of {plan.slots}"))
        audience.show_progress("collecting results")
        collected = await _collect(scene, client, world)
        if scene.pages_url is not None:
            asked = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, asked.set)
            outcome = _write_results(plan, scene, world, collected)
            audience.show_outcome(outcome)
            await asked.wait()
            return outcome
    outcome = _write_results(plan, scene, world, collected)
    audience.show_outcome(outcome)
    return outcome


@dataclass(frozen=True)
class _Collected:
    """What the ledger says at the end. ``claim``: which bill line the sample bundle proves."""

    tables: Tables
    status: NodeStatus
    claim: str


async def _collect(scene: Scene, client: Client, world: World) -> _Collected:
    tables = await fetch_tables(client, world)
    status = await patiently(client.status)
    return _Collected(tables, status, await save_samples(scene, client, tables, world))


def _write_results(plan: Plan, scene: Scene, world: World, collected: _Collected) -> Outcome:
    """Write the files that hold what was decided, and say what it came to."""
    tables, status, out = collected.tables, collected.status, plan.out
    root = write_results(out, tables)
    write_new(out / "verify.py", Path(verify.__file__).read_bytes())
    profiles = {meter.profile for meter in world.meters}
    inputs = {"seed": plan.seed, "slots": plan.slots, "households": plan.households, "chain": scene.chain}
    inputs |= {"drop_ppm": plan.drop_ppm} if plan.drop_ppm else {}
    manifest = _manifest(out, root=root, profiles=profiles, **inputs)
    write_new(out / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    summary = summarise(
        world,
        tables,
        height=status.height,
        state_root=status.state_root,
        root=root,
        wall_s=elapsed_s(),
        out=out,
    )
    losses = losses_of(world, tables, plan.dropped) if plan.drop_ppm else None
    return Outcome(summary, losses, to_text(summary, losses, world, tables, collected.claim), scene.pages_url)


@asynccontextmanager
async def _processes(scene: Scene, areas: int, broker: Broker | None) -> AsyncIterator[None]:
    """Keep node, agents, pages and broker alive inside the block; an error of one that cannot be kept alive ends the block.

    A broker only informs: without it the day goes on.
    """
    command = [sys.executable, "-m", "gridledger"]
    children = [
        Supervised(place.name, [*command, "node", "run", "--config", str(scene.node_config(place))], scene.run_dir)
        for place in scene.nodes
    ]
    node = children[0]
    if broker is not None and broker.process is not None:
        children.append(broker.process)
    if scene.pages_url is not None:
        serve = [*command, "serve", "--config", str(scene.web_config)]
        children.append(Supervised("web", serve, scene.run_dir))
    for number in range(1, areas + 1):
        edge = [*command, "edge", "run", "--config", str(scene.edge_config(number))]
        children.append(Supervised(f"edge-{number}", edge, scene.run_dir))
    try:
        async with asyncio.TaskGroup() as group:
            for child in children:
                is_broker = broker is not None and child is broker.process
                group.create_task(_run_if_it_can(child) if is_broker else child.run())
            try:
                yield
            finally:
                for child in reversed(children):
                    await child.stop()
    except* StandstillError as errors:
        word = node.last_line()
        raise GridError(f"gridledger demo: {first_of(errors)}; its last word: {word}; logs: {scene.run_dir}") from None
    except* (GridError, OSError) as errors:
        raise first_of(errors) from None


async def _run_if_it_can(child: Supervised) -> None:
    """Keep alive a process that can be missed."""
    try:
        await child.run()
    except GridError as error:
        _log.warning("process_missed", process=child.name, reason=str(error))


def first_of(errors: BaseExceptionGroup[GridError | OSError]) -> GridError | OSError:
    """One error out of a group of them: what a person is told."""
    error = errors.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


def _manifest(out: Path, *, root: bytes, profiles: Iterable[str], **inputs: Any) -> dict[str, Any]:
    """What went in, by which versions, and the digests of the files that do not depend on keys."""
    files = ("meters.csv", "truth.csv", "losses.csv", "rules.toml", *COLUMNS)
    libraries = ("numpy", "power-grid-model", "pymodbus", "cryptography")
    return {
        "simulated": True,
        "versions": {
            "gridledger": __version__,
            "python": sys.version.split()[0],
            **{name: metadata.version(name) for name in libraries},
        },
        **inputs,
        "inputs_sm3": {
            "grid": sm3((resources.files("simulators.grid") / EXTRACT_NAME).read_bytes()).hex(),
            "contract": contract_pin(CONTRACT.contract_id).hex(),
            **{f"profile {name}": load_profile(name).digest.hex() for name in sorted(profiles)},
        },
        "results_root": root.hex(),
        "sm3": {name: sm3((out / name).read_bytes()).hex() for name in files},
    }


def elapsed_s() -> float:
    """Seconds since this process began, the interpreter's own start included where the system tells."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return time.perf_counter() - _IMPORTED_S
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
