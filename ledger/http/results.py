"""What the ledger keeps of settled slots: positions as columns. Statements follow from them by the area's contract, each time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridcore.errors import broken
from ledger.contract import Positions, SlotSettlementLike
from ledger.http.problems import Problem
from ledger.http.view import LedgerView
from ledger.state.columns import Int64, chunks, unpack
from ledger.state.registry import Area
from ledger.state.runs import energy_of

_COLUMNS = 8
"""Of a ``positions`` leaf: four registers, bought, sold, pays, supplier only (docs/spec/state.md)."""


@dataclass(frozen=True)
class RunResult:
    """One run of one slot: its leaf, and the settlement of the area's settling rows."""

    leaf: Mapping[str, Any]
    settled: SlotSettlementLike


def load_run(view: LedgerView, area: Area, slot_start_s: int, run: str) -> RunResult:
    """A run that the ledger has. Problem 404 when it has not (yet)."""
    leaf = view.reader.get(f"run/{area.id}/{slot_start_s}/{run}")
    if leaf is None:
        raise Problem("not-found", f"no run {run!r} of slot {slot_start_s} in area {area.id!r} yet")
    positions = load_positions(view, area, leaf, 0, leaf["points"])
    rules = view.reader.must(f"rules/{view.reader.must(f'area/{area.id}')['rules']}")
    contract = view.contracts.get(leaf["contract"]) or broken(f"this node has contract {leaf['contract']}")
    settled = contract.settle(
        positions.import_wh,
        positions.export_wh,
        positions.bought_wh,
        positions.sold_wh,
        trade_price_micro_per_kwh=leaf.get("price_micro_per_kwh"),
        prices=rules["prices"],
    )
    return RunResult(leaf, settled)


def find_runs(view: LedgerView, area: Area, slot_starts_s: Iterable[int], run: str) -> list[Mapping[str, Any]]:
    """The leaves of a run of those slots that have it."""
    leaves = (view.reader.get(f"run/{area.id}/{slot_start_s}/{run}") for slot_start_s in slot_starts_s)
    return [leaf for leaf in leaves if leaf is not None]


def load_positions(view: LedgerView, area: Area, leaf: Mapping[str, Any], first: int, end: int) -> Positions:
    """Positions of settling rows first ... end - 1 of a run: its leaves were written in one block and never change."""
    parts: list[list[Int64]] = [[np.zeros(0, dtype=np.int64)] for _ in range(_COLUMNS)]
    for chunk, chunk_first, chunk_end in chunks(leaf["points"]):
        if chunk_first < end and chunk_end > first:
            key = f"positions/{area.id}/{leaf['slot_start_s']}/{leaf['run']}/{chunk}"
            rows = slice(max(first - chunk_first, 0), end - chunk_first)
            for column, data in zip(parts, view.reader.must(key)["columns"], strict=True):
                column.append(unpack(data)[rows])
    columns = [np.concatenate(part) for part in parts]
    modulus_wh, ratio = area.modulus_wh[first:end], area.ratio[first:end]
    import_wh = energy_of(columns[0], columns[1], modulus_wh, ratio)
    return Positions(import_wh, energy_of(columns[2], columns[3], modulus_wh, ratio), *columns[4:])
