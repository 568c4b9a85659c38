"""Whom the points of settled slots name, as each run saw the registry."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gridcore.registry.point import POINT, Point
from gridledger.settling.partners import Partners
from ledger.leaves.columns import Int64
from ledger.leaves.run import RunLeaf
from ledger.registry.bodies import OPENED_TOGETHER_MAX, in_force
from ledger.registry.in_force import VIEWS_MAX
from ledger.registry.zones import ZoneInForce
from ledger.store.reader import LedgerReader

Names = TypeVar("Names", bound=Hashable)


class NamesOfRuns(Generic[Names]):
    """Names that the points of rows of a zone have. named: all combinations that were met so far, the first one of nobody.

    Between two changes of the registry all slots of a zone are of one ``ZoneInForce``: what its points name is looked up once.
    """

    def __init__(self, reader: LedgerReader, of: Callable[[Point], Names], nobody: Names) -> None:
        self._reader, self._of = reader, of
        self.named = [nobody]
        self._place = {names: place for place, names in enumerate(self.named)}
        self._recent = deque[tuple[ZoneInForce, NDArray[np.int32]]](maxlen=VIEWS_MAX)

    def of_zone(self, zone: ZoneInForce, leaf: RunLeaf, rows: Int64) -> NDArray[np.int32]:
        """int32[rows of the zone]: places in ``named`` of those rows that are asked for, as the run of ``leaf`` saw them, 0 of others.

        zone: as the run saw it; rows: always the same ones of the same zone.
        """
        for known, places in self._recent:
            if known is zone:
                return places
        places = self._look_up(zone, leaf, rows)
        self._recent.append((zone, places))
        return places

    def _look_up(self, zone: ZoneInForce, leaf: RunLeaf, rows: Int64) -> NDArray[np.int32]:
        places = np.zeros(len(zone.party), dtype=np.int32)
        points = self._reader.registry.zone(leaf.zone).points
        for start in range(0, len(rows), OPENED_TOGETHER_MAX):
            some = rows[start : start + OPENED_TOGETHER_MAX].tolist()
            self._reader.opened.open_together(self._reader, POINT, [points[row] for row in some])
            for row in some:
                found = in_force(self._reader, POINT, points[row], leaf.slot_start_s, leaf.as_of_height)
                if found is not None:
                    places[row] = self._place_of(self._of(found.record))
        return places

    def _place_of(self, names: Names) -> int:
        if names not in self._place:
            self._place[names] = len(self.named)
            self.named.append(names)
        return self._place[names]


class PartnersOfRuns(NamesOfRuns[Partners]):
    """Whom rows of a zone name as their market partners."""

    def __init__(self, reader: LedgerReader) -> None:
        super().__init__(reader, Partners.of, Partners())
