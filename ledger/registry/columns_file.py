"""The registry's columns as bytes: what a file holds, so that a start decodes no registry row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, get_type_hints

import numpy as np

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.registry.run_calendar import RunCalendar
from ledger.leaves.columns import Int64, pack
from ledger.registry.columns import RegistryColumns
from ledger.registry.dated import Dated
from ledger.registry.zones import Timeline

_TYPE: Final = b"registry-columns/14"
_TYPES: Final = get_type_hints(RegistryColumns)
"""Each column of the record: of names, digests, numbers, dated entries or timelines."""


def encode_columns(columns: RegistryColumns) -> Iterator[bytes]:
    """Byte strings, the first of which says what they are; one or (of dated entries) three a column, made when asked for.

    About 230 bytes a point in all.
    """
    yield _TYPE
    for name, of in _TYPES.items():
        yield from _encode(of, getattr(columns, name))


def decode_columns(parts: Iterable[bytes]) -> RegistryColumns:
    """Inverse of encode_columns; numbers are not copied. EncodingError for other columns; that they fit is the writer's word."""
    left = iter(parts)
    if next(left, b"") != _TYPE:
        raise EncodingError(f"registry columns begin with {_TYPE.decode()!r}")
    return RegistryColumns(**{name: _decode(of, left) for name, of in _TYPES.items()})


def _encode(of: Any, column: Any) -> Iterator[bytes]:
    if of is Dated:
        yield from map(pack, column)
    elif of == tuple[Timeline, ...]:
        yield cbor.encode([_timeline_items(timeline) for timeline in column])
    elif of == tuple[bytes, ...]:
        yield b"".join(column)
    else:
        yield "\n".join(column).encode() if of == tuple[str, ...] else pack(column)


def _decode(of: Any, left: Iterator[bytes]) -> Any:
    if of is Dated:
        return Dated(*(_numbers(next(left)) for _ in Dated._fields))
    part = next(left)
    if of == tuple[Timeline, ...]:
        return tuple(map(_timeline, cbor.decode(part, items_max=len(part))))
    if of == tuple[bytes, ...]:
        return tuple(part[start : start + 32] for start in range(0, len(part), 32))
    if of == tuple[str, ...]:
        return tuple(part.decode().split("\n")) if part else ()
    return _numbers(part)


def _timeline_items(timeline: Timeline) -> list[Any]:
    """The spans of a timeline, and the map of its run calendar where it has one."""
    *spans, calendar = timeline
    return spans if calendar is None else [*spans, calendar.encode()]


def _timeline(items: list[Any]) -> Timeline:
    *spans, last = items
    return Timeline(*spans)._replace(run_calendar=RunCalendar.of(last)) if isinstance(last, dict) else Timeline(*items)


def _numbers(part: bytes) -> Int64:
    return np.frombuffer(part, dtype="<i8").astype(np.int64, copy=False)
