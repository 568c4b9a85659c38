"""Who and what is registered, as columns: derived from the leaves of one state, never part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from gridcore.errors import require
from ledger.leaves.area import AREA
from ledger.leaves.columns import Int64
from ledger.leaves.family import Leaves
from ledger.leaves.installation import INSTALLATION, InstallationLeaf
from ledger.leaves.party import PARTY

REGISTRY_PREFIXES: Final = (INSTALLATION.prefix, AREA.prefix, PARTY.prefix)
"""Of the keys that the registry, and what is worked out beside it, follow from: a change makes another registry."""


class AllLeaves(Leaves, Protocol):
    """What the registry reads of a state."""

    def leaf_keys(self, prefix: str) -> Iterable[str]:
        """Keys that begin with ``prefix``."""


@dataclass(frozen=True)
class Area:
    """One grid area. Rows are its installations ascending by number; settling rows are those that have a party."""

    id: str
    numbers: Int64
    """int64[rows]: meter numbers."""
    settling: Int64
    """int64[settling rows]: the area row of each settling row."""
    modulus_wh: Int64
    """int64[settling rows], as the meter shows it; 0: none."""
    ratio: Int64
    """int64[settling rows]."""
    parties: tuple[str, ...]
    """Party of each settling row."""
    settling_row_of: Mapping[str, int]
    """Settling row of each party."""

    @property
    def settling_numbers(self) -> Int64:
        """int64[settling rows]: meter numbers."""
        return self.numbers[self.settling]


@dataclass(frozen=True)
class Registry:
    """Installations of all areas, ascending by meter number (columns of equal length), and the areas by id."""

    numbers: Int64
    area_index: Int64
    """Index into ``areas`` of each installation."""
    area_row: Int64
    gateway_index: Int64
    """Index into ``gateways`` of each installation."""
    modulus_wh: Int64
    limit_wh: Int64
    areas: tuple[Area, ...]
    """Ascending by the bytes of their ids."""
    gateways: tuple[str, ...]
    """Those that read an installation, ascending by the bytes of their ids."""
    gateway_place: Mapping[str, int]
    """Index into ``gateways`` of each of them."""
    first_boundary_s: int
    """The start of the first slot of any area: no reading before it."""

    @classmethod
    def from_leaves(cls, leaves: AllLeaves) -> Registry:
        """Read every installation and area leaf once."""
        numbers = sorted(int(INSTALLATION.names(key)[0]) for key in leaves.leaf_keys(INSTALLATION.prefix))
        installations = [INSTALLATION.must(leaves, number) for number in numbers]
        area_ids = sorted((AREA.names(key)[0] for key in leaves.leaf_keys(AREA.prefix)), key=str.encode)
        gateways = tuple(sorted({installation.gateway for installation in installations}, key=str.encode))
        area_place = {area: place for place, area in enumerate(area_ids)}
        gateway_place = {gateway: place for place, gateway in enumerate(gateways)}
        members: dict[str, list[InstallationLeaf]] = {area: [] for area in area_ids}
        rows = []
        for installation in installations:
            rows.append(len(members[installation.area]))
            members[installation.area].append(installation)
        return cls(
            numbers=_column(numbers),
            area_index=_column(area_place[installation.area] for installation in installations),
            area_row=_column(rows),
            gateway_index=_column(gateway_place[installation.gateway] for installation in installations),
            modulus_wh=_column(installation.modulus_wh for installation in installations),
            limit_wh=_column(installation.limit_wh for installation in installations),
            areas=tuple(_area(area, members[area]) for area in area_ids),
            gateways=gateways,
            gateway_place=gateway_place,
            first_boundary_s=min((AREA.must(leaves, area).first_slot_start_s for area in area_ids), default=0),
        )


def _area(area: str, members: list[InstallationLeaf]) -> Area:
    settling = [(row, member, member.party) for row, member in enumerate(members) if member.party is not None]
    parties = tuple(party for _, _, party in settling)
    require(len(set(parties)) == len(parties), f"a party of area {area} has one settlement meter")
    return Area(
        id=area,
        numbers=_column(member.number for member in members),
        settling=_column(row for row, _, _ in settling),
        modulus_wh=_column(member.modulus_wh for _, member, _ in settling),
        ratio=_column(member.ratio for _, member, _ in settling),
        parties=parties,
        settling_row_of={party: row for row, party in enumerate(parties)},
    )


def _column(values: Iterable[int]) -> Int64:
    return np.array(list(values), dtype=np.int64)
