"""What stands contested of the documents of parties, by party and month: what the node says of the months of open disputes (ADR 0145).

Documents that were issued are not due as far as they are contested. A node makes a party's documents of a month anew, so no more are asked for than bounds say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from gridweb.points import zone
from gridweb.source import AreaInfo, Source, SourceMissing

DISPUTES_MAX: Final = 65_536
"""Disputes that are looked through for open ones."""
MONTHS_MAX: Final = 64
"""Months of parties that are asked for; one party has at most 16 open disputes."""
NOTHING: Final[Mapping[str, int]] = {}

Answer = Mapping[str, Any]


class Contested(NamedTuple):
    """found: by party what stands contested by month, None where that is not known; others: of any other party."""

    found: Mapping[str, Mapping[str, int] | None]
    others: Mapping[str, int] | None = NOTHING

    def of(self, party: str) -> Mapping[str, int] | None:
        """By month, nano-currency; None where it is not known."""
        return self.found.get(party, self.others)


async def read_contested(source: Source, parties: Container[str]) -> Contested:
    """What some parties contest by now. Not known where the node has no documents of a month, and beyond the bounds. SourceAway, SourceBusy."""
    pages = await source.pages("disputes", rows_max=DISPUTES_MAX)
    if pages[-1]["next"] is not None:
        return Contested({}, None)
    of_party: dict[str, list[Answer]] = defaultdict(list)
    for one in (one for page in pages for one in page["disputes"]):
        if one["party"] in parties and not one["is_closed"] and one["amount_nano"] > 0:  # a credit is paid out
            of_party[one["party"]].append(one)
    found: dict[str, Mapping[str, int] | None] = {}
    left = MONTHS_MAX
    for party, disputes in of_party.items():
        found[party] = None
        if left > 0:
            area, months = await _months_of(source, party, disputes)
            left -= len(months)
            found[party] = None if area is None or left < 0 else await _by_month(source, area, party, months)
    return Contested(found)


async def _months_of(source: Source, party: str, disputes: Sequence[Answer]) -> tuple[AreaInfo | None, Sequence[str]]:
    """Where a party is billed, and of which local months its disputes are; None where it is billed nowhere."""
    try:
        area = await source.area((await source.cached("credit", party=party))["area"])
    except SourceMissing:
        return None, [""]
    return area, sorted({one["month"] or _month(one["slot_start_s"], area) for one in disputes})


def _month(slot_start_s: int, area: AreaInfo) -> str:
    return f"{datetime.fromtimestamp(slot_start_s, UTC).astimezone(zone(area)):%Y-%m}"


async def _by_month(source: Source, area: AreaInfo, party: str, months: Sequence[str]) -> Mapping[str, int] | None:
    found: dict[str, int] = {}
    for month in months:
        try:
            answer = await source.cached(f"areas/{area.area}/months/{month}/documents", party=party)
        except SourceMissing:
            return None
        found[month] = sum(one["disputed_nano"] for one in answer["disputed"] if one["party"] == party)
    return found
