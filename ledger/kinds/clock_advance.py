"""clock/advance: move the ledger time of a chain whose clock is not that of its blocks."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.genesis import BLOCK_TIME
from gridcore.transactions.clock_advance import ClockAdvance
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft


def advance_clock(draft: Draft, transaction: Transaction, content: ClockAdvance) -> Code:
    """Ledger time never goes back, and moves by transactions where it is not block time."""
    if draft.clock == BLOCK_TIME:
        return Code.CLOCK_IS_BLOCK_TIME
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    if content.to_s <= draft.ledger_time_s:
        return Code.CLOCK_NOT_AHEAD
    draft.ledger_time_s = content.to_s
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED
