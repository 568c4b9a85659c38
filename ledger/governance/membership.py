"""``membership``: organisations join and leave, and keys are given and taken, by rows of the registry from ledger time on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridcore.codes import Code
from gridcore.governance.membership import ChangeMembers
from gridcore.registry.organisation import ORGANISATION, RemovedOrganisation
from gridcore.registry.row import Row, salt_rows
from ledger.governance.rule import Refusal, Rule
from ledger.governance.voters import is_removed, organisations, voters_left
from ledger.leaves.validators import VALIDATORS
from ledger.state.draft import Draft
from ledger.state.registration_rules import BY_VOTES, Judge
from ledger.state.registrations import Registrations, SaltedRow


def members_left(draft: Draft, registrations: Registrations, rows: Sequence[SaltedRow]) -> int:
    """How many organisations can vote once ``registrations`` count."""
    new = (row.row.key.partition("/")[2] for row in rows if row.row.key.startswith(f"{ORGANISATION.kind}/"))
    return voters_left(draft, registrations, {*organisations(draft), *new})


def _rows(draft: Draft, action: ChangeMembers) -> Sequence[SaltedRow]:
    rows = [Row(key, draft.ledger_time_s, value) for key, value in action.members]
    salted = salt_rows(action.seed, [row.encode() for row in rows])
    return [SaltedRow(*both) for both in zip(rows, salted, strict=True)]


def _standing_in_the_way(draft: Draft, action: ChangeMembers) -> Refusal | None:
    """A removed organisation does not come back, and none is removed whose validators certify, or wait to."""
    leaf = VALIDATORS.must(draft)
    certifying = {member.organisation for member in (*leaf.current, *leaf.pending)}
    for number, (key, value) in enumerate(action.members, 1):
        kind, _, name = key.partition("/")
        if kind != ORGANISATION.kind:
            continue
        if is_removed(draft, name):
            words = f"row {number}, {key}: it was removed; who takes part again has another name"
            return Refusal(Code.REGISTRY_CONFLICT, words)
        if name in certifying and isinstance(ORGANISATION.record_of(value), RemovedOrganisation):
            words = f"row {number}, {key}: its validators certify, or wait to: first vote a set without them"
            return Refusal(Code.REGISTRY_CONFLICT, words)
    return None


def _refusal(draft: Draft, action: ChangeMembers) -> Refusal | None:
    """What the registry says to the rows, and whether enough organisations are left to decide anything."""
    judge, rows = Judge(draft, BY_VOTES), _rows(draft, action)
    if (refusal := _standing_in_the_way(draft, action)) is not None:
        return refusal
    fault = judge.first_fault(rows)
    if fault is not None:
        return Refusal(fault.code, f"row {fault.stated.place + 1}, {fault.stated.key}: {fault.words}")
    needed, left = max(draft.thresholds), members_left(draft, judge.registrations, rows)
    if left < needed:
        words = (
            f"rows: {left} organisations would be left that may have administrators, the thresholds ask for {needed}"
        )
        return Refusal(Code.LAST_OF_ITS_KIND, words)
    return None


def _carry_out(draft: Draft, action: ChangeMembers) -> None:
    judge = Judge(draft, BY_VOTES)
    judge.first_fault(_rows(draft, action))
    judge.registrations.take_over()
    draft.voted.update(member.key for member in action.members)


MEMBERSHIP: Final = Rule(_refusal, _carry_out)
