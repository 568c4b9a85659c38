"""governance/propose: an action that takes effect once enough organisations are in favour; the proposer's is the first."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError, broken
from gridcore.governance.table import decode_action
from gridcore.registry.signer import SIGNER
from gridcore.transactions.governance_propose import GovernancePropose
from ledger.governance.decision import decide, objection
from ledger.governance.undecided import end_expired, undecided_of
from ledger.leaves.proposal import ProposalLeaf
from ledger.leaves.undecided import UNDECIDED
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft

OPEN_S_MIN: Final = 3_600
OPEN_S_MAX: Final = 31 * 86_400


def propose(draft: Draft, transaction: Transaction, content: GovernancePropose) -> Code:
    """Judge the action as if it took effect in this block, open the proposal, and count the proposer's vote."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    if not draft.ledger_time_s + OPEN_S_MIN <= content.open_until_s <= draft.ledger_time_s + OPEN_S_MAX:
        return Code.PROPOSAL_FORM
    try:
        action = decode_action(content.action)
    except EncodingError:
        return Code.PROPOSAL_FORM
    signer = draft.in_force(SIGNER, transaction.signer) or broken("who signs an admitted transaction is registered")
    organisation = signer.organisation
    if (refusal := objection(draft, organisation, action)) is not None:
        return refusal.code
    undecided = undecided_of(draft, organisation)
    end_expired(draft, organisation)
    listed = undecided._replace(proposals=[*undecided.proposals, transaction.id])
    UNDECIDED.save(draft, listed, organisation)
    opened = ProposalLeaf(content.action, (), (organisation,), content.open_until_s, organisation, draft.height)
    decide(draft, transaction.id, opened)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED
