"""metering/reading_batch: check the signed part and that the attachment is what it says.

A batch is refused whole for its counter, boundary and bytes alone. A row that is wrong gets a verdict of its own, when the block's
batches are judged together (``ledger.state.metering``).
"""

from __future__ import annotations

from typing import Final

from gridcore import merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.key_policy import KEY_POLICY, OF_GATEWAYS
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.transactions.readings import observations_digest
from ledger.leaves.delivery import DELIVERY, DeliveryLeaf
from ledger.leaves.late import LATE, LateLeaf
from ledger.state.columns import Batch, BatchColumns, decode_batch
from ledger.state.draft import Draft

LATE_BATCHES_MAX: Final = 8
"""Batches of a gateway for one boundary beside its first one there: each leaves something in the state for ever."""


def take_batch(draft: Draft, transaction: Transaction, content: ReadingBatch) -> Code:
    """Take a gateway's next batch."""
    delivery, gateway = DELIVERY.load(draft, transaction.signer), draft.in_force(GATEWAY, transaction.signer)
    if delivery is None or not isinstance(gateway, Gateway):
        return Code.NOT_PERMITTED
    if (code := check_order_of_batches(draft, delivery, transaction, content)) is not Code.ACCEPTED:
        return code
    policy = draft.in_force(KEY_POLICY, OF_GATEWAYS)
    if policy is not None and policy.bars_batch(gateway.protection, content.boundary_s):
        return Code.KEY_PROTECTION
    is_late = content.boundary_s <= delivery.last_boundary_s
    late = LATE.load(draft, content.boundary_s, transaction.signer) or LateLeaf(0)
    if is_late and late.batches >= LATE_BATCHES_MAX:
        return Code.BATCHES_AT_BOUNDARY
    columns = draft.attached(decode_attached, transaction, content)
    if columns is None:
        return Code.ROWS_MISMATCH
    last_boundary_s = max(delivery.last_boundary_s, content.boundary_s)
    taken = DeliveryLeaf(content.counter, content.epoch, transaction.id, last_boundary_s)
    DELIVERY.save(draft, taken, transaction.signer)
    if is_late:
        LATE.save(draft, LateLeaf(late.batches + 1), content.boundary_s, transaction.signer)
    batch = Batch(
        id=transaction.id,
        gateway=transaction.signer,
        epoch=content.epoch,
        counter=content.counter,
        boundary_s=content.boundary_s,
        clock=content.clock,
        columns=columns,
    )
    draft.batches.append(batch)
    return Code.ACCEPTED


def check_order_of_batches(
    draft: Draft, delivery: DeliveryLeaf, transaction: Transaction, content: ReadingBatch
) -> Code:
    """Epoch, counter, chain of batches and boundary."""
    if content.epoch != delivery.epoch:
        return Code.WRONG_EPOCH
    if content.counter == delivery.counter:
        return Code.EXISTS if transaction.id == delivery.last else Code.COUNTER_REUSED
    if content.counter != delivery.counter + 1:
        return Code.COUNTER_PASSED if content.counter < delivery.counter else Code.COUNTER_GAP
    if content.previous != delivery.last:
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
