"""clock/accept: let ledger time follow block time that is too far ahead of it."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.genesis import BLOCK_TIME
from gridcore.transactions.clock_accept import ClockAccept
from ledger.leaves.clock import CLOCK, ClockLeaf
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft
from ledger.state.ledger_time import AHEAD_S_MAX


def accept_clock(draft: Draft, transaction: Transaction, content: ClockAccept) -> Code:
    """What is accepted lies after ledger time and not after block time, and only where ledger time cannot follow by itself."""
    if draft.clock != BLOCK_TIME:
        return Code.NOTHING_TO_ACCEPT
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    accepted = CLOCK.load(draft)
    after_s = draft.ledger_time_s if accepted is None else max(draft.ledger_time_s, accepted.to_s)
    is_ahead = draft.block_time_s > draft.ledger_time_s + AHEAD_S_MAX
    if not is_ahead or not after_s < content.to_s <= draft.block_time_s:
        return Code.NOTHING_TO_ACCEPT
    CLOCK.save(draft, ClockLeaf(content.to_s))
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED
