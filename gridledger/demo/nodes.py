"""The nodes of a demonstration: one that alone certifies, or a validator of each of several organisations on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridcore.genesis import Genesis
from gridcore.master_data import Listed, Named
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.serving.ports import HOST, free_port
from gridcore.sm import SigningKey
from gridcore.validator import Validator
from gridledger.founding.consortium import engine_genesis_of
from gridledger.founding.folder import save_key_and_password, write_new
from gridledger.founding.organisations import UTILITY
from ledger.engines.cometbft.home import ONE_MACHINE, EngineKeys, HomeConfig, make_keys, write_home
from ledger.store.directory import init_ledger
from simulators.scenarios.schema import Consortium

_FOUNDERS: Final = ("operator", UTILITY, "regulator")
"""Organisations that every demonstration has: the first validators are theirs."""


@dataclass(frozen=True)
class NodePlace:
    """A node. ``name``: of its process, key and configuration file in ``run/``; ``data_dir``: its ledger."""

    name: str
    data_dir: Path
    url: str

    @property
    def port(self) -> int:
        """Of ``url``."""
        return int(self.url.rpartition(":")[2])


def place_nodes(out: Path, consortium: Consortium | None, port_of: Callable[[str], int]) -> tuple[NodePlace, ...]:
    """One node, or one for each validator; ``port_of``: the port of a node by its name."""
    names = consortium.nodes if consortium is not None else ("node",)
    return tuple(
        NodePlace(name, out / name.replace("node", "ledger"), f"http://{HOST}:{port_of(name)}") for name in names
    )


def write_single_node(run_dir: Path, place: NodePlace, genesis: Genesis) -> None:
    """The data directory and the configuration of a node that alone certifies, with the operator's key."""
    _write_node(run_dir, place, genesis, "operator", "")


class Validators:
    """Validators of a demonstration and their keys, which exist before the genesis that names them. has_lines: engines call each other over ``PeerLine``."""

    def __init__(self, run_dir: Path, places: Sequence[NodePlace], *, has_lines: bool = False) -> None:
        self._run_dir = run_dir
        self._places = tuple(places)
        self._has_lines = has_lines
        self._keys: list[EngineKeys] = [make_keys(self._home(place)) for place in places]
        self._signers = [SigningKey.generate() for _ in places]

    def organisations(self) -> list[Listed]:
        """Those of the validators that no other demonstration has."""
        names = self._organisation_names()[len(_FOUNDERS) :]
        return [Named(ORGANISATION, name, Organisation(["administrator", "regulator"], name.title())) for name in names]

    def validators(self) -> list[Validator]:
        """One for each node, all of the same power."""
        return [
            Validator(name, name, signer.public_key, 1, keys.consensus_key)
            for name, signer, keys in zip(self._organisation_names(), self._signers, self._keys, strict=True)
        ]

    def write(self, genesis: Genesis) -> None:
        """Data directory, configuration, key and engine's home of each node."""
        ports = [free_port() for _ in self._places]
        for place, signer, port in zip(self._places, self._signers, ports, strict=True):
            key, home, rpc_port = f"validator-{place.name}", self._home(place), free_port()
            save_key_and_password(self._run_dir, key, signer)
            engine = f'\n[engine]\nkind = "cometbft"\nhome = "{home.name}"\nrpc_port = {rpc_port}\n'
            _write_node(self._run_dir, place, genesis, key, engine)
            config = HomeConfig(
                moniker=place.name,
                abci=home.resolve() / "abci.sock",
                rpc_port=rpc_port,
                p2p_host=HOST,
                p2p_port=port,
                peers=[
                    f"{keys.node_id}@{HOST}:{free_port() if self._has_lines else peer_port}"
                    for keys, peer_port in zip(self._keys, ports, strict=True)
                    if peer_port != port
                ],
                timing=ONE_MACHINE,
            )
            write_home(home, engine_genesis_of(genesis), config)

    def _organisation_names(self) -> list[str]:
        more = (f"member-{number}" for number in range(len(_FOUNDERS) + 1, len(self._places) + 1))
        return [*_FOUNDERS, *more][: len(self._places)]

    def _home(self, place: NodePlace) -> Path:
        return engine_home(self._run_dir, place.name)


def engine_home(run_dir: Path, name: str) -> Path:
    """The home of the engine of a node."""
    return run_dir / f"engine-{name}"


def _write_node(run_dir: Path, place: NodePlace, genesis: Genesis, key: str, engine: str) -> None:
    place.data_dir.mkdir()  # a new one: not what a link leads to
    init_ledger(place.data_dir, genesis.encode())
    write_new(
        run_dir / f"{place.name}.toml",
        f'data_dir = "../{place.data_dir.name}"\nlog_level = "info"\n\n'
        f'[listen]\nhost = "{HOST}"\nport = {place.port}\n\n'
        f'[key]\nuri = "file:{key}.pem"\npassword = "file:{key}.password"\n{engine}',
    )
