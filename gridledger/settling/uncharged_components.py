"""Components that are not charged in a month, since nothing tells their power factor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

NOT_THERE: Final = "not_there"
PARTIAL: Final = "partial"
REASONS: Final[Mapping[str, str]] = {
    NOT_THERE: "no reactive energy of it is known",
    PARTIAL: "its spans of reactive energy are not exactly the slots of the month that are settled for the party",
}


class Uncharged(NamedTuple):
    """A component that is left out of a party's month. point: the first that lacks something; reason: of REASONS."""

    party: str
    month: str
    component: str
    point: str
    reason: str

    @property
    def words(self) -> str:
        """For a person."""
        where = f"{self.component} of {self.party} is not charged in {self.month}: point {self.point}"
        return f"{where}: {REASONS[self.reason]}"
