"""Names of settlement runs: ``initial``, ``correction-1``, ``correction-2``, ..., ``final``, ``dispute-1``, ... (docs/settlement-runs.md)."""

from __future__ import annotations

from typing import Final

INITIAL: Final = "initial"
CORRECTION: Final = "correction"
FINAL: Final = "final"
DISPUTE: Final = "dispute"
RUN_TYPES: Final = (INITIAL, CORRECTION, FINAL, DISPUTE)
"""Types of runs in the order in which a slot has them; the second and the fourth are counted."""


def counted(run_type: str, number: int) -> str:
    """The name of the run of a counted type; number: from 1."""
    return f"{run_type}-{number}"


def run_type(name: str) -> str:
    """The type of a run of that name."""
    return name.partition("-")[0]


def run_rank(name: str) -> tuple[int, int, str]:
    """Sorts names as a slot has the runs; names that are none come last."""
    word, _, number = name.partition("-")
    place = RUN_TYPES.index(word) if word in RUN_TYPES else len(RUN_TYPES)
    return place, int(number) if number.isdigit() else 0, name
