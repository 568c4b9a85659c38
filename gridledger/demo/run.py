"""One demonstration from beginning to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from gridcore import verify
from gridcore.errors import GridError, UsageError
from gridcore.logs import get_logger
from gridledger.demo.agreeing import check_same_state
from gridledger.demo.asked_homes import AskedHomes
from gridledger.demo.charges import read_charges
from gridledger.demo.day import Day, StandstillError, patiently
from gridledger.demo.devices import Broker, broker_of
from gridledger.demo.dropped import Dropped
from gridledger.demo.field import Field, relays_of
from gridledger.demo.instruments import instruments_of
from gridledger.demo.pace import Pace
from gridledger.demo.pages import URL_WITHIN_S, wait_for_pages, write_web_config
from gridledger.demo.peer_lines import peer_lines_of
from gridledger.demo.prepare import prepare_for_agents
from gridledger.demo.results import Tables, fetch_tables, write_results
from gridledger.demo.resuming import Journal, begin, find_scene, keep
from gridledger.demo.samples import Sample, save_samples
from gridledger.demo.scene import Scene, lay_out
from gridledger.demo.summary import Losses, Summary, losses_of, summarise, to_text
from gridledger.demo.troubles import Troubles
from gridledger.founding.folder import write_new
from gridledger.settling.dataset import Dataset
from gridledger.simulating.manifest import copy_tables, write_manifest
from gridledger.simulating.own_traders import Traders, TradersError, homes_of, raised_by_traders
from gridledger.simulating.report import Money, write_report
from gridledger.simulating.settled import SettledWorld
from gridledger.simulating.terms import rules_option, write_rules
from gridledger.simulating.world_files import write_world
from gridledger.supervised import Supervised
from ledger.client import Client, NodeStatus
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from simulators.grid.households import orders_of_slot
from simulators.grid.world import World
from simulators.scenarios.gallery import Found

_IMPORTED_S = time.perf_counter()
GRIDLEDGER: Final = (sys.executable, "-m", "gridledger")
AGENT: Final = (*GRIDLEDGER, "edge", "run")
_log = get_logger(__name__)


@dataclass(frozen=True)
class Plan:
    """What to demonstrate. ``out``: an empty folder, where ``is_resumable`` it may be absent; ``pages_port``: 0 for any free port, None to run headless.

    ``drop_ppm``: of a million readings, how many are lost;
    ``speed``: simulated seconds in one second at most, None for no limit; ``has_parquet``: whether tables are written as Parquet too;
    ``is_resumable``: whether what is needed to go on is kept; ``is_begun``: whether ``out`` has a run that goes on;
    ``traders``: what homes want in a slot, in place of the scenario's own; ``gateway``: the command of a gateway's agent, which is given ``--config FILE``.
    """

    out: Path
    found: Found
    pages_port: int | None = None
    drop_ppm: int = 0
    speed: int | None = None
    has_parquet: bool = False
    is_resumable: bool = False
    is_begun: bool = False
    traders: Traders = orders_of_slot
    gateway: tuple[str, ...] = AGENT

    @property
    def options(self) -> str | None:
        """Options of the command that makes this run again, written into its report; None where a part of it (traders, agent, losses) has no option."""
        is_own = self.traders is not orders_of_slot or self.gateway != AGENT
        if is_own or self.drop_ppm or not self.found.is_whole:
            return None
        return rules_option(self.found.scenario.tariff)

    @property
    def dropped(self) -> Dropped:
        """The readings that are lost."""
        return Dropped(self.found.scenario.seed, self.drop_ppm)


@dataclass(frozen=True)
class Outcome:
    """Numbers for programs, text for people; ``url``: where the pages go on being served, None when headless.

    losses: None where no readings were lost on purpose; faults: events of the scenario; settled: every number of it, as columns.
    """

    summary: Summary
    settled: SettledWorld
    losses: Losses | None
    faults: int
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


def perform(plan: Plan, audience: Audience, command: str) -> Outcome:
    """``run_demo`` as a command does it. UsageError naming ``command`` for a folder that cannot be written; CancelledError after SIGTERM; what traders raise."""
    try:
        return asyncio.run(run_demo(plan, audience))
    except TradersError as raised:
        raise raised.error from raised.error.__cause__
    except BrokenPipeError:  # nobody reads our output any more: no fault of the folder's
        raise
    except OSError as error:
        where = error.filename or plan.out
        raise UsageError(f"{command}: --out {where}: {error.strerror}; choose another folder") from None


async def run_demo(plan: Plan, audience: Audience) -> Outcome:
    """Build the world, start the processes, run the slots, write the files; headless, end the processes.

    With pages they go on being served until SIGINT or SIGTERM. Before the outcome SIGTERM cancels, and everything ends.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    has_signals = threading.current_thread() is threading.main_thread()
    if task is not None and has_signals:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    audience.show_progress("building the world")
    world, terms = prepare_for_agents(plan.found)
    with raised_by_traders():
        homes = homes_of(plan.traders, world, CONTRACTS[terms.rules.contract])
    troubles = Troubles(world, plan.dropped)
    scene = _scene_of(plan, world, terms)
    journal, pace = Journal(scene.run_dir), Pace(plan.speed)
    audience.show_progress("starting node and agents")
    _write_inputs(plan, scene, world)
    utility = Client(scene.url, chain=scene.chain, signer_id="utility", signer=scene.keys["utility"])
    async with (
        utility as client,
        broker_of(scene) as broker,
        relays_of(scene, troubles) as relays,
        peer_lines_of(scene.run_dir, scene.nodes) as lines,
        instruments_of(
            scene,
            world,
            broker,
            troubles,
            journal.boundary_index(),
            {area: relay.url for area, relay in relays.items()},
        ) as instruments,
        _processes(scene, world.areas, broker, plan.gateway) as (nodes, agents),
    ):
        field = Field(scene, troubles, instruments, agents, nodes, relays, lines, broker, client)
        await field.arrange(journal.boundary_index())
        if scene.pages_url is not None:
            within_s = max(0.0, URL_WITHIN_S - elapsed_s())
            audience.show_pages(scene.pages_url, await wait_for_pages(scene.pages_url, within_s))
        orders = AskedHomes(homes, world, client).orders_of
        day = Day(world, terms.rules, orders, scene.chain, client, scene.keys, field, troubles, pace, journal)
        if plan.is_resumable and has_signals:
            loop.add_signal_handler(signal.SIGTSTP, _pause, pace, audience)
        async with instruments.speaking(broker):
            await day.run(lambda boundary: audience.show_progress(f"slot {boundary} of {world.slots}"))
        audience.show_progress("collecting results")
        collected = await _collect(scene, client, world)
        if scene.pages_url is not None:
            asked = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, asked.set)
            outcome = _write_results(plan, scene, troubles, collected)
            audience.show_outcome(outcome)
            await _serve_on(day, asked)
            return outcome
    if scene.terms.rules.tariff:  # of months, out of the ledger that no node uses any more
        collected.tables.add_charges(read_charges(scene.nodes[0].data_dir))
    outcome = _write_results(plan, scene, troubles, collected)
    audience.show_outcome(outcome)
    return outcome


async def _serve_on(day: Day, asked: asyncio.Event) -> None:
    """Settle what waits behind the day until somebody asks for the end."""
    going_on = asyncio.create_task(day.go_on())
    await asked.wait()
    going_on.cancel()
    await asyncio.gather(going_on, return_exceptions=True)


def _write_inputs(plan: Plan, scene: Scene, world: World) -> None:
    """What is known before anything runs."""
    write_new(plan.out / "trust.json", json.dumps(trust_of(scene.genesis), indent=2) + "\n")
    write_world(plan.out, world)
    write_new(plan.out / "scenario.toml", plan.found.data)
    write_rules(plan.out, world.scenario)
    if world.scenario.grid.table is not None:
        write_new(plan.out / "grid.csv", world.scenario.grid.table.read_bytes())
    if scene.pages_url is not None:
        write_web_config(scene)


def _scene_of(plan: Plan, world: World, terms: Dataset) -> Scene:
    """What an earlier process laid out where the run goes on, else a new scene."""
    if plan.is_begun:
        return find_scene(plan.out, world, terms)
    if plan.is_resumable:
        begin(plan.out, plan.found)
    scene = lay_out(plan.out, world, terms, plan.pages_port, has_run_dir=plan.is_resumable)
    if plan.is_resumable:
        keep(scene, world)
    return scene


def _pause(pace: Pace, audience: Audience) -> None:
    audience.show_progress("pauses when this slot is decided; fg, or SIGCONT, lets it go on")
    pace.ask_to_pause()


@dataclass(frozen=True)
class _Collected:
    """What the ledger says at the end."""

    tables: Tables
    status: NodeStatus
    sample: Sample


async def _collect(scene: Scene, client: Client, world: World) -> _Collected:
    tables = await fetch_tables(client, world, scene.terms)
    status = await patiently(client.status)
    await check_same_state(scene, status)
    return _Collected(tables, status, await save_samples(scene, client, tables))


def _write_results(plan: Plan, scene: Scene, troubles: Troubles, collected: _Collected) -> Outcome:
    """Write the files that hold what was decided, and say what it came to."""
    world = troubles.world
    tables, status, out = collected.tables, collected.status, plan.out
    root = write_results(out, tables)
    rules = scene.terms.rules
    money = Money(rules.contract, scene.genesis.currency, rules.prices, plan.options, rules.later_prices)
    write_report(out, tables.settled, money)
    write_new(out / "verify.py", Path(verify.__file__).read_bytes())
    copies = copy_tables(out) if plan.has_parquet else []
    inputs: dict[str, Any] = {"chain": scene.chain, **({"drop_ppm": plan.drop_ppm} if plan.drop_ppm else {})}
    if (consortium := world.scenario.consortium) is not None:
        inputs["validators"] = consortium.validators
    inputs |= {"copies": copies, "results_root": root.hex()}
    write_manifest(out, world, contract=money.contract, currency=money.currency, **inputs)
    summary = summarise(
        world,
        tables,
        height=status.height,
        state_root=status.state_root,
        root=root,
        wall_s=elapsed_s(),
        out=out,
    )
    losses = losses_of(tables, troubles) if troubles else None
    return Outcome(
        summary,
        tables.settled,
        losses,
        len(world.scenario.events),
        to_text(summary, losses, world, tables, collected.sample),
        scene.pages_url,
    )


@asynccontextmanager
async def _processes(
    scene: Scene, areas: Sequence[str], broker: Broker | None, gateway: Sequence[str]
) -> AsyncIterator[tuple[Mapping[str, Supervised], Mapping[str, Supervised]]]:
    """Keep nodes, agents, pages and broker alive inside the block; an error of one that cannot be kept alive ends the block.

    The nodes are told by their name, the agents by their area.

    A broker only informs: without it the day goes on. ``gateway``: ``Plan.gateway``.
    """
    children = [
        Supervised(place.name, [*GRIDLEDGER, "node", "run", "--config", str(scene.node_config(place))], scene.run_dir)
        for place in scene.nodes
    ]
    node, nodes = children[0], {child.name: child for child in children}
    if broker is not None and broker.process is not None:
        children.append(broker.process)
    if scene.pages_url is not None:
        serve = [*GRIDLEDGER, "serve", "--config", str(scene.web_config)]
        children.append(Supervised("web", serve, scene.run_dir))
    agents = {}
    for number, area in enumerate(areas, 1):
        edge = [*gateway, "--config", str(scene.edge_config(number))]
        agents[area] = Supervised(f"edge-{number}", edge, scene.run_dir)
    children += agents.values()
    try:
        async with asyncio.TaskGroup() as group:
            for child in children:
                is_broker = broker is not None and child is broker.process
                group.create_task(_run_if_it_can(child) if is_broker else child.run())
            try:
                yield nodes, agents
            finally:
                for child in reversed(children):
                    await child.stop()
    except* StandstillError as errors:
        word = node.last_line()
        raise GridError(f"{first_of(errors)}; its last word: {word}; logs: {scene.run_dir}") from None
    except* Exception as errors:  # noqa: BLE001 - goes on alone: also what traders of one's own raise
        raise first_of(errors) from None


async def _run_if_it_can(child: Supervised) -> None:
    """Keep alive a process that can be missed."""
    try:
        await child.run()
    except GridError as error:
        _log.warning("process_missed", process=child.name, reason=str(error))


def first_of(errors: BaseExceptionGroup[Exception]) -> Exception:
    """One error out of a group of them: what a person is told."""
    error = errors.exceptions[0]
    return first_of(error) if isinstance(error, BaseExceptionGroup) else error


def elapsed_s() -> float:
    """Seconds since this process began, the interpreter's own start included where the system tells."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return time.perf_counter() - _IMPORTED_S
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
