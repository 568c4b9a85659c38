"""The configuration file of a node (``gridledger node run --config node.toml``).

data_dir = "ledger"                  # made by: gridledger node init
log_level = "info"

[listen]
host = "127.0.0.1"
port = 7070

[key]
uri = "file:node.pem"                # encrypted PKCS#8, SM2
password = "file:node.password"      # by reference, never the password itself
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError
from gridcore.logs import LEVELS
from gridcore.secrets import read_secret
from gridcore.sm import SigningKey
from gridcore.sm.keystore import KEYSTORE_BYTES_MAX, KeystoreError, decode_private_key

PORT_DEFAULT: Final = 7070


@dataclass(frozen=True)
class ListenConfig:
    """Where the node answers. Plain HTTP: outside one machine, put a proxy with TLS before it."""

    host: str = field(default="127.0.0.1", metadata={"min": 1, "max": 255})
    port: int = field(default=PORT_DEFAULT, metadata={"min": 0, "max": 65_535})


@dataclass(frozen=True)
class KeyConfig:
    """The key that certifies blocks. ``uri``: ``file:`` and the keystore; ``password``: reference to its password."""

    uri: str = field(metadata={"schemes": ("file",)})
    password: str = field(metadata={"secret": True})


@dataclass(frozen=True)
class NodeConfig:
    """One node."""

    data_dir: Path
    key: KeyConfig
    listen: ListenConfig = field(default_factory=ListenConfig)
    log_level: str = field(default="info", metadata={"choices": LEVELS})


def load_key(config: KeyConfig) -> SigningKey:
    """The node's signing key. UsageError naming the keystore: absent, wrong password, damaged, no SM2 key."""
    path = Path(config.uri.removeprefix("file:"))
    password = read_secret(config.password)
    try:
        with path.open("rb") as file:
            pem = file.read(KEYSTORE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{path}: the node's key cannot be read ({error.strerror}); check key.uri") from None
    try:
        return decode_private_key(pem, password)
    except KeystoreError as error:
        raise UsageError(f"{path}: {error}; check key.uri and key.password") from None
