"""Validators of a consortium on this machine: for each a ledger and our engine in this process, and a real CometBFT beside it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gridcore.serving.ports import free_port
from gridcore.validator import Validator
from ledger.engines.cometbft.engine import CometEngine, Doors
from ledger.engines.cometbft.home import (
    ONE_MACHINE,
    HomeConfig,
    Timing,
    engine_genesis,
    load_keys,
    make_keys,
    write_home,
)
from ledger.store.consortium import ConsortiumLedger
from ledger.store.directory import init_ledger
from ledger.store.files import Files
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import UTILITY, Consortium
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.feeders import FEEDERS
from tests.worlds.keys import key


def open_consortium(
    data_dir: Path, consortium: Consortium = FEEDERS, signer: str | None = None, *, files: Files | None = None
) -> ConsortiumLedger:
    """Make (if new) and open one validator's ledger. signer: whose key signs headers."""
    init_ledger(data_dir, consortium.genesis_file, UnsyncedFiles())
    return ConsortiumLedger.open(
        data_dir,
        CONTRACTS,
        key(signer or consortium.certifier),
        genesis=consortium.genesis_file,
        files=files or UnsyncedFiles(),
    )


@dataclass(frozen=True)
class Node:
    """One validator that runs."""

    ledger: ConsortiumLedger
    engine: CometEngine


@dataclass
class Home:
    """Where one validator's files are, and its CometBFT process while that runs."""

    name: str
    folder: Path
    consortium: Consortium
    rpc_port: int
    p2p_port: int
    program: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def comet(self) -> Path:
        return self.folder / "comet"

    def start_process(self) -> None:
        with (self.comet / "engine.log").open("ab") as log:
            command = [self.program, "start", f"--home={self.comet}"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill_process(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @asynccontextmanager
    async def running(self, files: Files | None = None) -> AsyncIterator[Node]:
        """Ledger, engine and process; the process is killed at the end."""
        with closing(open_consortium(self.folder / "data", self.consortium, self.name, files=files)) as ledger:
            doors = Doors(f"unix://{self.comet / 'abci.sock'}", self.rpc_port)
            async with CometEngine(ledger, doors) as engine:
                self.start_process()
                try:
                    yield Node(ledger, engine)
                finally:
                    self.kill_process()


@contextmanager
def homes(
    folder: Path, program: str, names: Sequence[str], consortium: Consortium = FEEDERS, timing: Timing = ONE_MACHINE
) -> Iterator[list[Home]]:
    """Homes of validators of equal power, whose SM2 keys have ``names``, connected with one another; no process is left at the end."""
    keys = [make_keys(folder / name / "comet") for name in names]
    founded = with_validators(consortium, dict(zip(names, (one.consensus_key for one in keys), strict=True)))
    made = [Home(name, folder / name, founded, free_port(), free_port(), program) for name in names]
    genesis = engine_genesis(founded.genesis.chain, founded.start_s, founded.validators)
    peers = [
        f"{one.node_id}@127.0.0.1:{port}" for one, port in zip(keys, (home.p2p_port for home in made), strict=True)
    ]
    for place, home in enumerate(made):
        others, socket = peers[:place] + peers[place + 1 :], home.comet / "abci.sock"
        config = HomeConfig(home.name, socket, home.rpc_port, "127.0.0.1", home.p2p_port, others, timing)
        write_home(home.comet, genesis, config)
    try:
        yield made
    finally:
        for home in made:
            home.kill_process()


def make_twin(home: Home, peers: Sequence[Home]) -> Home:
    """A second home of the same validator, with its consensus key and its SM2 key, that connects to ``peers``."""
    twin = replace(home, folder=home.folder.with_name(f"{home.name}-twin"), rpc_port=free_port(), process=None)
    make_keys(twin.comet)
    for name in ("priv_validator_key.json", "genesis.json"):
        shutil.copy(home.comet / "config" / name, twin.comet / "config" / name)
    addresses = [f"{load_keys(peer.comet).node_id}@127.0.0.1:{peer.p2p_port}" for peer in peers]
    genesis = (twin.comet / "config" / "genesis.json").read_bytes()
    config = HomeConfig(
        "twin", twin.comet / "abci.sock", twin.rpc_port, "127.0.0.1", free_port(), addresses, ONE_MACHINE
    )
    write_home(twin.comet, genesis, config)
    return twin


def with_validators(consortium: Consortium, consensus_keys: Mapping[str, bytes]) -> Consortium:
    """The same chain certified by several. consensus_keys: Ed25519, by the name of each one's SM2 key."""
    found = [Validator(name, UTILITY, key(name).public_key, 1, own) for name, own in consensus_keys.items()]
    return replace(consortium, validators=sorted(found, key=lambda one: one.public_key))


@asynccontextmanager
async def all_running(made: Sequence[Home]) -> AsyncIterator[list[Node]]:
    """Every validator."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(home.running()) for home in made]
