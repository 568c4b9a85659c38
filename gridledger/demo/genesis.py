"""Genesis of a demonstration: the world's meters and parties as the ledger's first entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridcore.genesis import Genesis
from gridcore.master_data import Listed, MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.rules import RULES
from gridcore.registry.zone import ZONE, Zone
from gridcore.validator import Validator
from gridledger.demo.rules import rules_of
from gridledger.founding.local_days import calendar_of
from gridledger.founding.organisations import UTILITY, organisations, signers
from simulators.grid.metering import MeterSpec
from simulators.grid.world import World
from simulators.scenarios.schema import SLOT_S

CHAIN_NAME = "gridledger-demo-"
CALENDAR = RULES_NAME = ZONE_NAME = "demo"
DAY_S = 86_400


def build_genesis(
    world: World,
    public_keys: Mapping[str, bytes],
    validators: Sequence[Validator],
    members: Sequence[Listed],
    *,
    pin: bytes,
    contract_id: str,
    salt_seed: bytes,
) -> Genesis:
    """The genesis. validators: who certifies blocks; members: organisations besides those of every demonstration.

    public_keys: by signer id: ``operator``, ``clock``, ``utility``, ``regulator``, ``web`` (the pages),
    ``gateway-<n>`` for area n, and every trading party. salt_seed: 32 random bytes.
    """
    scenario, first_slot_s = world.scenario, int(world.slot_start_s[0])
    gateways = [gateway_of(number) for number in range(1, len(world.areas) + 1)]
    listed = [
        *organisations(),
        *members,
        Named(RULES, RULES_NAME, rules_of(scenario.tariff)),
        *signers(public_keys, gateways),
    ]
    zone = Zone(
        contract=contract_id,
        contract_pin=pin,
        first_slot_start_s=first_slot_s,
        gate_before_start_s=scenario.timeline.gate_before_start_s,
        metering_deadline_s=scenario.timeline.metering_deadline_s,
        correction_after_s=scenario.timeline.metering_deadline_s,
        open_before_start_s=scenario.timeline.open_before_start_s,
    )
    listed.append(Named(ZONE, ZONE_NAME, zone))
    for gateway, area in zip(gateways, world.areas, strict=True):
        listed.append(Named(GATEWAY, gateway, Gateway(UTILITY, "software")))
        listed.append(Named(AREA, area, Area(CALENDAR, RULES_NAME, ZONE_NAME)))
    listed += [_metered_point(world, number, meter) for number, meter in enumerate(world.meters)]
    return MasterData(
        name=CHAIN_NAME,
        clock="simulated",
        ledger_time_s=first_slot_s - DAY_S,
        slot_s=SLOT_S,
        validators=validators,
        calendars={
            CALENDAR: calendar_of(scenario.calendar.time_zone, int(world.boundary_s[0]), int(world.boundary_s[-1]))
        },
        listed=listed,
        salt_seed=salt_seed,
    ).genesis()


def gateway_of(area_number: int) -> str:
    """The gateway of the area with this number, from 1."""
    return f"gateway-{area_number}"


def _metered_point(world: World, number: int, meter: MeterSpec) -> MeteredPoint:
    """A meter that is put up, showing its registers of that moment, when the first slot begins."""
    resolution_wh = meter.resolution_wh // meter.ratio
    first_import_wh, first_export_wh = (
        start_wh // meter.ratio // resolution_wh * resolution_wh
        for start_wh in (meter.start_import_wh, meter.start_export_wh)
    )
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
        first_registers=(first_import_wh, first_export_wh),
        installed_s=int(world.slot_start_s[0]),
        modulus_wh=meter.modulus_wh // meter.ratio,
        ratio=meter.ratio,
        party=meter.party or None,
        trades=meter.party in world.traders,
    )
