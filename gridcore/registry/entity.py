"""What entities of one kind have in common: the name in their keys, the forms of their values, and the records of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from gridcore.errors import EncodingError, excerpt
from gridcore.forms import NAME, Form

Value = Mapping[str, Any]
"""The map of a registry row: canonical types only."""
R = TypeVar("R")


class Shape(NamedTuple):
    """One map that a value may be.

    record: a named tuple of exactly the ``forms``' fields; optional: those that the map may lack, None in the record;
    rule: what is wrong with a record whose fields all have their forms, "" where nothing is.
    """

    record: type[Any]
    forms: Mapping[str, Form]
    optional: frozenset[str] = frozenset()
    rule: Callable[[Any], str] = lambda _: ""

    def fault_of(self, fields: Value) -> str:
        """What is wrong with a map, naming the field and what would be right; "" where nothing is."""
        for name in sorted({*self.forms, *fields}):
            if name not in self.forms:
                return f"{excerpt(name)} is no field of it; it has {', '.join(self.forms)}"
            if name not in fields:
                if name not in self.optional:
                    return f"{name} is missing: {self.forms[name].words}"
            elif not self.forms[name].holds(fields[name]):
                return f"{name} is {self.forms[name].words}, not {shown(fields[name])}"
        return self.rule(self.record(**fields))


@dataclass(frozen=True)
class Entity(Generic[R]):
    """One kind of entity. Its key is ``<kind>/<name>``.

    shape: of its values; ending: the key whose value ``true`` marks a value that ends the entity, and the shape of
    the rest of that value; name_form: of the name.
    """

    kind: str
    shape: Shape
    ending: tuple[str, Shape] | None = None
    name_form: Form = NAME

    def key(self, name: str) -> str:
        """The key of the entity of that name."""
        return f"{self.kind}/{name}"

    def fault_of(self, value: Value) -> str:
        """What is wrong with the map of a row, naming the field and what would be right; "" where nothing is."""
        marker, shape = self._shape_of(value)
        fields = {name: item for name, item in value.items() if name != marker}
        if marker and value[marker] is not True:
            return f"{marker} is true, not {shown(value[marker])}"
        return shape.fault_of(fields)

    def decode(self, value: Value) -> R:
        """The record of a map. EncodingError unless it has the form of this entity."""
        if fault := self.fault_of(value):
            raise EncodingError(f"{self.kind}: {fault}")
        return self.record_of(value)

    def record_of(self, value: Value) -> R:
        """The record of a map whose form was checked before."""
        marker, shape = self._shape_of(value)
        record: R = shape.record(**{name: item for name, item in value.items() if name != marker})
        return record

    def encode(self, record: R) -> Value:
        """The map of a record."""
        fields = _fields_of(record)
        if self.ending is not None and isinstance(record, self.ending[1].record):
            fields[self.ending[0]] = True
        return fields

    def _shape_of(self, value: Value) -> tuple[str, Shape]:
        """The marker of an ending, "" without, and the shape of the other fields."""
        return self.ending if self.ending is not None and self.ending[0] in value else ("", self.shape)


def _fields_of(record: Any) -> dict[str, Any]:
    """The fields of a named tuple by name, without those that are None."""
    return {name: item for name, item in record._asdict().items() if item is not None}


def shown(value: Any) -> str:
    """A value for one line of ours, cut where it is long."""
    if isinstance(value, str):
        return excerpt(value)
    text = value[:31].hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


_SHOWN_MAX: Final = 60
