"""Orders that are filled as a whole or not at all, around a contract that knows limit orders (docs/spec/state.md, "All or none")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from ledger.contract import ClearingLike
from ledger.leaves.columns import Int64

ROUNDS_MAX: Final = 32
"""Times that a gate is cleared with such orders in it; then once more without any. A zone has at most 2^24 orders in a slot, and each time half of
those that lack energy leave: this is enough as long as few that had enough come to lack some."""


class ClearedRows(NamedTuple):
    """What clearing came to with the orders ``rows``, ascending; the others got nothing."""

    result: ClearingLike
    rows: Int64


def clear_rounds(clear: Callable[[Int64], ClearingLike], quantity_wh: Int64, all_or_none: Int64) -> ClearedRows:
    """Clear a gate again and again, without more and more of the orders that are to be filled as a whole and are not.

    clear: the gate of some orders, by their rows; quantity_wh, all_or_none (1 or 0): int64[n], of all of them in clearing's order.
    After each round the half, rounded up, of those that lack energy goes that lack most of it, of equal ones the later.
    """
    rows, rounds = np.arange(len(quantity_wh)), 0
    while True:
        result, rounds = clear(rows), rounds + 1
        lacks_wh = np.where(all_or_none[rows] > 0, quantity_wh[rows] - result.filled_wh, 0)
        lacking = np.flatnonzero(lacks_wh)
        if not len(lacking):
            return ClearedRows(result, rows)
        if rounds == ROUNDS_MAX:
            rows = rows[all_or_none[rows] == 0]
        else:
            most_first = lacking[np.lexsort((-lacking, -lacks_wh[lacking]))]
            rows = np.delete(rows, most_first[: (len(lacking) + 1) // 2])
