"""The places of an area's grid, each with a fee per kWh and a fraction of the offer's limit: ``grid_fee_path/1`` has the first alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from settlement.contract_kit_1 import Int64Column
from settlement.contracts.grid_fee_path_1 import Places as PlacesOfTree
from settlement.contracts.grid_fee_path_1.places import FEE, PARENT, PLACE
from settlement.contracts.grid_fee_path_1.places import fault_of_places as fault_of_tree

FEE_PPM: Final = "fee_ppm"
FEE_PPM_MAX: Final = 1_000_000
"""A place takes at most as much again as the seller asks."""


class Places(NamedTuple):
    """tree: the places as version 1 knows them, with their fees per kWh; fee_ppm int64[places]: the fraction of each, in its order."""

    tree: PlacesOfTree
    fee_ppm: Int64Column

    @classmethod
    def of(cls, listed: Sequence[Mapping[str, int]]) -> Places:
        """From terms without fault."""
        return cls(PlacesOfTree.of(listed), np.array([place[FEE_PPM] for place in listed], dtype=np.int64))

    def fee(self, at: Int64Column, limit: Int64Column) -> Int64Column:
        """int64[n], micro per kWh: what the places of rows ``at`` take of a kWh that is asked for at these limits, each rounded down."""
        return self.tree.fee[at] + fee_of(limit, self.fee_ppm[at])


def fee_of(limit: Int64Column, fee_ppm: Int64Column) -> Int64Column:
    """int64[n]: a fraction of limits from -10^9 to 10^9, rounded down; nothing of a limit below 0."""
    return np.maximum(limit, 0) * fee_ppm // FEE_PPM_MAX


def fault_of_places(listed: object) -> str:
    """What is wrong with the places of an area's terms, in words; "" where nothing is."""
    for row, place in enumerate(listed if isinstance(listed, list) else (), 1):
        wanted = {PLACE, FEE, FEE_PPM} | ({PARENT} if row > 1 else set())
        if not isinstance(place, Mapping) or set(place) != wanted:
            return f"grid_places: entry {row} has {', '.join(sorted(wanted))}, and nothing else"
        if type(place[FEE_PPM]) is not int or not 0 <= place[FEE_PPM] <= FEE_PPM_MAX:
            return f"grid_places: entry {row}: {FEE_PPM} is a whole number, 0 to {FEE_PPM_MAX}, not {place[FEE_PPM]!r}"
    return fault_of_tree(tree_of(listed))


def tree_of(listed: Any) -> Any:
    """The places without their fractions, as version 1 has them."""
    if not isinstance(listed, list):
        return listed
    return [{key: value for key, value in place.items() if key != FEE_PPM} for place in listed]
