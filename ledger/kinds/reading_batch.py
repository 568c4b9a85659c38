"""metering/reading_batch: check the signed part and that the attachment is what it says.

A batch is refused whole for its counter, boundary and bytes alone. A row that is wrong gets a verdict of its own, when the block's
batches are judged together (``ledger.state.metering``).
"""

from __future__ import annotations

from gridcore import merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.transactions.readings import observations_digest
from ledger.leaves.gateway import GATEWAY, GatewayLeaf
from ledger.state.columns import Batch, BatchColumns, decode_batch
from ledger.state.draft import Draft


def take_batch(draft: Draft, transaction: Transaction, content: ReadingBatch) -> Code:
    """Take a gateway's next batch."""
    gateway = GATEWAY.must(draft, transaction.signer)
    if (code := check_order_of_batches(draft, gateway, transaction, content)) is not Code.ACCEPTED:
        return code
    columns = decode_attached(transaction, content)
    if columns is None:
        return Code.ROWS_MISMATCH
    last_boundary_s = max(gateway.last_boundary_s, content.boundary_s)
    taken = gateway._replace(counter=content.counter, last=transaction.id, last_boundary_s=last_boundary_s)
    GATEWAY.save(draft, taken, transaction.signer)
    draft.batches.append(
        Batch(transaction.id, transaction.signer, content.epoch, content.counter, content.boundary_s, columns)
    )
    return Code.ACCEPTED


def check_order_of_batches(draft: Draft, gateway: GatewayLeaf, transaction: Transaction, content: ReadingBatch) -> Code:
    """Epoch, counter, chain of batches and boundary."""
    if content.epoch != gateway.epoch:
        return Code.WRONG_EPOCH
    if content.counter == gateway.counter:
        return Code.EXISTS if transaction.id == gateway.last else Code.COUNTER_REUSED
    if content.counter != gateway.counter + 1:
        return Code.COUNTER_PASSED if content.counter < gateway.counter else Code.COUNTER_GAP
    if content.previous != gateway.last:
        return Code.WRONG_PREVIOUS
    if content.boundary_s < draft.registry.first_boundary_s or content.boundary_s % draft.slot_s:
        return Code.NOT_A_BOUNDARY
    return Code.ACCEPTED if content.boundary_s <= draft.ledger_time_s else Code.FUTURE_BOUNDARY


def decode_attached(transaction: Transaction, content: ReadingBatch) -> BatchColumns | None:
    """The attachment as columns, or None where it is not what the signed part says."""
    try:
        columns = decode_batch(transaction.attachment, content.rows)
    except EncodingError:
        return None
    is_what_was_signed = content.observations == observations_digest(
        columns.observations
    ) and content.rows_root == merkle.salted_root(columns.seed, columns.rows)
    return columns if is_what_was_signed else None
