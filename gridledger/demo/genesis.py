"""Genesis of a demonstration: the world's meters and parties as the ledger's first entries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any
from zoneinfo import ZoneInfo

from gridledger.demo import rules
from ledger.master_data import Area, Calendar, Entry, Gateway, Installation, MasterData, Signer
from simulators.grid.world import MeterSpec, World

TIME_ZONE = "Asia/Shanghai"
CHAIN_NAME = "gridledger-demo-"
CALENDAR = "demo"
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
    entries: list[Entry] = [_calendar(world), rules.RULES]
    for signer, public_key in public_keys.items():
        roles = ROLES.get(signer) or (["gateway"] if signer.startswith("gateway-") else ["prosumer"])
        entries.append(Signer(name=signer, public_key=public_key, roles=roles))
    for number, area in enumerate(world.areas, 1):
        entries.append(Gateway(name=gateway_of(number), organisation="utility"))
        entries.append(
            Area(
                name=area,
                contract=contract_id,
                contract_pin=pin,
                first_slot_start_s=first_slot_s,
                calendar=CALENDAR,
                rules=rules.RULES.name,
            )
        )
    entries += [_installation(world, number, meter) for number, meter in enumerate(world.meters)]
    return MasterData(
        name=CHAIN_NAME,
        clock="simulated",
        ledger_time_s=first_slot_s - DAY_S,
        slot_s=rules.SLOT_S,
        certifiers=[(public_keys["operator"], 1)],
        entries=entries,
    ).genesis()


def gateway_of(area_number: int) -> str:
    """The gateway of the area with this number, from 1."""
    return f"gateway-{area_number}"


def _installation(world: World, number: int, meter: MeterSpec) -> Installation:
    return Installation(
        number=number,
        area=meter.area,
        gateway=gateway_of(world.areas.index(meter.area) + 1),
        meter=meter.meter,
        point=f"P-{meter.meter.removeprefix('M-')}",
        profile=meter.profile,
        role=meter.role,
        limit_wh=meter.limit_wh // meter.ratio,
        from_s=int(world.slot_start_s[0]) - DAY_S,
        modulus_wh=meter.modulus_wh // meter.ratio,
        ratio=meter.ratio,
        party=meter.party or None,
        trades=meter.party in world.traders,
    )


def _calendar(world: World) -> Calendar:
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
    return Calendar(name=CALENDAR, days=days, months=months, tz=TIME_ZONE, tz_version=_tz_version())


def _tz_version() -> str:
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return "system"
