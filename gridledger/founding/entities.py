"""What a chain has from the start, as its file says: zone, areas, gateways, points, and when it all begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from gridcore.master_data import Listed, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.zone import ZONE, Zone
from gridledger.founding.config import ChainConfig, GatewayConfig, MeterConfig
from gridledger.founding.local_days import calendar_of
from settlement.catalogue import contract_pin
from settlement.contracts.p2p_call_auction_1 import CONTRACT

CALENDAR: Final = "local"
YEAR_S: Final = 366 * 86_400


class Start(NamedTuple):
    """When a chain begins, UTC seconds. ledger_time_s: of its genesis; founded_s: from which its meters are up."""

    first_slot_s: int
    ledger_time_s: int
    founded_s: int


def start_of(config: ChainConfig, now_s: int) -> Start:
    """When a chain begins that is founded at ``now_s``: where its file names no first slot, with the second slot from now."""
    first_slot_s = config.timeline.first_slot_start_s
    if first_slot_s is None:
        first_slot_s = (now_s // config.timeline.slot_s + 2) * config.timeline.slot_s
    opening_s = first_slot_s - config.timeline.open_before_start_s
    founded_s = min(now_s, opening_s)
    return Start(first_slot_s, opening_s if config.clock == "simulated" else founded_s, founded_s)


def calendars_of(config: ChainConfig, start: Start) -> dict[str, Calendar]:
    """Local days and months from the first slot on."""
    last_s = start.first_slot_s + config.calendar.years * YEAR_S
    return {CALENDAR: calendar_of(config.calendar.time_zone, start.first_slot_s, last_s)}


def entities(
    config: ChainConfig, utility: str, members: Iterable[Listed], signers: Iterable[Listed], start: Start
) -> Iterator[Listed]:
    """Everything that the chain has from the start, in the order in which it is numbered.

    utility: the organisation that has points and gateways; members: the organisations; signers: theirs, with their keys.
    """
    timeline, market = config.timeline, config.market
    terms = {"reference_price_micro_per_kwh": market.reference_price_micro_per_kwh, "rationing": market.rationing}
    zone = Zone(
        contract=CONTRACT.contract_id,
        contract_pin=contract_pin(CONTRACT.contract_id),
        first_slot_start_s=start.first_slot_s,
        gate_before_start_s=timeline.gate_before_start_s,
        metering_deadline_s=timeline.metering_deadline_s,
        open_before_start_s=timeline.open_before_start_s,
        final_after_s=timeline.final_after_s,
        gap_slots_max=timeline.gap_slots_max,
        runs_follow_points=timeline.runs_follow_points or None,
        part_slots_are_measured=timeline.part_slots_are_measured or None,
        profiles_have_conditions=timeline.profiles_have_conditions or None,
        run_calendar=None if config.runs is None else config.runs.calendar.encode(),
    )
    yield from members
    yield Named(RULES, config.zone, Rules(config.prices, terms))
    yield from signers
    yield Named(ZONE, config.zone, zone)
    for area in dict.fromkeys(gateway.area for gateway in config.gateways):
        yield Named(AREA, area, Area(CALENDAR, config.zone, config.zone))
    for gateway in config.gateways:
        yield Named(GATEWAY, gateway.gateway, Gateway(utility, "software"))
        yield from (_metered_point(gateway, meter, utility, start.founded_s) for meter in gateway.meters)


def _metered_point(gateway: GatewayConfig, meter: MeterConfig, utility: str, installed_s: int) -> MeteredPoint:
    return MeteredPoint(
        number=meter.number,
        area=gateway.area,
        gateway=gateway.gateway,
        meter=meter.meter,
        point=meter.point,
        profile=meter.profile,
        role=meter.role,
        limit_wh=meter.limit_wh,
        organisation=utility,
        first_registers=(meter.first_import_wh, meter.first_export_wh),
        installed_s=installed_s,
        modulus_wh=meter.modulus_wh,
        ratio=meter.ratio,
        party=meter.party,
        trades=meter.trades,
        exchange_area=meter.exchange_area,
    )
