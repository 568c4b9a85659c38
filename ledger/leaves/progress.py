"""``progress/<zone>``: how far a zone's gates and runs have come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class ProgressLeaf(NamedTuple):
    """Slots by their start, UTC seconds.

    gate_slot_start_s: the next to clear; run_slot_start_s: the next whose initial run falls due; waiting: those whose run
    waits for registers, ascending; untried: those of them that a block's budget did not reach.
    """

    gate_slot_start_s: int
    run_slot_start_s: int
    untried: Sequence[int] = ()
    waiting: Sequence[int] = ()


def _key(zone: str) -> str:
    return f"progress/{zone}"


PROGRESS: Final = Family("progress", _key, ProgressLeaf)
