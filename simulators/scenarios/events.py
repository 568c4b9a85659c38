"""What goes wrong in a scenario: whom each event concerns, and that no two concern the same thing at once.

An event is on during the slots ``from_slot`` to ``until_slot`` - 1, and at the boundaries at which these begin. Of one that has a chance this is
the time in which it may come: nothing else concerns its target then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gridcore.envelope import NAME
from gridcore.errors import UsageError
from simulators.scenarios.meter_kinds import DLT645, Wiring
from simulators.scenarios.schema import (
    AREA_KINDS,
    CERTAIN_PERCENT,
    CHANCE_KINDS,
    DEAD_BROKER,
    EXCHANGED,
    METER_CLOCK,
    METER_FRAUDS,
    PAIR_KINDS,
    PARTITION,
    REBOOT,
    ROLL_OVER,
    STOLEN_KEY,
    SWAPPED,
    VALIDATOR_DOWN,
    VALIDATOR_KINDS,
    WORD_SWAP,
    Consortium,
    Event,
)

_OF_AREA = (*AREA_KINDS, STOLEN_KEY)
_OF_MODBUS = {WORD_SWAP: "has no words to swap", REBOOT: "answers with what it froze before"}


def check_events(
    events: Sequence[Event],
    area_of_meter: Mapping[str, str],
    slots: int,
    rolls: set[str],
    feeders: set[str],
    with_devices: Sequence[str],
) -> None:
    """Raise UsageError, naming the event by its place, where a target is not there, an event lies outside the run, or two overlap.

    rolls: meters whose register starts again somewhere; feeders: those of no party; with_devices: areas whose devices speak to the broker.
    """
    new_meters: set[str] = set()
    for number, event in enumerate(events):
        where = f"events[{number}]"
        if event.until_slot > slots:
            raise UsageError(f"{where}: until_slot {event.until_slot} is behind the end; there are {slots} slots")
        _check_target(where, event, area_of_meter)
        if event.kind == EXCHANGED:
            _check_exchange(
                where,
                event,
                {*area_of_meter, *new_meters},
                [one.target for one in events[:number] if one.kind == EXCHANGED],
            )
            new_meters.add(event.other)
        if event.kind == ROLL_OVER and event.target not in rolls:
            raise UsageError(f"{where}: the register of {event.target} never starts again; one that does is M-F1")
        if event.kind == ROLL_OVER and any(
            one.kind == EXCHANGED and one.target == event.target and one.from_slot < event.from_slot for one in events
        ):
            raise UsageError(
                f"{where}: {event.target} is exchanged before, and the new meter counts from 0; choose an earlier slot"
            )
        if event.kind in METER_FRAUDS and event.target in feeders:
            raise UsageError(
                f"{where}: {event.target} is the meter of a feeder, which nobody is billed by; name another one"
            )
        for before, other in enumerate(events[:number]):
            if _overlap(event, other, area_of_meter, with_devices):
                first, last = max(event.from_slot, other.from_slot), min(event.until_slot, other.until_slot) - 1
                raise UsageError(f"{where}: overlaps events[{before}] on {event.target} in slots {first} to {last}")


def check_protocols(events: Sequence[Event], wiring_of: Mapping[str, Wiring], drifting: Collection[str]) -> None:
    """Raise UsageError where a meter cannot do what an event says. wiring_of: the line that each hangs on; those of DL/T 645 have a clock; drifting: of these,
    meters whose clock is wrong by itself.
    """
    dlt645 = [meter for meter, wiring in wiring_of.items() if wiring.speaks == DLT645]
    for number, event in enumerate(events):
        where, is_dlt645 = f"events[{number}]", event.target in dlt645
        if event.target not in wiring_of:  # an area, or a node
            continue
        if event.kind == METER_CLOCK and not is_dlt645:
            hint = f"one that has is {min(dlt645)}" if dlt645 else f"give [[meters]] with speaks = {DLT645!r}"
            raise UsageError(f"{where}: {event.target} has no clock that counts; {hint}")
        if event.kind == METER_CLOCK and event.target in drifting:
            raise UsageError(f"{where}: the clock of {event.target} is wrong by itself; name another meter")
        if event.kind in _OF_MODBUS and is_dlt645:
            raise UsageError(
                f"{where}: {event.target} speaks DL/T 645, which {_OF_MODBUS[event.kind]}; name another meter"
            )
        if event.kind == SWAPPED and wiring_of[event.target] != wiring_of[event.other]:
            raise UsageError(f"{where}: {event.target} and {event.other} hang on lines of two kinds; name two of one")


def check_validators(events: Sequence[Event], consortium: Consortium | None) -> None:
    """Raise UsageError where an event stops or cuts off a node that is none, or the one that the clock speaks to; or where nobody could make a block any more."""
    concerned = [(number, event) for number, event in enumerate(events) if event.kind in VALIDATOR_KINDS]
    for number, event in concerned:
        where = f"events[{number}]"
        if consortium is None:
            what = "stops one" if event.kind == VALIDATOR_DOWN else "cuts off some"
            raise UsageError(f"{where}: {event.kind!r} {what} of several validators; give the table [consortium]")
        if event.kind == PARTITION and len(event.target.split()) > len(event.nodes):
            raise UsageError(f"{where}: target {event.target!r} names a node twice; name each once")
        first, *others = consortium.nodes
        names = event.nodes if event.kind == PARTITION else {event.target}
        for name in sorted(names - {*others}) or ([] if names else [event.target]):
            known = f"there are {', '.join(others)}" if others else "there is none"
            known += "; put spaces between several" if event.kind == PARTITION and others else ""
            raise UsageError(
                f"{where}: target {name!r} is no node behind {first!r}, which the clock speaks to; {known}"
            )
        others_on = [one for _, one in concerned if one.from_slot <= event.from_slot < one.until_slot]
        away = sorted(frozenset[str]().union(*(one.nodes for one in others_on)))
        if not consortium.goes_on_without(away):
            _check_standstill(where, event, away, consortium, is_alone=len(others_on) == 1)


def _check_standstill(where: str, event: Event, away: Sequence[str], consortium: Consortium, *, is_alone: bool) -> None:
    """Raise UsageError unless what leaves nobody more than two thirds is a partition by itself, in one slot."""
    held = f"of {consortium.validators} validators at most {consortium.away_max} may be away, or no block is made"
    if event.kind == VALIDATOR_DOWN or not is_alone:
        said = "down" if event.kind == VALIDATOR_DOWN else "down or cut off"
        raise UsageError(f"{where}: in slot {event.from_slot} {', '.join(away)} are {said}; {held}")
    if consortium.goes_on_without(set(consortium.nodes).difference(away)):
        raise UsageError(f"{where}: {', '.join(away)} would go on, and the clock speaks to the others; name those few")
    if event.until_slot != event.from_slot + 1:
        raise UsageError(
            f"{where}: until_slot {event.until_slot}: {held}, and time stands with the blocks; give {event.from_slot + 1}"
        )


def _check_target(where: str, event: Event, area_of_meter: Mapping[str, str]) -> None:
    """Raise UsageError where an event concerns what is not there."""
    if event.kind in VALIDATOR_KINDS:
        return
    areas = list(dict.fromkeys(area_of_meter.values()))
    if event.kind in _OF_AREA:
        if event.target not in areas:
            raise UsageError(f"{where}: target {event.target!r} is no area; there are {', '.join(sorted(areas))}")
        if event.kind == DEAD_BROKER and event.target != areas[0]:
            raise UsageError(
                f"{where}: there is one broker, for the devices of all areas that have some; its target is {areas[0]}"
            )
        return
    if event.chance_percent < CERTAIN_PERCENT and event.target in areas:
        return
    for meter in _meters(event):
        if meter not in area_of_meter:
            right = "meters are M-H001, M-L001, M-F1 and so on"
            if meter in areas and event.kind in CHANCE_KINDS:
                right = f"of an area a chance_percent below {CERTAIN_PERCENT} says how often each of its meters has it"
            elif event.chance_percent < CERTAIN_PERCENT:
                right += f", areas {', '.join(sorted(areas))}"
            raise UsageError(f"{where}: there is no meter {meter!r}; {right}")
    if event.kind in PAIR_KINDS and area_of_meter[event.target] != area_of_meter[event.other]:
        raise UsageError(f"{where}: target and other are meters of one area")


def _check_exchange(where: str, event: Event, known: set[str], exchanged: Sequence[str]) -> None:
    """Raise UsageError where a new meter has a name that is taken, or the second one comes to a place."""
    if NAME.fullmatch(event.other) is None:
        raise UsageError(f"{where}: other {event.other!r} is no name of a meter; use 1 to 64 of A-Z a-z 0-9 . _ -")
    if event.other in known:
        raise UsageError(f"{where}: other {event.other!r} is a meter already; the new one has a name of its own")
    if event.target in exchanged:
        raise UsageError(f"{where}: {event.target} is exchanged twice; once in a run is all that is simulated")


def _meters(event: Event) -> tuple[str, ...]:
    return (event.target, event.other) if event.kind in PAIR_KINDS else (event.target,)


def _overlap(one: Event, other: Event, area_of_meter: Mapping[str, str], with_devices: Sequence[str]) -> bool:
    if one.until_slot <= other.from_slot or other.until_slot <= one.from_slot:
        return False
    if {STOLEN_KEY, *VALIDATOR_KINDS} & {one.kind, other.kind}:  # these concern no meter
        return one.kind == other.kind and (one.kind == PARTITION or one.target == other.target)
    if not {one.target, other.target} <= area_of_meter.keys():  # one is an area's, or each meter's in it
        areas = [
            {area_of_meter.get(name, name) for name in (with_devices if it.kind == DEAD_BROKER else _meters(it))}
            for it in (one, other)
        ]
        return bool(areas[0] & areas[1])
    return bool(set(_meters(one)) & set(_meters(other)))
