"""Which contract and which rules a slot has: those in force when its gate opened, from clearing to the last run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gridcore.errors import broken
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.zone import ZONE
from ledger.contract import Contract
from ledger.registry.bodies import open_entity, row_of
from ledger.registry.zones import Zone, ZoneInForce
from ledger.state.draft import Draft


class SlotContract(NamedTuple):
    """The contract of a slot, and its pin as the zone names it."""

    contract: Contract
    pin: bytes


def contract_of_slot(draft: Draft, zone: Zone, slot_start_s: int) -> SlotContract:
    """The contract by which a slot is cleared and settled, as it was when its gate opened."""
    found = open_entity(draft, ZONE, zone.name) or broken(f"zone {zone.name} is registered")
    opens_s = max(slot_start_s - zone.timeline.open_before_start_s, found.leaf.entries[0].from_s)
    named = draft.in_force(ZONE, zone.name, opens_s) or broken(f"zone {zone.name} is in force when its gates open")
    contract = draft.contracts.get(named.contract) or broken(
        f"this node has contract {named.contract} of zone {zone.name}"
    )
    return SlotContract(contract, named.contract_pin)


def distinct_rules(draft: Draft, zone: ZoneInForce) -> Sequence[Rules]:
    """The rules that areas of a zone have, each once, by place in its ``rules_digests``."""
    return [RULES.record_of(row_of(draft, digest).value) for digest in zone.rules_digests]


def rules_of_areas(draft: Draft, zone: ZoneInForce) -> Sequence[Rules]:
    """The rules of each area of a zone, by area number."""
    distinct = distinct_rules(draft, zone)
    return [distinct[rules] for rules in zone.rules.tolist()]


def contract_terms(rules: Rules) -> Mapping[str, Any]:
    """Rules as contracts read them: the terms, and the prices among them."""
    return {**rules.terms, "prices": rules.prices}
