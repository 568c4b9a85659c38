"""Who and what is registered, as columns: derived from the leaves of one state, never part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from gridcore.errors import broken, require
from ledger.state.columns import Int64

INSTALLATION: Final = "installation/"
AREA: Final = "area/"
REGISTRY_FAMILIES: Final = (INSTALLATION, AREA, "party/")
"""First parts of the keys that the registry, and what is worked out beside it, follow from: a change makes another registry."""


class Leaves(Protocol):
    """What the registry reads of a state."""

    def leaf_keys(self, prefix: str) -> Iterable[str]:
        """Keys that begin with ``prefix``."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """A leaf's value."""


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
    def from_leaves(cls, leaves: Leaves) -> Registry:
        """Read every installation and area leaf once."""
        installations = sorted(
            (_value(leaves, key) for key in leaves.leaf_keys(INSTALLATION)),
            key=lambda v: int(v["number"]),
        )
        area_ids = sorted((key[len(AREA) :] for key in leaves.leaf_keys(AREA)), key=str.encode)
        gateways = tuple(sorted({v["gateway"] for v in installations}, key=str.encode))
        area_place = {area: place for place, area in enumerate(area_ids)}
        gateway_place = {gateway: place for place, gateway in enumerate(gateways)}
        members: dict[str, list[Mapping[str, Any]]] = {area: [] for area in area_ids}
        rows = []
        for installation in installations:
            rows.append(len(members[installation["area"]]))
            members[installation["area"]].append(installation)
        return cls(
            numbers=_column(v["number"] for v in installations),
            area_index=_column(area_place[v["area"]] for v in installations),
            area_row=_column(rows),
            gateway_index=_column(gateway_place[v["gateway"]] for v in installations),
            modulus_wh=_column(v["modulus_wh"] for v in installations),
            limit_wh=_column(v["limit_wh"] for v in installations),
            areas=tuple(_area(area, members[area]) for area in area_ids),
            gateways=gateways,
            gateway_place=gateway_place,
            first_boundary_s=min(
                (_value(leaves, f"{AREA}{area}")["first_slot_start_s"] for area in area_ids), default=0
            ),
        )


def _area(area: str, members: list[Mapping[str, Any]]) -> Area:
    settling = [(row, v) for row, v in enumerate(members) if "party" in v]
    parties = tuple(v["party"] for _, v in settling)
    require(len(set(parties)) == len(parties), f"a party of area {area} has one settlement meter")
    return Area(
        id=area,
        numbers=_column(v["number"] for v in members),
        settling=_column(row for row, _ in settling),
        modulus_wh=_column(v["modulus_wh"] for _, v in settling),
        ratio=_column(v["ratio"] for _, v in settling),
        parties=parties,
        settling_row_of={party: row for row, party in enumerate(parties)},
    )


def _value(leaves: Leaves, key: str) -> Mapping[str, Any]:
    value = leaves.get(key)
    return value if value is not None else broken(f"leaf {key} exists")


def _column(values: Iterable[int]) -> Int64:
    return np.array(list(values), dtype=np.int64)
