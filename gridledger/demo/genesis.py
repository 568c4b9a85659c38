"""Genesis of a demonstration: the world's meters and parties as the ledger's first entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gridcore.genesis import Genesis
from gridcore.master_data import Listed, MasterData, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.grid_connection import GRID_CONNECTION, GridConnection
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.zone import ZONE, Zone
from gridcore.validator import Validator
from gridledger.demo.prepare import BEGINS_BEFORE_S
from gridledger.founding.local_days import calendar_of
from gridledger.founding.organisations import UTILITY, organisations, signers
from gridledger.settling.chain.agreements import agreement_rows
from gridledger.settling.chain.balance import balance_rows
from gridledger.settling.chain.points import histories_of, keys_of, party_rows
from gridledger.settling.chain.prices import points_with_prices, rules_of_area, rules_rows
from gridledger.settling.chain.reactive import reactive_rows
from gridledger.settling.chain.tariffs import tariff_rows
from gridledger.settling.dataset import AgreementRow, Dataset, FileRules, PointRow
from settlement.catalogue import CONTRACTS, contract_pin
from simulators.grid.metering import MeterSpec
from simulators.grid.world import World
from simulators.scenarios.schema import SLOT_S, Timeline

CHAIN_NAME = "gridledger-demo-"
CALENDAR = ZONE_NAME = "demo"
CORRECTION_AFTER_S: Final = 1
"""A correction waits for the next step of the clock: all that a boundary brought is posted at once, whichever block held it."""


def build_genesis(
    world: World,
    public_keys: Mapping[str, bytes],
    validators: Sequence[Validator],
    members: Sequence[Listed],
    terms: Dataset,
    *,
    salt_seed: bytes,
) -> Genesis:
    """The genesis. validators: who certifies blocks; members: organisations besides those of every demonstration;
    terms: what the world is settled by, as ``terms_of`` says.

    public_keys: by signer id: ``operator``, ``clock``, ``utility``, ``regulator``, ``web`` (the pages),
    ``gateway-<n>`` for area n, and every trading party. salt_seed: 32 random bytes.
    """
    scenario, first_slot_s = world.scenario, int(world.slot_start_s[0])
    gateways = [gateway_of(number) for number in range(1, len(world.areas) + 1)]
    listed = [
        *organisations(),
        *members,
        *rules_rows(terms),
        *(tariff_rows(terms) if has_tariff(world) else ()),
        *signers(public_keys, gateways),
    ]
    rules = terms.rules
    listed.append(Named(ZONE, ZONE_NAME, _zone(scenario.timeline, rules, first_slot_s)))
    for gateway, area in zip(gateways, world.areas, strict=True):
        listed.append(Named(GATEWAY, gateway, Gateway(UTILITY, "software")))
        listed.append(Named(AREA, area, Area(CALENDAR, rules_of_area(terms, area), ZONE_NAME)))
    said = _Said(terms, world)
    for number, meter in enumerate(world.meters):
        listed += _metered_point(world, said, number, meter)
    listed += agreement_rows(terms._replace(agreements=[_of_points(row) for row in terms.agreements]))
    listed += balance_rows(terms)
    listed += [named._replace(name=point_of(named.name)) for named in reactive_rows(terms)]
    calendar = calendar_of(scenario.calendar.time_zone, first_slot_s, int(world.boundary_s[-1]))
    if CONTRACTS[rules.contract].period_columns:  # it settles by the month, and closes what there is of the last one
        calendar = calendar._replace(months=sorted({*calendar.months, int(world.boundary_s[-1])}))
    return MasterData(
        name=CHAIN_NAME,
        clock="simulated",
        ledger_time_s=first_slot_s - BEGINS_BEFORE_S,
        slot_s=SLOT_S,
        validators=validators,
        calendars={CALENDAR: calendar},
        listed=listed,
        currency=rules.invoice.currency,
        salt_seed=salt_seed,
    ).genesis()


def _zone(timeline: Timeline, rules: FileRules, first_slot_s: int) -> Zone:
    """The one zone. timeline: of the scenario; first_slot_s: UTC seconds."""
    runs = rules.runs
    return Zone(
        contract=rules.contract,
        contract_pin=contract_pin(rules.contract),
        first_slot_start_s=first_slot_s,
        gate_before_start_s=rules.gate_before_start_s,
        metering_deadline_s=rules.metering_deadline_s,
        correction_after_s=CORRECTION_AFTER_S if runs is None else None,
        final_after_s=None if runs is None else runs.final_after_s,
        run_calendar=None if runs is None else runs.calendar.encode(),
        open_before_start_s=timeline.open_before_start_s,
        gap_slots_max=timeline.gap_slots_max,
        runs_follow_points=True,
        part_slots_are_measured=True,
        profiles_have_conditions=True,
    )


def gateway_of(area_number: int) -> str:
    """The gateway of the area with this number, from 1."""
    return f"gateway-{area_number}"


def point_of(meter: str) -> str:
    """The point at which a meter of the world hangs."""
    return f"P-{meter.removeprefix('M-')}"


def has_tariff(world: World) -> bool:
    """Whether what parties are charged by the month is registered: rules of files say how they are invoiced."""
    return world.scenario.tariff.rules is not None


class _Said:
    """What terms say of points, by the names of their meters.

    trading: parties that may order, nobody where points move and the contract takes no orders: whoever trades has a point at all times.
    end_s: where runs have dates ledger time goes on behind the last slot, where nothing is measured: from then on nobody is billed or trades.
    """

    def __init__(self, terms: Dataset, world: World) -> None:
        self.terms = terms
        moves = any(point.later for point in terms.points)
        takes_orders = CONTRACTS[terms.rules.contract].takes_orders
        self.trading = world.traders if takes_orders or not moves else ()
        self.end_s = None if terms.rules.runs is None else int(world.boundary_s[-1])
        self._points = {point.point: point for point in terms.points}
        self._keys = keys_of(terms)
        self._with_prices = points_with_prices(terms)

    def of(self, meter: MeterSpec) -> PointRow | None:
        """The point at which a meter bills somebody; None for a feeder."""
        return self._points.get(meter.meter)

    def entries_of(self, point: PointRow) -> Iterator[tuple[int, Point]]:
        """See ``histories_of``."""
        entries = histories_of(point, self._keys.get(point.point, []), self._with_prices)
        if self.end_s is None:
            return entries
        before = [entry for entry in entries if entry[0] < self.end_s]
        return iter([*before, (self.end_s, before[-1][1]._replace(party=None))])


def _metered_point(world: World, said: _Said, number: int, meter: MeterSpec) -> Iterator[Listed]:
    """A meter that is put up, showing its registers of that moment, when the first slot begins."""
    point, name = said.of(meter), point_of(meter.meter)
    if point is None or point.is_border:
        yield Named(POINT, name, Point(meter.area, meter.role, None))
    else:
        yield from _party(world, said, point)
        for from_s, record in said.entries_of(point):
            yield Named(POINT, name, record._replace(role=meter.role), from_s)
        if point.voltage_level is not None:
            yield Named(GRID_CONNECTION, name, GridConnection(point.voltage_level))
    resolution_wh = meter.resolution_wh // meter.ratio
    first_import_wh, first_export_wh = (
        start_wh // meter.ratio // resolution_wh * resolution_wh
        for start_wh in (meter.start_import_wh, meter.start_export_wh)
    )
    installation = Installation(
        gateway=gateway_of(world.areas.index(meter.area) + 1),
        limit_wh=meter.limit_wh // meter.ratio,
        meter=meter.meter,
        modulus_wh=meter.modulus_wh // meter.ratio,
        point=name,
        profile=meter.profile,
        ratio=meter.ratio,
        first_registers=[first_import_wh, first_export_wh],
    )
    yield Named(INSTALLATION, str(number), installation, int(world.slot_start_s[0]))


def _party(world: World, said: _Said, point: PointRow) -> Iterator[Listed]:
    if not has_tariff(world):
        yield Named(PARTY, point.party, Party(point.area, UTILITY, point.party in world.traders))
        return
    rows = list(party_rows(said.terms, point, said.trading, None, UTILITY))
    yield from rows
    if said.end_s is not None and rows[-1].record.trades:
        yield Named(PARTY, point.party, rows[-1].record._replace(trades=False), said.end_s)


def _of_points(row: AgreementRow) -> AgreementRow:
    """An agreement, of which the scenario's files name the meters, between their points."""
    seller, buyer = (point_of(meter) for meter in (row.agreement.seller_point, row.agreement.buyer_point))
    return row._replace(agreement=row.agreement._replace(seller_point=seller, buyer_point=buyer))
