"""What a founding file stands for: genesis and keys, and the files of the processes that will run the chain."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridcore.clock import WallClock
from gridcore.errors import EncodingError, UsageError
from gridcore.genesis import Genesis, decode_genesis
from gridcore.master_data import MasterData
from gridcore.serving.ports import HOST
from gridcore.sm import SigningKey
from gridcore.tls_certificates import issue, make_authority
from gridledger.founding.config import FoundingConfig
from gridledger.founding.entities import calendars_of, entities, start_of
from gridledger.founding.folder import save_key_and_password, take_folder, write_new
from gridledger.founding.organisations import SIGNER_ROLES, UTILITY, operator, organisations, signers
from gridledger.founding.process_files import NODE_NAME, TLS_FOLDER, Hands, edge_table, node_table, web_table
from gridledger.toml_text import toml_lines
from ledger.genesis_check import check_genesis
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS, pins

_HANDS: Final = Hands("operator", "clock", "web")


@dataclass(frozen=True)
class Founded:
    """A chain that nobody runs yet. ``trust``: its trust root (``ledger.trust``); ``keys``: private keys by signer id."""

    config: FoundingConfig
    genesis: Genesis
    trust: dict[str, Any]
    keys: dict[str, SigningKey]
    first_slot_start_s: int


def found(config: FoundingConfig, now_s: int) -> Founded:
    """Draw keys and make the genesis. ``now_s``: UTC seconds.

    UsageError when the entities do not fit together, in the words of ``node init``.
    """
    start = start_of(config, now_s)
    keys = {name: SigningKey.generate() for name in (*SIGNER_ROLES, *config.gateway_names, *config.traders())}
    public_keys = {name: key.public_key for name, key in keys.items()}
    hands = signers(public_keys, config.gateway_names)
    genesis = MasterData(
        name=config.name,
        clock=config.moved_by,
        currency=config.currency,
        ledger_time_s=start.ledger_time_s,
        slot_s=config.timeline.slot_s,
        validators=[operator(public_keys)],
        calendars=calendars_of(config, start),
        listed=list(entities(config, UTILITY, organisations(), hands, start)),
        salt_seed=secrets.token_bytes(32),
    ).genesis()
    check_founded(genesis)
    return Founded(config, genesis, trust_of(genesis), keys, start.first_slot_s)


def check_founded(genesis: Genesis) -> None:
    """Raise UsageError when what a file lists does not fit together, in the words of ``node init``."""
    try:
        check_genesis(decode_genesis(genesis.encode()), CONTRACTS, pins())
    except EncodingError as error:
        raise UsageError(str(error)) from None


def write_chain(founded: Founded, out: Path) -> Path:
    """Write everything into ``out``, which is absent or empty (else UsageError); the folder's full path."""
    out = take_folder(out, "gridledger genesis: --out")
    (out / "keys").mkdir(mode=0o700)
    for name, key in founded.keys.items():
        save_key_and_password(out / "keys", name, key)
    write_new(out / "genesis.cbor", founded.genesis.encode())
    write_new(out / "trust.json", json.dumps(founded.trust, indent=2) + "\n")
    config = founded.config
    if config.listen.gateways_port is not None:
        write_certificates(config.name, config.listen.host, config.gateway_names, out / TLS_FOLDER)
    tables = {
        "node.toml": node_table(config, config.listen, _HANDS),
        "web.toml": web_table(config.listen, _HANDS),
    }
    for number, gateway in enumerate(config.gateways, 1):
        chain, first_slot_s = founded.genesis.chain, founded.first_slot_start_s
        tables[f"edge-{number}.toml"] = edge_table(config, config.listen, chain, gateway, number, first_slot_s)
    write_tables(out, tables)
    return out


def write_certificates(chain_name: str, host: str, gateways: Iterable[str], folder: Path) -> None:
    """An authority of connections, and what it issues for the node at ``host`` and each gateway, in a new ``folder``."""
    folder.mkdir(mode=0o700)
    now_s = WallClock().now_s()
    authority = make_authority(f"{chain_name} connections", now_s, folder)
    issue(authority, NODE_NAME, sorted({host, "localhost", HOST}), now_s, folder)
    for gateway in gateways:
        issue(authority, gateway, (), now_s, folder)


def write_tables(out: Path, tables: dict[str, dict[str, Any]]) -> None:
    """Write configuration files, by name."""
    for name, table in tables.items():
        write_new(out / name, "\n".join(toml_lines(table)) + "\n")
