"""The home of an engine: keys that the engine takes, a genesis that follows from ours, and nothing that others may read."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest

from gridcore.envelope import WIRE_BYTES_MAX
from gridcore.errors import UsageError
from gridcore.validator import Validator
from ledger.engines.cometbft.home import (
    HomeConfig,
    engine_genesis,
    has_voted,
    load_keys,
    make_keys,
    write_home,
)
from ledger.engines.cometbft.program import find_engine

VALIDATORS = [Validator("grid", "grid", b"", 3, bytes(range(32))), Validator("retailer", "retailer", b"", 1, bytes(32))]


def test_keys_are_the_owners_alone_and_read_as_they_were_made(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    assert load_keys(tmp_path) == keys
    for name in ("priv_validator_key.json", "node_key.json"):
        assert stat.S_IMODE((tmp_path / "config" / name).stat().st_mode) == 0o600
    assert not has_voted(tmp_path)


def test_home_with_keys_never_gets_others(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    with pytest.raises(UsageError, match="exists already"):
        make_keys(tmp_path)
    assert load_keys(tmp_path) == keys


def test_key_file_that_is_none_is_named(tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / "config" / "node_key.json").write_text('{"priv_key": 7}')
    with pytest.raises(UsageError, match=r"node_key\.json: no Ed25519 key"):
        load_keys(tmp_path)


def test_same_validators_give_the_same_genesis_with_extensions_from_the_first_block() -> None:
    genesis = engine_genesis("village-0011223344556677", 1_800_000_000, VALIDATORS)
    assert genesis == engine_genesis("village-0011223344556677", 1_800_000_000, VALIDATORS)
    content = json.loads(genesis)
    assert content["genesis_time"] == "2027-01-15T08:00:00Z"
    assert content["consensus_params"]["abci"] == {"vote_extensions_enable_height": "1"}
    assert [validator["power"] for validator in content["validators"]] == ["3", "1"]


def test_chain_id_that_the_engine_would_refuse_is_one_line() -> None:
    with pytest.raises(UsageError, match="more than 50 characters; choose a shorter name"):
        engine_genesis("x" * 51, 1_800_000_000, VALIDATORS)


def test_configuration_takes_the_largest_transaction_through_mempool_and_rpc(tmp_path: Path) -> None:
    write_home(tmp_path, b"{}", HomeConfig("grid", tmp_path / "abci.sock", 1, "0.0.0.0", 2, ["a@b:3", "c@d:4"]))
    config = tomllib.loads((tmp_path / "config" / "config.toml").read_text())
    assert config["mempool"]["max_tx_bytes"] >= WIRE_BYTES_MAX
    assert config["rpc"]["max_body_bytes"] > WIRE_BYTES_MAX * 4 / 3 + 1_000
    assert config["p2p"]["persistent_peers"] == "a@b:3,c@d:4"


def test_missing_engine_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="make cometbft"):
        find_engine()


@pytest.mark.parametrize(
    ("script", "words"),
    [("echo 0.34.9", "is version 0.34.9; this release works with"), ("exit 1", "does not run")],
)
def test_engine_of_another_release_line_or_one_that_does_not_run_is_named(
    tmp_path: Path, script: str, words: str
) -> None:
    program = tmp_path / "cometbft"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(UsageError, match=words):
        find_engine(program)
