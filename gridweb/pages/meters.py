"""The meters of an area as the utility's pages need them, learnt anew at each newer height.

While the node is away they stand as last known, so that pages count homes and name meters then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from gridcore.forms import NAME
from gridweb.i18n import N_
from gridweb.source import Source, SourceAway, SourceBusy, SourceMissing

ROLE_TITLES: Final[Mapping[str, str]] = {
    "household": N_("household"),
    "load": N_("load"),
    "feeder": N_("feeder"),
    "exchange": N_("exchange"),
}
NOT_INSTALLED: Final = "no meter of this code is installed"
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


class _Learnt(NamedTuple):
    """The meters of an area, and the newest height that was seen when they were asked for."""

    height: int
    meters: tuple[Meter, ...]


_known: WeakKeyDictionary[Source, dict[str, _Learnt]] = WeakKeyDictionary()


async def read_meters(source: Source, area: str) -> tuple[Meter, ...]:
    """An area's meters, ascending by number. SourceAway, SourceBusy, if they were never learnt."""
    known = _known.setdefault(source, {})
    learnt, height = known.get(area), source.progress.newest
    if learnt is not None and learnt.height == height:
        return learnt.meters
    try:
        meters = await _ask(source, area)
    except (SourceAway, SourceBusy):
        if learnt is None:
            raise
        return learnt.meters
    known.pop(area, None)
    if sum(len(other.meters) for other in known.values()) + len(meters) <= METERS_MAX:
        known[area] = _Learnt(height, meters)
    return meters


async def find_meter(source: Source, code: str) -> Meter:
    """The meter of a code. SourceAway, SourceBusy, if nobody can say where it hangs; SourceMissing where no area has it."""
    if not NAME.holds(code):
        raise SourceMissing(NOT_INSTALLED)
    try:
        area = (await source.cached(f"meters/{code}"))["area"]
    except (SourceAway, SourceBusy):
        learnt = (meter for area in _known.get(source, {}).values() for meter in area.meters)
        found = next((meter for meter in learnt if meter.meter == code), None)
        if found is None:
            raise
        return found
    for meter in await read_meters(source, area):
        if meter.meter == code:
            return meter
    raise SourceMissing(NOT_INSTALLED)


async def _ask(source: Source, area: str) -> tuple[Meter, ...]:
    pages = await source.pages(f"areas/{area}/installations")
    return tuple(
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
