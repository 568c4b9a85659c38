"""The bill lines of every party in every run: ``statements.csv``, made party by party."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridledger.settling.results.party_lines import Kind, Rows
from gridledger.tables.columns import IntColumn, Table, TextColumn, same_text
from gridledger.tables.results import StatementRow
from settlement.contract_kit_1 import Int64Column


def statement_table(run: str, party: str, rows: Rows, kinds: Sequence[Kind], slot_start_s: Int64Column) -> Table:
    """A party's rows of a run, in their order."""
    kind = rows.kind.astype(np.int32)
    columns = (
        same_text(run, kind.size),
        same_text(party, kind.size),
        IntColumn(slot_start_s[rows.slot]),
        TextColumn([kind.line_kind for kind in kinds], kind),
        IntColumn(rows.energy_wh),
        IntColumn(rows.price_micro_per_kwh, None if rows.is_priced.all() else ~rows.is_priced),
        IntColumn(rows.amount_nano),
        TextColumn([kind.account for kind in kinds], kind),
    )
    return Table(StatementRow._fields, columns)
