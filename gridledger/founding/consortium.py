"""A consortium is founded: out of one file and the requests of all its members follows one genesis, the same for whoever does it.

So nobody has to be believed: each member does it in its own folder, and all compare the chain id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge.meters import check_unique
from gridcore import cbor
from gridcore.errors import UsageError
from gridcore.genesis import BLOCK_TIME, Genesis, Thresholds
from gridcore.master_data import Listed, MasterData, Named
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.signer import SIGNER, Signer
from gridcore.serving.ports import HOST
from gridcore.sm3 import sm3
from gridcore.validator import Validator
from gridledger.founding.chain import check_founded, write_certificates
from gridledger.founding.consortium_config import ConsortiumConfig, MemberConfig
from gridledger.founding.entities import calendars_of, entities, start_of
from gridledger.founding.process_files import TLS_FOLDER, Hands, edge_table, node_table, web_table
from gridledger.founding.request import ENGINE, VALIDATOR, Request, check_request, load_request, make_request
from gridledger.toml_text import toml_lines
from ledger.engines.cometbft.home import ONE_MACHINE, HomeConfig, Timing, engine_genesis, load_keys, write_home
from ledger.store.directory import init_ledger
from ledger.trust import trust_of

ENGINE_START_S: Final = 1_767_225_600
"""Time of the engine's genesis where ledger time is not block time: 2026-01-01. The engine waits for a genesis of the future."""
LISTEN_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - other validators call it


@dataclass(frozen=True)
class Consortium:
    """A founded chain. ``requests``: in the order of the file's members; ``first_slot_start_s``: UTC seconds."""

    config: ConsortiumConfig
    requests: tuple[Request, ...]
    genesis: Genesis
    first_slot_start_s: int


def found_consortium(config: ConsortiumConfig, paths: Sequence[Path]) -> Consortium:
    """The chain of these requests. UsageError naming the file, or the members whose requests are missing."""
    by_name: dict[str, Request] = {}
    for path in paths:
        request = load_request(path)
        check_request(path, request, config)
        if by_name.setdefault(request.name, request) != request:
            raise UsageError(f"{path}: {request.name} has made another request too; ask which one counts")
    missing = [member.name for member in config.members if member.name not in by_name]
    if missing:
        raise UsageError(
            f"gridledger consortium: requests are missing of {', '.join(missing)}; every member brings one"
        )
    requests = tuple(by_name[member.name] for member in config.members)
    check_unique("requests: keys", [key.hex() for request in requests for key in _keys_of(request)])
    return _founded(config, requests)


def found_everywhere(config: ConsortiumConfig, out: Path, now_s: int) -> Consortium:
    """What all members do, in folders of ``out`` named as they are: for a consortium on one machine. now_s: UTC seconds."""
    requests = [make_request(config, member.name, out / member.name, now_s)[0] for member in config.members]
    consortium = found_consortium(config, requests)
    for member in config.members:
        take_over(consortium, member.name, out / member.name)
    return consortium


def _keys_of(request: Request) -> Iterator[bytes]:
    yield request.consensus_key
    yield request.validator
    yield from request.signers.values()


def _founded(config: ConsortiumConfig, requests: tuple[Request, ...]) -> Consortium:
    start = start_of(config, max(request.made_s for request in requests))
    pairs = list(zip(config.members, requests, strict=True))
    validators = [
        Validator(member.name, member.name, request.validator, member.power, request.consensus_key)
        for member, request in pairs
    ]
    genesis = MasterData(
        name=config.name,
        clock=config.moved_by,
        currency=config.currency,
        ledger_time_s=start.ledger_time_s,
        slot_s=config.timeline.slot_s,
        validators=validators,
        calendars=calendars_of(config, start),
        listed=list(entities(config, config.utility.name, _organisations(config), _signers(config, pairs), start)),
        salt_seed=sm3(cbor.encode([request.salt for request in requests])),
        thresholds=_thresholds(config),
    ).genesis()
    check_founded(genesis)
    return Consortium(config, requests, genesis, start.first_slot_s)


def _organisations(config: ConsortiumConfig) -> Iterator[Listed]:
    for member in config.members:
        yield Named(ORGANISATION, member.name, Organisation(member.allowed_roles, member.title))


def _signers(config: ConsortiumConfig, pairs: Sequence[tuple[MemberConfig, Request]]) -> Iterator[Listed]:
    for member, request in pairs:
        for name, roles in config.all_signer_roles(member).items():
            yield Named(SIGNER, name, Signer(member.name, request.signers[name], roles))


def _thresholds(config: ConsortiumConfig) -> Thresholds:
    majority = len(config.members) // 2 + 1
    asked = config.thresholds
    return Thresholds(
        contract=asked.contract or majority,
        protocol=asked.protocol or majority,
        registry=asked.registry,
        signers=asked.signers or majority,
    )


def engine_genesis_of(genesis: Genesis) -> bytes:
    """genesis.json of a chain's engines."""
    time_s = genesis.ledger_time_s if genesis.clock == BLOCK_TIME else ENGINE_START_S
    return engine_genesis(genesis.chain, time_s, genesis.validators)


def own_name(consortium: Consortium, own: Path) -> str:
    """Whose folder it is: its engine's key is in one of the requests. UsageError where it is in none."""
    key = load_keys(own / ENGINE).consensus_key
    for request in consortium.requests:
        if request.consensus_key == key:
            return request.name
    raise UsageError(
        f"{own}: its keys are in none of these requests; name the folder that gridledger consortium request made"
    )


def take_over(consortium: Consortium, name: str, own: Path) -> None:
    """Put the genesis into member ``name``'s folder, which ``make_request`` made, with what its processes need.

    What is there already and is the same stays, so does a configuration that was edited since. UsageError for a folder of another chain.
    """
    config, genesis = consortium.config, consortium.genesis
    member = config.member(name)
    _check_same(own / "genesis.cbor", genesis.encode())
    (own / "genesis.cbor").write_bytes(genesis.encode())
    _write_absent(own / "trust.json", json.dumps(trust_of(genesis), indent=2) + "\n")
    if member.gateways_port is not None and not (own / TLS_FOLDER).exists():
        write_certificates(config.name, member.host, config.gateway_names, own / TLS_FOLDER)
    for file, table in _tables(consortium, member).items():
        _write_absent(own / file, "\n".join(toml_lines(table)) + "\n")
    home = (own / ENGINE).resolve()
    others = [request for request in consortium.requests if request.name != name]
    engine = HomeConfig(
        moniker=name,
        abci=home / "abci.sock",
        rpc_port=member.rpc_port,
        p2p_host=HOST if member.host == HOST else LISTEN_EVERYWHERE,
        p2p_port=member.peer_port,
        peers=[f"{request.node_id}@{config.member(request.name).address}" for request in others],
        timing=ONE_MACHINE if config.is_on_one_machine else Timing(),
    )
    write_home(home, engine_genesis_of(genesis), engine)
    init_ledger(own / "ledger", genesis.encode())


def _tables(consortium: Consortium, member: MemberConfig) -> Mapping[str, dict[str, Any]]:
    config = consortium.config
    hands = Hands(VALIDATOR, f"{member.name}-clock", f"{member.name}-web")
    engine = {"kind": "cometbft", "home": ENGINE, "rpc_port": member.rpc_port}
    node = node_table(config, member.listen, hands)
    reached = member.listen
    if member.gateways_port is not None:  # whoever has no certificate of the authority is refused there
        reached = replace(reached, host=member.host)
        node["gateways"]["host"] = HOST if member.host == HOST else LISTEN_EVERYWHERE
    tables = {"node.toml": {**node, "engine": engine}, "web.toml": web_table(member.listen, hands)}
    for number, gateway in enumerate(config.gateways if member.utility else (), 1):
        tables[f"edge-{number}.toml"] = edge_table(
            config, reached, consortium.genesis.chain, gateway, number, consortium.first_slot_start_s
        )
    return tables


def _check_same(path: Path, genesis: bytes) -> None:
    if path.exists() and path.read_bytes() != genesis:
        raise UsageError(
            f"{path}: of another chain than these requests found; name another folder, or get all requests again"
        )


def _write_absent(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")
