"""Values that hold from slot to slot until another one is noted: only changes are kept."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from ledger.leaves.columns import Int64

Of = TypeVar("Of", bound=Hashable)


class Change(NamedTuple):
    """From ``from_s`` on, UTC seconds where a slot starts, it is ``value``."""

    from_s: int
    value: int


class Changes(Generic[Of]):
    """The changes of some values by what they are of, ascending by time, the first one with the first slot in which it was noted."""

    def __init__(self) -> None:
        self._found: dict[Of, list[Change]] = {}

    def note(self, of: Of, from_s: int, value: int) -> None:
        """What holds in a slot; slots come in the order of their times."""
        known = self._found.setdefault(of, [])
        if not known or known[-1].value != value:
            known.append(Change(from_s, value))

    @property
    def found(self) -> Mapping[Of, Sequence[Change]]:
        """By what they are of, in the order in which each was noted first."""
        return self._found


class RowChanges:
    """The changes of a column of rows."""

    def __init__(self) -> None:
        self._changes: Changes[int] = Changes()
        self._last: Int64 | None = None

    def note(self, from_s: int, column: Int64) -> None:
        """What holds of every row in a slot. column: int64[rows]."""
        changed = np.arange(len(column)) if self._last is None else np.flatnonzero(column != self._last)
        for row, value in zip(changed.tolist(), column[changed].tolist(), strict=True):
            self._changes.note(row, from_s, value)
        self._last = column

    def of(self, row: int) -> Sequence[Change]:
        """Those of a row, at least one."""
        return self._changes.found[row]
