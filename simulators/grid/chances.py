"""Events that come by chance, made events that come for certain: at each boundary of their time drawn anew, of an area for each meter by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from gridcore.errors import UsageError
from simulators.grid.diversity import Stream, generator
from simulators.grid.metering import MeterSpec
from simulators.grid.spans import spans
from simulators.scenarios.meter_kinds import DLT645
from simulators.scenarios.schema import CERTAIN_PERCENT, METER_CLOCK, METER_KINDS, REBOOT, WORD_SWAP, Event

HAPPENINGS_MAX: Final = 20_000
"""What may happen in a run: events, and stretches of those that come by chance."""
_OF_DLT645: Final = {METER_CLOCK: True, REBOOT: False, WORD_SWAP: False}
"""Whether a kind is of meters of DL/T 645 alone, or of all others."""


def happening(events: Sequence[Event], seed: int, meters: Sequence[MeterSpec]) -> tuple[Event, ...]:
    """What happens: first the events that are certain, then what is drawn of the others from seed and place in the file.

    UsageError where an area has no meter of which an event can be, and where it is more than HAPPENINGS_MAX.
    """
    certain = [event for event in events if event.chance_percent == CERTAIN_PERCENT]
    drawn = (
        one
        for number, event in enumerate(events)
        if event.chance_percent < CERTAIN_PERCENT
        for one in _drawn(number, event, seed, meters)
    )
    found = (*certain, *islice(drawn, HAPPENINGS_MAX + 1 - len(certain)))
    if len(found) > HAPPENINGS_MAX:
        raise UsageError(f"events: more than {HAPPENINGS_MAX} would happen; give less chance_percent, time or meters")
    return found


def _drawn(number: int, event: Event, seed: int, meters: Sequence[MeterSpec]) -> Iterator[Event]:
    targets = [event.target]
    if event.kind in METER_KINDS and all(meter.meter != event.target for meter in meters):
        able = _OF_DLT645.get(event.kind)
        own = [meter for meter in meters if meter.area == event.target]
        targets = [meter.meter for meter in own if able is None or able == (meter.wiring.speaks == DLT645)]
    if not targets:
        raise UsageError(f"events[{number}]: no meter of {event.target} can have {event.kind!r}; name another kind")
    rng = generator(seed, Stream.EVENT_CHANCES, number)
    is_on = (
        rng.integers(CERTAIN_PERCENT, size=(len(targets), event.until_slot - event.from_slot)) < event.chance_percent
    )
    for target, own_on in zip(targets, is_on, strict=True):
        for first, end in spans(own_on):
            yield replace(
                event,
                target=target,
                from_slot=event.from_slot + first,
                until_slot=event.from_slot + end,
                chance_percent=CERTAIN_PERCENT,
            )
