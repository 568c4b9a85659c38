"""settlement/dispute_document: a line of a month's documents is contested.

The ledger knows no documents (ADR 0104): it keeps what the party says that the line comes to, and checks that the party has such a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.registry.entity import Entity
from gridcore.registry.party import PARTY, Party
from gridcore.registry.tariff import TARIFF
from gridcore.transactions.dispute_document import LINE, DisputeDocument
from ledger.kinds.dispute_open import keep_dispute
from ledger.leaves.dispute import ContestedDocument
from ledger.registry.bodies import open_entity
from ledger.state.client_ids import check_client_id
from ledger.state.draft import Draft

R = TypeVar("R")
FIRST_BEGINS_S: Final = 50_400
"""How long before the month of UTC that of a clock on earth begins at most."""
LAST_ENDS_S: Final = 43_200
"""How long behind it one ends at most."""


def dispute_document(draft: Draft, transaction: Transaction, content: DisputeDocument) -> Code:
    """The first check that fails gives the code; nothing is posted."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    party = draft.in_force(PARTY, transaction.signer)
    if party is None:
        return Code.NOT_PERMITTED
    if not _is_open(draft, party, content.month) or not _has_line(draft, transaction.signer, content):
        return Code.NOTHING_TO_DISPUTE
    contested = ContestedDocument(content.line_kind, content.month, content.part)
    return keep_dispute(draft, transaction, content, contested, content.amount_nano)


def _is_open(draft: Draft, party: Party, month: str) -> bool:
    """Whether a month has begun somewhere on earth, and is not everywhere so long ago that its slots are final where the party is."""
    first = np.datetime64(month, "M")
    begins_s, end_s = (int(of.astype("datetime64[s]").astype(np.int64)) for of in (first, first + 1))
    found = draft.registry.zone_of_area(party.area)
    if found is None or begins_s - FIRST_BEGINS_S > draft.ledger_time_s:
        return False
    return not found[0].timeline.is_final(end_s + LAST_ENDS_S, draft.ledger_time_s)


def _has_line(draft: Draft, party: str, content: DisputeDocument) -> bool:
    """Whether the party ever named a tariff, for a line one that has or had such a component."""
    named = sorted({record.tariff for record in _records(draft, PARTY, party) if record.tariff is not None})
    if content.part != LINE:
        return bool(named)
    tariffs = (record for name in named for record in _records(draft, TARIFF, name))
    return any(component["name"] == content.line_kind for record in tariffs for component in record.components)


def _records(draft: Draft, entity: Entity[R], name: str) -> Iterator[R]:
    """What the entries of an entity say that earlier blocks have recorded."""
    opened = open_entity(draft, entity, name)
    if opened is not None:
        before = (entry for entry in opened.leaf.entries if entry.recorded_height < draft.height)
        yield from (opened.open(draft, entry).record for entry in before)
