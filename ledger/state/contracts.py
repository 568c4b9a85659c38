"""Which contract and which rules a slot has: those in force when its gate opened, from clearing to the last run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gridcore.errors import broken
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.zone import ZONE
from ledger.contract import Contract
from ledger.registry.bodies import open_entity
from ledger.registry.prices import rules_of_slot
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


def distinct_rules(draft: Draft, contract: Contract, zone: ZoneInForce, slot_start_s: int) -> Sequence[Rules]:
    """The rules that areas and points of a zone have, by place in its ``rules_digests``, with the prices of a slot."""
    stated = (draft.opened.record(draft, RULES, digest) for digest in zone.rules_digests)
    return [rules_of_slot(draft, contract, rules, slot_start_s, draft.height - 1) for rules in stated]


def contract_terms(rules: Rules) -> Mapping[str, Any]:
    """Rules as contracts read them: the terms, and the prices among them."""
    return {**rules.terms, "prices": rules.prices}
