"""Exact columns as people read them in a file: kWh, the currency, and local time with its offset, beside Wh, nano and UTC seconds.

Nothing is rounded: the decimals are those of the exact unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from gridweb.format import zone_of
from gridweb.tables import Column, Table


class Readable(NamedTuple):
    """A column for people beside an exact one. ``decimals``: of its numbers, None for local time."""

    key: str
    decimals: int | None
    text: Callable[[int], str]


_DECIMALS: Final[Mapping[str, int]] = {"energy_wh": 3, "amount_nano": 9, "price_micro": 6}
"""Kinds of columns that have a decimal form, and its decimals."""
_INSTANTS: Final = ("instant", "slot")


def readable_of(column: Column, table: Table) -> Readable | None:
    """The column for people beside ``column``; None where the exact values are what people read."""
    if column.kind in _INSTANTS:
        return Readable(f"{column.key.removesuffix('_s')}_local", None, lambda value: local_time(value, table.tz))
    if column.kind not in _DECIMALS or not (table.currency or column.kind == "energy_wh"):
        return None
    decimals, currency = _DECIMALS[column.kind], table.currency.lower()
    keys = {
        "energy_wh": f"{column.key.removesuffix('_wh')}_kwh",
        "amount_nano": f"{column.key.removesuffix('_nano')}_{currency}",
        "price_micro": f"{column.key.removesuffix('_micro_per_kwh')}_{currency}_per_kwh",
    }
    return Readable(keys[column.kind], decimals, lambda value: decimal_text(value, decimals))


def decimal_text(value: int, decimals: int) -> str:
    """A whole number of 10**-``decimals`` as a decimal, a point before the decimals: ``-0.460000``."""
    whole, rest = divmod(abs(value), 10**decimals)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{decimals}d}"


def local_time(time_s: int, tz: str) -> str:
    """UTC seconds as ISO 8601 with the offset of a zone: ``2026-10-25T02:15:00+02:00``. Tells both passes of a repeated hour apart."""
    return datetime.fromtimestamp(time_s, UTC).astimezone(zone_of(tz)).isoformat()
