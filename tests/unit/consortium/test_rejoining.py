"""What ``gridledger consortium rejoin`` writes, and what it refuses in one line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gridcore.config import decode_toml
from gridcore.errors import UsageError
from gridcore.serving.ports import HOST, free_port
from gridledger.consortium.rejoining import prepare_rejoin
from ledger.config import EngineConfig, KeyConfig, NodeConfig
from ledger.engines.cometbft.home import HomeConfig, make_keys, may_vote, write_home
from ledger.store.directory import init_ledger
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.feeders import FEEDERS

CHAIN = FEEDERS.genesis.chain


@contextmanager
def member(chain: str = CHAIN, height: int = 9_000, block_hash: str = "AB" * 32) -> Iterator[str]:
    """The RPC address of an engine that says this of its chain."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            call = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told: dict[str, Any] = {
                "status": {"node_info": {"network": chain}, "sync_info": {"latest_block_height": str(height)}},
                "commit": {"signed_header": {"commit": {"block_id": {"hash": block_hash}}}},
            }
            body = json.dumps({"result": told[call["method"]]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer((HOST, 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    """A node whose disk was lost: its home has keys and configuration, and no guard."""
    home = tmp_path / "engine"
    make_keys(home)
    write_home(home, b"{}", HomeConfig("a", home / "abci.sock", 1, HOST, 2, []))
    (home / "data" / "priv_validator_state.json").unlink()
    init_ledger(tmp_path / "ledger", FEEDERS.genesis_file, UnsyncedFiles())
    return NodeConfig(tmp_path / "ledger", KeyConfig("file:k", "file:p"), engine=EngineConfig("cometbft", home))


def state_sync(config: NodeConfig) -> dict[str, Any]:
    assert config.engine.home is not None
    path = config.engine.home / "config" / "config.toml"
    found: dict[str, Any] = decode_toml(path.read_bytes(), path)["statesync"]
    return found


def test_engine_is_to_begin_with_a_snapshot_and_may_not_vote_yet(config: NodeConfig) -> None:
    assert config.engine.home is not None
    with member() as one, member() as two:
        for _ in range(2):  # a second time changes nothing
            source = prepare_rejoin(config, [one, two])
        assert state_sync(config)["rpc_servers"] == f"{one},{two}"
    assert (source.height, source.hash) == (4_000, "AB" * 32)
    assert (state_sync(config)["enable"], state_sync(config)["trust_height"]) == (True, 4_000)
    assert not may_vote(config.engine.home), "nobody knows what its key has voted for"


def test_block_1_is_not_trusted_for_its_time_is_that_of_genesis(config: NodeConfig) -> None:
    with member(height=12) as one, member(height=13) as two:
        assert prepare_rejoin(config, [one, two]).height == 2


def test_members_that_differ_or_are_of_another_chain_or_away_are_named(config: NodeConfig) -> None:
    with member() as one, member(block_hash="CD" * 32) as other, member(chain="another") as foreign:
        with pytest.raises(UsageError, match=r"members differ in block 4000: .* ABAB.* CDCD"):
            prepare_rejoin(config, [one, other])
        with pytest.raises(UsageError, match="of chain another, this node of"):
            prepare_rejoin(config, [one, foreign])
        away = f"http://{HOST}:{free_port()}"
        with pytest.raises(UsageError, match=f"{away}: the engine does not answer"):
            prepare_rejoin(config, [one, away])


def test_one_member_is_not_enough(config: NodeConfig) -> None:
    with pytest.raises(UsageError, match="give --member at least 2 times"):
        prepare_rejoin(config, ["http://a", "http://a"])


def test_node_with_blocks_and_node_without_an_engine_join_nobody(config: NodeConfig) -> None:
    assert config.engine.home is not None
    with pytest.raises(UsageError, match="has no consensus engine"):
        prepare_rejoin(NodeConfig(config.data_dir), ["http://a", "http://b"])
    (config.engine.home / "data" / "blockstore.db").mkdir()
    with pytest.raises(UsageError, match="the engine has blocks"):
        prepare_rejoin(config, ["http://a", "http://b"])
    (config.data_dir / "blocks.log").write_bytes(b"block")
    with pytest.raises(UsageError, match="has blocks; to begin with a snapshot"):
        prepare_rejoin(config, ["http://a", "http://b"])
