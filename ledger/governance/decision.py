"""A proposal after one more vote: it passes, fails, or stays open."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.governance.table import Action, decode_action
from ledger.governance.rule import Refusal
from ledger.governance.table import RULES
from ledger.governance.undecided import PROPOSALS_MAX, is_over, take_off, undecided_of
from ledger.governance.voters import voters
from ledger.leaves.proposal import FAILED, OPEN, PASSED, PROPOSAL, ProposalLeaf
from ledger.state.draft import Draft


def refusal_of(draft: Draft, action: Action) -> Refusal | None:
    """Why an action may not take effect in this block; None where it may."""
    return RULES[action.sort.name].refusal(draft, action.record)


def objection(draft: Draft, organisation: str, action: Action) -> Refusal | None:
    """Why an organisation may not propose an action in this block; None where it may."""
    if organisation not in voters(draft):
        return Refusal(Code.NOT_PERMITTED, f"{organisation} is no organisation that may have administrators")
    if len(undecided_of(draft, organisation).proposals) >= PROPOSALS_MAX:
        return Refusal(Code.TOO_MANY_PROPOSALS, f"{organisation} has {PROPOSALS_MAX} open proposals")
    return refusal_of(draft, action)


def outcome(draft: Draft, proposal: ProposalLeaf) -> str:
    """What the votes of an open proposal come to: PASSED, FAILED or OPEN. Votes of organisations that have none any more do not count."""
    may_vote, needed = voters(draft), decode_action(proposal.action).sort.threshold(draft.thresholds)
    if len(may_vote.intersection(proposal.in_favour)) >= needed:
        return PASSED
    return FAILED if len(may_vote.difference(proposal.against)) < needed else OPEN


def decide(draft: Draft, transaction: bytes, proposal: ProposalLeaf) -> Code:
    """Save a proposal as its votes leave it. Another code than ACCEPTED: it has passed, and may not take effect in this block;
    nothing is saved, so that the vote can be given again.
    """
    found, action = outcome(draft, proposal), decode_action(proposal.action)
    if found == PASSED:
        refusal = refusal_of(draft, action)
        if refusal is not None:
            return refusal.code
        RULES[action.sort.name].carry_out(draft, action.record)
        proposal = proposal._replace(status=PASSED, decided_height=draft.height)
    elif found == FAILED:
        proposal = proposal._replace(status=FAILED, decided_height=draft.height, action=b"")
    if proposal.status != OPEN:
        take_off(draft, proposal.organisation, transaction)
    PROPOSAL.save(draft, proposal, transaction.hex())
    return Code.ACCEPTED


def is_open(draft: Draft, proposal: ProposalLeaf | None) -> bool:
    """Whether votes on a proposal count."""
    return proposal is not None and proposal.status == OPEN and not is_over(draft, proposal.open_until_s)
