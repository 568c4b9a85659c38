"""settlement/dispute_answer, _decision, _withdrawal: each adds a step to a dispute; most of them end it."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.registry.party import PARTY
from gridcore.registry.signer import SIGNER
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeStep, DisputeWithdrawal
from ledger.leaves.dispute import DISPUTE, DisputeLeaf, Step
from ledger.leaves.disputes import DISPUTES
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft


def answer_dispute(draft: Draft, transaction: Transaction, content: DisputeAnswer) -> Code:
    """The organisation of the party answers once."""
    return _step(draft, transaction, content)


def decide_dispute(draft: Draft, transaction: Transaction, content: DisputeDecision) -> Code:
    """A regulator decides what was rejected, or was not answered in time."""
    return _step(draft, transaction, content)


def withdraw_dispute(draft: Draft, transaction: Transaction, content: DisputeWithdrawal) -> Code:
    """The party gives up."""
    return _step(draft, transaction, content)


def _step(draft: Draft, transaction: Transaction, content: DisputeStep) -> Code:
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    dispute = DISPUTE.load(draft, content.dispute.hex())
    if dispute is None:
        return Code.NOTHING_TO_DISPUTE
    if (code := _obstacle(draft, transaction.signer, content, dispute)) is not Code.ACCEPTED:
        return code
    step = Step(content.outcome, transaction.signer, draft.ledger_time_s, draft.height, content.statement)
    dispute = dispute._replace(steps=[*dispute.steps, step])
    DISPUTE.save(draft, dispute, content.dispute.hex())
    if dispute.is_closed:
        leaf = DISPUTES.must(draft, dispute.party)
        left = [one for one in leaf.open if one != content.dispute]
        DISPUTES.save(draft, leaf._replace(open=left), dispute.party)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED


def _obstacle(draft: Draft, signer: str, content: DisputeStep, dispute: DisputeLeaf) -> Code:
    """What is in the way of a step; ACCEPTED where nothing is."""
    is_answer, is_decision = isinstance(content, DisputeAnswer), isinstance(content, DisputeDecision)
    if is_answer:
        party, who = draft.in_force(PARTY, dispute.party), draft.in_force(SIGNER, signer)
        if party is None or who is None or who.organisation != party.organisation:
            return Code.NOT_PERMITTED
    elif not is_decision and signer != dispute.party:
        return Code.NOT_PERMITTED
    if dispute.is_closed or (is_answer and dispute.steps):
        return Code.DISPUTE_CLOSED
    if is_decision and not dispute.steps and draft.ledger_time_s <= dispute.answer_by_s:
        return Code.NOT_ANSWERED_YET
    return Code.ACCEPTED
