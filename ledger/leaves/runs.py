"""``runs/<slot_start_s>/<zone>``: which runs a slot has, in order: it shows whether a later run was known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family, Value


class RunsLeaf(NamedTuple):
    """runs: (name, height of its block) of each run."""

    runs: Sequence[tuple[str, int]]

    @property
    def last(self) -> str:
        """The name of the last run."""
        return self.runs[-1][0]


def _key(slot_start_s: int, zone: str) -> str:
    return f"runs/{slot_start_s}/{zone}"


def _encode(record: RunsLeaf) -> Value:
    return {"runs": [list(run) for run in record.runs]}


RUNS: Final = Family("runs", _key, RunsLeaf, _encode, is_provable=True)
