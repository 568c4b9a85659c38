"""What the ledger keeps of settled slots: positions as columns. Statements follow from them by the area's contract, each time.

A run's leaves were written in one block and never change, so nothing here needs the ledger to stand still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gridcore.errors import broken
from ledger.contract import Contract, Positions, SlotSettlementLike
from ledger.state.columns import Int64, UInt8, chunks, unpack
from ledger.state.energy import advance_of
from ledger.state.registry import Area
from ledger.store.reader import LedgerReader

_COLUMNS: Final = 8
"""Of a ``positions`` leaf: four registers, bought, sold, pays, supplier only (docs/spec/state.md)."""


@dataclass(frozen=True)
class SettledRun:
    """One run of one slot: its leaf, and the settlement of the area's settling rows.

    columns: of the ``positions`` leaves, int64[points] each; quality: uint8[points]; seed: from which the salts follow.
    """

    leaf: Mapping[str, Any]
    columns: list[Int64]
    quality: UInt8
    seed: bytes
    settled: SlotSettlementLike


def load_run(
    reader: LedgerReader, contracts: Mapping[str, Contract], area: Area, slot_start_s: int, run: str
) -> SettledRun | None:
    """A run with its settlement computed again by the contract that it names, or None where there is no such run (yet)."""
    leaf = reader.get(f"run/{area.id}/{slot_start_s}/{run}")
    if leaf is None:
        return None
    columns, quality, seed = _load_columns(reader, area, leaf, 0, leaf["points"])
    positions = _positions(area, columns, 0, leaf["points"])
    rules = reader.must(f"rules/{reader.must(f'area/{area.id}')['rules']}")
    contract = contracts.get(leaf["contract"]) or broken(f"this node has contract {leaf['contract']}")
    settled = contract.settle(
        positions.import_wh,
        positions.export_wh,
        positions.bought_wh,
        positions.sold_wh,
        trade_price_micro_per_kwh=leaf.get("price_micro_per_kwh"),
        prices=rules["prices"],
    )
    return SettledRun(leaf, columns, quality, seed, settled)


def find_runs(reader: LedgerReader, area: Area, slot_starts_s: Iterable[int], run: str) -> list[Mapping[str, Any]]:
    """The leaves of a run of those slots that have it."""
    leaves = (reader.get(f"run/{area.id}/{slot_start_s}/{run}") for slot_start_s in slot_starts_s)
    return [leaf for leaf in leaves if leaf is not None]


def load_positions(reader: LedgerReader, area: Area, leaf: Mapping[str, Any], first: int, end: int) -> Positions:
    """Positions of settling rows first ... end - 1 of the run with this leaf."""
    return load_metered(reader, area, leaf, first, end)[0]


def load_metered(
    reader: LedgerReader, area: Area, leaf: Mapping[str, Any], first: int, end: int
) -> tuple[Positions, UInt8]:
    """Positions of settling rows first ... end - 1, and the quality byte of each at the slot's end."""
    columns, quality, _ = _load_columns(reader, area, leaf, first, end)
    return _positions(area, columns, first, end), quality


def _load_columns(
    reader: LedgerReader, area: Area, leaf: Mapping[str, Any], first: int, end: int
) -> tuple[list[Int64], UInt8, bytes]:
    parts: list[list[Int64]] = [[np.zeros(0, dtype=np.int64)] for _ in range(_COLUMNS)]
    quality = seed = b""
    for chunk, chunk_first, chunk_end in chunks(leaf["points"]):
        if chunk_first < end and chunk_end > first:
            value = reader.must(f"positions/{area.id}/{leaf['slot_start_s']}/{leaf['run']}/{chunk}")
            rows = slice(max(first - chunk_first, 0), end - chunk_first)
            for column, data in zip(parts, value["columns"], strict=True):
                column.append(unpack(data)[rows])
            quality += value["quality"][rows]
            seed = value["seed"]
    return [np.concatenate(part) for part in parts], np.frombuffer(quality, dtype=np.uint8), seed


def _positions(area: Area, columns: list[Int64], first: int, end: int) -> Positions:
    modulus_wh, ratio = area.modulus_wh[first:end], area.ratio[first:end]
    import_wh = advance_of(columns[0], columns[1], modulus_wh) * ratio
    return Positions(import_wh, advance_of(columns[2], columns[3], modulus_wh) * ratio, *columns[4:])
