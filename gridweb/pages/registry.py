"""The meters of an area as the utility's pages need them, learnt once.

The registry of a chain never changes in this version of the ledger, so that pages count homes and name meters while the node
is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from gridweb.i18n import N_
from gridweb.source import Source

ROLE_TITLES: Final[Mapping[str, str]] = {"household": N_("household"), "load": N_("load"), "feeder": N_("feeder")}
METERS_MAX: Final = 200_000
"""Meters that are kept in memory, about 400 bytes each; beyond it an area's list is asked for anew."""


@dataclass(frozen=True)
class Meter:
    """An installation. ``limit_wh``: primary Wh per slot; ``party``: None for a feeder, which bills nobody."""

    number: int
    meter: str
    area: str
    gateway: str
    party: str | None
    role: str
    limit_wh: int
    trades: bool

    @property
    def is_billed(self) -> bool:
        """Whether its energy is on somebody's bill."""
        return self.party is not None


_known: WeakKeyDictionary[Source, dict[str, tuple[Meter, ...]]] = WeakKeyDictionary()


async def read_meters(source: Source, area: str) -> tuple[Meter, ...]:
    """An area's meters, ascending by number. SourceAway, if they were never learnt."""
    known = _known.setdefault(source, {})
    if area in known:
        return known[area]
    pages = await source.pages(f"areas/{area}/installations")
    meters = tuple(
        Meter(
            number=one["number"],
            meter=one["meter"],
            area=area,
            gateway=one["gateway"],
            party=one["party"],
            role=one["role"],
            limit_wh=one["limit_wh"],
            trades=one["trades"],
        )
        for page in pages
        for one in page["installations"]
    )
    if sum(map(len, known.values())) + len(meters) <= METERS_MAX:
        known[area] = meters
    return meters
