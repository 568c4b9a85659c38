"""What a founding file stands for: genesis and keys, and the files of the processes that will run the chain."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridcore.config import as_table
from gridcore.errors import EncodingError, UsageError
from gridcore.genesis import BLOCK_TIME, Genesis, decode_genesis
from gridcore.master_data import Listed, MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.zone import ZONE, Zone
from gridcore.sm import SigningKey
from gridledger.founding.config import FoundingConfig, GatewayConfig, MeterConfig
from gridledger.founding.folder import save_key_and_password, take_folder, write_new
from gridledger.founding.local_days import calendar_of
from gridledger.founding.organisations import SIGNER_ROLES, UTILITY, operator, organisations, signers
from gridledger.toml_text import toml_lines
from ledger.genesis_check import check_genesis
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS, contract_pin, pins
from settlement.contracts.p2p_call_auction_1 import CONTRACT

CALENDAR: Final = "local"
YEAR_S: Final = 366 * 86_400
_READ: Final = ("number", "meter", "line", "unit_id", "profile", "limit_wh")
"""What an agent needs to know of a meter."""


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
    first_slot_s = config.timeline.first_slot_start_s
    if first_slot_s is None:
        first_slot_s = (now_s // config.timeline.slot_s + 2) * config.timeline.slot_s
    keys = {name: SigningKey.generate() for name in (*SIGNER_ROLES, *config.gateway_names, *config.traders())}
    public_keys = {name: key.public_key for name, key in keys.items()}
    opening_s = first_slot_s - config.timeline.open_before_start_s
    last_s = first_slot_s + config.calendar.years * YEAR_S
    founded_s = min(now_s, opening_s)
    genesis = MasterData(
        name=config.name,
        clock="block" if config.clock == BLOCK_TIME else "simulated",
        currency=config.currency,
        ledger_time_s=opening_s if config.clock == "simulated" else founded_s,
        slot_s=config.timeline.slot_s,
        validators=[operator(public_keys)],
        calendars={CALENDAR: calendar_of(config.calendar.time_zone, first_slot_s, last_s)},
        listed=list(_entities(config, public_keys, first_slot_s, founded_s)),
        salt_seed=secrets.token_bytes(32),
    ).genesis()
    try:
        check_genesis(decode_genesis(genesis.encode()), CONTRACTS, pins())
    except EncodingError as error:
        raise UsageError(str(error)) from None
    return Founded(config, genesis, trust_of(genesis), keys, first_slot_s)


def write_chain(founded: Founded, out: Path) -> Path:
    """Write everything into ``out``, which is absent or empty (else UsageError); the folder's full path."""
    out = take_folder(out, "gridledger genesis: --out")
    (out / "keys").mkdir(mode=0o700)
    for name, key in founded.keys.items():
        save_key_and_password(out / "keys", name, key)
    write_new(out / "genesis.cbor", founded.genesis.encode())
    write_new(out / "trust.json", json.dumps(founded.trust, indent=2) + "\n")
    tables = {"node.toml": _node(founded.config), "web.toml": _web(founded.config)}
    for number, gateway in enumerate(founded.config.gateways, 1):
        tables[f"edge-{number}.toml"] = _edge(founded, gateway, number)
    for name, table in tables.items():
        write_new(out / name, "\n".join(toml_lines(table)) + "\n")
    return out


def _entities(
    config: FoundingConfig, public_keys: dict[str, bytes], first_slot_s: int, founded_s: int
) -> Iterator[Listed]:
    """Everything that the chain has from the start, in the order in which it is numbered."""
    timeline, market = config.timeline, config.market
    terms = {"reference_price_micro_per_kwh": market.reference_price_micro_per_kwh, "rationing": market.rationing}
    zone = Zone(
        contract=CONTRACT.contract_id,
        contract_pin=contract_pin(CONTRACT.contract_id),
        first_slot_start_s=first_slot_s,
        gate_before_start_s=timeline.gate_before_start_s,
        metering_deadline_s=timeline.metering_deadline_s,
        open_before_start_s=timeline.open_before_start_s,
        final_after_s=timeline.final_after_s,
    )
    yield from organisations()
    yield Named(RULES, config.zone, Rules(config.prices, terms))
    yield from signers(public_keys, config.gateway_names)
    yield Named(ZONE, config.zone, zone)
    for area in dict.fromkeys(gateway.area for gateway in config.gateways):
        yield Named(AREA, area, Area(CALENDAR, config.zone, config.zone))
    for gateway in config.gateways:
        yield Named(GATEWAY, gateway.gateway, Gateway(UTILITY, "software"))
        yield from (_metered_point(gateway, meter, founded_s) for meter in gateway.meters)


def _metered_point(gateway: GatewayConfig, meter: MeterConfig, installed_s: int) -> MeteredPoint:
    return MeteredPoint(
        number=meter.number,
        area=gateway.area,
        gateway=gateway.gateway,
        meter=meter.meter,
        point=meter.point,
        profile=meter.profile,
        role=meter.role,
        limit_wh=meter.limit_wh,
        organisation=UTILITY,
        first_registers=(meter.first_import_wh, meter.first_export_wh),
        installed_s=installed_s,
        modulus_wh=meter.modulus_wh,
        ratio=meter.ratio,
        party=meter.party,
        trades=meter.trades,
    )


def _key(name: str) -> dict[str, object]:
    return {"uri": f"file:keys/{name}.pem", "password": f"file:keys/{name}.password"}


def _node_url(config: FoundingConfig) -> str:
    return f"http://{config.listen.host}:{config.listen.node_port}"


def _node(config: FoundingConfig) -> dict[str, Any]:
    """``ledger.config``."""
    listen = {"host": config.listen.host, "port": config.listen.node_port}
    table = {"data_dir": "ledger", "listen": listen, "key": _key("operator")}
    return {**table, "clock_key": {"signer": "clock", **_key("clock")}} if config.clock == BLOCK_TIME else table


def _web(config: FoundingConfig) -> dict[str, Any]:
    """``gridledger.serving``."""
    listen = {"host": config.listen.host, "port": config.listen.pages_port}
    return {
        "node": _node_url(config),
        "key": {"signer": "web", **_key("web")},
        "web": {"trust": "trust.json", "users": "users.db", "listen": listen},
        "series": {"path": "series.db"},
    }


def _edge(founded: Founded, gateway: GatewayConfig, number: int) -> dict[str, Any]:
    """``edge.config``."""
    key = _key(gateway.gateway)
    return {
        "gateway": gateway.gateway,
        "chain": founded.genesis.chain,
        "node": _node_url(founded.config),
        "trust": "trust.json",
        "key": key["uri"],
        "key_password": key["password"],
        "outbox": f"edge-{number}.outbox",
        "clock": "wall" if founded.config.clock == BLOCK_TIME else "ledger",
        "first_boundary_s": founded.first_slot_start_s,
        "sampling": {"slot_s": founded.config.timeline.slot_s},
        "lines": [as_table(line) for line in gateway.lines],
        "meters": [{key: getattr(meter, key) for key in _READ} for meter in gateway.meters],
    }
