"""Genesis of a demonstration: the world's meters and parties as the ledger's first entries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import metadata
from typing import Final
from zoneinfo import ZoneInfo

from gridcore.genesis import Calendar, Genesis
from gridcore.master_data import Listed, MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.rules import RULES
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridledger.demo import rules
from simulators.grid.world import MeterSpec, World

TIME_ZONE = "Asia/Shanghai"
CHAIN_NAME = "gridledger-demo-"
CALENDAR = RULES_NAME = ZONE_NAME = "demo"
UTILITY: Final = "utility"
DAY_S = 86_400
ROLES: Mapping[str, list[str]] = {
    "clock": ["clock"],
    "operator": ["administrator"],
    "regulator": ["regulator"],
    "utility": ["utility"],
    "web": ["regulator"],  # the pages' own key: reads all, writes nothing
}
ORGANISATIONS: Final[Mapping[str, tuple[str, list[str]]]] = {
    "operator": ("Operator of the ledger", ["administrator", "clock"]),
    UTILITY: ("Utility", ["administrator", "gateway", "prosumer", "regulator", "utility"]),
    "regulator": ("Regulator", ["regulator"]),
}
"""Title, and the roles that signers of the organisation may have."""
ORGANISATION_OF: Final[Mapping[str, str]] = {"clock": "operator", "operator": "operator", "regulator": "regulator"}
"""The organisation of a signer, where it is not the utility."""


def build_genesis(
    world: World, public_keys: Mapping[str, bytes], pin: bytes, contract_id: str, salt_seed: bytes
) -> Genesis:
    """The genesis.

    public_keys: by signer id: ``operator`` (certifies blocks), ``clock``, ``utility``, ``regulator``, ``web`` (the pages),
    ``gateway-<n>`` for area n, and every trading party. salt_seed: 32 random bytes.
    """
    first_slot_s = int(world.slot_start_s[0])
    listed: list[Listed] = [
        Named(ORGANISATION, name, Organisation(sorted(roles), title)) for name, (title, roles) in ORGANISATIONS.items()
    ]
    listed.append(Named(RULES, RULES_NAME, rules.RULES))
    for signer, public_key in public_keys.items():
        roles = ROLES.get(signer) or (["gateway"] if signer.startswith("gateway-") else ["prosumer"])
        listed.append(Named(SIGNER, signer, Signer(ORGANISATION_OF.get(signer, UTILITY), public_key, roles)))
    zone = Zone(
        contract=contract_id,
        contract_pin=pin,
        first_slot_start_s=first_slot_s,
        gate_before_start_s=rules.GATE_BEFORE_START_S,
        metering_deadline_s=rules.METERING_DEADLINE_S,
        open_before_start_s=rules.OPEN_BEFORE_START_S,
    )
    listed.append(Named(ZONE, ZONE_NAME, zone))
    for number, area in enumerate(world.areas, 1):
        listed.append(Named(GATEWAY, gateway_of(number), Gateway(UTILITY, "software")))
        listed.append(Named(AREA, area, Area(CALENDAR, RULES_NAME, ZONE_NAME)))
    listed += [_metered_point(world, number, meter) for number, meter in enumerate(world.meters)]
    return MasterData(
        name=CHAIN_NAME,
        clock="simulated",
        ledger_time_s=first_slot_s - DAY_S,
        slot_s=rules.SLOT_S,
        certifiers=[(public_keys["operator"], 1)],
        calendars={CALENDAR: _calendar(world)},
        listed=listed,
        salt_seed=salt_seed,
    ).genesis()


def gateway_of(area_number: int) -> str:
    """The gateway of the area with this number, from 1."""
    return f"gateway-{area_number}"


def _metered_point(world: World, number: int, meter: MeterSpec) -> MeteredPoint:
    return MeteredPoint(
        number=number,
        area=meter.area,
        gateway=gateway_of(world.areas.index(meter.area) + 1),
        meter=meter.meter,
        point=f"P-{meter.meter.removeprefix('M-')}",
        profile=meter.profile,
        role=meter.role,
        limit_wh=meter.limit_wh // meter.ratio,
        organisation=UTILITY,
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
    return Calendar(days=days, months=months, tz=TIME_ZONE, tz_version=_tz_version())


def _tz_version() -> str:
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return "system"
