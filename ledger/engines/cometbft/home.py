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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple

from gridcore.config import CONFIG_BYTES_MAX, decode_toml
from gridcore.ed25519 import SEED_BYTES, Ed25519Key
from gridcore.envelope import WIRE_BYTES_MAX
from gridcore.errors import UsageError, excerpt
from gridcore.files import read_bounded, replace_file, save_new, sync_folder
from gridcore.validator import Validator

CHAIN_ID_LENGTH_MAX: Final = 50
"""``MaxChainIDLen`` of the engine."""
BLOCK_BYTES_MAX: Final = 8 * 1024 * 1024
EVIDENCE_BLOCKS: Final = 2_592_000
EVIDENCE_S: Final = 30 * 86_400
"""How long a double vote can still be reported: long enough to look into an outage."""
KEY_BYTES_MAX: Final = 4_096
GENESIS_BYTES_MAX: Final = 1024 * 1024
_KEY: Final = "config/priv_validator_key.json"
_GENESIS: Final = "config/genesis.json"
_CONFIG_NAME: Final = "config/config.toml"
_NODE_KEY: Final = "config/node_key.json"
_STATE: Final = "data/priv_validator_state.json"
_NOTHING_VOTED: Final = b'{"height": "0", "round": 0, "step": 0}'
_NEVER: Final = 2**63 - 1
"""No height is above it: a guard that stands there allows no vote."""
_PRECOMMIT: Final = 3
"""The last step of a round."""
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
max_request_batch_size = 0         # as many as fit into a body

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


_STATE_SYNC: Final = Template(
    """
# Written by gridledger consortium rejoin; an engine that has blocks does not look at it.
[statesync]
enable = true
rpc_servers = $servers
trust_height = $height
trust_hash = $hash
trust_period = "${trust_s}s"        # as long as a double vote can be reported
discovery_time = "5s"
"""
)


class StateSyncFrom(NamedTuple):
    """Whom an engine without blocks asks: RPC addresses (URLs) of others, and the hash (64 hex digits) of a block that they agree on."""

    servers: tuple[str, ...]
    height: int
    hash: str


class EngineKeys(NamedTuple):
    """What others know of a home. consensus_key: Ed25519, 32 bytes; node_id: of the node's address, 40 hex digits."""

    consensus_key: bytes
    node_id: str


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
    save_new(home / _STATE, _NOTHING_VOTED)
    return EngineKeys(public, _address(node.public_key).hex())


def load_consensus_key(home: Path) -> Ed25519Key:
    """The key that votes. UsageError naming the file."""
    return _load_key(home / _KEY)


def load_keys(home: Path) -> EngineKeys:
    """What others know of a home. UsageError naming the file that is missing or no key."""
    return EngineKeys(load_consensus_key(home).public_key, _address(_load_key(home / _NODE_KEY).public_key).hex())


def has_voted(home: Path) -> bool:
    """Whether the engine's guard in this home knows of a vote. UsageError naming the guard's file."""
    return _guard_height(home) > 0


def may_vote(home: Path) -> bool:
    """Whether the engine's guard allows votes; it does not in a home whose disk was lost, until ``let_vote_after``."""
    return _guard_height(home) < _NEVER


def let_vote_after(home: Path, height: int, round_number: int) -> None:
    """Allow votes beyond this round of this height. The engine does not run."""
    path = home / _STATE
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    save_new(new, _guard_at(height, round_number))
    new.replace(path)
    sync_folder(path.parent)


def _guard_height(home: Path) -> int:
    path = home / _STATE
    data = read_bounded(path, KEY_BYTES_MAX, "where the disk was lost, run gridledger consortium found again")
    try:
        return int(json.loads(data)["height"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{path}: no guard of the engine; remove it, and run gridledger consortium found again"
        ) from None


def _guard_at(height: int, round_number: int) -> bytes:
    return _json({"height": str(height), "round": round_number, "step": _PRECOMMIT})


def check_chain(home: Path, chain: str) -> None:
    """Raise UsageError, naming the file, unless the home's genesis is of this chain."""
    path = home / _GENESIS
    data = read_bounded(path, GENESIS_BYTES_MAX, "it is made by: gridledger consortium found")
    try:
        found = json.loads(data)["chain_id"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: no genesis of the engine; make it again: gridledger consortium found") from None
    if found != chain:
        raise UsageError(
            f"{path}: of chain {excerpt(str(found))}, and the ledger is of {chain}; put home and ledger of one chain together"
        )


def has_blocks(home: Path) -> bool:
    """Whether the engine's data holds more than its guard."""
    folder = home / _STATE
    return folder.parent.exists() and any(entry.name != folder.name for entry in folder.parent.iterdir())


def sync_state_from(home: Path, source: StateSyncFrom) -> None:
    """Have an engine without blocks begin with a snapshot; what was written so before goes. UsageError naming the file."""
    path = home / _CONFIG_NAME
    text = read_bounded(path, CONFIG_BYTES_MAX, "it is made by: gridledger consortium found").decode()
    section = _STATE_SYNC.substitute(
        servers=json.dumps(",".join(source.servers)),
        height=source.height,
        hash=json.dumps(source.hash),
        trust_s=EVIDENCE_S,
    )
    _make_folders(home)
    replace_file(path, (text.partition(section.lstrip("\n").partition("\n")[0])[0].rstrip() + "\n" + section).encode())


def peer_ports(home: Path) -> tuple[int, Mapping[str, int]]:
    """On which port an engine listens for its peers, and on which it calls each of them, by node id. UsageError naming the file."""
    table = _p2p_of(home)
    addresses = (
        peer.strip().partition("@") for peer in str(table.get("persistent_peers", "")).split(",") if "@" in peer
    )
    return _port_of(str(table.get("laddr", ""))), {name.lower(): _port_of(address) for name, _, address in addresses}


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def peer_ids(home: Path) -> frozenset[str]:
    """Node ids of those that may be peers: config.toml names them. UsageError naming the file."""
    peers = str(_p2p_of(home).get("persistent_peers", ""))
    return frozenset(peer.partition("@")[0].strip().lower() for peer in peers.split(",") if peer.strip())


def _p2p_of(home: Path) -> Mapping[str, Any]:
    path = home / _CONFIG_NAME
    table = decode_toml(read_bounded(path, CONFIG_BYTES_MAX, "it is made by: gridledger consortium found"), path)
    found: Mapping[str, Any] = table.get("p2p", {})
    return found


def engine_genesis(chain: str, time_s: int, validators: Sequence[Validator]) -> bytes:
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
                "address": validator.consensus_address.hex().upper(),
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
    """Write genesis.json and config.toml, in the place of older ones; keys and the engine's guard are left alone."""
    _make_folders(home)
    (home / _GENESIS).write_bytes(genesis)
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
    (home / _CONFIG_NAME).write_text(text, encoding="utf-8")


def _make_folders(home: Path) -> None:
    """Make what a home whose disk was lost does not have, with a guard that allows no vote: nobody knows what its key has voted for."""
    for folder in (home / "config", home / "data"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (home / _STATE).exists():
        save_new(home / _STATE, _guard_at(_NEVER, 0))


def _load_key(path: Path) -> Ed25519Key:
    data = read_bounded(path, KEY_BYTES_MAX, "it is made by: gridledger consortium request")
    try:
        seed = base64.b64decode(json.loads(data)["priv_key"]["value"], validate=True)[:SEED_BYTES]
        return Ed25519Key.from_seed(seed)
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{path}: no Ed25519 key of the engine; put back the file that was made with this home"
        ) from None


def _private_json(key: Ed25519Key) -> dict[str, str]:
    return {"type": "tendermint/PrivKeyEd25519", "value": _base64(key.seed + key.public_key)}


def _address(public_key: bytes) -> bytes:
    """The engine's address of a key: 20 bytes."""
    return hashlib.sha256(public_key).digest()[:20]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
