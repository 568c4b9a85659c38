"""Genesis of a demonstration: the world's meters and parties as the ledger's first leaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any
from zoneinfo import ZoneInfo

from gridcore.batch import FIRST_PREVIOUS
from gridcore.genesis import complete_genesis
from gridledger.demo import rules
from simulators.grid.world import MeterSpec, World

TIME_ZONE = "Asia/Shanghai"
CHAIN_NAME = "gridledger-demo-"
DAY_S = 86_400
ROLES: Mapping[str, list[str]] = {
    "clock": ["clock"],
    "operator": ["administrator"],
    "regulator": ["regulator"],
    "utility": ["utility"],
    "web": ["regulator"],  # the pages' own key: reads all, writes nothing
}


def build_genesis(world: World, public_keys: Mapping[str, bytes], pin: bytes, contract_id: str) -> dict[str, Any]:
    """The complete genesis.

    public_keys: by signer id: ``operator`` (certifies blocks), ``clock``, ``utility``, ``regulator``, ``web`` (the pages),
    ``gateway-<n>`` for area n, and every trading party.
    """
    first_slot_s = int(world.slot_start_s[0])
    start_s = first_slot_s - DAY_S
    leaves: list[list[Any]] = [
        ["chain", {"clock": "simulated", "currency": "CNY", "name": CHAIN_NAME, "slot_s": rules.SLOT_S}],
        ["time", {"ledger_time_s": start_s}],
        ["calendar/demo", _calendar(world)],
        ["rules/demo", rules.rules_leaf()],
    ]
    for signer, public_key in public_keys.items():
        roles = ROLES.get(signer) or (["gateway"] if signer.startswith("gateway-") else ["prosumer"])
        leaves.append([f"signer/{signer}", {"public_key": public_key, "roles": roles}])
    for number, area in enumerate(world.areas, 1):
        leaves += _area_leaves(area, number, first_slot_s, pin, contract_id)
    for number, meter in enumerate(world.meters):
        leaves.append([f"installation/{number}", _installation(world, number, meter)])
        if meter.party:
            party = {"area": meter.area, "meter": number, "trades": meter.party in world.traders}
            leaves.append([f"party/{meter.party}", party])
    return complete_genesis(
        {
            "clock": "simulated",
            "currency": "CNY",
            "leaves": leaves,
            "ledger_time_s": start_s,
            "name": CHAIN_NAME,
            "signers": [[public_keys["operator"], 1]],
            "slot_s": rules.SLOT_S,
            "type": "genesis",
            "version": 1,
        }
    )


def gateway_of(area_number: int) -> str:
    """The gateway of the area with this number, from 1."""
    return f"gateway-{area_number}"


def _area_leaves(area: str, number: int, first_slot_s: int, pin: bytes, contract_id: str) -> list[list[Any]]:
    gateway = {
        "counter": 0,
        "epoch": 1,
        "last": FIRST_PREVIOUS,
        "last_boundary_s": -1,
        "organisation": "utility",
        "protection": "software",
    }
    value = {
        "calendar": "demo",
        "contract": contract_id,
        "contract_pin": pin,
        "first_slot_start_s": first_slot_s,
        "rules": "demo",
    }
    progress = {"gate_slot_start_s": first_slot_s, "run_slot_start_s": first_slot_s, "untried": [], "waiting": []}
    return [[f"gateway/{gateway_of(number)}", gateway], [f"area/{area}", value], [f"progress/{area}", progress]]


def _installation(world: World, number: int, meter: MeterSpec) -> dict[str, Any]:
    value = {
        "area": meter.area,
        "from_s": int(world.slot_start_s[0]) - DAY_S,
        "gateway": gateway_of(world.areas.index(meter.area) + 1),
        "limit_wh": meter.limit_wh // meter.ratio,
        "meter": meter.meter,
        "modulus_wh": meter.modulus_wh // meter.ratio,
        "number": number,
        "point": f"P-{meter.meter.removeprefix('M-')}",
        "profile": meter.profile,
        "ratio": meter.ratio,
        "role": meter.role,
    }
    if meter.party:
        value["party"] = meter.party
    return value


def _calendar(world: World) -> dict[str, Any]:
    """Local midnights from the day before the first slot to the day after the last, and the months they lie in."""
    zone = ZoneInfo(TIME_ZONE)
    first, last = (datetime.fromtimestamp(int(world.boundary_s[index]), zone) for index in (0, -1))
    day = (first - timedelta(days=1)).replace(hour=0, minute=0, second=0)
    days = []
    while day <= last + timedelta(days=1):
        days.append(int(day.timestamp()))
        day += timedelta(days=1)
    month = first.replace(day=1, hour=0, minute=0, second=0)
    months = []
    while month <= last + timedelta(days=31):
        months.append(int(month.timestamp()))
        month = (month + timedelta(days=32)).replace(day=1)
    return {"days": days, "months": months, "tz": TIME_ZONE, "tz_version": _tz_version()}


def _tz_version() -> str:
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return "system"
