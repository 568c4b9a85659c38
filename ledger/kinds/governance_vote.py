"""governance/vote: one vote an organisation; the one that decides carries the action out in its own block."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import broken
from gridcore.registry.signer import SIGNER
from gridcore.transactions.governance_vote import GovernanceVote
from ledger.governance.decision import decide, is_open, outcome
from ledger.governance.voters import voters
from ledger.leaves.proposal import OPEN, PROPOSAL
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft


def vote(draft: Draft, transaction: Transaction, content: GovernanceVote) -> Code:
    """A vote by which an action would pass that may not take effect now is refused with that action's code.

    A vote given again counts nothing new: it decides a proposal whose threshold, or whose voters, are others since.
    """
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    signer = draft.in_force(SIGNER, transaction.signer) or broken("who signs an admitted transaction is registered")
    organisation = signer.organisation
    if organisation not in voters(draft):
        return Code.NOT_PERMITTED
    proposal = PROPOSAL.load(draft, content.proposal.hex())
    if proposal is None or not is_open(draft, proposal):
        return Code.NOTHING_TO_VOTE
    if organisation in (*proposal.in_favour, *proposal.against):
        is_again = organisation in (proposal.in_favour if content.in_favour else proposal.against)
        if not (is_again and outcome(draft, proposal) != OPEN):
            return Code.VOTED_ALREADY
    else:
        proposal = proposal.voted(organisation, in_favour=content.in_favour)
    code = decide(draft, content.proposal, proposal)
    if code is Code.ACCEPTED:
        remember_client_id(draft, transaction, content)
    return code
