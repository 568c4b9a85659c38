"""Whether the rows of a transaction may be registered (docs/spec/state.md, "registry/register").

What organisations have voted ends what was registered ahead: rows of these entities that begin later are withdrawn. So does a key policy.

First row by row, each after those before it: form, who may say so, from when on. Then all rows together: that what they
name is there, that everything fits, that the contracts of the zones take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from gridcore.codes import Code
from gridcore.registry.agreement import AGREEMENT, Agreement, EndedAgreement
from gridcore.registry.area import AREA
from gridcore.registry.calendar import CALENDAR
from gridcore.registry.entities import entity_of
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.installation import INSTALLATION
from gridcore.registry.key_policy import KEY_POLICY, OF_GATEWAYS
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.reactive_energy import REACTIVE_ENERGY
from gridcore.registry.rules import RULES
from gridcore.registry.signer import SIGNER
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.zone import TAKEN_UP, ZONE
from gridcore.registry.zone import Zone as ZoneRecord
from ledger.leaves.contracts import CONTRACTS
from ledger.registry.bodies import in_force
from ledger.registry.certificates import certificate_faults
from ledger.registry.consistency import DAY_S, OWNED, conflicts, entities_judged, foreign_owners, missing_references
from ledger.registry.entries import EntityLeaf
from ledger.registry.histories import NEVER_S, Fault, Stated
from ledger.registry.key_policies import key_policy_faults
from ledger.registry.zones import Zone
from ledger.state.accepted_rules import AcceptedRules
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft
from ledger.state.last_orders import NONE_S, LastOrders
from ledger.state.parts import begin_of_part
from ledger.state.references import REFERENCE_S_MAX
from ledger.state.registrations import Registrations, SaltedRow

OWNED_KINDS: Final = tuple(entity.kind for entity in OWNED)
_NEVER_BACK: Final = (ORGANISATION.kind, SIGNER.kind, GATEWAY.kind, ZONE.kind, KEY_POLICY.kind)
"""What counts from ledger time on at the earliest: keys and how they are kept, who reads meters, and by which contract."""
_POLICY: Final = KEY_POLICY.key(OF_GATEWAYS)
"""It has one name alone, so entries that lie ahead, of which a leaf holds 64, must never keep another policy out."""
BY_VOTES: Final = None
"""In place of the organisation that says something: organisations have voted on it."""
_FREE_AT_FIRST: Final = (
    CALENDAR.kind, AREA.kind, PRICE_SERIES.kind, RULES.kind, PARTY.kind, STANDING_PROFILE.kind,
)  # fmt: skip
"""Whose first rows change nothing that was settled: no point names them yet."""

_ALWAYS_OF_SLOTS: Final = (POINT.kind, INSTALLATION.kind, AGREEMENT.kind)
"""Whose first rows, too, change what is in force in slots."""


class Judge:
    """Judges rows for a signer of ``organisation``, or BY_VOTES; ``registrations`` is what they would make of the registry."""

    def __init__(self, draft: Draft, organisation: str | None) -> None:
        self.registrations = Registrations(draft)
        self._draft = draft
        self.organisation = organisation
        self._owner = None if organisation is BY_VOTES else draft.in_force(ORGANISATION, organisation)

    def first_fault(self, rows: Sequence[SaltedRow]) -> Fault | None:
        """Why the rows may not be registered; None where they may. Lower phases first: see the module."""
        if self.organisation is BY_VOTES:
            decided = {salted_row.row.key for salted_row in rows} - self._draft.voted
            self.registrations.withdraw(sorted(decided), self._draft.ledger_time_s)
        policies_s = [salted_row.row.from_s for salted_row in rows if salted_row.row.key == _POLICY]
        if policies_s:
            self.registrations.withdraw([_POLICY], min(policies_s))
        for place, salted_row in enumerate(rows):
            fault = next(self._row_faults(place, salted_row), None)
            if fault is not None:
                return fault
            self.registrations.record(place, salted_row)
        new = list(self.registrations.new())
        judged = dict.fromkeys(
            found for stated in new for found in entities_judged(self.registrations, *_kind_and_name(stated.key))
        )
        phases: Sequence[Callable[[], Iterator[Fault]]] = (
            lambda: (fault for stated in new for fault in missing_references(self.registrations, stated)),
            lambda: (fault for stated in new for fault in self._certificate_faults(stated)),
            lambda: (fault for stated in new for fault in key_policy_faults(self.registrations, stated)),
            lambda: (fault for kind, name in judged for fault in conflicts(self.registrations, kind, name)),
            lambda: orders_left_behind(self._draft, self.registrations, new),
            lambda: self._refused_by_contracts(judged),
        )
        return next((fault for phase in phases for fault in phase()), None)

    # --------------------------------------------------------------------------------------------- row by row

    def _row_faults(self, place: int, salted_row: SaltedRow) -> Iterator[Fault]:
        row = salted_row.row
        unread: Stated[Any] = Stated(place, row.key, row.from_s, None)
        found = entity_of(row.key)
        words = "the name after the slash is not of its form" if found is None else found[0].fault_of(row.value)
        if found is None or words:
            yield Fault(unread, Code.REGISTRY_FORM, words)
            return
        entity, name = found
        stated = unread._replace(record=entity.record_of(row.value))
        yield from self._entitlement_faults(stated, entity.kind, name)
        yield from self._time_faults(stated, entity.kind, self.registrations.leaf(row.key))

    def _entitlement_faults(self, stated: Stated[Any], kind: str, name: str) -> Iterator[Fault]:
        """Owned entities are said by their organisation, an organisation by itself, the grid by one that may be a utility."""
        if kind in OWNED_KINDS:
            if self.organisation not in (BY_VOTES, stated.record.organisation):
                words = f"organisation is {self.organisation}, that of who signs, not {stated.record.organisation}"
                yield Fault(stated, Code.NOT_PERMITTED, words)
            yield from foreign_owners(self.registrations, stated, name)
        elif self.organisation is BY_VOTES:
            return
        elif kind == ORGANISATION.kind:
            known = self._owner if name == self.organisation else None
            if known is None or list(known.roles) != list(stated.record.roles):
                yield Fault(stated, Code.NOT_PERMITTED, "an organisation changes its own title and authority alone")
        elif kind == AGREEMENT.kind and self.organisation in self._organisations_of(stated.record):
            return
        elif self._owner is None or "utility" not in self._owner.roles:
            words = f"an organisation whose signers may have the role utility says so, {self.organisation} is none"
            yield Fault(stated, Code.NOT_PERMITTED, words)

    def answering(self) -> set[str]:
        """The organisations without whose word the rows do not stand: of agreements, those of both parties."""
        rows = (stated for stated in self.registrations.new() if stated.key.startswith(f"{AGREEMENT.kind}/"))
        return {organisation for stated in rows for organisation in self._organisations_of(stated.record)}

    def _organisations_of(self, agreement: Agreement | EndedAgreement) -> set[str]:
        """Those of its parties that are there: a party's organisation never changes."""
        parties = (self.registrations.of(PARTY, name) for name in (agreement.seller, agreement.buyer))
        return {rows[0].record.organisation for rows in parties if rows}

    def _time_faults(self, stated: Stated[Any], kind: str, leaf: EntityLeaf | None) -> Iterator[Fault]:
        """A row begins where it still can change something, and pushes no entry out that something rests on."""
        least_s = self._least_s(stated, kind, is_first=leaf is None)
        if stated.from_s < least_s:
            yield Fault(stated, Code.REGISTRY_NOT_AHEAD, f"from_s is at least {least_s}, not {stated.from_s}")
        if leaf is None:
            return
        if kind == ZONE.kind:
            yield from self._gap_faults(stated)
            yield from self._replaced_rules(stated)
        if stated.key in self._draft.voted:
            yield Fault(
                stated, Code.REGISTRY_NOT_AHEAD, "from_s: a vote of this block has changed it; say it again after"
            )
        elif not leaf.takes(stated.from_s, self._draft.height):
            words = f"from_s {stated.from_s}: another row of it in this block begins then, or it follows 64 later ones"
            yield Fault(stated, Code.REGISTRY_NOT_AHEAD, words)
        elif leaf.first_after(stated.from_s) > self._needed_s(stated, kind):
            words = (
                "it has 64 entries, and what holds now or may still be settled rests on the first of them: "
                "register what is next later, or under another name"
            )
            yield Fault(stated, Code.REGISTRY_CONFLICT, words)
        elif kind == POINT.kind and stated.from_s % self.registrations.slot_s:
            begins_s = stated.from_s // self.registrations.slot_s * self.registrations.slot_s
            words = (
                f"from_s {stated.from_s} lies inside a slot: who is billed and who supplies changes where one begins, "
                f"{begins_s} or {begins_s + self.registrations.slot_s}"
            )
            yield Fault(stated, Code.REGISTRY_CONFLICT, words)

    def _gap_faults(self, stated: Stated[ZoneRecord]) -> Iterator[Fault]:
        """What the first gaps of a rule that a zone takes up may read, up to a gap and its reference days before, is of slots that are not final."""
        from_s, slots = stated.record.gap_slots_from_s, stated.record.gap_slots_max
        _, name = _kind_and_name(stated.key)
        said = {(row.record.gap_slots_from_s, row.record.gap_slots_max) for row in self.registrations.of(ZONE, name)}
        if from_s is None or slots is None or (from_s, slots) in said:
            return
        horizon_s = self.registrations.horizon_s(name)
        least_s = horizon_s + slots * self.registrations.slot_s + REFERENCE_S_MAX if horizon_s else 0
        if from_s < least_s:
            days = REFERENCE_S_MAX // DAY_S
            words = f"{slots} slots and {days} days before it no slot is final, as of now from {horizon_s} on"
            yield Fault(
                stated, Code.REGISTRY_NOT_AHEAD, f"gap_slots_from_s is at least {least_s}, not {from_s}: {words}"
            )

    def _replaced_rules(self, stated: Stated[ZoneRecord]) -> Iterator[Fault]:
        """A row in place of one with the same ``from_s`` says the rules that the zone took up by it as that does."""
        _, name = _kind_and_name(stated.key)
        replaced = next((row for row in self.registrations.of(ZONE, name) if row.from_s == stated.from_s), None)
        if replaced is None:
            return
        for rule, from_field in TAKEN_UP.items():
            if getattr(replaced.record, from_field) is None:
                continue
            for field in (rule, from_field):
                known = getattr(replaced.record, field)
                if getattr(stated.record, field) != known:
                    words = f"{field} is {known} as in the row of this from_s before: it never changes"
                    yield Fault(stated, Code.REGISTRY_CONFLICT, words)

    def _least_s(self, stated: Stated[Any], kind: str, *, is_first: bool) -> int:
        """From when on a row may hold: keys, gateways and contracts from ledger time on, the rest where slots are not final."""
        if kind in _NEVER_BACK:
            return self._draft.ledger_time_s
        if is_first and kind in _FREE_AT_FIRST:
            return 0
        if kind == CALENDAR.kind:
            return self._draft.ledger_time_s
        return max(map(self.registrations.horizon_s, self.zones_of(stated)), default=0)

    def _needed_s(self, stated: Stated[Any], kind: str) -> int:
        """The time from which on it must be told what was in force of an entity."""
        is_of_now = kind in _NEVER_BACK and kind != ZONE.kind
        is_of_documents = kind == REACTIVE_ENERGY.kind or (kind == PRICE_SERIES.kind and not self._is_of_slots(stated))
        if is_of_now or is_of_documents:
            return self._draft.ledger_time_s
        opens_s = stated.record.open_before_start_s if kind == ZONE.kind else 0
        return max(0, min(map(self.registrations.horizon_s, self.zones_of(stated)), default=0) - opens_s)

    def _is_of_slots(self, series: Stated[Any]) -> bool:
        """Whether rules or agreements name a price series. Else documents alone rest on it, which nodes make of what they keep beside the state."""
        _, name = _kind_and_name(series.key)
        return bool(self.registrations.rules_of_series(name) or self.registrations.zones_of_agreed_series(name))

    def zones_of(self, stated: Stated[Any]) -> set[str | None]:
        """The zones whose slots rest on an entity; None stands for one that is not known."""
        kind, name = _kind_and_name(stated.key)
        if kind == RULES.kind:
            return self._zones_of_rules(name)
        if kind == PRICE_SERIES.kind:
            of_rules = self.registrations.rules_of_series(name)
            return {zone for rules in of_rules for zone in self._zones_of_rules(rules)} | {
                *self.registrations.zones_of_agreed_series(name)
            }
        if kind == ZONE.kind:
            return {name}
        if kind == AREA.kind:
            return {stated.record.zone}
        if kind in (POINT.kind, PARTY.kind):
            return {self.registrations.zone_of_area(stated.record.area)}
        point = getattr(stated.record, "seller_point" if kind == AGREEMENT.kind else "point", None)
        return set() if point is None else {self.registrations.zone_of_point(point)}

    def _zones_of_rules(self, name: str) -> set[str | None]:
        """The zones of areas and of points that ever had these rules."""
        of_areas = {self.registrations.zone_of_area(area) for area in self.registrations.areas_of_rules(name)}
        return of_areas | {*self.registrations.zones_of_ruled_points(name)}

    # ------------------------------------------------------------------------------------------- all together

    def _certificate_faults(self, stated: Stated[Any]) -> Iterator[Fault]:
        return certificate_faults(self.registrations, stated, self._draft.is_signed)

    def _refused_by_contracts(self, judged: Mapping[tuple[str, str], None]) -> Iterator[Fault]:
        accepted = AcceptedRules(self.registrations, self._draft.contracts)
        for kind, name in judged:
            if kind == ZONE.kind:
                yield from self._unapproved_contracts(name)
        for kind, name in judged:
            yield from accepted.faults(kind, name)

    def _unapproved_contracts(self, zone: str) -> Iterator[Fault]:
        """Rows of a zone that name other code than organisations have approved, or that is not active yet."""
        approved = CONTRACTS.must(self._draft)
        for stated in self.registrations.of(ZONE, zone):
            known = approved.find(stated.record.contract)
            if known is None:
                names = ", ".join(one.contract for one in approved.approved)
                words = f"contract {stated.record.contract!r} is not approved; these are: {names}"
            elif known.pin != stated.record.contract_pin:
                words = f"contract_pin of {known.contract} is {known.pin.hex()}, as it was approved"
            elif known.height > self._draft.height:
                words = (
                    f"contract {known.contract} may be named from block {known.height} on, this is {self._draft.height}"
                )
            else:
                continue
            yield Fault(stated, Code.RULES_REFUSED, words)


def orders_left_behind(draft: Draft, registrations: Registrations, new: Sequence[Stated[Any]]) -> Iterator[Fault]:
    """A party has its point in every slot in which it has an order: what its order came to is settled there."""
    for stated in new:
        kind, name = _kind_and_name(stated.key)
        before = _billed_before(draft, name, stated.from_s) if kind == POINT.kind else None
        number = draft.registry.party_number.get(before or "")
        place = draft.registry.zone_place.get(registrations.zone_of_point(name) or "") if number is not None else None
        if number is None or place is None or before == stated.record.party:
            continue
        last_s = _last_order(draft, draft.registry.zones[place], number, stated.from_s)
        if last_s != NONE_S:
            words = f"party: {before}, who is billed there until then, has an order in the slot at {last_s}"
            yield Fault(stated, Code.REGISTRY_CONFLICT, words)


def _last_order(draft: Draft, zone: Zone, party: int, from_s: int) -> int:
    """The last slot that starts at ``from_s`` or later in which the party of a number has an order, or NONE_S."""
    timeline, slot_s = zone.timeline, draft.slot_s
    known = draft.last_orders.get(zone.name)
    if known is None:
        end_s = (draft.ledger_time_s + timeline.open_before_start_s) // slot_s * slot_s + slot_s
        known = LastOrders(draft, zone.name, len(draft.registry.parties), end_s)
        draft.last_orders[zone.name] = known
    first_s = max(timeline.first_slot_start_s, -(-from_s // slot_s) * slot_s)
    return known.of(
        party, first_s, slot_s, lambda slot_s: contract_of_slot(draft, zone, slot_s).contract.ranks_by_arrival
    )


def _billed_before(draft: Draft, point: str, time_s: int) -> str | None:
    """Who is billed at a point at a time by what was recorded before, this block included."""
    found = in_force(draft, POINT, point, time_s, draft.height)
    return None if found is None else found.record.party


def note_reopened(draft: Draft, judge: Judge) -> None:
    """Tell the block from when on new rows change what is in force in slots."""
    for stated in judge.registrations.new():
        kind, _ = _kind_and_name(stated.key)
        changes_slots = kind in (AREA.kind, PRICE_SERIES.kind, RULES.kind) and draft.get(stated.key) is not None
        for zone in judge.zones_of(stated) if changes_slots or kind in _ALWAYS_OF_SLOTS else ():
            if zone is not None:
                from_s = _begin_of_part(draft, stated) if kind == INSTALLATION.kind else stated.from_s
                draft.reopened[zone].add((from_s, _end_of_row(draft, judge.registrations, stated, zone)))


def _end_of_row(draft: Draft, registrations: Registrations, stated: Stated[Any], zone: str) -> int:
    """Before which instant a row says something of slots: of a point in a zone whose runs follow points where its next entry begins, else never.

    Of slots before those whose runs follow points it says something in all of them from its begin on.
    """
    kind, _ = _kind_and_name(stated.key)
    leaf = registrations.leaf(stated.key) if kind == POINT.kind else None
    place = draft.registry.zone_place.get(zone)
    if leaf is None or place is None or not draft.registry.zones[place].timeline.runs_follow_points:
        return NEVER_S
    next_s = min((entry.from_s for entry in leaf.entries if entry.from_s > stated.from_s), default=NEVER_S)
    followed_s = draft.registry.zones[place].timeline.runs_follow_points_from_s
    return max(next_s, followed_s) if stated.from_s < followed_s else next_s


def _begin_of_part(draft: Draft, stated: Stated[Any]) -> int:
    """From when on a row of an installation says more of slots: where it bounds a gap, from the gap's begin."""
    registry, number = draft.registry, int(stated.key.partition("/")[2])
    installation = int(np.searchsorted(registry.numbers, number))
    if installation == len(registry.numbers) or registry.numbers[installation] != number:
        return stated.from_s
    return begin_of_part(draft, installation, stated.from_s)


def _kind_and_name(key: str) -> tuple[str, str]:
    kind, _, name = key.partition("/")
    return kind, name
