"""The line that a folder's sample bundle proves: the largest one of a trade where there is one, in a slot that no later run changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridledger.settling.results.party_lines import Kind, Rows
from gridledger.settling.run_columns import BillLine
from gridledger.tables.columns import Flags, Places
from ledger.contract import LineKindLike
from settlement.contract_kit_1 import CLEARING_ACCOUNT, Int64Column


class Sample:
    """The best line of those that it was shown."""

    def __init__(self, slot_start_s: Int64Column, kinds: Sequence[Kind], of_contract: Sequence[LineKindLike]) -> None:
        """kinds: all that rows may have; of_contract: those that a bundle can prove."""
        accounts = {kind.kind: kind.account for kind in of_contract}
        self._slot_start_s, self._kinds = slot_start_s, kinds
        self._is_of_contract = np.array([kind.line_kind in accounts for kind in kinds], dtype=np.bool_)
        is_trade = [accounts.get(kind.line_kind) == CLEARING_ACCOUNT for kind in kinds]
        self._is_trade = np.array(is_trade, dtype=np.bool_)
        self._best: tuple[bool, bool, int] = (False, False, -1)
        self.line: BillLine | None = None

    def show(self, run: str, party: str, rows: Rows, superseded: Places) -> None:
        """A party's rows of a first run; ``superseded``: slots that a later run has."""
        at = np.flatnonzero(self._is_of_contract[rows.kind] & (rows.energy_wh > 0))
        if not at.size:
            return
        is_last: Flags = ~np.isin(rows.slot[at], superseded)
        is_trade = self._is_trade[rows.kind[at]]
        owed = np.where(rows.amount_nano[at] < 0, -rows.amount_nano[at], rows.amount_nano[at])
        place = int(np.lexsort((-at, owed, is_trade, is_last))[-1])
        rank = (bool(is_last[place]), bool(is_trade[place]), int(owed[place]))
        if rank > self._best:
            self._best = rank
            row = at[place]
            kind = self._kinds[int(rows.kind[row])].line_kind
            self.line = BillLine(party, int(self._slot_start_s[rows.slot[row]]), kind, run)
