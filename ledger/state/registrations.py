"""The registry as the rows of one transaction would leave it: judged first, then taken over into the block, or dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from gridcore import merkle
from gridcore.registry.area import AREA
from gridcore.registry.entities import entity_of
from gridcore.registry.entity import Entity
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.row import Row, decode_row, unsalted
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.zone import ZONE
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS, EntityLeaf, Entry
from ledger.registry.histories import RECORDED_BEFORE, Histories, Stated
from ledger.state.draft import Draft, Recorded

R = TypeVar("R")


class SaltedRow(NamedTuple):
    """A registry row, and the bytes that its entry's digest covers."""

    row: Row
    salted: bytes


class Registrations(Histories):
    """What the state, the block so far and some new rows come to; ``take_over`` writes the new rows into the block's draft."""

    def __init__(self, draft: Draft) -> None:
        self.slot_s = draft.slot_s
        self._draft = draft
        self._leaves: dict[str, EntityLeaf] = {}
        self._salted: dict[bytes, bytes] = {}
        self._new: dict[bytes, Stated[Any]] = {}
        """The new rows by the digests of their entries, in order."""
        self._recorded = Recorded.after(draft.recorded)
        self._histories: dict[str, Sequence[Stated[Any]]] = {}

    # ------------------------------------------------------------------------------------------------- new rows

    def leaf(self, key: str) -> EntityLeaf | None:
        """An entity as of now, or None."""
        kind, _, name = key.partition("/")
        return self._leaves.get(key) or ENTITY_FAMILIES[kind].load(self._draft, name)

    def withdraw(self, keys: Collection[str], from_s: int) -> None:
        """Drop what of these entities begins after ``from_s``, or begins then and was recorded by this block."""
        for key in keys:
            leaf = self.leaf(key)
            if leaf is not None:
                self._leaves[key] = leaf.until(from_s, self._draft.height)
                self._histories.pop(key, None)

    def record(self, place: int, salted_row: SaltedRow) -> None:
        """Add one row, which its entity's leaf takes. place: of the row in the transaction."""
        row, salted = salted_row
        entity, name = entity_of(row.key) or (None, "")
        leaf = self.leaf(row.key)
        digest = merkle.leaf_hash(salted)
        self._salted[digest] = salted
        self._histories.pop(row.key, None)
        entry = Entry(row.from_s, self._draft.height, digest)
        self._leaves[row.key] = (leaf or EntityLeaf(())).added(entry)
        if entity is None:
            return
        record = entity.record_of(row.value)
        self._new[digest] = Stated(place, row.key, row.from_s, record)
        self._recorded.related.note(entity.kind, name, record)
        if leaf is None:
            self._leaves[row.key] = self._leaves[row.key]._replace(number=self._number(entity.kind, record))

    def _number(self, kind: str, record: Any) -> int | None:
        """The number for ever of a new entity; of one whose zone is not known any: it is refused."""
        if kind not in NUMBER_FIELDS:
            return None
        registry = self._draft.registry
        if kind == PARTY.kind:
            return self._recorded.numbering.next(kind, "", len(registry.parties))
        zone_name = record.zone if kind == AREA.kind else self.zone_of_area(record.area)
        place = registry.zone_place.get(zone_name or "")
        before = 0
        if place is not None:
            before = len(registry.zones[place].areas if kind == AREA.kind else registry.zones[place].points)
        return self._recorded.numbering.next(kind, zone_name or "", before)

    def new(self) -> Iterable[Stated[Any]]:
        """The new rows, in order."""
        return self._new.values()

    def take_over(self) -> None:
        """Write the new rows into the draft: entities, bodies, and who names whom."""
        for salted in self._salted.values():
            self._draft.put_body(salted)
        for key, leaf in self._leaves.items():
            kind, _, name = key.partition("/")
            ENTITY_FAMILIES[kind].save(self._draft, leaf, name)
        self._draft.recorded = self._recorded

    # ------------------------------------------------------------------------------------------------ Histories

    def of(self, entity: Entity[R], name: str) -> Sequence[Stated[R]]:
        """See Histories."""
        key = entity.key(name)
        known = self._histories.get(key)
        if known is None:
            leaf = self.leaf(key)
            last = {entry.from_s: entry for entry in leaf.entries} if leaf is not None else {}
            known = self._histories[key] = [self._stated(entity, key, entry) for entry in last.values()]
        return known

    def _stated(self, entity: Entity[R], key: str, entry: Entry) -> Stated[R]:
        new = self._new.get(entry.digest)
        if new is not None:
            return new
        row = decode_row(unsalted(self._draft.body(entry.digest)))
        return Stated(RECORDED_BEFORE, key, entry.from_s, entity.record_of(row.value))

    def number_of(self, entity: Entity[Any], name: str) -> int:
        """See Histories."""
        leaf = self.leaf(entity.key(name))
        return -1 if leaf is None or leaf.number is None else leaf.number

    def points_of_party(self, name: str) -> Collection[str]:
        """See Histories."""
        before = self._draft.registry.lookups.points_of_party(self.number_of(PARTY, name))
        return before | self._recorded.related.points_of_party.get(name, set())

    def installations_of_point(self, name: str) -> Collection[str]:
        """See Histories."""
        registry, zone = self._draft.registry, self.zone_of_point(name)
        place = registry.point_place(zone or "", self.number_of(POINT, name))
        before = set() if place is None else registry.lookups.installations_at(place)
        return before | self._recorded.related.installations_of_point.get(name, set())

    def areas_of_rules(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._draft.registry.lookups.areas_of_rules(name) | self._recorded.related.areas_of_rules.get(
            name, set()
        )

    def points_of_rules(self, name: str) -> Collection[str]:
        """See Histories."""
        before = self._draft.registry.lookups.points_of_rules(name)
        return before | self._recorded.related.points_of_rules.get(name, set())

    def zones_of_ruled_points(self, name: str) -> Collection[str | None]:
        """The zones of the points that ever had these rules of their own."""
        new = self._recorded.related.points_of_rules.get(name, ())
        return self._draft.registry.lookups.zones_of_ruled_points(name) | {self.zone_of_point(point) for point in new}

    def ruled_points_of_area(self, name: str) -> Collection[str]:
        """See Histories."""
        place = self._draft.registry.area_place.get(name)
        before = set() if place is None else self._draft.registry.lookups.ruled_points_of_area(place)
        return before | self._recorded.related.ruled_points_of_area.get(name, set())

    def rules_of_series(self, name: str) -> Collection[str]:
        """The rules that ever named a price series."""
        known = self._draft.registry.columns.rules
        before = {rules for rules in known if any(name in _series_of(row) for row in self.of(RULES, rules))}
        return before | self._recorded.related.rules_of_series.get(name, set())

    def areas_of_zone(self, name: str) -> Collection[str]:
        """See Histories."""
        place = self._draft.registry.zone_place.get(name)
        before = set() if place is None else set(self._draft.registry.zones[place].areas)
        return before | self._recorded.related.areas_of_zone.get(name, set())

    def horizon_s(self, zone: str | None) -> int:
        """Where the slots of a zone begin that are not final; 0 for a zone that never has final slots, or that is not there."""
        rows = self.of(ZONE, zone) if zone is not None else ()
        final_after_s = rows[0].record.final_after_s if rows else None
        if final_after_s is None:
            return 0
        return max(0, (self._draft.ledger_time_s - final_after_s) // self.slot_s * self.slot_s)


def _series_of(stated: Stated[Rules]) -> Collection[str]:
    """The price series that a row of rules names."""
    return (stated.record.series or {}).values()
