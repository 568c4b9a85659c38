"""The registry of a genesis: that its rows fit together, and that its contracts find no fault with them
(docs/spec/registry.md).

``gridcore.genesis.decode_genesis`` checks all the rest of the file; this module checks what the state machine relies
on without looking again. The first thing that is wrong ends in one line that names the row, the field and what would
be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from gridcore.errors import UsageError
from gridcore.genesis import Genesis
from gridcore.registry.area import AREA
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.installation import INSTALLATION, Installation, InstalledFrom, faults_of_history
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.zone import ROWS_MAX, ZONE
from ledger.contract import Contract
from ledger.genesis_rows import GenesisRows, Stated
from ledger.state.contracts import contract_terms

DAY_S: Final = 86_400
_WITH_SIGNER: Final[tuple[Entity[Any], ...]] = (GATEWAY, PARTY)
"""What has the signer of the same name."""
_OWNED: Final[tuple[Entity[Any], ...]] = (SIGNER, *_WITH_SIGNER)


def check_genesis(
    genesis: Genesis, contracts: Mapping[str, Contract] | None = None, pins: Mapping[str, bytes] | None = None
) -> None:
    """Raise UsageError unless every registry row has its form and all references between rows hold.

    contracts: those that this node has, by id; None leaves unchecked what zones, rules and parties owe to their
    contract. pins: of their code, 32 bytes, by id; None: unchecked.
    """
    rows = GenesisRows(genesis.registry)
    organisations = len(rows.names(ORGANISATION))
    for name, count in genesis.thresholds._asdict().items():
        if count > organisations:
            raise UsageError(f"genesis: thresholds.{name} is at most {organisations}, the number of organisations")
    _check_calendars(genesis)
    _check_organisations(rows)
    _check_zones(rows, genesis)
    for _, area in rows.each(AREA):
        rows.check_reference(area, "zone", ZONE, area.record.zone)
        rows.check_reference(area, "rules", RULES, area.record.rules)
        if area.record.calendar not in genesis.calendars:
            area.fail(f"calendar: there is no calendar {area.record.calendar} in this genesis")
    _check_areas(rows)
    for _, party in rows.each(PARTY):
        rows.check_reference(party, "area", AREA, party.record.area)
    for _, point in rows.each(POINT):
        rows.check_reference(point, "area", AREA, point.record.area)
        if point.record.party is not None:
            rows.check_reference(point, "party", PARTY, point.record.party)
        if point.record.standing_profile is not None:
            rows.check_reference(point, "standing_profile", STANDING_PROFILE, point.record.standing_profile)
    _check_profiles(rows, genesis.slot_s)
    _check_points(rows)
    _check_parties(rows)
    _check_installations(rows, genesis.slot_s)
    if contracts is not None:
        _check_contracts(rows, contracts)
    if pins is not None:
        _check_pins(rows, pins)


def _check_calendars(genesis: Genesis) -> None:
    for name, calendar in genesis.calendars.items():
        if any(instant % genesis.slot_s for instant in (*calendar.days, *calendar.months)):
            raise UsageError(
                f"genesis: calendars.{name}: a local day begins with a slot; choose a shorter slot_s than {genesis.slot_s}"
            )


def _check_constant(rows: Iterable[Stated[Any]], *fields: str) -> None:
    """Fail where a later row of an entity changes what never changes of it."""
    for before, after in pairwise(rows):
        for field in fields:
            if getattr(before.record, field) != getattr(after.record, field):
                after.fail(f"{field} is {getattr(before.record, field)} as in the row before of it: it never changes")


def _check_organisations(rows: GenesisRows) -> None:
    """Signers, gateways and parties are of organisations, for ever; a signer has roles that its organisation may have."""
    for entity in _OWNED:
        for name in rows.names(entity):
            _check_constant(rows.of(entity, name), "organisation")
        for _, stated in rows.each(entity):
            rows.check_reference(stated, "organisation", ORGANISATION, stated.record.organisation)
    for name, signer in rows.each(SIGNER):
        organisation = signer.record.organisation
        for entity in _WITH_SIGNER:
            for other in rows.of(entity, name)[:1]:
                if other.record.organisation != organisation:
                    signer.fail(f"organisation is {other.record.organisation}, that of {other.key}, not {organisation}")
        if isinstance(signer.record, Signer):
            owner = rows.in_force(ORGANISATION, organisation, signer.from_s)
            foreign = [role for role in signer.record.roles if owner is None or role not in owner.roles]
            if foreign:
                signer.fail(f"roles: {', '.join(foreign)} is none that the organisation {organisation} may have")


def _check_zones(rows: GenesisRows, genesis: Genesis) -> None:
    """Slots begin at multiples of their length; a zone's timeline never changes, and it has no more rows than there may be."""
    counts: dict[str, int] = {}
    for _, zone in rows.each(ZONE):
        if zone.record.first_slot_start_s % genesis.slot_s:
            zone.fail(
                f"first_slot_start_s is a multiple of slot_s {genesis.slot_s}, not {zone.record.first_slot_start_s}"
            )
    for name in rows.names(ZONE):
        timeline = [field for field in rows.of(ZONE, name)[0].record._fields if not field.startswith("contract")]
        _check_constant(rows.of(ZONE, name), *timeline)
    for name in rows.names(POINT):
        point = rows.of(POINT, name)[0]
        area = rows.of(AREA, point.record.area)
        zone_name = area[0].record.zone if area else ""
        counts[zone_name] = counts.get(zone_name, 0) + 1
        if counts[zone_name] > ROWS_MAX:
            point.fail(f"area: zone {zone_name} has {ROWS_MAX} points already")


def _check_areas(rows: GenesisRows) -> None:
    """An area keeps its zone, and is there when the zone's slots begin."""
    for name in rows.names(AREA):
        own = rows.of(AREA, name)
        _check_constant(own, "zone")
        first_slot_s = rows.of(ZONE, own[0].record.zone)[0].record.first_slot_start_s
        if own[0].from_s > first_slot_s:
            own[0].fail(f"from_s is at most {first_slot_s}, where the slots of its zone begin, not {own[0].from_s}")


def _check_profiles(rows: GenesisRows, slot_s: int) -> None:
    """A standing profile has the slots of a day of 24 hours."""
    for _, profile in rows.each(STANDING_PROFILE):
        if len(profile.record.import_wh) * slot_s != DAY_S:
            profile.fail(f"import_wh has {DAY_S // slot_s} slots of {slot_s} s, not {len(profile.record.import_wh)}")


def _check_points(rows: GenesisRows) -> None:
    """A point keeps its area; who is billed there is of the same area."""
    for name in rows.names(POINT):
        _check_constant(rows.of(POINT, name), "area")
    for _, point in rows.each(POINT):
        if point.record.party is not None:
            party = rows.in_force(PARTY, point.record.party, point.from_s)
            if party is None or party.area != point.record.area:
                point.fail(f"party: {PARTY.key(point.record.party)} is not of area {point.record.area}")


def _check_parties(rows: GenesisRows) -> None:
    """At any time a party has at most one point that settles, and one that trades has one in its area."""
    points_of: dict[str, set[str]] = {}
    for name, point in rows.each(POINT):
        if point.record.party is not None:
            points_of.setdefault(point.record.party, set()).add(name)
    for name, party in rows.each(PARTY):
        points = sorted(points_of.get(name, ()))
        changes = {row.from_s for row in rows.of(PARTY, name)} | {
            row.from_s for point in points for row in rows.of(POINT, point)
        }
        for time_s in sorted(change for change in changes if change >= party.from_s):
            now, billed = rows.in_force(PARTY, name, time_s), []
            for point_name in points:
                at = rows.in_force(POINT, point_name, time_s)
                billed += [at] if at is not None and at.party == name else []
            if len(billed) > 1:
                party.fail(f"at {time_s} it has {len(billed)} points; a party has one point that settles")
            if now is not None and now.trades and [point.area for point in billed] != [now.area]:
                party.fail(f"trades: at {time_s} there is no point of it in area {now.area}")


def _check_installations(rows: GenesisRows, slot_s: int) -> None:
    """A meter hangs at one point until it is removed; one meter at a time."""
    by_point: dict[str, list[str]] = {}
    for name in rows.names(INSTALLATION):
        own = rows.of(INSTALLATION, name)
        for index, fault in faults_of_history([InstalledFrom(row.from_s, row.record) for row in own], slot_s):
            own[index].fail(fault)
        by_point.setdefault(own[0].record.point, []).append(name)
    for _, stated in rows.each(INSTALLATION):
        rows.check_reference(stated, "point", POINT, stated.record.point)
        if isinstance(stated.record, Installation):
            rows.check_reference(stated, "gateway", GATEWAY, stated.record.gateway)
    for point, names in by_point.items():
        for stated in (row for name in names for row in rows.of(INSTALLATION, name)) if len(names) > 1 else ():
            at = [rows.in_force(INSTALLATION, name, stated.from_s) for name in names]
            if sum(isinstance(record, Installation) for record in at) > 1:
                stated.fail(f"point: at {stated.from_s} another meter hangs at {POINT.key(point)}")


def _check_contracts(rows: GenesisRows, contracts: Mapping[str, Contract]) -> None:
    """Each zone's contracts are ones that this node has, and find no fault with the rules and parties of the zone's areas."""
    contracts_of: dict[str, dict[str, Contract]] = {}
    for name, zone in rows.each(ZONE):
        found = contracts.get(zone.record.contract)
        if found is None:
            known = ", ".join(sorted(contracts)) or "none"
            zone.fail(f"contract {zone.record.contract!r} is not in this node; it has {known}")
        contracts_of.setdefault(name, {})[found.contract_id] = found
    pairs = {(a.record.rules, a.record.zone) for _, a in rows.each(AREA)}
    for rules_name, zone_name in sorted(pairs):
        for rules in rows.of(RULES, rules_name):
            for contract in contracts_of[zone_name].values():
                fault = contract.fault_of(contract_terms(rules.record))
                if fault:
                    rules.fail(f"under {contract.contract_id}: {fault}")
    for name, party in rows.each(PARTY):
        for contract in contracts_of[rows.of(AREA, party.record.area)[0].record.zone].values():
            if name in contract.accounts:
                party.fail(f"has the name of a counter-account; {', '.join(contract.accounts)} are taken")


def _check_pins(rows: GenesisRows, pins: Mapping[str, bytes]) -> None:
    for _, zone in rows.each(ZONE):
        ours, theirs = pins.get(zone.record.contract, b"").hex(), zone.record.contract_pin.hex()
        if ours != theirs:
            zone.fail(f"contract_pin of {zone.record.contract} is {ours} in this node, not {theirs}")
