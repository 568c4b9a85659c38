"""Shapes of parts of gaps that a block has computed: the slots of a gap are run one after the other, and have them in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from ledger.leaves.columns import Int64

VALUES_MAX: Final = 1 << 23
"""Weights that a block keeps: 64 MiB."""


class PlaceInDay(NamedTuple):
    """A slot of local days of one kind, so many seconds after their begin."""

    is_weekend: bool
    after_s: int


class Shape(NamedTuple):
    """The slots of a part: those of one place in the days of one kind, of which the part covers as much, are a group.

    group: int64[slots], of each slot; slots: int64[groups], how many each has; places: of each group, None before the calendar's first
    day; covered_s: int64[groups], seconds of one of its slots that the part covers.
    """

    group: Int64
    slots: Int64
    places: list[PlaceInDay | None]
    covered_s: Int64


class Weighted(NamedTuple):
    """A shape, and int64[2, groups, n]: what each of n rows is thought to use in a slot of each group, import and export."""

    shape: Shape
    weights: Int64


class KeptShapes:
    """By what they follow from; at most ``VALUES_MAX`` weights."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Weighted] = {}
        self._values = 0

    def get(self, key: Hashable, make: Callable[[], Weighted]) -> Weighted:
        """What ``make`` gives, called once while it is kept."""
        found = self._kept.get(key)
        if found is None:
            found = make()
            self._values += found.weights.size + found.shape.group.size
            if self._values > VALUES_MAX:
                self._kept, self._values = {}, found.weights.size + found.shape.group.size
            self._kept[key] = found
        return found
