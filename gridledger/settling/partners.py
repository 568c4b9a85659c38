"""Market partners of a point: who sells to its party, buys from it, and runs its grid; and on which accounts of contracts their money stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gridcore.registry.point import Point


class Partners(NamedTuple):
    """Whom a point names, as of ``gridcore.registry.point.Point``; "" where it names nobody."""

    supplier: str = ""
    offtaker: str = ""
    grid_operator: str = ""

    @classmethod
    def of(cls, point: Point) -> Partners:
        """Whom an entry of a point names."""
        return cls(point.supplier or "", point.offtaker or "", point.grid_operator or "")

    def on(self, account: str) -> str:
        """Who is behind an account, one of ``PARTNER_ACCOUNTS``; ``unassigned`` where it names nobody."""
        name: str = getattr(self, PARTNER_ACCOUNTS[account])
        return name or unassigned(account)


PARTNER_ACCOUNTS: Final[Mapping[str, str]] = {
    "network": "grid_operator",
    "offtaker": "offtaker",
    "supplier": "supplier",
}
"""Accounts of contracts behind each of which stands whoever the point names in this field of ``Partners``."""
NOBODY: Final[Sequence[Partners]] = (Partners(),)
"""All that points name where nobody looked."""


def unassigned(account: str) -> str:
    """Under which name stands what nobody is named for. No partner has it: their names have no slash."""
    return f"{account}/unassigned"
