"""What is known of every meter and every line in every slot; areas are put into it one after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.grid.large_arrays import NewArray


class AreaColumns(NamedTuple):
    """Of an area: net energy of its meters [slots, meters], positive where it is taken, and voltage; loading of its lines and its transformer
    [slots, elements], in per mille of what each carries at most.
    """

    net_wh: NDArray[np.int64]
    voltage_pu: NDArray[np.float32]
    loading_per_mille: NDArray[np.uint16]


class WorldColumns:
    """Of all areas, each of so many meters and elements. A meter's limit fits int32 by far."""

    def __init__(self, slots: int, areas: int, meters: int, elements: int, new_array: NewArray) -> None:
        self._meters, self._elements = meters, elements
        self.import_wh = new_array((slots, areas * meters), np.int32)
        self.export_wh = new_array((slots, areas * meters), np.int32)
        self.voltage_pu = new_array((slots, areas * meters), np.float32)
        self.loading_per_mille = new_array((slots, areas * elements), np.uint16)

    def put(self, number: int, area: AreaColumns) -> None:
        """The area ``number``, from 0."""
        at = slice(number * self._meters, (number + 1) * self._meters)
        self.import_wh[:, at] = np.maximum(area.net_wh, 0)
        self.export_wh[:, at] = np.maximum(-area.net_wh, 0)
        self.voltage_pu[:, at] = area.voltage_pu
        self.loading_per_mille[:, number * self._elements : (number + 1) * self._elements] = area.loading_per_mille
