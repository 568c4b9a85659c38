"""That registered rows fit together (docs/spec/registry.md): one code for genesis and for every later registration.

The rules look at an entity after all rows of a genesis, or of a transaction, stand: rows may name one another in any order.
What zones, rules and parties owe to their contract is checked by ``ledger.state.accepted_rules``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, Final

from gridcore.codes import Code
from gridcore.registry.agreement import AGREEMENT, AGREEMENTS_OF_POINT_MAX, SIDES, Agreement
from gridcore.registry.area import AREA
from gridcore.registry.balance_terms import BalanceTerms
from gridcore.registry.calendar import CALENDAR
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.grid_connection import GridConnection
from gridcore.registry.installation import INSTALLATION, Installation, InstalledFrom, faults_of_history
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.reactive_energy import REACTIVE_ENERGY, ReactiveEnergy
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.tariff import TARIFF, Tariff, series_of_tariff
from gridcore.registry.zone import ROWS_MAX, TAKEN_UP, ZONE, Zone
from ledger.registry.histories import Fault, Histories, Stated

DAY_S: Final = 86_400
TRADING_POINTS_MAX: Final = 16
"""Points of one party that trades: each of its bundles shows all of them."""
POINTS_OF_TRADER_MAX: Final = 256
"""Points that were ever billed to a party that trades, or changes its area, at any time: all of them are looked at for each row."""
INSTALLATIONS_OF_POINT_MAX: Final = 64
"""Installations that were ever at a point."""
AGREEMENTS_EVER_OF_POINT_MAX: Final = 256
"""Agreements that a point ever had, ended ones among them: one that has ended can go on under its name."""
_OF_ORGANISATION: Final = (("organisation", ORGANISATION),)
REFERENCES: Final[Mapping[str, Sequence[tuple[str, Entity[Any]]]]] = {
    SIGNER.kind: _OF_ORGANISATION,
    GATEWAY.kind: _OF_ORGANISATION,
    AREA.kind: (("zone", ZONE), ("rules", RULES), ("calendar", CALENDAR)),
    PARTY.kind: (*_OF_ORGANISATION, ("area", AREA), ("aggregator", SIGNER), ("tariff", TARIFF)),
    POINT.kind: (
        ("area", AREA),
        ("party", PARTY),
        ("standing_profile", STANDING_PROFILE),
        ("rules", RULES),
        ("exchange_area", AREA),
    ),
    INSTALLATION.kind: (("point", POINT), ("gateway", GATEWAY)),
    AGREEMENT.kind: (
        ("seller", PARTY),
        ("buyer", PARTY),
        ("seller_point", POINT),
        ("buyer_point", POINT),
        ("series", PRICE_SERIES),
    ),
}
"""By kind: the fields that name an entity, and the kind of that entity."""
OWNED: Final[Sequence[Entity[Any]]] = (SIGNER, GATEWAY, PARTY)
"""What belongs to an organisation; those of one name belong to the same."""


def missing_references(histories: Histories, stated: Stated[Any]) -> Iterator[Fault]:
    """Entities that a row names and that are not in force from the time on from which the row holds.

    What was folded has been in force: runs never read it again, so it counts where documents alone rest on the row.
    """
    is_of_documents = isinstance(stated.record, (BalanceTerms, Tariff))
    for field, entity, name in named_entities(stated):
        rows = histories.of(entity, name)
        if not rows:
            yield Fault(stated, Code.REGISTRY_UNKNOWN, f"{field}: there is no row {entity.key(name)}")
        elif rows[0].from_s > stated.from_s and not (is_of_documents and histories.has_folded(entity, name)):
            begins = f"{entity.key(name)} begins at {rows[0].from_s}, after this row at {stated.from_s}"
            yield Fault(stated, Code.REGISTRY_UNKNOWN, f"{field}: {begins}")


def named_entities(stated: Stated[Any]) -> Iterator[tuple[str, Entity[Any], str]]:
    """What a row names: the field, the kind of entity, its name."""
    for field, entity in REFERENCES.get(stated.key.partition("/")[0], ()):
        name = getattr(stated.record, field, None)
        if name is not None:
            yield field, entity, name
    if isinstance(stated.record, BalanceTerms):
        yield "its name", AREA, stated.key.partition("/")[2]
    if isinstance(stated.record, (GridConnection, ReactiveEnergy)):
        yield "its name", POINT, stated.key.partition("/")[2]
    if isinstance(stated.record, (Rules, BalanceTerms)):
        yield from (("series", PRICE_SERIES, name) for name in sorted(set((stated.record.series or {}).values())))
    if isinstance(stated.record, Tariff):
        yield from (("price_series", PRICE_SERIES, name) for name in sorted(series_of_tariff(stated.record)))


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
    elif kind == INSTALLATION.kind:
        yield from (
            (POINT.kind, point) for point in sorted({row.record.point for row in histories.of(INSTALLATION, name)})
        )
    elif kind == AGREEMENT.kind:
        first = histories.of(AGREEMENT, name)[0].record
        yield from ((POINT.kind, point) for point in (first.buyer_point, first.seller_point))


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
    """Slots begin at multiples of their length, and when the zone is there; a zone's timeline never changes, but for rules that it takes up."""
    rows = histories.of(ZONE, name)
    first_slot_s = rows[0].record.first_slot_start_s
    if first_slot_s % histories.slot_s:
        yield _conflict(rows[0], f"first_slot_start_s is a multiple of slot_s {histories.slot_s}, not {first_slot_s}")
    if first_slot_s < rows[0].from_s:
        yield _conflict(rows[0], f"first_slot_start_s is at least from_s {rows[0].from_s}, not {first_slot_s}")
    may_change = {"contract", "contract_pin", *TAKEN_UP, *TAKEN_UP.values()}
    yield from _changed(rows, *(field for field in rows[0].record._fields if field not in may_change))
    for rule, from_field in TAKEN_UP.items():
        yield from _rule_conflicts(rows, rule, from_field, histories.slot_s)


def _rule_conflicts(rows: Sequence[Stated[Zone]], rule: str, from_field: str, slot_s: int) -> Iterator[Fault]:
    """A rule is taken up once, from a slot on that has not begun when the row does, and stays as it is then."""
    for stated in rows:
        if (getattr(stated.record, from_field) or 0) % slot_s:
            words = f"is where a slot begins, a multiple of slot_s {slot_s}, not {getattr(stated.record, from_field)}"
            yield _conflict(stated, f"{from_field} {words}")
    for before, after in pairwise(rows):
        if getattr(before.record, rule) is not None:
            yield from _changed((before, after), rule, from_field)
            continue
        from_s = getattr(after.record, from_field)
        if getattr(after.record, rule) is not None and (from_s is None or from_s < after.from_s):
            words = (
                f"a zone that began without {rule} says from which slot on it has it, at least from_s {after.from_s}"
            )
            yield _conflict(after, f"{from_field} is {'absent' if from_s is None else from_s}: {words}")


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


def _span_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """Reactive energy is of whole slots, one at least."""
    for stated in histories.of(REACTIVE_ENERGY, name):
        if stated.from_s % histories.slot_s or stated.record.until_s % histories.slot_s:
            words = f"from_s {stated.from_s} and until_s {stated.record.until_s}: both are multiples of slot_s"
            yield _conflict(stated, f"{words} {histories.slot_s}")
        elif stated.record.until_s <= stated.from_s:
            yield _conflict(stated, f"until_s is behind from_s {stated.from_s}, not {stated.record.until_s}")


def _point_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """A point keeps its area, a zone has no more points than there may be, and a point one meter at a time and no more agreements than may be.
    Whom it bills: see the party.
    """
    rows = histories.of(POINT, name)
    yield from _changed(rows, "area")
    if histories.number_of(POINT, name) >= ROWS_MAX:
        yield _conflict(rows[0], f"area: zone {histories.zone_of_point(name)} has {ROWS_MAX} points already")
    yield from _meters_at(histories, name)
    yield from _agreements_at(histories, name)


def _party_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """A party's points that settle are in its area; one that trades has at least one, and no more than its bundles can show.

    Of a party that never trades and stays in its area the points alone are looked at that are new: nothing else can have become wrong.
    """
    rows = histories.of(PARTY, name)
    points = histories.points_billed_now(name)
    if len({row.record.area for row in rows}) > 1 or any(row.record.trades for row in rows):
        ever = histories.points_of_party(name)
        if len(ever) > POINTS_OF_TRADER_MAX:
            words = (
                f"has had {len(ever)} points; who trades, or changes its area, has had at most {POINTS_OF_TRADER_MAX}"
            )
            yield _conflict(_newest([*rows, *(histories.of(POINT, point)[-1] for point in points)]), f"{name} {words}")
            return
        points = ever
    changes = [change for point in points for change in _billed_in(histories, point, name)]
    own = {row.from_s: row for row in rows}
    stated, in_areas = rows[0], Counter[str]()
    steps = sorted(changes + [(time_s, "", 0) for time_s in own])
    for time_s, at in groupby(steps, key=lambda step: step[0]):
        for _, area, step in at:
            in_areas[area] += step
        stated = own.get(time_s, stated)
        if time_s >= rows[0].from_s:
            yield from _misplaced(stated, in_areas, time_s)


def _billed_in(histories: Histories, point: str, party: str) -> Iterator[tuple[int, str, int]]:
    """When a point comes to be billed to a party, and no more: the time, its area, 1 or -1."""
    before = ""
    for stated in histories.of(POINT, point):
        now = stated.record.area if stated.record.party == party else ""
        if now == before:
            continue
        if before:
            yield stated.from_s, before, -1
        if now:
            yield stated.from_s, now, 1
        before = now


def _misplaced(stated: Stated[Party], in_areas: Counter[str], time_s: int) -> Iterator[Fault]:
    """What is wrong with how many points a party has in each area at a time."""
    party, count = stated.record, in_areas.total()
    if count > in_areas[party.area]:
        foreign = min(area for area, points in in_areas.items() if points and area != party.area)
        yield _conflict(stated, f"area: at {time_s} a point of it is in area {foreign}, not {party.area}")
    elif count > TRADING_POINTS_MAX and party.trades:
        words = f"trades: at {time_s} it has {count} points; who trades has at most {TRADING_POINTS_MAX}"
        yield _conflict(stated, words)
    elif not count and party.trades:
        yield _conflict(stated, f"trades: at {time_s} there is no point of it in area {party.area}")


def _installation_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """The rows of an installation follow one another. That one meter at a time hangs at a point: see the point."""
    rows = histories.of(INSTALLATION, name)
    for index, words in faults_of_history([InstalledFrom(row.from_s, row.record) for row in rows], histories.slot_s):
        yield _conflict(rows[index], words)


def _meters_at(histories: Histories, point: str) -> Iterator[Fault]:
    """More than one meter in force at a point, or more than may ever have been there."""
    names = sorted(histories.installations_of_point(point))
    meters = [histories.of(INSTALLATION, name) for name in names]
    if len(names) > INSTALLATIONS_OF_POINT_MAX:
        words = f"point: {POINT.key(point)} has had {INSTALLATIONS_OF_POINT_MAX} installations already"
        yield _conflict(_newest(rows[0] for rows in meters), words)
    elif len(names) > 1:
        counts = {time_s: count for time_s, count, _ in _counted(meters, Installation)}
        for stated in (row for rows in meters for row in rows if counts[row.from_s] > 1):
            yield _conflict(stated, f"point: at {stated.from_s} another meter hangs at {POINT.key(point)}")


def _newest(rows: Iterable[Stated[Any]]) -> Stated[Any]:
    """The last of some rows in what is judged."""
    return max(rows, key=lambda stated: (stated.place, stated.key))


def _counted(
    entities: Iterable[Sequence[Stated[Any]]], of: type[Any]
) -> Iterator[tuple[int, int, Sequence[Stated[Any]]]]:
    """Once through all that begins and ends of some entities: each time, how many of them have a record ``of`` a type from then on,
    and the rows by which they come to have one.
    """
    changes: list[tuple[int, int, Stated[Any]]] = []
    for rows in entities:
        held = 0
        for stated in rows:
            before, held = held, int(isinstance(stated.record, of))
            changes.append((stated.from_s, held - before, stated))
    count = 0
    for time_s, at in groupby(sorted(changes, key=lambda change: change[0]), key=lambda change: change[0]):
        now = list(at)
        count += sum(step for _, step, _ in now)
        yield time_s, count, [stated for _, step, stated in now if step > 0]


def _agreement_conflicts(histories: Histories, name: str) -> Iterator[Fault]:
    """An agreement stays between its parties, in one area. How many a point has: see the point."""
    rows = histories.of(AGREEMENT, name)
    yield from _changed(rows, *SIDES)
    first = rows[0]
    points = first.record.seller_point, first.record.buyer_point
    seller, buyer = (histories.of(POINT, point)[0].record.area for point in points)
    if seller != buyer:
        yield _conflict(first, f"buyer_point is in area {buyer}, seller_point in {seller}: both are of one area")


def _agreements_at(histories: Histories, point: str) -> Iterator[Fault]:
    """More agreements of a point at a time than its bundles can show, or more than it may ever have had."""
    agreements = [histories.of(AGREEMENT, name) for name in histories.agreements_of_point(point)]
    if len(agreements) > AGREEMENTS_EVER_OF_POINT_MAX:
        words = f"{POINT.key(point)} has had {AGREEMENTS_EVER_OF_POINT_MAX} agreements already: one that has ended can go on"
        yield _conflict(_newest(rows[0] for rows in agreements), words)
        return
    for time_s, count, begun in _counted(agreements, Agreement):
        if count > AGREEMENTS_OF_POINT_MAX:
            has = f"{POINT.key(point)} has more than {AGREEMENTS_OF_POINT_MAX} agreements at {time_s}"
            yield _conflict(_newest(begun), f"{has}: end one of them before")
            return


_CHECKS: Final[Mapping[str, Callable[[Histories, str], Iterator[Fault]]]] = {
    CALENDAR.kind: _calendar_conflicts,
    ZONE.kind: _zone_conflicts,
    AREA.kind: _area_conflicts,
    STANDING_PROFILE.kind: _profile_conflicts,
    POINT.kind: _point_conflicts,
    PARTY.kind: _party_conflicts,
    INSTALLATION.kind: _installation_conflicts,
    AGREEMENT.kind: _agreement_conflicts,
    REACTIVE_ENERGY.kind: _span_conflicts,
}
"""By kind of entity, in the order in which a genesis is checked."""
JUDGED_KINDS: Final = tuple(_CHECKS)
