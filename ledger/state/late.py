"""Rows for a boundary that the meter has already passed: judged one by one against their neighbours in time."""

from __future__ import annotations

from typing import Final

from gridcore.batch import ABSENT_QUALITY, REGISTER_WH_MAX
from gridcore.codes import Code
from ledger.state.columns import CHUNK_ROWS, unpack
from ledger.state.draft import Draft
from ledger.state.registry import Area

NEIGHBOUR_SLOTS_MAX: Final = 96
"""How far a late row looks for the values before and after it."""


def judge_late_row(
    draft: Draft, area: Area, area_row: int, place: int, boundary_s: int, registers: tuple[int, int]
) -> int:
    """0, ROW_GOES_BACK or ROW_EXCEEDS_LIMIT for registers (import, export) of the installation at registry index ``place``."""
    modulus = int(draft.registry.modulus_wh[place])
    limit_wh = int(draft.registry.limit_wh[place])
    before = _neighbour(draft, area, area_row, boundary_s, -1)
    after = _neighbour(draft, area, area_row, boundary_s, +1)
    for index, new in enumerate(registers):
        if new > REGISTER_WH_MAX or 0 < modulus <= new:
            return Code.ROW_EXCEEDS_LIMIT
        verdict = judge_advance(before[1][index], new, modulus, before[0] * limit_wh) if before else 0
        if not verdict and after:
            verdict = judge_advance(new, after[1][index], modulus, after[0] * limit_wh)
        if verdict:
            return verdict
    return 0


def judge_advance(old: int, new: int, modulus: int, limit_wh: int) -> int:
    """0 when ``new`` can follow ``old``, else why not; ``limit_wh`` is for the whole span."""
    advance = new - old + (modulus if new < old else 0)
    if 0 <= advance <= limit_wh:
        return 0
    return Code.ROW_GOES_BACK if new < old else Code.ROW_EXCEEDS_LIMIT


def _neighbour(
    draft: Draft, area: Area, area_row: int, boundary_s: int, direction: int
) -> tuple[int, tuple[int, int]] | None:
    """(slots away, registers) of the nearest present value before (-1) or after (+1) a boundary."""
    slot_s = draft.chain()["slot_s"]
    chunk, at = divmod(area_row, CHUNK_ROWS)
    for slots in range(1, NEIGHBOUR_SLOTS_MAX + 1):
        value = draft.get(f"registers/{area.id}/{boundary_s + direction * slots * slot_s}/{chunk}")
        if value is not None and value["quality"][at] != ABSENT_QUALITY:
            first, second = (int(unpack(column)[at]) for column in value["registers"])
            return slots, (first, second)
    return None
