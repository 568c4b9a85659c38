"""What zones, rules and parties owe to the contract of their zone: checked in a genesis, and in every registration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from gridcore.codes import Code
from gridcore.registry.agreement import AGREEMENT
from gridcore.registry.area import AREA
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridcore.registry.zone import ZONE
from ledger.contract import Contract
from ledger.registry.histories import NEVER_S, Fault, Histories, Stated
from ledger.state.contracts import contract_terms


class AcceptedRules:
    """Checks what is registered with contracts by id; areas that have the same rules in the same time are checked once."""

    def __init__(self, histories: Histories, contracts: Mapping[str, Contract]) -> None:
        self._histories = histories
        self._contracts = contracts
        self._checked: set[tuple[str, str, int, int]] = set()

    def faults(self, kind: str, name: str) -> Iterator[Fault]:
        """What contracts refuse of an entity, and of all that depends on it; entities fit together, and all contracts are known."""
        if kind == ZONE.kind:
            yield from self._of_zone(name)
        elif kind == AREA.kind:
            yield from self._of_area(name)
        elif kind == RULES.kind:
            for area in sorted(self._histories.areas_of_rules(name)):
                yield from self._of_area(area)
            for zone, from_s, end_s in sorted(self._histories.point_spans_of_rules(name)):
                yield from self._of_span_once(zone, name, from_s, end_s)
        elif kind == POINT.kind:
            yield from self._of_point(name)
        elif kind == PARTY.kind:
            yield from self._of_party(name)
        elif kind == AGREEMENT.kind:
            yield from self._of_agreement(name)

    def unknown_contracts(self, name: str) -> Iterator[Fault]:
        """Contracts of a zone that this node does not have: to be looked at for all zones first."""
        for zone in self._histories.of(ZONE, name):
            if zone.record.contract not in self._contracts:
                known = ", ".join(sorted(self._contracts)) or "none"
                words = f"contract {zone.record.contract!r} is not in this node; it has {known}"
                yield Fault(zone, Code.RULES_REFUSED, words)

    def _of_zone(self, name: str) -> Iterator[Fault]:
        rows = self._histories.of(ZONE, name)
        for area in sorted(self._histories.areas_of_zone(name)):
            yield from self._of_area(area)
            for point in sorted(self._histories.ruled_points_of_area(area)):
                yield from self._of_point(point)
        for account in {account for zone in rows for account in self._contracts[zone.record.contract].accounts}:
            if self._histories.of(PARTY, account):
                yield from self._of_party(account)

    def _of_area(self, name: str) -> Iterator[Fault]:
        """Rules that the contract does not take in a slot in which the area has them."""
        rows = self._histories.of(AREA, name)
        for area, end_s in _spans(rows):
            yield from self._of_span_once(area.record.zone, area.record.rules, area.from_s, end_s)

    def _of_point(self, name: str) -> Iterator[Fault]:
        """The same of rules that a point has of its own."""
        zone = self._histories.zone_of_point(name) or ""
        for point, end_s in _spans(self._histories.of(POINT, name)):
            if point.record.rules is not None:
                yield from self._of_span_once(zone, point.record.rules, point.from_s, end_s)

    def _of_span_once(self, zone: str, rules: str, from_s: int, end_s: int) -> Iterator[Fault]:
        span = (zone, rules, from_s, end_s)
        if span not in self._checked:
            self._checked.add(span)
            yield from self._of_span(*span)

    def _of_span(self, zone: str, rules_name: str, from_s: int, end_s: int) -> Iterator[Fault]:
        for contract, opens_s, closes_s in self._contract_spans(zone):
            for rules, rules_end_s in _spans(self._histories.of(RULES, rules_name)):
                is_met = max(from_s, opens_s, rules.from_s) < min(end_s, closes_s, rules_end_s)
                fault = contract.fault_of(contract_terms(rules.record)) if is_met else ""
                if fault:
                    yield Fault(rules, Code.RULES_REFUSED, f"under {contract.contract_id}: {fault}")

    def _contract_spans(self, zone: str) -> Iterator[tuple[Contract, int, int]]:
        """Each contract of a zone with the first instant, and the one behind the last, at which its slots begin."""
        for place, (row, end_s) in enumerate(_spans(self._histories.of(ZONE, zone))):
            opens_s = row.record.open_before_start_s
            first_s = row.from_s + opens_s if place else row.record.first_slot_start_s
            yield self._contracts[row.record.contract], first_s, min(end_s + opens_s, NEVER_S)

    def _of_agreement(self, name: str) -> Iterator[Fault]:
        """An agreement in a zone that has never had, and is not to have, a contract that settles agreements."""
        first = self._histories.of(AGREEMENT, name)[0]
        zone = self._histories.zone_of_point(first.record.seller_point) or ""
        contracts = [row.record.contract for row in self._histories.of(ZONE, zone)]
        if not any(self._contracts[contract].takes_agreements for contract in contracts):
            words = f"seller_point: zone {zone} has {', '.join(contracts)}, which settles no agreements"
            yield Fault(first, Code.RULES_REFUSED, words)

    def _of_party(self, name: str) -> Iterator[Fault]:
        for party in self._histories.of(PARTY, name):
            zone = self._histories.zone_of_area(party.record.area)
            for row in self._histories.of(ZONE, zone) if zone is not None else ():
                accounts = self._contracts[row.record.contract].accounts
                if name in accounts:
                    words = f"has the name of a counter-account; {', '.join(accounts)} are taken"
                    yield Fault(party, Code.RULES_REFUSED, words)


def _spans(rows: Any) -> Iterator[tuple[Stated[Any], int]]:
    """Each row of an entity with the time at which the next one takes over."""
    yield from ((before, after.from_s) for before, after in pairwise(rows))
    yield rows[-1], NEVER_S
