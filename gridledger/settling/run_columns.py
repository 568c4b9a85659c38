"""Settlement runs of a ledger as columns, one run of one area and slot at a time: what all files of a settled folder are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.contract import SlotRows, Tariffs
from settlement.contract_kit_1 import Int64Column


class RunColumns(NamedTuple):
    """A run of one slot of one area. The runs of a slot and area come in the order in which the ledger made them.

    rows: int64[n], each row's place in ``Dataset.points``. columns: int64[n] by name, ``import_wh``, ``export_wh`` and the
    contract's position columns. quality: uint8[n]. trade_price_micro_per_kwh: of the gate, None without one. terms: of the area's
    rules. tariffs: with this run as its one group, the prices in force in this slot. withdrawn: places that an earlier run of the slot billed
    and this one bills nothing, since somebody else, or nobody, is billed at the point by now; int64, None for none. partners: int32[n], whom each
    row names, a place in ``PartnersOfRuns.named``; None where it was not asked for.
    """

    area: str
    slot_start_s: int
    run: str
    height: int
    contract_id: str
    rows: Int64Column
    columns: Mapping[str, Int64Column]
    quality: NDArray[np.uint8]
    trade_price_micro_per_kwh: int | None
    terms: Mapping[str, Any]
    tariffs: Tariffs
    withdrawn: Int64Column | None = None
    partners: NDArray[np.int32] | None = None


class SlotColumns(NamedTuple):
    """The last run of one slot, all areas of the zone together.

    places: int64[n], each row's place in ``Dataset.points``; columns, quality: as of ``RunColumns``. What the contract is asked with for the
    lines: rows, a group an area; trade_prices_micro_per_kwh and terms, one an area.
    """

    slot_start_s: int
    contract_id: str
    places: Int64Column
    columns: Mapping[str, Int64Column]
    quality: NDArray[np.uint8]
    rows: SlotRows
    trade_prices_micro_per_kwh: Sequence[int | None]
    terms: Sequence[Mapping[str, Any]]


class BillLine(NamedTuple):
    """A line of a bill. slot_start_s: UTC seconds; run: its name."""

    party: str
    slot_start_s: int
    line_kind: str
    run: str
