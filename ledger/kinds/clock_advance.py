"""clock/advance: move the ledger time of a chain whose clock is not that of its blocks."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.genesis import BLOCK_TIME
from gridcore.transactions.clock_advance import ClockAdvance
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft
from ledger.state.due import is_due

STEP_S_MAX: Final = 86_400
"""What falls due in one step is bounded by this, and by the next step's waiting until it is done."""


def advance_clock(draft: Draft, transaction: Transaction, content: ClockAdvance) -> Code:
    """Ledger time never goes back, moves by transactions where it is not block time, and leaves no work behind it."""
    if draft.clock == BLOCK_TIME:
        return Code.CLOCK_IS_BLOCK_TIME
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    if content.to_s <= draft.ledger_time_s:
        return Code.CLOCK_NOT_AHEAD
    if content.to_s > draft.ledger_time_s + STEP_S_MAX:
        return Code.CLOCK_STEP_TOO_LONG
    if is_due(draft):
        return Code.CLOCK_WORK_PENDING
    draft.ledger_time_s = content.to_s
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED
