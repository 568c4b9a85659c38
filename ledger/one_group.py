"""Rows of one slot of one area, all at the same prices, as contracts take them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ledger.contract import SlotRows, Tariffs
from ledger.leaves.columns import Int64


def one_group(
    prices: Mapping[str, int], import_wh: Int64, export_wh: Int64, bought_wh: Int64, sold_wh: Int64
) -> SlotRows:
    """``prices``: of every row, micro per kWh; columns int64[n]."""
    group = np.zeros(len(import_wh), dtype=np.int64)
    columns = {key: np.array([price], dtype=np.int64) for key, price in prices.items()}
    tariffs = Tariffs(np.zeros(1, dtype=np.int64), group, columns)
    return SlotRows(group, import_wh, export_wh, bought_wh, sold_wh, tariffs, {})
