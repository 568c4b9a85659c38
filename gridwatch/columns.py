"""What the rules look at: registers of an area at its boundaries, and what gateways sent, as columns of whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.registry.point import BORDER_ROLES, FEEDER

Int64 = NDArray[np.int64]
Flags = NDArray[np.bool_]
ABSENT: Final = -1
DAY_S: Final = 86_400


class Meter(NamedTuple):
    """A meter as it is registered; energies in primary Wh. limit_wh: of one slot; modulus_wh: 0 where the register never starts again."""

    meter: str
    role: str
    limit_wh: int
    modulus_wh: int


@dataclass(frozen=True, eq=False)
class Readings:
    """The meters of one area. Columns [boundaries] or [boundaries, meters]; ``ABSENT`` where there is no value.

    import_wh, export_wh: registers, primary Wh; voltage_mv: of a phase, the mean of the slot that ends there; height: of the newest
    block that brought readings of the boundary, 0 where none did. Boundaries follow each other without a hole. is_measured_elsewhere: a border of
    the area has its meter in another area, so that these meters alone are no balance. is_imported: energies of slots were imported, and the registers are their sums.
    """

    area: str
    slot_s: int
    meters: tuple[Meter, ...]
    boundary_s: Int64
    import_wh: Int64
    export_wh: Int64
    voltage_mv: Int64
    height: Int64
    is_measured_elsewhere: bool = False
    is_imported: bool = False

    @property
    def slots_of_day(self) -> int:
        """How many slots a day of 24 hours has."""
        return DAY_S // self.slot_s

    @cached_property
    def is_feeder(self) -> Flags:
        """[meters]: at the grid above."""
        return np.array([meter.role == FEEDER for meter in self.meters], dtype=np.bool_)

    @cached_property
    def is_border(self) -> Flags:
        """[meters]: at the grid above or at another area, where import is what comes into the area."""
        return np.array([meter.role in BORDER_ROLES for meter in self.meters], dtype=np.bool_)

    @cached_property
    def is_present(self) -> Flags:
        """[boundaries, meters] whether there is a reading."""
        present: Flags = (self.import_wh != ABSENT) & (self.export_wh != ABSENT)
        return present

    def energies(self, first: Int64, last: Int64) -> tuple[Int64, Int64]:
        """Import and export [n, meters] between boundaries ``first`` and ``last`` [n]; ``ABSENT`` where one of the two has no reading."""
        known = self.is_present[first] & self.is_present[last]
        taken, given = (self._advance(register[first], register[last]) for register in (self.import_wh, self.export_wh))
        return np.where(known, taken, ABSENT), np.where(known, given, ABSENT)

    def _advance(self, before_wh: Int64, after_wh: Int64) -> Int64:
        modulus_wh = np.array([meter.modulus_wh for meter in self.meters], dtype=np.int64)
        advance_wh = after_wh - before_wh
        return np.where((advance_wh < 0) & (modulus_wh > 0), advance_wh + modulus_wh, advance_wh)

    @cached_property
    def slot_energies(self) -> tuple[Int64, Int64]:
        """Import and export [slots, meters] of each slot."""
        starts = np.arange(len(self.boundary_s) - 1)
        return self.energies(starts, starts + 1)

    def heights(self, first: int, last: int) -> tuple[int, ...]:
        """The blocks that brought the readings of two boundaries: where to look."""
        found = {int(self.height[first]), int(self.height[last])} - {0}
        return tuple(sorted(found))


class Sent(NamedTuple):
    """A reading batch in a block, taken or refused. code: gridcore.codes.Code; clock_offset_ms, clock_state: what its gateway says of its clock."""

    gateway: str
    boundary_s: int
    epoch: int
    counter: int
    code: int
    clock_offset_ms: int
    clock_state: str
    height: int


class BlockTime(NamedTuple):
    """A block, and ledger time in it, UTC seconds."""

    height: int
    time_s: int


class Sample(NamedTuple):
    """One value of a node's metric. name: without labels; series: name and labels as the node writes them."""

    name: str
    series: str
    value: float


class Watched(NamedTuple):
    """All that is looked at: areas by name, batches and blocks in the order of the chain, a node's metrics in theirs."""

    areas: tuple[Readings, ...]
    sent: tuple[Sent, ...]
    blocks: tuple[BlockTime, ...] = ()
    metrics: tuple[Sample, ...] = ()
