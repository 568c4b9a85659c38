"""The registry's columns as bytes: what a file holds, so that a start decodes no registry row."""

from __future__ import annotations

from typing import Any, Final, get_type_hints

from gridcore import cbor
from gridcore.errors import EncodingError
from ledger.leaves.columns import pack, unpack
from ledger.registry.columns import RegistryColumns
from ledger.registry.dated import Dated
from ledger.registry.zones import Timeline

_TYPE: Final = "registry-columns/4"
_TYPES: Final = get_type_hints(RegistryColumns)
"""Each column of the record: of names, digests, numbers, dated entries or timelines."""


def encode_columns(columns: RegistryColumns) -> bytes:
    """Canonical bytes, about 180 a point."""
    return cbor.encode([_TYPE, {name: _encode(of, getattr(columns, name)) for name, of in _TYPES.items()}])


def decode_columns(data: bytes) -> RegistryColumns:
    """Inverse of encode_columns. EncodingError for anything else; that the columns fit together is the writer's word."""
    value = cbor.decode(data, items_max=len(data))
    if not isinstance(value, list) or len(value) != 2 or value[0] != _TYPE:
        raise EncodingError(f"registry columns are an array of two items that begins with {_TYPE!r}")
    return RegistryColumns(**{name: _decode(_TYPES[name], item) for name, item in value[1].items()})


def _encode(of: Any, column: Any) -> Any:
    if of is Dated:
        return [pack(part) for part in column]
    if of == tuple[Timeline, ...]:
        return [list(timeline) for timeline in column]
    if of == tuple[bytes, ...]:
        return b"".join(column)
    return "\n".join(column) if of == tuple[str, ...] else pack(column)


def _decode(of: Any, item: Any) -> Any:
    if of is Dated:
        return Dated(*map(unpack, item))
    if of == tuple[Timeline, ...]:
        return tuple(Timeline(*timeline) for timeline in item)
    if of == tuple[bytes, ...]:
        return tuple(item[start : start + 32] for start in range(0, len(item), 32))
    if of == tuple[str, ...]:
        return tuple(item.split("\n")) if item else ()
    return unpack(item)
