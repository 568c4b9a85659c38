"""What actions of one sort have in common: the form of their maps, the records of these, and whose number decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gridcore.genesis import Thresholds
from gridcore.registry.entity import Shape, Value

R = TypeVar("R")


@dataclass(frozen=True)
class Sort(Generic[R]):
    """One sort of action.

    name: what proposals and files call it; shape: of its map, without the key ``sort``; threshold: how many organisations are in
    favour before it is carried out.
    """

    name: str
    shape: Shape
    threshold: Callable[[Thresholds], int]

    def record_of(self, fields: Value) -> R:
        """The record of a map whose form was checked before."""
        record: R = self.shape.record(**fields)
        return record

    def encode(self, record: Any) -> Value:
        """The map of a record."""
        return {"sort": self.name, **record._asdict()}
