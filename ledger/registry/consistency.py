"""That registered rows fit together (docs/spec/registry.md): one code for genesis and for every later registration.

The rules look at an entity after all rows of a genesis, or of a transaction, stand: rows may name one another in any order.
What zones, rules and parties owe to their contract is checked by ``ledger.state.accepted_rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from gridcore.codes import Code
from gridcore.registry.area import AREA
from gridcore.registry.calendar import CALENDAR
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.installation import INSTALLATION, Installation, InstalledFrom, faults_of_history
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.zone import ROWS_MAX, ZONE
from ledger.registry.histories import Fault, Histories, Stated

DAY_S: Final = 86_400
TRADING_POINTS_MAX: Final = 16
"""Points of one party that trades: each of its bundles shows all of them."""
_OF_ORGANISATION: Final = (("organisation", ORGANISATION),)
REFERENCES: Final[Mapping[str, Sequence[tuple[str, Entity[Any]]]]] = {
    SIGNER.kind: _OF_ORGANISATION,
    GATEWAY.kind: _OF_ORGANISATION,
    AREA.kind: (("zone", ZONE), ("rules", RULES), ("calendar", CALENDAR)),
    PARTY.kind: (*_OF_ORGANISATION, ("area", AREA), ("aggregator", SIGNER)),
    POINT.kind: (("area", AREA), ("party", PARTY), ("standing_profile", STANDING_PROFILE), ("rules", RULES)),
    INSTALLATION.kind: (("point", POINT), ("gateway", GATEWAY)),
}
"""By kind: the fields that name an entity, and the kind of that entity."""
OWNED: Final[Sequence[Entity[Any]]] = (SIGNER, GATEWAY, PARTY)
"""What belongs to an organisation; those of one name belong to the same."""


def missing_references(histories: Histories, stated: Stated[Any]) -> Iterator[Fault]:
    """Entities that a row names and that are not in force from the time on from which the row holds."""
    for field, entity, name in _named(stated):
        rows = histories.of(entity, name)
        if not rows:
            yield Fault(stated, Code.REGISTRY_UNKNOWN, f"{field}: there is no row {entity.key(name)}")
        elif rows[0].from_s > stated.from_s:
            begins = f"{entity.key(name)} begins at {rows[0].from_s}, after this row at {stated.from_s}"
            yield Fault(stated, Code.REGISTRY_UNKNOWN, f"{field}: {begins}")


def _named(stated: Stated[Any]) -> Iterator[tuple[str, Entity[Any], str]]:
    """What a row names: the field, the kind of entity, its name."""
    for field, entity in REFERENCES.get(stated.key.partition("/")[0], ()):
        name = getattr(stated.record, field, None)
        if name is not None:
            yield field, entity, name
    if isinstance(stated.record, Rules):
        yield from (("series", PRICE_SERIES, name) for name in sorted(set((stated.record.series or {}).values())))


def foreign_owners(histories: Histories, stated: Stated[Any], name: str) -> Iterator[Fault]:
    """A signer, gateway or party stays with its organisation, which is that of its namesakes; a signer has roles that it may have."""
    organisation = stated.record.organisation
    for entity in OWNED:
        first = next(iter(histories.of(entity, name)), stated)
        if first.record.organisation != organisation:
            before = f"{first.record.organisation} as in the row before of it: it never changes"
            namesake = f"{first.record.organisation}, that of {first.key}, not {organisation}"
            yield Fault(
                stated, Code.NOT_PERMITTED, f"organisation is {before if first.key == stated.key else namesake}"
            )
    if isinstance(stated.record, Signer):
        owner = histories.in_force(ORGANISATION, organisation, stated.from_s)
        foreign = [role for role in stated.record.roles if owner is None or role not in owner.roles]
        if foreign:
            words = f"roles: {', '.join(foreign)} is none that the organisation {organisation} may have"
            yield Fault(stated, Code.NOT_PERMITTED, words)


def conflicts(histories: Histories, kind: str, name: str) -> Iterator[Fault]:
    """What does not fit together of one entity, all of whose references are there."""
    check = _CHECKS.get(kind)
    return check(histories, name) if check is not None else iter(())


def entities_judged(histories: Histories, kind: str, name: str) -> Iterator[tuple[str, str]]:
    """Kind and name of an entity that has new rows, and of those for which they may not fit."""
    yield kind, name
    if kind == POINT.kind:
        billed = {stated.record.party for stated in histories.of(POINT, name)}
        yield from ((PARTY.kind, party) for party in sorted(party for party in billed if party is not None))


def _conflict(stated: Stated[Any], words: str) -> Fault:
    return Fault(stated, Code.REGISTRY_CONFLICT, words)


def _changed(rows: Iterable[Stated[Any]], *fields: str) -> Iterator[Fault]:
    """Later rows of an entity that change what never changes of it."""
    for before, after in pairwise(rows):
        for field in fields:
            if getattr(before.record, field) != getattr(after.record, field):
                words = f"{field} is {getattr(before.record, field)} as in the row before of it: it never changes"
                yield _conflict(after, words)


def _zone_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """Slots begin at multiples of their length, and when the zone is there; a zone's timeline never changes."""
    rows = histories.of(ZONE, name)
    first_slot_s = rows[0].record.first_slot_start_s
    if first_slot_s % histories.slot_s:
        yield _conflict(rows[0], f"first_slot_start_s is a multiple of slot_s {histories.slot_s}, not {first_slot_s}")
    if first_slot_s < rows[0].from_s:
        yield _conflict(rows[0], f"first_slot_start_s is at least from_s {rows[0].from_s}, not {first_slot_s}")
    yield from _changed(rows, *(field for field in rows[0].record._fields if not field.startswith("contract")))


def _area_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """An area keeps its zone, and is there when the zone's slots begin: an area without points changes no slot."""
    rows = histories.of(AREA, name)
    yield from _changed(rows, "zone")
    first_slot_s = histories.of(ZONE, rows[0].record.zone)[0].record.first_slot_start_s
    if rows[0].from_s > first_slot_s:
        words = f"from_s is at most {first_slot_s}, where the slots of its zone begin, not {rows[0].from_s}"
        yield _conflict(rows[0], words)


def _calendar_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """Local days and months begin with a slot, and where the row holds."""
    for stated in histories.of(CALENDAR, name):
        for field in ("days", "months"):
            instants = getattr(stated.record, field)
            if any(instant % histories.slot_s for instant in instants):
                words = f"{field}: a local day begins with a slot; a shorter slot_s than {histories.slot_s} may fit"
                yield _conflict(stated, words)
            if instants and instants[0] < stated.from_s:
                yield _conflict(stated, f"{field} begin at from_s {stated.from_s} or later, not at {instants[0]}")


def _profile_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """A standing profile has the slots of a day of 24 hours."""
    for stated in histories.of(STANDING_PROFILE, name):
        if len(stated.record.import_wh) * histories.slot_s != DAY_S:
            slots = f"{DAY_S // histories.slot_s} slots of {histories.slot_s} s, not {len(stated.record.import_wh)}"
            yield _conflict(stated, f"import_wh has {slots}")


def _point_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """A point keeps its area; a zone has no more points than there may be. Whom it bills: see the party."""
    rows = histories.of(POINT, name)
    yield from _changed(rows, "area")
    if histories.number_of(POINT, name) >= ROWS_MAX:
        yield _conflict(rows[0], f"area: zone {histories.zone_of_point(name)} has {ROWS_MAX} points already")


def _party_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """A party's points that settle are in its area; one that trades has at least one, and no more than its bundles can show."""
    rows, points = histories.of(PARTY, name), sorted(histories.points_of_party(name))
    changes = {row.from_s for row in rows} | {row.from_s for point in points for row in histories.of(POINT, point)}
    for time_s in sorted(change for change in changes if change >= rows[0].from_s):
        stated = next(row for row in reversed(rows) if row.from_s <= time_s)
        at = [histories.in_force(POINT, point, time_s) for point in points]
        areas = [point.area for point in at if point is not None and point.party == name]
        foreign = next((area for area in areas if area != stated.record.area), None)
        if foreign is not None:
            yield _conflict(stated, f"area: at {time_s} a point of it is in area {foreign}, not {stated.record.area}")
        elif len(areas) > TRADING_POINTS_MAX and stated.record.trades:
            words = f"trades: at {time_s} it has {len(areas)} points; who trades has at most {TRADING_POINTS_MAX}"
            yield _conflict(stated, words)
        elif not areas and stated.record.trades:
            yield _conflict(stated, f"trades: at {time_s} there is no point of it in area {stated.record.area}")


def _installation_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """The rows of an installation follow one another, and one meter at a time hangs at a point."""
    rows = histories.of(INSTALLATION, name)
    for index, words in faults_of_history([InstalledFrom(row.from_s, row.record) for row in rows], histories.slot_s):
        yield _conflict(rows[index], words)
    for point in {row.record.point for row in rows}:
        yield from _meters_at(histories, point)


def _meters_at(histories: Histories, point: str) -> Iterator[Fault]:
    """More than one meter in force at a point."""
    names = sorted(histories.installations_of_point(point))
    for stated in (row for name in names for row in histories.of(INSTALLATION, name)) if len(names) > 1 else ():
        at = [histories.in_force(INSTALLATION, name, stated.from_s) for name in names]
        if sum(isinstance(record, Installation) for record in at) > 1:
            yield _conflict(stated, f"point: at {stated.from_s} another meter hangs at {POINT.key(point)}")


_CHECKS: Final[Mapping[str, Callable[[Histories, str], Iterator[Fault]]]] = {
    CALENDAR.kind: _calendar_conflicts,
    ZONE.kind: _zone_conflicts,
    AREA.kind: _area_conflicts,
    STANDING_PROFILE.kind: _profile_conflicts,
    POINT.kind: _point_conflicts,
    PARTY.kind: _party_conflicts,
    INSTALLATION.kind: _installation_conflicts,
}
"""By kind of entity, in the order in which a genesis is checked."""
JUDGED_KINDS: Final = tuple(_CHECKS)
