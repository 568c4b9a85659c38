"""``validators``: the set waits as pending, and takes over once a header that names it is certified by the set before."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.governance.validators import ChangeValidators
from ledger.governance.rule import Refusal, Rule, unfit
from ledger.governance.voters import member
from ledger.leaves.validators import VALIDATORS as LEAF
from ledger.state.draft import Draft
from ledger.state.validator_sets import propose_set


def _refusal(draft: Draft, action: ChangeValidators) -> Refusal | None:
    leaf, members = LEAF.must(draft), action.members
    if members == leaf.current:
        return unfit("validators: they certify already")
    if bool(members[0].consensus_key) != bool(leaf.current[0].consensus_key):
        has_engine = "32 bytes: this chain has" if leaf.current[0].consensus_key else "empty: this chain has no"
        return unfit(f"validators: consensus_key is {has_engine} a consensus engine")
    for one in members:
        if member(draft, one.organisation) is None:
            return unfit(f"validators: {one.name}: no organisation {one.organisation} takes part")
    if leaf.pending:
        return Refusal(Code.SET_PENDING, f"validators: another set waits since block {leaf.pending_height}")
    return None


def _carry_out(draft: Draft, action: ChangeValidators) -> None:
    propose_set(draft, action.members)


VALIDATORS: Final = Rule(_refusal, _carry_out)
