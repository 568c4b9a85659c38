"""Who and what is registered, as columns: derived from the leaves of one state, never part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np

from gridcore.errors import broken, require
from ledger.leaves.area import AREA
from ledger.leaves.columns import Int64
from ledger.leaves.family import Leaves, Value
from ledger.leaves.installation import INSTALLATION, InstallationLeaf
from ledger.leaves.party import PARTY
from ledger.state.registry_columns import EMPTY, RegistryColumns

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

    @property
    def settling_numbers(self) -> Int64:
        """int64[settling rows]: meter numbers."""
        return self.numbers[self.settling]

    @cached_property
    def settling_row_of(self) -> Mapping[str, int]:
        """Settling row of each party."""
        rows = {party: row for row, party in enumerate(self.parties)}
        require(len(rows) == len(self.parties), f"a party of area {self.id} has one settlement meter")
        return rows


class Registry:
    """Installations of all areas, ascending by meter number (columns of equal length, int64), and the areas by id.

    numbers, area_index, gateway_index, modulus_wh, limit_wh, gateways: as in ``columns``; area_row: of each installation in its
    area; areas: ascending by the bytes of their ids; gateway_place: index into ``gateways`` of each of them; first_boundary_s:
    the start of the first slot of any area, no reading before it. Nothing of it ever changes.
    """

    def __init__(self, columns: RegistryColumns) -> None:
        self.columns = columns
        self.numbers = columns.numbers
        self.area_index = columns.area_index
        self.gateway_index = columns.gateway_index
        self.modulus_wh = columns.modulus_wh
        self.limit_wh = columns.limit_wh
        self.gateways = columns.gateways
        self.gateway_place: Mapping[str, int] = {name: place for place, name in enumerate(columns.gateways)}
        self.first_boundary_s = min(columns.areas.values(), default=0)
        order = np.argsort(columns.area_index, kind="stable")
        starts = np.searchsorted(columns.area_index[order], np.arange(len(columns.areas) + 1))
        self.area_row = np.zeros_like(columns.numbers)
        self.area_row[order] = np.arange(len(order)) - starts[columns.area_index[order]]
        parties = np.array(columns.parties, dtype=object)
        self.areas = tuple(
            _area(area, columns, parties, order[starts[place] : starts[place + 1]])
            for place, area in enumerate(columns.areas)
        )

    @classmethod
    def from_leaves(cls, leaves: AllLeaves) -> Registry:
        """Read every installation and area leaf once."""
        keys = [key for prefix in (INSTALLATION.prefix, AREA.prefix) for key in leaves.leaf_keys(prefix)]
        return cls(_with_leaves(EMPTY, ((key, leaves.get(key)) for key in keys)))

    def changed(self, values: Iterable[tuple[str, Value | None]]) -> Registry:
        """The registry after leaves (of any family) got new values."""
        return Registry(_with_leaves(self.columns, values))


def _with_leaves(columns: RegistryColumns, values: Iterable[tuple[str, Value | None]]) -> RegistryColumns:
    areas: dict[str, int] = {}

    def installations() -> Iterable[InstallationLeaf]:
        for key, value in values:
            if value is None:
                broken(f"leaf {key} exists")
            if key.startswith(INSTALLATION.prefix):
                yield INSTALLATION.decode(**value)
            elif key.startswith(AREA.prefix):
                areas[AREA.names(key)[0]] = AREA.decode(**value).first_slot_start_s

    return columns.with_leaves(installations(), areas)  # which has read all of them before it looks at the areas


def _area(area: str, columns: RegistryColumns, parties: np.ndarray[Any, Any], rows: Int64) -> Area:
    of_rows = parties[rows]
    settling = np.flatnonzero(of_rows != "")
    return Area(
        id=area,
        numbers=columns.numbers[rows],
        settling=settling,
        modulus_wh=columns.modulus_wh[rows][settling],
        ratio=columns.ratio[rows][settling],
        parties=tuple(of_rows[settling]),
    )
