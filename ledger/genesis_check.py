"""The registry of a genesis: that its rows fit together, and that its contracts find no fault with them
(docs/spec/registry.md).

``gridcore.genesis.decode_genesis`` checks all the rest of the file; this module checks what the state machine relies
on without looking again. The first thing that is wrong ends in one line that names the row, the field and what would
be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.genesis import Genesis
from gridcore.governance.permission import ADMINISTRATOR
from gridcore.registry.agreement import AGREEMENT
from gridcore.registry.area import AREA
from gridcore.registry.entities import ENTITIES
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.organisation import ORGANISATION, Organisation, RemovedOrganisation
from gridcore.registry.party import PARTY
from gridcore.registry.rules import RULES
from gridcore.registry.signer import SIGNER, RevokedSigner, Signer
from gridcore.registry.zone import ZONE
from gridcore.sm import is_valid_signature
from ledger.contract import Contract
from ledger.genesis_rows import GenesisRows, refuse, refuse_first
from ledger.registry.certificates import certificate_faults
from ledger.registry.consistency import JUDGED_KINDS, OWNED, conflicts, foreign_owners, missing_references
from ledger.registry.histories import Fault
from ledger.registry.key_policies import key_policy_faults
from ledger.state.accepted_rules import AcceptedRules

_WITH_CONTRACT: Final = (ZONE, AREA, RULES, PARTY, AGREEMENT)
"""What contracts are asked about: with areas and rules all rules are that areas and points have."""


def check_genesis(
    genesis: Genesis, contracts: Mapping[str, Contract] | None = None, pins: Mapping[str, bytes] | None = None
) -> None:
    """Raise UsageError unless every registry row has its form and all references between rows hold.

    contracts: those that this node has, by id; None leaves unchecked what zones, rules and parties owe to their
    contract. pins: of their code, 32 bytes, by id; None: unchecked.
    """
    rows = GenesisRows(genesis.registry, genesis.slot_s)
    _check_thresholds(genesis, rows)
    _check_validators(genesis, rows)
    if rows.has_forward_references:
        refuse_first(_reference_faults(rows))
    if any(_faults_in_order(rows)):
        refuse_first(
            chain(_owner_faults(rows), _certificate_faults(rows), _key_policy_faults(rows), _conflict_faults(rows))
        )
    refuse_first(_pin_faults(rows))
    if contracts is not None:
        accepted = AcceptedRules(rows, contracts)
        for name in rows.names(ZONE):
            refuse_first(accepted.unknown_contracts(name))
        for entity in _WITH_CONTRACT:
            for name in rows.names(entity):
                refuse_first(accepted.faults(entity.kind, name))
    if pins is not None:
        _check_pins(rows, pins)


def _check_thresholds(genesis: Genesis, rows: GenesisRows) -> None:
    """A number of organisations that nobody could reach would end every decision before it begins; one may always decide."""
    if max(genesis.thresholds) == 1:
        return
    names, at_s = rows.names(ORGANISATION), genesis.ledger_time_s
    able = {name for name in names if _has_role(rows.in_force(ORGANISATION, name, at_s))}
    signers = (rows.in_force(SIGNER, name, at_s) for name in rows.names(SIGNER))
    voters = len(able & {found.organisation for found in signers if found is not None and _has_role(found)})
    for name, count in genesis.thresholds._asdict().items():
        if count > max(1, voters):
            words = f"{max(1, voters)}, the number of organisations that have an administrator"
            raise UsageError(f"genesis: thresholds.{name} is at most {words}")


def _has_role(known: Organisation | RemovedOrganisation | Signer | RevokedSigner | None) -> bool:
    """Whether it has the role of those who vote."""
    return isinstance(known, Organisation | Signer) and ADMINISTRATOR in known.roles


def _pin_faults(rows: GenesisRows) -> Iterator[Fault]:
    """Zones that name one contract have the same code of it."""
    pins: dict[str, bytes] = {}
    for _, stated in rows.each(ZONE):
        pin = pins.setdefault(stated.record.contract, stated.record.contract_pin)
        if pin != stated.record.contract_pin:
            words = f"contract_pin of {stated.record.contract} is {pin.hex()} in a row before"
            yield Fault(stated, Code.REGISTRY_CONFLICT, words)


def _check_validators(genesis: Genesis, rows: GenesisRows) -> None:
    for validator in genesis.validators:
        if validator.organisation not in rows.names(ORGANISATION):
            raise UsageError(f"genesis: validator {validator.name}: there is no organisation/{validator.organisation}")


def _reference_faults(rows: GenesisRows) -> Iterator[Fault]:
    for entity in ENTITIES.values():
        for _, stated in rows.each(entity):
            yield from missing_references(rows, stated)


def _faults_in_order(rows: GenesisRows) -> Iterator[Fault]:
    """All that ``_owner_faults`` to ``_conflict_faults`` find, entity by entity as they stand: each row is decoded once.

    Of several faults another one comes first: it is asked for whether there is any.
    """
    for kind, name in rows.in_order():
        entity = ENTITIES[kind]
        if entity in OWNED:
            for stated in rows.of(entity, name):
                yield from foreign_owners(rows, stated, name)
        if entity is SIGNER:
            for stated in rows.of(SIGNER, name):
                yield from certificate_faults(rows, stated, is_valid_signature)
        if entity is GATEWAY:
            for stated in rows.of(GATEWAY, name):
                yield from key_policy_faults(rows, stated)
        yield from conflicts(rows, kind, name)


def _certificate_faults(rows: GenesisRows) -> Iterator[Fault]:
    for _, stated in rows.each(SIGNER):
        yield from certificate_faults(rows, stated, is_valid_signature)


def _key_policy_faults(rows: GenesisRows) -> Iterator[Fault]:
    for _, stated in rows.each(GATEWAY):
        yield from key_policy_faults(rows, stated)


def _owner_faults(rows: GenesisRows) -> Iterator[Fault]:
    for entity in OWNED:
        for name, stated in rows.each(entity):
            yield from foreign_owners(rows, stated, name)


def _conflict_faults(rows: GenesisRows) -> Iterator[Fault]:
    for kind in JUDGED_KINDS:
        for name in rows.names(ENTITIES[kind]):
            yield from conflicts(rows, kind, name)


def _check_pins(rows: GenesisRows, pins: Mapping[str, bytes]) -> None:
    for _, zone in rows.each(ZONE):
        ours, theirs = pins.get(zone.record.contract, b"").hex(), zone.record.contract_pin.hex()
        if ours != theirs:
            refuse(zone, f"contract_pin of {zone.record.contract} is {ours} in this node, not {theirs}")
