"""settlement/dispute: the row of a point in the last run of a slot is contested, and what it pays is frozen until it is over."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import broken
from gridcore.registry.area import AREA
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.transactions.dispute_document import DisputeDocument
from gridcore.transactions.dispute_open import DisputeOpen
from ledger.leaves.columns import split_row
from ledger.leaves.dispute import DISPUTE, ContestedDocument, ContestedRow, DisputeLeaf
from ledger.leaves.disputes import DISPUTES, DisputesLeaf
from ledger.leaves.intervals import DAY_S
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from ledger.registry.bodies import in_force, open_entity
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft

OPEN_MAX: Final = 16
"""Disputes of a party that are open at the same time."""
OF_DAY_MAX: Final = 64
"""Disputes that a party opens in a UTC day, of ledger time: each stays in the state for ever, however fast it is over."""
ANSWER_S: Final = 864_000
"""How long the party's organisation has to answer: ten days."""


def open_dispute(draft: Draft, transaction: Transaction, content: DisputeOpen) -> Code:
    """The first check that fails gives the code; nothing is posted."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    party = transaction.signer
    if draft.in_force(PARTY, party) is None:
        return Code.NOT_PERMITTED
    if content.slot_start_s % draft.slot_s:
        return Code.NOT_A_SLOT
    zone, amount_nano = _contested(draft, party, content)
    if amount_nano is None:
        return Code.NOTHING_TO_DISPUTE
    contested = ContestedRow(content.line_kind, content.point, content.run, content.slot_start_s, zone)
    return keep_dispute(draft, transaction, content, contested, amount_nano)


def keep_dispute(
    draft: Draft,
    transaction: Transaction,
    content: DisputeOpen | DisputeDocument,
    contested: ContestedRow | ContestedDocument,
    amount_nano: int,
) -> Code:
    """Keep a dispute of the signer, unless an open one is of the same, or it has too many."""
    party, day = transaction.signer, draft.ledger_time_s // DAY_S
    before = DISPUTES.load(draft, party) or DisputesLeaf([], day, 0)
    of_day = before.of_day if before.day == day else 0
    if any(DISPUTE.must(draft, dispute.hex()).contested.what == contested.what for dispute in before.open):
        return Code.DISPUTED_ALREADY
    if len(before.open) >= OPEN_MAX or of_day >= OF_DAY_MAX:
        return Code.TOO_MANY_DISPUTES
    leaf = DisputeLeaf(
        amount_nano=amount_nano,
        answer_by_s=draft.ledger_time_s + ANSWER_S,
        contested=contested,
        ground=content.ground,
        opened_height=draft.height,
        opened_s=draft.ledger_time_s,
        party=party,
        statement=content.statement,
        steps=[],
    )
    DISPUTE.save(draft, leaf, transaction.id.hex())
    DISPUTES.save(draft, DisputesLeaf([*before.open, transaction.id], day, of_day + 1), party)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED


def _contested(draft: Draft, party: str, content: DisputeOpen) -> tuple[str, int | None]:
    """The zone, and what the point pays in the last run of the slot; None where that is not the party's to contest, or no run it knows."""
    known = open_entity(draft, POINT, content.point)
    billed = in_force(draft, POINT, content.point, content.slot_start_s, draft.height - 1)
    if known is None or billed is None or billed.record.party != party or known.leaf.number is None:
        return "", None
    area = in_force(draft, AREA, billed.record.area, content.slot_start_s, draft.height - 1)
    name = (area or broken(f"area {billed.record.area} is registered where its points are")).record.zone
    zone = draft.registry.zone(name)
    runs = RUNS.load(draft, content.slot_start_s, name)
    is_final = zone.timeline.is_final(content.slot_start_s + draft.slot_s, draft.ledger_time_s)
    if runs is None or runs.last != content.run or is_final:
        return name, None
    chunk, at = split_row(known.leaf.number)
    positions = POSITIONS.load(draft, content.slot_start_s, name, content.run, chunk)
    pays_nano = () if positions is None else positions.columns["pays_nano"]
    return name, int(pays_nano[at]) if at < len(pays_nano) else None
