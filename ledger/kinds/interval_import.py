"""metering/interval_import: energies of slots out of files, which stand as a whole or not at all."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.genesis import IMPORTED
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.transactions.interval_import import IntervalImport
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft
from ledger.state.interval_columns import IntervalColumns, decode_intervals
from ledger.state.intervals import Import, keep_import


def take_import(draft: Draft, transaction: Transaction, content: IntervalImport) -> Code:
    """Take energies that a gateway's key answers for; no meter has signed them."""
    if draft.clock != IMPORTED:
        return Code.NOTHING_IMPORTED
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    gateway = draft.in_force(GATEWAY, transaction.signer)
    if not isinstance(gateway, Gateway):
        return Code.NOT_PERMITTED
    is_slot = content.slot_s == draft.slot_s and content.first_slot_s % draft.slot_s == 0
    if not is_slot or content.first_slot_s < draft.registry.first_boundary_s:
        return Code.NOT_A_BOUNDARY
    if content.first_slot_s + content.slots * draft.slot_s > draft.ledger_time_s:
        return Code.FUTURE_BOUNDARY
    columns = draft.attached(decode_attached_intervals, transaction, content)
    if columns is None:
        return Code.ROWS_MISMATCH
    code = keep_import(draft, Import(transaction.id, transaction.signer, content.first_slot_s, columns))
    if code is Code.ACCEPTED:
        remember_client_id(draft, transaction, content)
    return code


def decode_attached_intervals(transaction: Transaction, content: IntervalImport) -> IntervalColumns | None:
    """The attachment as columns, or None where it is not what the signed part says."""
    try:
        columns = decode_intervals(transaction.attachment, content.slots, content.meters)
    except EncodingError:
        return None
    return columns if content.rows_root == columns.rows_root(content.first_slot_s, content.slot_s) else None
