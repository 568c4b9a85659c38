"""What is registered, as columns that a file can hold: one row an installation, and the areas (docs/spec/state.md has the leaves)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from gridcore import cbor
from gridcore.errors import EncodingError
from ledger.leaves.columns import Int64, pack, unpack
from ledger.leaves.installation import InstallationLeaf

_NUMBERS: Final = ("numbers", "area_index", "gateway_index", "modulus_wh", "limit_wh", "ratio")
_TYPE: Final = "registry-columns/1"


@dataclass(frozen=True)
class RegistryColumns:
    """Installations of all areas, ascending by meter number; columns of equal length, int64.

    area_index, gateway_index: into ``areas`` and ``gateways``; modulus_wh (0: none) and limit_wh (of one slot): as the meter
    shows them; parties: "" for a feeder; areas: id -> start of the first slot (UTC seconds), ascending by the bytes of the id;
    gateways: those that read an installation, ascending by the bytes of their ids.
    """

    numbers: Int64
    area_index: Int64
    gateway_index: Int64
    modulus_wh: Int64
    limit_wh: Int64
    ratio: Int64
    parties: tuple[str, ...]
    areas: Mapping[str, int]
    gateways: tuple[str, ...]

    def with_leaves(self, installations: Iterable[InstallationLeaf], areas: Mapping[str, int]) -> RegistryColumns:
        """These columns with further or other installations and areas (id -> first slot)."""
        rows = [(v.number, v.area, v.gateway, v.modulus_wh, v.limit_wh, v.ratio, v.party or "") for v in installations]
        columns = list(zip(*rows, strict=True)) or [()] * 7
        numbers = _column(columns[0])
        kept = ~np.isin(self.numbers, numbers)
        known = dict(sorted({**self.areas, **areas}.items(), key=lambda area: area[0].encode()))
        old_gateways = [self.gateways[place] for place in np.unique(self.gateway_index[kept]).tolist()]
        gateways = tuple(sorted({*old_gateways, *columns[2]}, key=str.encode))
        order = np.argsort(np.concatenate([self.numbers[kept], numbers]), kind="stable")

        def column(old: Int64, new: Iterable[int]) -> Int64:
            return np.concatenate([old[kept], _column(new)])[order]

        area_place, gateway_place = _places(known), _places(gateways)
        parties = np.array([*self.parties, *columns[6]], dtype=object)
        return RegistryColumns(
            numbers=column(self.numbers, columns[0]),
            area_index=column(_moved(self.area_index, self.areas, area_place), map(area_place.__getitem__, columns[1])),
            gateway_index=column(
                _moved(self.gateway_index, self.gateways, gateway_place), map(gateway_place.__getitem__, columns[2])
            ),
            modulus_wh=column(self.modulus_wh, columns[3]),
            limit_wh=column(self.limit_wh, columns[4]),
            ratio=column(self.ratio, columns[5]),
            parties=tuple(parties[np.concatenate([kept, np.ones(len(rows), dtype=bool)])][order]),
            areas=known,
            gateways=gateways,
        )

    def encode(self) -> bytes:
        """Canonical bytes, about 60 an installation."""
        return cbor.encode(
            [
                _TYPE,
                [pack(getattr(self, name)) for name in _NUMBERS],
                "\n".join(self.parties),
                [[area, first_s] for area, first_s in self.areas.items()],
                list(self.gateways),
            ]
        )


def decode_registry(data: bytes) -> RegistryColumns:
    """Inverse of RegistryColumns.encode. EncodingError for anything else; that the columns fit together is the writer's word."""
    value = cbor.decode(data)
    if not isinstance(value, list) or len(value) != 5 or value[0] != _TYPE:
        raise EncodingError(f"a registry is an array of five items that begins with {_TYPE!r}")
    numbers = dict(zip(_NUMBERS, map(unpack, value[1]), strict=True))
    count = len(numbers["numbers"])
    return RegistryColumns(
        **numbers,
        parties=tuple(value[2].split("\n")) if count else (),
        areas=dict(value[3]),
        gateways=tuple(value[4]),
    )


def _column(values: Iterable[int]) -> Int64:
    return np.fromiter(values, dtype=np.int64)


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _moved(index: Int64, names: Iterable[str], places: Mapping[str, int]) -> Int64:
    """An index into ``names`` as one into other names; -1 for a name that is no longer there."""
    return _column(places.get(name, -1) for name in names)[index] if len(index) else index


_NONE: Final = np.zeros(0, dtype=np.int64)
EMPTY: Final = RegistryColumns(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE, (), {}, ())
"""Nothing registered."""
