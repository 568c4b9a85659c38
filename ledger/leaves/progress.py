"""``progress/<area>``: how far an area's gates and runs have come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridcore.forms import INSTANT, exactly
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


def _key(area: str) -> str:
    return f"progress/{area}"


PROGRESS: Final = Family(
    "progress",
    _key,
    ProgressLeaf,
    forms={
        "gate_slot_start_s": INSTANT,
        "run_slot_start_s": INSTANT,
        "untried": exactly([], "an empty array at genesis"),
        "waiting": exactly([], "an empty array at genesis"),
    },
)
