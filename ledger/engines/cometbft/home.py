"""The home of a CometBFT process: its keys, its genesis, its configuration (research: CometBFT 0.38, config/config.toml).

config/priv_validator_key.json   Ed25519 key that votes in consensus; no encryption: mode 0600, never leaves the folder
config/node_key.json             Ed25519 key of the node's address among its peers
config/genesis.json              chain id, validators, block sizes; follows from our genesis
config/config.toml               only what differs from the engine's defaults
data/                            the engine's own blocks and votes; ``priv_validator_state.json`` is its guard
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple

from gridcore.ed25519 import Ed25519Key
from gridcore.envelope import WIRE_BYTES_MAX
from gridcore.errors import UsageError
from gridcore.files import save_new

CHAIN_ID_LENGTH_MAX: Final = 50
"""``MaxChainIDLen`` of the engine."""
BLOCK_BYTES_MAX: Final = 8 * 1024 * 1024
EVIDENCE_BLOCKS: Final = 2_592_000
EVIDENCE_S: Final = 30 * 86_400
"""How long a double vote can still be reported: long enough to look into an outage."""
_KEY: Final = "config/priv_validator_key.json"
_NODE_KEY: Final = "config/node_key.json"
_STATE: Final = "data/priv_validator_state.json"
_CONFIG: Final = Template(
    """# Written by gridledger from genesis and peers; only what differs from the engine's defaults.
moniker = $moniker
proxy_app = $abci
abci = "socket"
log_format = "json"
log_level = "error"
filter_peers = true                # the application answers who may be a peer

[rpc]
laddr = "tcp://127.0.0.1:$rpc_port"
max_body_bytes = 3000000           # the largest transaction as base64 in JSON
max_request_batch_size = 0

[p2p]
laddr = $p2p_laddr
persistent_peers = $peers
pex = false                        # a closed consortium: peers are those that founded it or were voted in
addr_book_strict = false
allow_duplicate_ip = true
send_rate = 20971520
recv_rate = 20971520
max_packet_msg_payload_size = 16384
flush_throttle_timeout = "10ms"

[mempool]
size = 2000
max_txs_bytes = 268435456
cache_size = 20000
max_tx_bytes = $transaction_bytes_max

[consensus]
timeout_propose = "${timeout_propose_ms}ms"
timeout_commit = "${timeout_commit_ms}ms"           # late votes arrive in it: full certificates need them
create_empty_blocks = true
create_empty_blocks_interval = "${empty_blocks_interval_ms}ms"

[storage]
discard_abci_responses = true      # our own database answers

[tx_index]
indexer = "null"
"""
)


class EngineKeys(NamedTuple):
    """What others know of a home. consensus_key: Ed25519, 32 bytes; node_id: of the node's address, 40 hex digits."""

    consensus_key: bytes
    node_id: str


class ConsensusValidator(NamedTuple):
    """Who votes. consensus_key: Ed25519, 32 bytes."""

    name: str
    consensus_key: bytes
    power: int


@dataclass(frozen=True)
class Timing:
    """How fast blocks follow one another, ms. The defaults are for validators in several places."""

    propose_ms: int = 3_000
    commit_ms: int = 1_000
    empty_blocks_interval_ms: int = 10_000


ONE_MACHINE: Final = Timing(propose_ms=1_000, commit_ms=20, empty_blocks_interval_ms=2_000)
"""For validators that all run on one machine, as in a demonstration: a block takes as long as the machine does."""


@dataclass(frozen=True)
class HomeConfig:
    """Where an engine listens and whom it calls. abci: the application's socket; peers: "<node id>@<host>:<port>"."""

    moniker: str
    abci: Path
    rpc_port: int
    p2p_host: str
    p2p_port: int
    peers: Sequence[str]
    timing: Timing = Timing()


def make_keys(home: Path) -> EngineKeys:
    """Make the keys of a new home, and its guard at height 0. UsageError for a home that has keys."""
    for folder in (home / "config", home / "data"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    validator, node = Ed25519Key.generate(), Ed25519Key.generate()
    public = validator.public_key
    names = {
        "address": _address(public).hex().upper(),
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": _base64(public)},
        "priv_key": _private_json(validator),
    }
    save_new(home / _KEY, _json(names))
    save_new(home / _NODE_KEY, _json({"priv_key": _private_json(node)}))
    save_new(home / _STATE, _json({"height": "0", "round": 0, "step": 0}))
    return EngineKeys(public, _address(node.public_key).hex())


def engine_genesis(chain: str, time_s: int, validators: Sequence[ConsensusValidator]) -> bytes:
    """genesis.json: the same bytes for the same arguments. time_s: of the first block, UTC seconds; the engine waits for it.

    UsageError for a chain id that is too long for the engine.
    """
    if len(chain) > CHAIN_ID_LENGTH_MAX:
        raise UsageError(f"chain id {chain} has more than {CHAIN_ID_LENGTH_MAX} characters; choose a shorter name")
    content = {
        "genesis_time": datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "chain_id": chain,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_BYTES_MAX), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": str(EVIDENCE_BLOCKS),
                "max_age_duration": str(EVIDENCE_S * 10**9),
                "max_bytes": "1048576",
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": "0"},
            "abci": {"vote_extensions_enable_height": "1"},
        },
        "validators": [
            {
                "address": _address(validator.consensus_key).hex().upper(),
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": _base64(validator.consensus_key)},
                "power": str(validator.power),
                "name": validator.name,
            }
            for validator in validators
        ],
        "app_hash": "",
    }
    return _json(content)


def write_home(home: Path, genesis: bytes, config: HomeConfig) -> None:
    """Write genesis.json and config.toml, in the place of older ones; keys are left alone."""
    (home / "config").mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "config" / "genesis.json").write_bytes(genesis)
    text = _CONFIG.substitute(
        moniker=json.dumps(config.moniker),
        abci=json.dumps(f"unix://{config.abci}"),
        rpc_port=config.rpc_port,
        p2p_laddr=json.dumps(f"tcp://{config.p2p_host}:{config.p2p_port}"),
        peers=json.dumps(",".join(config.peers)),
        transaction_bytes_max=WIRE_BYTES_MAX,
        timeout_propose_ms=config.timing.propose_ms,
        timeout_commit_ms=config.timing.commit_ms,
        empty_blocks_interval_ms=config.timing.empty_blocks_interval_ms,
    )
    (home / "config" / "config.toml").write_text(text, encoding="utf-8")


def _private_json(key: Ed25519Key) -> dict[str, str]:
    return {"type": "tendermint/PrivKeyEd25519", "value": _base64(key.seed + key.public_key)}


def _address(public_key: bytes) -> bytes:
    """The engine's address of a key: 20 bytes."""
    return hashlib.sha256(public_key).digest()[:20]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
