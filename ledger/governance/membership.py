"""``membership``: organisations join and leave, and keys are given and taken, by rows of the registry from ledger time on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridcore.codes import Code
from gridcore.governance.membership import ChangeMembers
from gridcore.governance.permission import ADMINISTRATOR
from gridcore.registry.entity import Value
from gridcore.registry.organisation import ORGANISATION, RemovedOrganisation
from gridcore.registry.row import Row, salt_rows
from gridcore.registry.signer import SIGNER
from ledger.governance.rule import Refusal, Rule
from ledger.governance.voters import organisations, voters, voters_left, was_removed
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
    """A removed organisation does not come back, none is removed whose validators certify, or wait to, and who is to vote can."""
    leaf = VALIDATORS.must(draft)
    certifying = {member.organisation for member in (*leaf.current, *leaf.pending)}
    voting = voters(draft) | {value["organisation"] for key, value in action.members if _gives_a_vote(key, value)}
    for number, (key, value) in enumerate(action.members, 1):
        kind, _, name = key.partition("/")
        if kind != ORGANISATION.kind:
            continue
        if was_removed(draft, name, draft.height):
            words = f"row {number}, {key}: it was removed; who takes part again has another name"
            return Refusal(Code.REGISTRY_CONFLICT, words)
        if name in certifying and isinstance(ORGANISATION.record_of(value), RemovedOrganisation):
            words = f"row {number}, {key}: its validators certify, or wait to: first vote a set without them"
            return Refusal(Code.REGISTRY_CONFLICT, words)
        if name not in voting and ADMINISTRATOR in value.get("roles", ()):
            words = f"row {number}, {key}: who is to vote comes with a signer of it that has the role {ADMINISTRATOR}"
            return Refusal(Code.REGISTRY_CONFLICT, words)
    return None


def _gives_a_vote(key: str, value: Value) -> bool:
    """Whether a row is of a signer who can vote for its organisation."""
    return key.startswith(f"{SIGNER.kind}/") and ADMINISTRATOR in value.get("roles", ())


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
