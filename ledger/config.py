"""The configuration file of a node (``gridledger node run --config node.toml``).

data_dir = "ledger"                  # made by: gridledger node init
guard = "/var/lib/guard/node"        # default: in data_dir; as it was given to node init
log_level = "info"

[listen]
host = "127.0.0.1"
port = 7070
certificate = "node-cert.pem"        # with certificate_key: TLS; without: plain HTTP
certificate_key = "node-cert-key.pem"

[gateways]                           # without this table: gateways come in by [listen] too
host = "0.0.0.0"                     # mutual TLS, TLS 1.3 alone: who comes in speaks for the name in its certificate
port = 7071
certificate = "tls/node.crt"
certificate_key = "tls/node.key"
client_authority = "tls/authority.crt"

[key]                                # without this table: a standby, which answers and signs nothing
uri = "file:node.pem"                # encrypted PKCS#8, SM2
password = "file:node.password"      # by reference, never the password itself

[next_key]                           # the key that certifies once validators have voted for it; until then key does
uri = "file:next.pem"
password = "file:next.password"

[clock_key]                          # without this table: only somebody else may accept the clock after a standstill
signer = "clock"                     # of role clock: accepts this machine's clock while that is synchronised
uri = "file:clock.pem"
password = "file:clock.password"

[engine]                             # without this table: one process alone makes the blocks ("embedded")
kind = "cometbft"                    # validators of several organisations agree on them
home = "engine"                      # the engine's folder, made by: gridledger consortium
rpc_port = 26657                     # where the engine answers this node, on loopback; as in its config/config.toml
binary = "/usr/local/bin/cometbft"   # default: found on PATH, else where make cometbft puts it
snapshot_blocks = 1000               # a snapshot of the state every so many blocks, for those who join; 0: none

[quotas]                             # what is accepted in an hour, of one signer and of all of an organisation
signer_transactions = 4096
signer_bytes = 67108864
organisation_transactions = 1048576
organisation_bytes = 2147483648
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError
from gridcore.logs import LEVELS
from gridcore.serving.listen import Listen, MutualListen
from gridcore.serving.tls import check_tls
from gridcore.signers import open_signer
from gridcore.sm import Signer
from ledger.engines.cometbft.home import load_keys
from ledger.engines.cometbft.program import find_engine
from ledger.engines.quotas import Quotas

PORT_DEFAULT: Final = 7070
RPC_PORT_DEFAULT: Final = 26_657
ENGINES: Final = ("embedded", "cometbft")
SNAPSHOT_BLOCKS_DEFAULT: Final = 1_000
SOCKET_PATH_BYTES_MAX: Final = 107
"""Of a Unix socket, in Linux."""


@dataclass(frozen=True)
class ListenConfig(Listen):
    """Where the node answers."""

    port: int = field(default=PORT_DEFAULT, metadata={"min": 0, "max": 65_535})


@dataclass(frozen=True)
class KeyConfig:
    """The key that certifies blocks. ``uri``: ``file:`` and the keystore; ``password``: reference to its password."""

    uri: str = field(metadata={"schemes": ("file",)})
    password: str = field(metadata={"secret": True})


@dataclass(frozen=True)
class ClockKeyConfig(KeyConfig):
    """The key of the ``signer`` in whose name the node accepts the clock (``ledger.engines.timekeeper``)."""

    signer: str = field(kw_only=True)


@dataclass(frozen=True)
class EngineConfig:
    """What makes the blocks. Everything but ``kind`` is of ``cometbft``."""

    kind: str = field(default=ENGINES[0], metadata={"choices": ENGINES})
    home: Path | None = None
    rpc_port: int = field(default=RPC_PORT_DEFAULT, metadata={"min": 1, "max": 65_535})
    binary: Path | None = None
    snapshot_blocks: int = field(default=SNAPSHOT_BLOCKS_DEFAULT, metadata={"min": 0, "max": 1_000_000})

    def __post_init__(self) -> None:
        """Rules over two fields. UsageError names the keys."""
        if (self.kind == "cometbft") != (self.home is not None):
            raise UsageError("home is the engine's folder where kind is 'cometbft', and belongs to no other kind")
        if self.home is not None and len(os.fsencode(self.socket)) > SOCKET_PATH_BYTES_MAX:
            raise UsageError(f"home: {self.socket} is too long for a socket; give a folder of a shorter path")

    @property
    def socket(self) -> Path:
        """Where the engine reaches its node."""
        return (self.home or Path()).resolve() / "abci.sock"


@dataclass(frozen=True)
class NodeConfig:
    """One node. ``guard``: the file that says what the node has signed; None: in ``data_dir``.

    ``gateways``: a door of its own for them, by mutual TLS. ``key``: None for a standby, which answers from what was restored and signs nothing. ``next_key``: with which the node
    goes on, once the set of validators knows it by that one.
    """

    data_dir: Path
    key: KeyConfig | None = None
    next_key: KeyConfig | None = None
    listen: ListenConfig = field(default_factory=ListenConfig)
    gateways: MutualListen | None = None
    guard: Path | None = None
    clock_key: ClockKeyConfig | None = None
    engine: EngineConfig = field(default_factory=EngineConfig)
    quotas: Quotas = field(default_factory=Quotas)
    log_level: str = field(default="info", metadata={"choices": LEVELS})

    def __post_init__(self) -> None:
        """Rules over two fields. UsageError names the keys."""
        if self.key is None and self.guard is not None:
            raise UsageError("guard is of a node that signs; give the table key too, or leave guard out for a standby")
        if self.key is None and self.engine.kind != ENGINES[0]:
            raise UsageError("engine is of a validator, which signs; give the table key too")
        if self.key is None and self.next_key is not None:
            raise UsageError("next_key follows key; give the table key too, or this one under that name")

    @property
    def keys(self) -> tuple[KeyConfig, ...]:
        """``key`` and ``next_key``, those that there are."""
        return tuple(key for key in (self.key, self.next_key) if key is not None)


def check_node(config: NodeConfig) -> None:
    """Open the keys and certificates that a configuration names. UsageError names the one that cannot be used."""
    for key, table in ((config.key, "key"), (config.next_key, "next_key"), (config.clock_key, "clock_key")):
        if key is not None:
            load_key(key, table)
    if config.listen.tls is not None:
        check_tls(config.listen.tls)
    if config.gateways is not None:
        check_tls(config.gateways.tls)
    if config.engine.home is not None:
        find_engine(config.engine.binary)
        load_keys(config.engine.home)


def load_signing_keys(config: NodeConfig) -> list[Signer]:
    """The keys with which a node certifies, tested: of ``key``, then of ``next_key``. UsageError as ``load_key``."""
    return [load_key(key, table) for key, table in zip(config.keys, ("key", "next_key"), strict=False)]


def load_key(config: KeyConfig, table: str = "key") -> Signer:
    """The signer of a table, tested. UsageError naming the keystore: absent, wrong password, damaged, no SM2 key."""
    return open_signer(config.uri, config.password, origin=f"{table}.uri")
