"""What was imported for a point in a slot, out of the import that the run went by."""

from __future__ import annotations

import numpy as np

from gridcore.envelope import decode_transaction
from gridcore.errors import broken
from gridcore.quality import ABSENT_QUALITY
from gridcore.transactions.interval_import import IntervalImport
from gridevidence.sources import ProvenInterval, SaltedRows
from ledger.evidence_ledger import recorded
from ledger.leaves.columns import split_row
from ledger.leaves.intervals import INTERVALS, day_of_slot
from ledger.leaves.run import RunLeaf
from ledger.registry.areas import Area
from ledger.state.interval_columns import decode_intervals
from ledger.store.reader import LedgerReader


def find_imported(reader: LedgerReader, area: Area, leaf: RunLeaf, row: int, slot_s: int) -> ProvenInterval | None:
    """The newest import before a run that says something of a row in its slot; None where none does."""
    chunk, _ = split_row(row)
    slot_start_s = leaf.slot_start_s
    known = INTERVALS.load(reader, day_of_slot(slot_start_s), leaf.zone, chunk)
    place = int(area.in_force.installation[row])
    if known is None or place < 0:
        return None
    number = int(reader.registry.numbers[place])
    for transaction_id in reversed(known.imports):
        decided = reader.transaction(transaction_id) or broken(f"import {transaction_id.hex()} stands in a block")
        if decided.height > leaf.as_of_height + 1:
            continue
        transaction = decode_transaction(decided.wire)
        content = IntervalImport.decode(transaction)
        slot, is_between = divmod(slot_start_s - content.first_slot_s, slot_s)
        if is_between or not 0 <= slot < content.slots:
            continue
        columns = decode_intervals(transaction.attachment, content.slots, content.meters)
        meter = int(np.searchsorted(columns.meter, number))
        if meter == content.meters or columns.meter[meter] != number:
            continue
        if columns.quality[slot, meter] != ABSENT_QUALITY:
            rows = SaltedRows(columns.rows(content.first_slot_s, slot_s), columns.seed)
            proof = rows.proof(slot * content.meters + meter, content.rows_root, content.kind)
            return ProvenInterval(recorded(reader, decided, transaction), proof, number)
    return None
