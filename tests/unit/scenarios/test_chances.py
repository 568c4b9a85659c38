"""Events that come by chance: within their time, as often as they say, each meter by itself, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.errors import UsageError
from simulators.grid import chances
from simulators.grid.chances import happening
from simulators.grid.world import build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.meter_kinds import DLT645, MODBUS_TCP, USUAL_METERS, MeterKind
from simulators.scenarios.schema import AREA_KINDS, CHANCE_KINDS, METER_KINDS, Event

KINDS = (MeterKind(homes_of_ten=9, speaks=MODBUS_TCP), MeterKind(homes_of_ten=1, speaks=DLT645))
VILLAGE = replace(find_scenario("village_day").scenario.sized(slots=24), meters=KINDS)
METERS = build_world(VILLAGE).meters


def event(kind: str, target: str, first: int = 2, until: int = 22, chance: int = 30) -> Event:
    """An event of the village."""
    return Event(
        label=f"{kind} now and then", kind=kind, target=target, from_slot=first, until_slot=until, chance_percent=chance
    )


@given(st.sampled_from(CHANCE_KINDS), st.integers(1, 99), st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_what_is_drawn_lies_within_its_time_at_meters_that_can_and_never_twice_at_once(
    kind: str, chance: int, seed: int, first: int, slots: int
) -> None:
    (one,) = events = (event(kind, "A1", first, first + slots, chance),)
    found = happening(events, seed, METERS)
    assert happening(events, seed, METERS) == found
    cells = [(other.target, slot) for other in found for slot in range(other.from_slot, other.until_slot)]
    assert len(set(cells)) == len(cells)
    assert {slot for _, slot in cells} <= set(range(first, first + slots))
    assert {replace(other, target="A1", from_slot=1, until_slot=2) for other in found} <= {
        replace(one, from_slot=1, until_slot=2, chance_percent=100)
    }
    targets = {meter.meter for meter in METERS} if kind in METER_KINDS else {"A1"}
    if kind == "meter_clock":
        targets = {"M-H010", "M-H020"}
    if kind in ("reboot", "word_swap"):
        targets -= {"M-H010", "M-H020"}
    assert {target for target, _ in cells} <= targets


@pytest.mark.parametrize("chance", [2, 30, 90])
def test_it_comes_as_often_as_it_says_and_at_each_meter_by_itself(chance: int) -> None:
    found = happening((event("lost", "A1", 1, 1_001, chance),), 7, METERS)
    of_meter = {meter.meter: 0 for meter in METERS}
    for other in found:
        of_meter[other.target] += other.until_slot - other.from_slot
    cells = 1_000 * len(METERS)
    assert abs(sum(of_meter.values()) - cells * chance / 100) < 5 * (cells * chance * (100 - chance)) ** 0.5 / 100
    assert len(set(of_meter.values())) > 8
    other_seed = happening((event("lost", "A1", 1, 1_001, chance),), 8, METERS)
    assert other_seed != found


def test_a_world_has_what_was_drawn_beside_what_is_certain_and_the_same_energies() -> None:
    certain = replace(event("late", "M-H002", 4, 6), chance_percent=100)
    events = (event("lost", "M-H001"), certain, event("garbled", "A1", 22, 24, 99))
    plain, world = build_world(VILLAGE), build_world(replace(VILLAGE, events=events))
    assert world.scenario.events[0] == certain
    assert {other.kind for other in world.scenario.events} == {"lost", "late", "garbled"}
    assert {other.chance_percent for other in world.scenario.events} == {100}
    assert (world.import_wh == plain.import_wh).all()
    assert (world.export_wh == plain.export_wh).all()


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((event("lost", "A1"), event("late", "M-H002")), "events[1]: overlaps events[0] on M-H002 in slots 2 to 21"),
        ((event("lost", "A1"), event("garbled", "A1")), "events[1]: overlaps events[0] on A1 in slots 2 to 21"),
        ((event("lost", "A2"),), "events[0]: there is no meter 'A2'"),
        ((event("garbled", "M-H001"),), "events[0]: target 'M-H001' is no area; there are A1"),
        ((event("reboot", "M-H010"),), "events[0]: M-H010 speaks DL/T 645, which answers with what it froze before"),
        ((event("lost", "A1", chance=100),), "events[0]: there is no meter 'A1'"),
    ],
)
def test_a_chance_that_cannot_be_is_one_line(events: tuple[Event, ...], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_world(replace(VILLAGE, events=events))
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_an_area_without_a_meter_that_can_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"events\[0\]: no meter of A1 can have 'meter_clock'; name another kind"):
        build_world(
            replace(
                VILLAGE,
                meters=USUAL_METERS,
                events=(event("meter_clock", "A1"),),
            )
        )


@pytest.mark.parametrize(
    "kind", ["roll_over", "blackout", "dead_broker", "validator_down", "partition", "h1", "stolen_key"]
)
def test_what_comes_for_certain_takes_no_chance(kind: str) -> None:
    with pytest.raises(UsageError, match=f"chance_percent 30: '{kind}' comes for certain; leave it out"):
        event(kind, "A1")
    assert event(kind, "A1", chance=100).chance_percent == 100
    assert kind not in CHANCE_KINDS
    assert set(CHANCE_KINDS) < {*METER_KINDS, *AREA_KINDS}


def test_so_much_may_happen_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    events = (event("lost", "A1"),)
    count = len(happening(events, 7, METERS))
    monkeypatch.setattr(chances, "HAPPENINGS_MAX", count)
    assert len(happening(events, 7, METERS)) == count
    monkeypatch.setattr(chances, "HAPPENINGS_MAX", count - 1)
    with pytest.raises(UsageError, match=f"events: more than {count - 1} would happen; give less"):
        happening(events, 7, METERS)
