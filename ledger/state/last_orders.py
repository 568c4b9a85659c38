"""In which slot parties have their last orders: what a point's row that takes it from its party has to ask (docs/spec/state.md).

A block may register thousands of such rows: every slot is looked at once for all of them, and of its book the columns that tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ledger.leaves.book import BOOK
from ledger.leaves.columns import Int64, unpack
from ledger.leaves.family import Leaves
from ledger.leaves.orders import ORDERS

IsFirm = Callable[[int], bool]
"""Whether an order that was withdrawn may have traded in the slot that starts then."""
NONE_S: Final = -1
"""A party without an order in the slots that were looked at."""


class LastOrders:
    """Of one zone, as the block before left its books: orders of a block stand when all that it registers does.

    parties: how many there are; end_s: after the start of the last slot for which orders may be taken, a slot's start.
    """

    def __init__(self, leaves: Leaves, zone: str, parties: int, end_s: int) -> None:
        self._leaves, self._zone = leaves, zone
        self._from_s = end_s
        self._last_s = np.full(parties, NONE_S, dtype=np.int64)

    def of(self, party: int, first_slot_s: int, slot_s: int, is_firm: IsFirm) -> int:
        """The last slot from ``first_slot_s`` on in which the party of a number has an order that stands, or may have traded; else NONE_S."""
        while self._from_s > first_slot_s:
            self._from_s -= slot_s
            parties = self._parties_in(self._from_s, is_firm)
            self._last_s[parties[self._last_s[parties] == NONE_S]] = self._from_s
        last_s = int(self._last_s[party])
        return last_s if last_s >= first_slot_s else NONE_S

    def _parties_in(self, slot_start_s: int, is_firm: IsFirm) -> Int64:
        """The numbers of the parties with such orders in a slot."""
        found, parts = ORDERS.load(self._leaves, slot_start_s, self._zone), [np.zeros(0, dtype=np.int64)]
        for chunk in found.chunks if found is not None else ():
            value = self._leaves.get(BOOK.key(slot_start_s, self._zone, chunk)) or {}
            party, withdrawn_height = unpack(value["party"]), unpack(value["withdrawn_height"])
            parts.append(party if is_firm(slot_start_s) else party[withdrawn_height == 0])
        return np.unique(np.concatenate(parts))
