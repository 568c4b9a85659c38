"""What came of a transaction before: the same bytes get the old answer, and no second place in a block."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.transactions.reading_batch import ReadingBatch
from ledger.engines.base import Outcome
from ledger.leaves.exception import RowVerdict
from ledger.store.reader import LedgerReader

FINAL: Final = frozenset(
    {
        Code.EXISTS,
        Code.EXPIRED,
        Code.CLOCK_NOT_AHEAD,
        Code.COUNTER_REUSED,
        Code.COUNTER_PASSED,
        Code.NOT_A_BOUNDARY,
        Code.GATE_CLOSED,
        Code.NOT_A_SLOT,
        Code.ORDER_REUSED,
    }
)
"""Answers that nothing can change any more."""

INADMISSIBLE: Final = frozenset(range(Code.NOT_CANONICAL, Code.REVOKED))
"""Answers to transactions without form, signature, or a signer who may send them, which enter no block.

What was admissible may come to be so while it waits: its signer was given another key.
"""


def earlier_answer(ledger: LedgerReader, transaction: Transaction) -> Outcome | None:
    """What came of the very same transaction in an earlier block, if it had a place in one."""
    decision = ledger.find_transaction(transaction.id)
    if decision is None:
        return None
    if decision.code == Code.ACCEPTED:
        return Outcome(Code.EXISTS, transaction.id, decision.height, rows=rows_not_used(ledger, transaction))
    # The id does not cover signature and attachment: only the very same bytes are the same refusal.
    same = ledger.result_of(transaction.id, decision).digest == transaction.digest
    return Outcome(Code(decision.code), transaction.id, decision.height) if same else None


def rows_not_used(ledger: LedgerReader, transaction: Transaction) -> tuple[RowVerdict, ...]:
    """Verdicts of the rows of an accepted reading batch that were not used: whoever lost the answer learns them by asking again."""
    if transaction.kind != ReadingBatch.kind:
        return ()
    batch = transaction.identity
    return tuple(ledger.refused_rows(transaction.signer, batch["epoch"], batch["counter"]))
