"""The configuration file of a node (``gridledger node run --config node.toml``).

data_dir = "ledger"                  # made by: gridledger node init
guard = "/var/lib/guard/node"        # default: in data_dir; as it was given to node init
log_level = "info"

[listen]
host = "127.0.0.1"
port = 7070
certificate = "node-cert.pem"        # with certificate_key: TLS; without: plain HTTP
certificate_key = "node-cert-key.pem"

[key]                                # without this table: a standby, which answers and signs nothing
uri = "file:node.pem"                # encrypted PKCS#8, SM2
password = "file:node.password"      # by reference, never the password itself

[clock_key]                          # without this table: only somebody else may accept the clock after a standstill
signer = "clock"                     # of role clock: accepts this machine's clock while that is synchronised
uri = "file:clock.pem"
password = "file:clock.password"

[quotas]                             # what is accepted in an hour, of one signer and of all of an organisation
signer_transactions = 4096
signer_bytes = 67108864
organisation_transactions = 1048576
organisation_bytes = 2147483648
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError
from gridcore.logs import LEVELS
from gridcore.serving.listen import Listen
from gridcore.serving.tls import check_tls
from gridcore.signers import open_signer
from gridcore.sm import Signer
from ledger.engines.quotas import Quotas

PORT_DEFAULT: Final = 7070


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
class NodeConfig:
    """One node. ``guard``: the file that says what the node has signed; None: in ``data_dir``.

    ``key``: None for a standby, which answers from what was restored and signs nothing.
    """

    data_dir: Path
    key: KeyConfig | None = None
    listen: ListenConfig = field(default_factory=ListenConfig)
    guard: Path | None = None
    clock_key: ClockKeyConfig | None = None
    quotas: Quotas = field(default_factory=Quotas)
    log_level: str = field(default="info", metadata={"choices": LEVELS})

    def __post_init__(self) -> None:
        """Rules over two fields. UsageError names the keys."""
        if self.key is None and self.guard is not None:
            raise UsageError("guard is of a node that signs; give the table key too, or leave guard out for a standby")


def check_node(config: NodeConfig) -> None:
    """Open the keys and certificates that a configuration names. UsageError names the one that cannot be used."""
    for key, table in ((config.key, "key"), (config.clock_key, "clock_key")):
        if key is not None:
            load_key(key, table)
    if config.listen.tls is not None:
        check_tls(config.listen.tls)


def load_key(config: KeyConfig, table: str = "key") -> Signer:
    """The signer of a table, tested. UsageError naming the keystore: absent, wrong password, damaged, no SM2 key."""
    return open_signer(config.uri, config.password, origin=f"{table}.uri")
