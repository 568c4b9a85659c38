"""Entities as people write them in files: one table of fields a row, bytes as hex digits. What is wrong ends in one line."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gridcore.errors import UsageError, excerpt
from gridcore.forms import Form
from gridcore.registry.entities import ENTITIES
from gridcore.registry.entity import Entity
from gridcore.registry.price_series import PRICES, pack_prices
from gridcore.registry.tariff import DAYS

_OWN: Final = ("kind", "name", "from_s")
"""Columns of a file that are no fields of an entity."""


def read_entity(
    where: str, kind: str, table: Mapping[str, Any], read: Callable[[Form, Any], Any]
) -> tuple[str, dict[str, Any]]:
    """Key and value of the entity that one row of a file says. ``read``: from an item of the file to the value of a form."""
    entity = ENTITIES.get(kind)
    if entity is None:
        raise UsageError(f"{where}: kind {excerpt(kind)} is one of {', '.join(ENTITIES)}")
    name = str(table.get("name", ""))
    if not entity.name_form.holds(name):
        raise UsageError(f"{where}: name is {entity.name_form.words}, not {excerpt(name)}")
    value = {field: read(_form_of(entity, field), item) for field, item in table.items() if field not in _OWN}
    if fault := entity.fault_of(value):
        raise UsageError(f"{where}, {entity.key(name)}: {fault}")
    return entity.key(name), value


def _form_of(entity: Entity[Any], field: str) -> Form:
    """The form of a field in any shape of the entity; one that holds nothing for a field that it does not have."""
    endings = {} if entity.ending is None else {entity.ending[0]: _TRUE, **entity.ending[1].forms}
    return {**endings, **entity.shape.forms}.get(field, _NOTHING)


def from_toml(form: Form, item: Any) -> Any:
    """A TOML value as a row holds it: bytes are written as hex digits, prices of a series as an array of numbers,
    named days as dates or their texts.
    """
    if isinstance(item, list) and form is PRICES:
        return packed(item)
    if form is DAYS and isinstance(item, dict):
        return {kind: _as_texts(days) for kind, days in item.items()}
    if isinstance(item, str) and not form.holds(item):
        return next((found for found in candidates(item, bytes.fromhex) if form.holds(found)), item)
    return item


def _as_texts(days: Any) -> Any:
    """An array of dates as a row holds it; anything else as it is."""
    return [day.isoformat() if hasattr(day, "isoformat") else day for day in days] if isinstance(days, list) else days


def packed(prices: Any) -> Any:
    """An array of prices as a row holds it; anything else as it is."""
    try:
        return pack_prices(prices)
    except (TypeError, struct.error):
        return prices


def candidates(text: str, *readers: Callable[[str], Any]) -> Iterator[Any]:
    """What each reader makes of a text, of those that can read it."""
    for read in readers:
        try:
            yield read(text)
        except (ValueError, RecursionError):
            continue


_TRUE: Final = Form("true", lambda value: value is True)
_NOTHING: Final = Form("no field of it", lambda _: False)
