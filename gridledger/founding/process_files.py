"""Configuration files of the processes that run a founded chain: node, pages, agents."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gridcore.config import as_table
from gridcore.genesis import BLOCK_TIME
from gridledger.founding.config import ChainConfig, GatewayConfig, ListenConfig, MeterConfig

TLS_FOLDER: Final = "tls"
"""Certificates of connections, where gateways come in by mutual TLS."""
NODE_NAME: Final = "node"
_READ: Final = ("number", "meter", "line", "unit_id", "address", "profile", "limit_wh")
"""What an agent needs to know of a meter, as far as it is given."""


class Hands(NamedTuple):
    """Keys that processes use: files in ``keys/``, without ending. certifier: signs headers; clock, web: signer ids."""

    certifier: str
    clock: str
    web: str


def node_table(config: ChainConfig, listen: ListenConfig, hands: Hands) -> dict[str, Any]:
    """``ledger.config``."""
    table: dict[str, Any] = {
        "data_dir": "ledger",
        "listen": {"host": listen.host, "port": listen.node_port},
        "key": _key(hands.certifier),
    }
    if listen.gateways_port is not None:
        table["gateways"] = {
            "host": listen.host,
            "port": listen.gateways_port,
            "certificate": f"{TLS_FOLDER}/{NODE_NAME}.crt",
            "certificate_key": f"{TLS_FOLDER}/{NODE_NAME}.key",
            "client_authority": f"{TLS_FOLDER}/authority.crt",
        }
    if config.clock != BLOCK_TIME:
        return table
    return {**table, "clock_key": {"signer": hands.clock, **_key(hands.clock)}}


def web_table(listen: ListenConfig, hands: Hands) -> dict[str, Any]:
    """``gridledger.serving``."""
    return {
        "node": _node_url(listen),
        "key": {"signer": hands.web, **_key(hands.web)},
        "web": {
            "trust": "trust.json",
            "users": "users.db",
            "listen": {"host": listen.host, "port": listen.pages_port},
        },
        "series": {"path": "series.db"},
        "replay": {"archive": "archive", "folder": "replica", "ledger": "ledger"},
    }


def edge_table(
    config: ChainConfig, listen: ListenConfig, chain: str, gateway: GatewayConfig, number: int, first_slot_s: int
) -> dict[str, Any]:
    """``edge.config`` of a gateway. number: of its outbox, from 1."""
    key, name = _key(gateway.gateway), gateway.gateway
    node: dict[str, Any] = {"node": _node_url(listen)}
    if listen.gateways_port is not None:
        node = {
            "node": f"https://{listen.host}:{listen.gateways_port}",
            "node_authority": f"{TLS_FOLDER}/authority.crt",
            "node_certificate": f"{TLS_FOLDER}/{name}.crt",
            "node_certificate_key": f"{TLS_FOLDER}/{name}.key",
        }
    return {
        "gateway": name,
        "chain": chain,
        **node,
        "trust": "trust.json",
        "key": key["uri"],
        "key_password": key["password"],
        "outbox": f"edge-{number}.outbox",
        "clock": "wall" if config.clock == BLOCK_TIME else "ledger",
        "first_boundary_s": first_slot_s,
        "sampling": {"slot_s": config.timeline.slot_s},
        "lines": [as_table(line) for line in gateway.lines],
        "meters": [_read_table(meter) for meter in gateway.meters],
    }


def _read_table(meter: MeterConfig) -> dict[str, Any]:
    found = {key: getattr(meter, key) for key in _READ}
    return {key: value for key, value in found.items() if value is not None}


def _key(name: str) -> dict[str, object]:
    return {"uri": f"file:keys/{name}.pem", "password": f"file:keys/{name}.password"}


def _node_url(listen: ListenConfig) -> str:
    return f"http://{listen.host}:{listen.node_port}"
