"""One area as it is at one time, with its rows in the zone: what queries show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from ledger.contract import Billed
from ledger.leaves.columns import Int64
from ledger.registry.in_force import Registry
from ledger.registry.zones import Zone, ZoneInForce

NO_PARTY: Final = -2
"""The number of a name that no party has; rows that are billed to nobody have -1."""


@dataclass(frozen=True)
class Area:
    """An area. id: its name; number: in its zone; zone: as it is at that time."""

    id: str
    number: int
    in_force: ZoneInForce
    registry: Registry

    @property
    def zone(self) -> Zone:
        """Its zone."""
        return self.in_force.zone

    @cached_property
    def own(self) -> Int64:
        """int64[n]: every row of the zone that is the area's, ascending."""
        order, starts = self.in_force.rows_by_area
        return order[starts[self.number] : starts[self.number + 1]]

    @cached_property
    def rows(self) -> Int64:
        """int64[rows]: rows of the zone at whose points a meter hangs, ascending."""
        return self.own[self.in_force.installation[self.own] >= 0]

    @cached_property
    def numbers(self) -> Int64:
        """int64[rows]: numbers of the installations there."""
        return self.registry.numbers[self.in_force.installation[self.rows]]

    @cached_property
    def settling(self) -> Int64:
        """int64[settling rows]: rows of the zone whose points are billed to a party, ascending."""
        return self.own[self.in_force.party[self.own] >= 0]

    def billed(self, rows: Int64) -> list[Billed]:
        """Whom some settling rows of the zone are billed to."""
        parties = self.in_force.party[rows].tolist()
        return [
            Billed(self.registry.parties[party], self.zone.points[row])
            for row, party in zip(rows.tolist(), parties, strict=True)
        ]

    def settling_rows_of(self, party: str) -> Int64:
        """int64[n]: the rows of ``settling`` that are billed to a party, ascending by their points' names as bytes."""
        number = self.registry.party_number.get(party, NO_PARTY)
        found = self.settling[self.in_force.party[self.settling] == number].tolist()
        return np.array(sorted(found, key=lambda row: self.zone.points[row].encode()), dtype=np.int64)

    def metered_rows_of(self, party: str) -> Int64:
        """int64[n]: those of ``rows`` that are billed to a party, ascending."""
        number = self.registry.party_number.get(party, NO_PARTY)
        return self.rows[np.flatnonzero(self.in_force.party[self.rows] == number)]

    def party_of(self, row: int) -> str | None:
        """The party of a row of the zone, or None where nobody is billed."""
        number = int(self.in_force.party[row])
        return None if number < 0 else self.registry.parties[number]
