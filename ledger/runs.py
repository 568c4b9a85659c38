"""What the ledger keeps of settled slots: positions as columns. Statements follow from them by the area's contract, each time.

A run's leaves were written in one block and never change, so nothing here needs the ledger to stand still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gridcore.errors import broken
from ledger.contract import Contract, LineLike, Positions
from ledger.leaves.columns import UInt8, chunks
from ledger.leaves.positions import POSITIONS, PositionsLeaf, join_positions
from ledger.leaves.rules import rules_of
from ledger.leaves.run import RUN, RunLeaf
from ledger.state.energy import advance_of
from ledger.state.registry import Area
from ledger.state.runs import KEPT_COLUMNS
from ledger.store.reader import LedgerReader


@dataclass(frozen=True)
class SettledRun:
    """Neighbouring settling rows of one run of one slot: the leaf, what the ledger keeps of the rows, their positions and lines."""

    leaf: RunLeaf
    kept: PositionsLeaf
    positions: Positions
    lines: Sequence[LineLike]


def load_run(
    reader: LedgerReader,
    contracts: Mapping[str, Contract],
    area: Area,
    slot_start_s: int,
    run: str,
    rows: tuple[int, int] | None = None,
) -> SettledRun | None:
    """A run, or its settling rows first ... end - 1 alone, or None where there is no such run (yet).

    The lines follow from the positions that the ledger keeps, by the contract that the run names.
    """
    leaf = RUN.load(reader, area.id, slot_start_s, run)
    if leaf is None:
        return None
    first, end = rows or (0, leaf.points)
    kept = _load_positions(reader, leaf, first, end)
    positions = _as_positions(area, kept, first, end)
    contract = contracts.get(leaf.contract) or broken(f"this node has contract {leaf.contract}")
    lines = contract.lines(
        positions.import_wh,
        positions.export_wh,
        {name: getattr(kept, name) for name in KEPT_COLUMNS},
        trade_price_micro_per_kwh=leaf.price_micro_per_kwh,
        prices=rules_of(reader, area.id).prices,
    )
    return SettledRun(leaf, kept, positions, lines)


def find_runs(reader: LedgerReader, area: Area, slot_starts_s: Iterable[int], run: str) -> list[RunLeaf]:
    """The leaves of a run of those slots that have it."""
    leaves = (RUN.load(reader, area.id, slot_start_s, run) for slot_start_s in slot_starts_s)
    return [leaf for leaf in leaves if leaf is not None]


def load_positions(reader: LedgerReader, area: Area, leaf: RunLeaf, first: int, end: int) -> Positions:
    """Positions of settling rows first ... end - 1 of the run with this leaf."""
    return load_metered(reader, area, leaf, first, end)[0]


def load_metered(reader: LedgerReader, area: Area, leaf: RunLeaf, first: int, end: int) -> tuple[Positions, UInt8]:
    """Positions of settling rows first ... end - 1, and the quality byte of each at the slot's end."""
    kept = _load_positions(reader, leaf, first, end)
    return _as_positions(area, kept, first, end), kept.quality


def _load_positions(reader: LedgerReader, leaf: RunLeaf, first: int, end: int) -> PositionsLeaf:
    """Rows first ... end - 1 of all chunks as one; without rows there is no seed: b""."""
    parts = [
        POSITIONS.must(reader, leaf.area, leaf.slot_start_s, leaf.run, chunk).rows(
            max(first - chunk_first, 0), end - chunk_first
        )
        for chunk, chunk_first, chunk_end in chunks(leaf.points)
        if chunk_first < end and chunk_end > first
    ]
    return join_positions(parts)


def _as_positions(area: Area, kept: PositionsLeaf, first: int, end: int) -> Positions:
    modulus_wh, ratio = area.modulus_wh[first:end], area.ratio[first:end]
    return Positions(
        advance_of(kept.start_import_wh, kept.end_import_wh, modulus_wh) * ratio,
        advance_of(kept.start_export_wh, kept.end_export_wh, modulus_wh) * ratio,
        kept.bought_wh,
        kept.sold_wh,
        kept.pays_nano,
        kept.supplier_only_nano,
    )
