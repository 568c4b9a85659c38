"""What rows used before gaps, as a block has computed it: the slots of a gap are run one after the other, and have it in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from ledger.leaves.columns import Int64

VALUES_MAX: Final = 1 << 24
"""Means that a block keeps, 128 MiB: of about 43,000 rows with 192 places of the day. Those of further rows are made again for each slot."""
PLACES_MAX: Final = 1 << 14
"""Of one chunk and calendar; a calendar with days of 23 to 25 hours has at most 3,000, with slots of a minute."""


class Means(NamedTuple):
    """rows: int64[n], ascending; values: int64[n, 2, places], import and export, MISSING where nothing is known."""

    rows: Int64
    values: Int64


B = TypeVar("B", bound=Hashable)


class Asked(NamedTuple):
    """Of what gaps means are asked for: of one chunk of a zone, by the places of one calendar."""

    zone: str
    chunk: int
    calendar: str


Make = Callable[[Int64, list[tuple[B, Int64]]], list[Int64]]
"""Gives the values at some places of some rows (ascending) of each of some begins."""


class KeptMeans:
    """By chunk of a zone and by how gaps begin; at most ``VALUES_MAX`` values."""

    def __init__(self) -> None:
        self._places: dict[Asked, Int64] = {}
        self._kept: dict[Asked, dict[Any, Means]] = {}
        self.size = 0
        """How many values are kept."""

    def places(self, of: Asked, asked: Int64, make: Make[Any]) -> Int64:
        """Numbers of places of days at which means are kept, ascending, those that are asked for among them: the others are made for all rows."""
        known = self._places.get(of, asked[:0])
        new = np.setdiff1d(asked, known, assume_unique=True)
        if not len(new):
            return known
        places, kept = np.concatenate([known, new]), self._kept.get(of, {})
        more = 2 * len(new) * sum(len(means.rows) for means in kept.values())
        if len(places) > PLACES_MAX or self.size + more > VALUES_MAX:
            self.size -= sum(means.values.size for means in self._kept.pop(of, {}).values())
            self._places[of] = asked
            return asked
        order = np.argsort(places, kind="stable")
        made = make(new, [(begin, means.rows) for begin, means in kept.items()]) if kept else []
        for (begin, means), values in zip(list(kept.items()), made, strict=True):
            kept[begin] = Means(means.rows, np.concatenate([means.values, values], axis=2)[:, :, order])
        self.size += more
        self._places[of] = places[order]
        return self._places[of]

    def of_rows(self, of: Asked, asked: Sequence[tuple[B, Int64]], make: Make[B]) -> list[Means]:
        """Means of at least the rows (ascending) that are asked for of each begin, at the places that are kept. ``make`` is called for those
        that are not, of all begins at once.
        """
        none = np.zeros(0, dtype=np.int64)
        kept = self._kept.setdefault(of, {})
        known = [kept.get(begin) for begin, _ in asked]
        missing = [
            np.setdiff1d(rows, none if means is None else means.rows, assume_unique=True)
            for (_, rows), means in zip(asked, known, strict=True)
        ]
        wanted = [(begin, rows) for (begin, _), rows in zip(asked, missing, strict=True) if len(rows)]
        made = iter(make(self._places[of], wanted) if wanted else [])
        found = []
        for (begin, _), means, rows in zip(asked, known, missing, strict=True):
            own = means
            if len(rows) or own is None:
                new = Means(rows, next(made))
                own = new if means is None else _joined(means, new)
                if self.size + new.values.size <= VALUES_MAX:
                    self.size += new.values.size
                    kept[begin] = own
            found.append(own)
        return found


def _joined(first: Means, second: Means) -> Means:
    rows = np.concatenate([first.rows, second.rows])
    order = np.argsort(rows, kind="stable")
    return Means(rows[order], np.concatenate([first.values, second.values])[order])
