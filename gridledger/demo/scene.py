"""The folder of a demonstration: keys, genesis, the nodes' directories and configuration, and ports for everybody."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gridcore.genesis import Genesis
from gridcore.serving.ports import HOST, check_free, free_port
from gridcore.sm import Backend, SigningKey
from gridcore.sm.registry import signing_backend, simulating_backend
from gridledger.demo.genesis import build_genesis, gateway_of
from gridledger.demo.nodes import NodePlace, Validators, place_nodes, write_single_node
from gridledger.founding.folder import save_key_and_password
from gridledger.founding.organisations import SIGNER_ROLES, operator
from gridledger.settling.dataset import Dataset
from simulators.grid.world import World
from simulators.scenarios.schema import PARTITION


@dataclass(frozen=True)
class Scene:
    """What was laid out. ``keys``: private keys by signer id; those of processes also lie encrypted in ``run/``.

    ``nodes``: the first is the one that households, clock and pages talk to.
    """

    out: Path
    run_dir: Path
    genesis: Genesis
    keys: dict[str, SigningKey]
    nodes: tuple[NodePlace, ...]
    pages_url: str | None  # None: headless
    terms: Dataset
    """What the world is settled by, as ``terms_of`` says."""

    @property
    def chain(self) -> str:
        """The chain id."""
        return self.genesis.chain

    @property
    def url(self) -> str:
        """Where the first node answers."""
        return self.nodes[0].url

    def node_of_gateway(self, number: int) -> NodePlace:
        """The node that the gateway of area ``number``, from 1, talks to: the nodes take turns, and the second one begins."""
        return self.nodes[number % len(self.nodes)]

    def node_instead(self, number: int, down: Collection[str]) -> NodePlace:
        """The node that it talks to while some are down: the next one in turn that runs."""
        turn = (self.nodes[(number + step) % len(self.nodes)] for step in range(len(self.nodes)))
        return next(place for place in turn if place.name not in down)

    def node_config(self, place: NodePlace) -> Path:
        """The configuration file of a node."""
        return self.run_dir / f"{place.name}.toml"

    @property
    def web_config(self) -> Path:
        """The configuration file of the pages."""
        return self.run_dir / "web.toml"

    def edge_config(self, number: int) -> Path:
        """The configuration file of the agent of area ``number``, from 1."""
        return self.run_dir / f"edge-{number}.toml"


def signer_names(world: World) -> list[str]:
    """Who has a key: roles, gateways, and the homes that trade."""
    gateways = [gateway_of(number) for number in range(1, len(world.areas) + 1)]
    return [*SIGNER_ROLES, *gateways, *world.traders]


def backend_of(world: World, signer: str) -> Backend:
    """By what a signer's key signs: those of homes are simulated."""
    return simulating_backend() if signer in world.meter_of_party else signing_backend()


def lay_out(out: Path, world: World, terms: Dataset, pages_port: int | None, *, has_run_dir: bool = False) -> Scene:
    """Make keys, genesis and the nodes' directories under ``out`` (which has nothing of them), and choose ports.

    FileExistsError where something stands in their place; ``has_run_dir``: the folder ``run`` was made by who asks.

    ``pages_port``: where the pages will be, 0 for any free port, None without pages. UsageError when it is taken.
    """
    if pages_port:
        check_free(pages_port)
    web_port = pages_port or free_port()
    run_dir = out / "run"
    run_dir.mkdir(parents=True, exist_ok=has_run_dir)
    keys = {name: SigningKey.generate(backend_of(world, name)) for name in signer_names(world)}
    public_keys = {name: key.public_key for name, key in keys.items()}
    consortium = world.scenario.consortium
    places = place_nodes(out, consortium, lambda _: free_port())
    has_lines = any(event.kind == PARTITION for event in world.scenario.events)
    validators = Validators(run_dir, places, has_lines=has_lines) if consortium is not None else None
    genesis = build_genesis(
        world,
        public_keys,
        [operator(public_keys)] if validators is None else validators.validators(),
        [] if validators is None else validators.organisations(),
        terms,
        salt_seed=secrets.token_bytes(32),
    )
    with ThreadPoolExecutor() as beside:  # a password takes tens of ms to become a key
        saved = [
            beside.submit(save_key_and_password, run_dir, name, key)
            for name, key in keys.items()
            if name not in world.meter_of_party
        ]
        if validators is None:
            write_single_node(run_dir, places[0], genesis)
        else:
            validators.write(genesis)
    for one in saved:
        one.result()
    pages_url = None if pages_port is None else f"http://{HOST}:{web_port}"
    return Scene(out, run_dir, genesis, keys, places, pages_url, terms)
