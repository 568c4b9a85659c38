"""The folder of a demonstration: keys, genesis, the node's directory and configuration, and ports for everybody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from gridcore.genesis import Genesis
from gridcore.serving.ports import HOST, check_free, free_port
from gridcore.sm import SigningKey
from gridledger.demo.genesis import build_genesis, gateway_of
from gridledger.founding.folder import save_key_and_password, write_new
from gridledger.founding.organisations import SIGNER_ROLES
from ledger.store.directory import init_ledger
from settlement.catalogue import contract_pin
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from simulators.grid.world import World


@dataclass(frozen=True)
class Scene:
    """What was laid out. ``keys``: private keys by signer id; those of processes also lie encrypted in ``run/``."""

    out: Path
    run_dir: Path
    data_dir: Path
    genesis: Genesis
    keys: dict[str, SigningKey]
    url: str
    pages_url: str | None  # None: headless

    @property
    def chain(self) -> str:
        """The chain id."""
        return self.genesis.chain

    @property
    def node_config(self) -> Path:
        """The node's configuration file."""
        return self.run_dir / "node.toml"

    @property
    def web_config(self) -> Path:
        """The configuration file of the pages."""
        return self.run_dir / "web.toml"

    def edge_config(self, number: int) -> Path:
        """The configuration file of the agent of area ``number``, from 1."""
        return self.run_dir / f"edge-{number}.toml"


def lay_out(out: Path, world: World, pages_port: int | None) -> Scene:
    """Make keys, genesis and the node's directory under ``out`` (which is empty), and choose ports.

    ``pages_port``: where the pages will be, 0 for any free port, None without pages. UsageError when it is taken.
    """
    if pages_port:
        check_free(pages_port)
    port, web_port = free_port(), pages_port or free_port()
    run_dir = out / "run"
    run_dir.mkdir(parents=True)
    gateways = [gateway_of(number) for number in range(1, len(world.areas) + 1)]
    names = [*SIGNER_ROLES, *gateways]
    keys = {name: SigningKey.generate() for name in (*names, *world.traders)}
    public_keys = {name: key.public_key for name, key in keys.items()}
    pin, contract_id = contract_pin(CONTRACT.contract_id), CONTRACT.contract_id
    genesis = build_genesis(world, public_keys, pin, contract_id, secrets.token_bytes(32))
    (out / "ledger").mkdir()  # a new one: not what a link leads to
    init_ledger(out / "ledger", genesis.encode())
    for name in names:
        save_key_and_password(run_dir, name, keys[name])
    pages_url = None if pages_port is None else f"http://{HOST}:{web_port}"
    scene = Scene(out, run_dir, out / "ledger", genesis, keys, f"http://{HOST}:{port}", pages_url)
    write_new(
        scene.node_config,
        'data_dir = "../ledger"\nlog_level = "info"\n\n'
        f'[listen]\nhost = "{HOST}"\nport = {port}\n\n'
        '[key]\nuri = "file:operator.pem"\npassword = "file:operator.password"\n',
    )
    return scene
