"""Periods: a contract may settle once a month what it has summed over the slots of the month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from settlement.contract_kit_1.columns import Int64Column


class PeriodLike(Protocol):
    """The period of each group of rows."""

    @property
    def start_s(self) -> Sequence[int]:
        """Where it begins, UTC seconds."""

    @property
    def closes(self) -> Sequence[bool]:
        """Whether it ends with the group's slot."""

    @property
    def columns(self) -> Mapping[str, Int64Column]:
        """By name int64[n]: what its other slots have come to, of each row; nothing where none closes."""

    @property
    def area_columns(self) -> Mapping[str, Sequence[int]]:
        """By name one value a group: what its other slots have come to; nothing where none closes."""
