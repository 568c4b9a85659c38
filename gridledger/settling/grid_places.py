"""The places of an area's grid, and under which of them two of its parties lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from settlement.contracts.grid_fee_path_1.places import PARENT, PLACE


class GridPlaces:
    """Places by their numbers, each under its parent."""

    def __init__(self, listed: Sequence[Mapping[str, int]]) -> None:
        """listed: ``grid_places`` of the terms of rules, without fault."""
        self._parent_of = {place[PLACE]: place.get(PARENT, 0) for place in listed}

    def __contains__(self, place: object) -> bool:
        return place in self._parent_of

    def above_both(self, one: int, other: int) -> int:
        """The lowest place under which two lie, each of which lies under itself."""
        ways = [self._up(one), self._up(other)]
        return next(place for place in ways[0] if place in ways[1])

    def _up(self, place: int) -> list[int]:
        found = [place]
        while parent := self._parent_of[found[-1]]:
            found.append(parent)
        return found
