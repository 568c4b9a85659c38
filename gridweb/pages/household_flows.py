"""What a household's pages draw as bars: the hours of a day, the days of a month, the months of a year; and its usual day."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from gridweb import format as shown
from gridweb.bill import Interval, totals_of
from gridweb.flows import Bars, Flows, Span, Usual, bars_of, flows_of_slots, usual_of
from gridweb.pages.household_tables import DayBill, complete, days_between, read_intervals
from gridweb.source import Source

USUAL_DAYS: Final = 14
"""Days before the one that is looked at, of which the usual one is the mean."""
HOUR_S: Final = 3_600


async def read_usual(source: Source, bill: DayBill) -> Usual | None:
    """What is usual for a household at this time of its day, by the days before. SourceAway while the series is away."""
    area = bill.point.area
    place = bisect_left(area.days, bill.day.start_s)
    days = days_between(area, area.days[max(0, place - USUAL_DAYS)], bill.day.start_s)
    if not days:
        return None
    found = await read_intervals(source, bill.point, days[0].start_s, bill.day.start_s)
    instants_s = [interval.start_s for interval in found]
    earlier = []
    for day in days:
        own = found[bisect_left(instants_s, day.start_s) : bisect_left(instants_s, day.end_s)]
        earlier.append(complete(own, area.slots_of(day.start_s)))
    return usual_of(bill.intervals, earlier, area.slot_s)


def hour_start_s(start_s: int, tz: str) -> int:
    """Where the hour of the local clock begins in which an instant lies: both passes of a repeated one have their own."""
    return start_s - 60 * shown.hour_and_minute(start_s, tz)[1]


def hour_title(hour_s: int, tz: str) -> str:
    """An hour of the local clock by its ends."""
    return f"{shown.clock(hour_s, tz)}–{shown.clock(hour_s + HOUR_S, tz)}"


def bars_of_hours(bill: DayBill, statement_url: str) -> Bars:
    """The hours of a day; each leads to its part of the statement."""
    tz = bill.point.area.tz
    spans = []
    for hour_s, slots in groupby(bill.intervals, key=lambda interval: hour_start_s(interval.start_s, tz)):
        name = hour_title(hour_s, tz)
        label = shown.hour_and_minute(hour_s, tz)[0]
        spans.append(_span_of_slots(name, label, f"{statement_url}#hour-{hour_s}", list(slots)))
    return bars_of(spans)


def _span_of_slots(name: str, label: str, href: str, slots: Sequence[Interval]) -> Span:
    totals = totals_of(slots, len(slots))
    if not totals.settled:
        return Span(name, label, href, None)
    return Span(name, label, href, flows_of_slots(slots), totals.pays_nano, is_partial=totals.settled < totals.expected)


def bars_of_days(rows: Sequence[Sequence[object]], links: Sequence[str | None]) -> Bars:
    """The days of a table of days, or the months of one of months, oldest first; each leads to its page."""
    spans = [_span_of_row(row, link or "") for row, link in zip(rows, links, strict=True)]
    return bars_of(sorted(spans))


def _span_of_row(row: Sequence[object], link: str) -> Span:
    """The span of a row of DAY_COLUMNS, or of those of a month."""
    name, expected, settled, *values = row
    known = [value for value in values if isinstance(value, int)]
    label = str(name).rpartition("-")[2]
    if not known:
        return Span(str(name), label, link, None)
    taken_wh, fed_wh, _bought_wh, _sold_wh, pays_nano, _alone_nano, _saving_nano, bought_wh, sold_wh = known
    flows = Flows(bought_wh, taken_wh - bought_wh, sold_wh, fed_wh - sold_wh)
    return Span(str(name), label, link, flows, pays_nano, is_partial=settled != expected)
