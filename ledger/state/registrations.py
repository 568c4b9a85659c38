"""The registry as the rows of one transaction would leave it: judged first, then taken over into the block, or dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from gridcore import merkle
from gridcore.errors import broken
from gridcore.registry.agreement import AGREEMENT
from gridcore.registry.area import AREA
from gridcore.registry.entities import ENTITIES, entity_of
from gridcore.registry.entity import Entity
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.row import Row
from gridcore.registry.zone import ZONE
from ledger.registry.bodies import open_entity
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS, EntityLeaf, Entry
from ledger.registry.histories import RECORDED_BEFORE, Histories, OwnRules, Related, RulesSpan, Stated
from ledger.state.draft import Draft
from ledger.state.span_changes import SpanChanges

R = TypeVar("R")


_NOTHING: Final[set[str]] = set()


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
        self._related = Related()
        """Who names whom by the new rows alone: what the block has recorded before is not copied for each of its transactions."""
        self._spans: SpanChanges | None = None
        """What the new rows change of when points have rules of their own; None until it is asked for."""
        self._numbering = draft.recorded.numbering.copy()
        self._histories: dict[str, Sequence[Stated[Any]]] = {}

    # ------------------------------------------------------------------------------------------------- new rows

    def leaf(self, key: str) -> EntityLeaf | None:
        """An entity as of now, or None."""
        kind, _, name = key.partition("/")
        known = self._leaves.get(key)
        if known is None:
            opened = open_entity(self._draft, ENTITIES[kind], name)
            known = None if opened is None else opened.leaf
        return known

    def withdraw(self, keys: Collection[str], from_s: int) -> None:
        """Drop what of these entities begins after ``from_s``, or begins then and was recorded by this block."""
        self._spans = None
        for key in keys:
            leaf = self.leaf(key)
            if leaf is not None:
                self._leaves[key] = leaf.until(from_s, self._draft.height)
                self._histories.pop(key, None)

    def record(self, place: int, salted_row: SaltedRow) -> None:
        """Add one row, which its entity's leaf takes. place: of the row in the transaction."""
        self._spans = None
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
        self._related.note(entity.kind, name, record)
        if leaf is None:
            self._leaves[row.key] = self._leaves[row.key]._replace(number=self._number(entity.kind, record))

    def _number(self, kind: str, record: Any) -> int | None:
        """The number for ever of a new entity; of one whose zone is not known any: it is refused."""
        if kind not in NUMBER_FIELDS:
            return None
        registry = self._draft.registry
        if kind == PARTY.kind:
            return self._numbering.next(kind, "", len(registry.parties))
        zone_name = record.zone if kind == AREA.kind else self.zone_of_area(record.area)
        place = registry.zone_place.get(zone_name or "")
        before = 0
        if place is not None:
            before = len(registry.zones[place].areas if kind == AREA.kind else registry.zones[place].points)
        return self._numbering.next(kind, zone_name or "", before)

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
            if kind == PARTY.kind:
                self._draft.registered_parties.add(name)
        self._draft.recorded.update(self._related, self._numbering, self._span_changes())

    def _recorded(self, relation: Callable[[Related], Mapping[str, set[str]]], name: str) -> set[str]:
        """What stands in a relation to a name by rows of this block, the new ones included."""
        of_block, new = relation(self._draft.recorded.related), relation(self._related)
        return of_block.get(name, _NOTHING) | new.get(name, _NOTHING)

    # ------------------------------------------------------------------------------------------------ Histories

    def of(self, entity: Entity[R], name: str) -> Sequence[Stated[R]]:
        """See Histories."""
        key = entity.key(name)
        known = self._histories.get(key)
        if known is None:
            leaf, is_touched = self.leaf(key), key in self._leaves
            known = None if is_touched or leaf is None else self._draft.told.get(key, leaf)
            if known is None:
                known = self._stated(entity, name, leaf)
                if leaf is not None and not is_touched:
                    self._draft.told.keep(key, leaf, known)
            self._histories[key] = known
        return known

    def has_folded(self, entity: Entity[Any], name: str) -> bool:
        """See Histories."""
        leaf = self.leaf(entity.key(name))
        return leaf is not None and leaf.folded_to_s >= 0

    def _stated(self, entity: Entity[R], name: str, leaf: EntityLeaf | None) -> Sequence[Stated[R]]:
        """The rows of an entity as of now."""
        last = {entry.from_s: entry for entry in leaf.entries} if leaf is not None else {}
        opened, stated = open_entity(self._draft, entity, name), []
        for entry in last.values():
            new = self._new.get(entry.digest)
            if new is None:
                before = opened or broken(f"{entity.key(name)} is registered")
                record = before.open(self._draft, entry).record
                new = Stated(RECORDED_BEFORE, entity.key(name), entry.from_s, record)
            stated.append(new)
        return stated

    def number_of(self, entity: Entity[Any], name: str) -> int:
        """See Histories."""
        leaf = self.leaf(entity.key(name))
        return -1 if leaf is None or leaf.number is None else leaf.number

    def points_of_party(self, name: str) -> Collection[str]:
        """See Histories."""
        before = self._draft.registry.lookups.points_of_party(self.number_of(PARTY, name))
        return before | self._recorded(lambda related: related.points_of_party, name)

    def points_billed_now(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.points_of_party.get(name, _NOTHING)

    def installations_of_point(self, name: str) -> Collection[str]:
        """See Histories."""
        registry, zone = self._draft.registry, self.zone_of_point(name)
        place = registry.point_place(zone or "", self.number_of(POINT, name))
        before = set() if place is None else registry.lookups.installations_at(place)
        return before | self._recorded(lambda related: related.installations_of_point, name)

    def areas_of_rules(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._draft.registry.lookups.areas_of_rules(name) | self._recorded(
            lambda related: related.areas_of_rules, name
        )

    def point_spans_of_rules(self, name: str) -> Collection[RulesSpan]:
        """See Histories."""
        counts = Counter(self._draft.registry.lookups.spans_of_rules(name))
        counts.update(self._draft.recorded.spans.counts(name))
        counts.update(self._span_changes().counts(name))
        return {span for span, entries in counts.items() if entries > 0}

    def _span_changes(self) -> SpanChanges:
        """What the new rows change of when points have rules of their own."""
        if self._spans is None:
            self._spans = SpanChanges()
            prefix = f"{POINT.kind}/"
            for name in (key.removeprefix(prefix) for key in self._leaves if key.startswith(prefix)):
                before, now = self._own_rules_before(name), list(self.own_rules_of_point(name))
                if before or now:
                    self._spans.change(name, before, now)
        return self._spans

    def _own_rules_before(self, point: str) -> Sequence[OwnRules]:
        """What rules of its own a point has without the new rows."""
        of_block = self._draft.recorded.spans.of_point(point)
        if of_block is not None:
            return of_block
        place = self._draft.registry.point_place(self.zone_of_point(point) or "", self.number_of(POINT, point))
        return () if place is None else self._draft.registry.lookups.own_rules_at(place)

    def zones_of_ruled_points(self, name: str) -> Collection[str | None]:
        """The zones of the points that ever had these rules of their own."""
        of_block = {span.zone for span in self._draft.recorded.spans.counts(name)}
        new = {self.zone_of_point(point) for point in self._related.points_of_rules.get(name, _NOTHING)}
        return self._draft.registry.lookups.zones_of_ruled_points(name) | of_block | new

    def ruled_points_of_area(self, name: str) -> Collection[str]:
        """See Histories."""
        place = self._draft.registry.area_place.get(name)
        before = set() if place is None else self._draft.registry.lookups.ruled_points_of_area(place)
        return before | self._recorded(lambda related: related.ruled_points_of_area, name)

    def rules_of_series(self, name: str) -> Collection[str]:
        """The rules that ever named a price series."""
        before = self._draft.registry.lookups.rules_of_series(name)
        return before | self._recorded(lambda related: related.rules_of_series, name)

    def agreements_of_point(self, name: str) -> Collection[str]:
        """See Histories."""
        registry, zone = self._draft.registry, self.zone_of_point(name)
        place = registry.point_place(zone or "", self.number_of(POINT, name))
        before = set() if place is None else registry.lookups.agreements_at(place)
        return before | self._recorded(lambda related: related.agreements_of_point, name)

    def zones_of_agreed_series(self, name: str) -> Collection[str | None]:
        """The zones of the agreements that ever named a price series."""
        lookups = self._draft.registry.lookups
        new = self._recorded(lambda related: related.agreements_of_series, name)
        sellers = (self.of(AGREEMENT, agreement)[0].record.seller_point for agreement in new)
        before = lookups.zones_of_points(lookups.sellers_of_series(name))
        return before | {self.zone_of_point(point) for point in sellers}

    def areas_of_zone(self, name: str) -> Collection[str]:
        """See Histories."""
        place = self._draft.registry.zone_place.get(name)
        before = set() if place is None else set(self._draft.registry.zones[place].areas)
        return before | self._recorded(lambda related: related.areas_of_zone, name)

    def horizon_s(self, zone: str | None) -> int:
        """Where the slots of a zone begin that are not final; 0 for a zone that never has final slots, or that is not there."""
        rows = self.of(ZONE, zone) if zone is not None else ()
        final_after_s = rows[0].record.final_after_s if rows else None
        if final_after_s is None:
            return 0
        return max(0, (self._draft.ledger_time_s - final_after_s) // self.slot_s * self.slot_s)
