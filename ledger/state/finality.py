"""What is final: no transaction reads or writes it any more, so that a node may prune it (docs/spec/state.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ledger.state.draft import Draft


def final_zones(draft: Draft, boundary_s: int) -> NDArray[np.bool_]:
    """bool[zones]: whether the slot that begins at a boundary is final in each zone, and with it all before."""
    end_s, now_s = boundary_s + draft.slot_s, draft.ledger_time_s
    return np.array([timeline.is_final(end_s, now_s) for timeline in draft.registry.columns.timelines], dtype=bool)
