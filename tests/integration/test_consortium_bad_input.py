"""What a validator's operator gets wrong is one line that names the file, and never a traceback."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcore.config import load_config
from gridcore.errors import UsageError
from gridcore.serving.ports import free_port
from gridledger.cli import main
from ledger.config import NodeConfig, load_key
from ledger.engines.cometbft.home import make_keys
from ledger.store.consortium import ConsortiumLedger
from settlement.catalogue import CONTRACTS, pins
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_world import founded
from tests.waiting import wait_until

pytestmark = NEEDS_COMETBFT


@pytest.fixture(scope="module")
def two_chains(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two consortia of the same members."""
    return founded(tmp_path_factory.mktemp("a")), founded(tmp_path_factory.mktemp("b"))


@pytest.fixture
def grid(two_chains: tuple[Path, Path]) -> Iterator[Path]:
    """The folder of the grid company of the first chain, to be spoilt; its path is short, as a socket's must be."""
    with tempfile.TemporaryDirectory(prefix="gl-") as folder:
        yield Path(shutil.copytree(two_chains[0] / "grid", Path(folder) / "grid"))


@pytest.fixture
def stranger(two_chains: tuple[Path, Path]) -> Path:
    """The same of the second chain."""
    return two_chains[1] / "grid"


def words_of(folder: Path, status: int = 2) -> str:
    """What a node says that does not start."""
    command = [sys.executable, "-m", "gridledger", "node", "run", "--config", "node.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_home_of_a_foreign_chain_is_named_with_both_chains(grid: Path, stranger: Path) -> None:
    shutil.copy(stranger / "engine" / "config" / "genesis.json", grid / "engine" / "config" / "genesis.json")
    line = words_of(grid)
    assert "genesis.json: of chain 'village-" in line
    assert "put home and ledger of one chain together" in line


def test_genesis_of_another_chain_is_not_taken_into_a_ledger(
    grid: Path, stranger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["node", "init", "--genesis", str(stranger / "genesis.cbor"), "--data", str(grid / "ledger")]
    assert main(words) == 2
    assert "give the genesis of" in capsys.readouterr().err


def test_other_contract_code_than_the_chain_names_is_refused_at_the_start(grid: Path) -> None:
    config = load_config(grid / "node.toml", NodeConfig)
    assert config.key is not None
    other = {**pins(), "p2p_call_auction/1": bytes(32)}
    with pytest.raises(UsageError, match="p2p_call_auction/1") as raised:
        ConsortiumLedger.open(config.data_dir, CONTRACTS, load_key(config.key), pins=other)
    assert "\n" not in str(raised.value)


def test_damaged_genesis_of_the_engine_is_named(grid: Path) -> None:
    (grid / "engine" / "config" / "genesis.json").write_text("{")
    assert "genesis.json: no genesis of the engine" in words_of(grid)


def test_missing_key_of_the_engine_is_named(grid: Path) -> None:
    (grid / "engine" / "config" / "priv_validator_key.json").unlink()
    assert "priv_validator_key.json: cannot be read" in words_of(grid)


def test_missing_engine_is_named_with_the_command_that_installs_it(grid: Path) -> None:
    file = grid / "node.toml"
    file.write_text(file.read_text() + 'binary = "/nowhere/cometbft"\n')
    assert "/nowhere/cometbft: does not run" in words_of(grid)


def test_key_that_is_none_of_the_validators_is_said_and_the_node_follows(grid: Path, stranger: Path) -> None:
    for name in ("validator.pem", "validator.password"):
        shutil.copy(stranger / "keys" / name, grid / "keys" / name)
    assert "none of the 4 validators' keys" in first_words(grid, "no_validator")


def test_engines_key_of_somebody_else_is_said(grid: Path) -> None:
    config = grid / "engine" / "config"
    for name in ("priv_validator_key.json", "node_key.json"):
        (config / name).unlink()
    (grid / "engine" / "data" / "priv_validator_state.json").unlink()
    make_keys(grid / "engine")
    assert "is not this validator's" in first_words(grid, "votes_count_nothing")


def first_words(folder: Path, event: str) -> str:
    """The line of the log of a node that does start, with this event."""
    file = folder / "node.toml"
    file.write_text(file.read_text().replace("port = ", f"port = {free_port()} #", 1))
    command = [sys.executable, "-m", "gridledger", "node", "run", "--config", "node.toml"]
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: event in (folder / "node.log").read_text(), event)
    finally:
        process.terminate()
        process.wait(60)
    (line,) = [line for line in (folder / "node.log").read_text().splitlines() if event in line]
    return line
