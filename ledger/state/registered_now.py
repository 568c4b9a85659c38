"""Parties that a block has registered anew: from the next block on that counts, and orders of this block have to hold then."""

from __future__ import annotations

import numpy as np

from gridcore.registry.party import PARTY, Party
from ledger.leaves.columns import Int64
from ledger.registry.bodies import in_force
from ledger.state.draft import Draft


def parties_registered_now(draft: Draft, parties: Int64, slot_start_s: int) -> dict[int, Party | None]:
    """By number, ascending: those among ``parties`` of which this block has recorded a row, as they are in a slot now.

    What it costs grows with ``parties``, not with what the block registers: it may hold thousands of batches and of registrations.
    """
    names = draft.registry.parties
    found: dict[int, Party | None] = {}
    for number in np.unique(parties).tolist() if draft.registered_parties else ():
        if number < len(names) and names[number] in draft.registered_parties:
            opened = in_force(draft, PARTY, names[number], slot_start_s, draft.height)
            found[number] = None if opened is None else opened.record
    return found
