"""What a folder of files says, as columns: made by ``settling.files``, settled by the ledger, printed by the results.

All that the files may hold wrong has been refused before one of these exists. Times are UTC seconds, energies whole Wh,
prices micro-currency per kWh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import Int8Column, Int64Column
from settlement.tariffs.components import Component

LIMIT_WH_MAX: Final = 10**9
"""The most that a point can import or export in a slot (1 GWh), and its limit where ``points.csv`` has none."""


class PointRow(NamedTuple):
    """A point, who is billed for it, and its area: names. limit_wh: the most a slot can hold; modulus_wh: 0 for none."""

    point: str
    party: str
    area: str
    limit_wh: int = LIMIT_WH_MAX
    modulus_wh: int = 0


class SeriesRows(NamedTuple):
    """A price that varies: from each ``start_s`` (int64[n], ascending) on it is ``price_micro_per_kwh`` (int64[n], any sign).

    key: a name of the rules' prices; for one ``area`` or one ``point``, for all where both are None. Of several that fit a
    row, that of its point counts before that of its area, and that before the one for all. Before its first start the
    next wider one holds, at last the rules' own price.
    """

    key: str
    area: str | None
    point: str | None
    start_s: Int64Column
    price_micro_per_kwh: Int64Column


class KeyRow(NamedTuple):
    """A point's sharing key: a share in millionths or a priority (the other None), from ``valid_from_s`` on (None: always)."""

    point: str
    share_ppm: int | None
    priority: int | None
    valid_from_s: int | None


class Orders(NamedTuple):
    """Orders by slot, then by the bytes of their ids. slot: index into ``slot_start_s``; side: BUY or SELL of the contracts.

    ``quantity_wh`` > 0; ``price_micro_per_kwh``: the limit, any sign. All columns int64[n], side int8[n].
    """

    slot: Int64Column
    order: Sequence[str]
    party: Sequence[str]
    side: Int8Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column


class InvoiceTerms(NamedTuple):
    """``[invoice]``: the currency, the tax on net, the smallest amount of an invoice, and how it is rounded."""

    currency: str = "CNY"
    tax_ppm: int = 0
    quantum_nano: int = 10_000_000
    rounding: str = "half_up_away"


class EstimateTerms(NamedTuple):
    """``[estimate]``: how missing energy is estimated, over how many earlier days, and what holds where that tells nothing."""

    method: str = "zero_marked"
    reference_days: int = 4
    fallback: str = "zero_marked"


class FileRules(NamedTuple):
    """``rules.toml``. prices: by the contract's names; terms: ``[market]`` without ``contract``, and without the prices.

    tariff: components that are charged beside the contract's lines, by month. The gate and the metering deadline are seconds before a slot's start and after its end.
    """

    prices: Mapping[str, int]
    contract: str
    terms: Mapping[str, Any]
    gate_before_start_s: int
    metering_deadline_s: int
    invoice: InvoiceTerms
    estimate: EstimateTerms
    tariff: Sequence[Component] = ()


class InputFile(NamedTuple):
    """A file as it was read: its name in the folder, SM3 of its bytes, and its rows (0 for what is no table)."""

    name: str
    sm3: bytes
    rows: int


class Counts(NamedTuple):
    """readings: rows that hold an energy. missing: pairs of slot and point of which the files do not tell import and export both.

    estimated: pairs whose energy is an estimate, of the files or of ours.
    """

    readings: int
    missing: int
    estimated: int


class Dataset(NamedTuple):
    """A folder, read. Slots follow each other without a gap; points by the bytes of their names.

    ``import_wh``, ``export_wh`` int64[slots, points] >= 0; ``quality`` uint8[slots, points]: a code of ``gridcore.quality``.
    Missing energy has been estimated: quality ESTIMATED, or MISSING with what is known (0 for what is not).
    notes: lines for a person, of files that were not read.
    """

    slot_start_s: Int64Column
    slot_s: int
    timezone: str
    points: Sequence[PointRow]
    import_wh: NDArray[np.int64]
    export_wh: NDArray[np.int64]
    quality: NDArray[np.uint8]
    series: Sequence[SeriesRows]
    keys: Sequence[KeyRow]
    orders: Orders
    rules: FileRules
    inputs: Sequence[InputFile]
    counts: Counts
    notes: Sequence[str] = ()
