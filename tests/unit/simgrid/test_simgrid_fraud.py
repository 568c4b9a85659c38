"""Fraud: what meters count is another thing than what flows, by the rule of each kind, and the truth stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridcore.errors import UsageError
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import FRAUD_KINDS, METER_FRAUDS, Event

VILLAGE = find_scenario("village_day").scenario.sized(slots=4 * 96)
HONEST = build_world(VILLAGE)
FIRST, UNTIL = 97, 97 + 192
CHEATS, FRIEND = "M-H003", "M-H004"
NO_ENERGY_STOLEN = {"h5", "h6", "collusion"}


def fraud(kind: str, first: int = FIRST, until: int = UNTIL, target: str = CHEATS) -> Event:
    """A fraud of two days in the village."""
    other = FRIEND if kind == "collusion" else ""
    return Event(label=f"a {kind}", kind=kind, target=target, from_slot=first, until_slot=until, other=other)


def world_with(*events: Event) -> World:
    """The village with these."""
    return build_world(replace(VILLAGE, events=events))


def column(meter: str) -> int:
    """Its place."""
    return [one.meter for one in HONEST.meters].index(meter)


SELLER = HONEST.meters[int(HONEST.export_wh[FIRST:UNTIL, :24].sum(axis=0).argmax())].meter


def taken(world: World, meter: str = CHEATS) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """What a meter counted as taken in each slot of the fraud."""
    wh: np.ndarray[tuple[int], np.dtype[np.int64]] = np.diff(world.counted.import_wh[FIRST : UNTIL + 1, column(meter)])
    return wh


@pytest.mark.parametrize("events", [(), (fraud("h1"),), (fraud("replay"),)], ids=["honest", "h1", "replay"])
def test_boundary_after_boundary_meters_count_what_they_count_at_each(events: tuple[Event, ...]) -> None:
    world = world_with(*events)
    each = list(world.each_counted())
    assert len(each) == world.slots + 1
    for boundary, counted in enumerate(each):
        for stepped, register in zip(counted, world.counted_registers(boundary), strict=True):
            assert (stepped == register).all()


@pytest.mark.parametrize("kind", FRAUD_KINDS)
def test_a_fraud_leaves_the_truth_and_everybody_else_alone(kind: str) -> None:
    target = {"stolen_key": "A1", "pv_over_report": SELLER}.get(kind, CHEATS)
    world = world_with(fraud(kind, target=target))
    for name in ("import_wh", "export_wh", "loss_wh", "voltage_pu", "battery_wh"):
        assert (getattr(world, name) == getattr(HONEST, name)).all(), name
    concerned = {column(target) if target != "A1" else -1, column(FRIEND) if kind == "collusion" else -1}
    others = [at for at in range(len(world.meters)) if at not in concerned]
    for cheated, honest in zip(world.counted, HONEST.counted, strict=True):
        assert (cheated[:, others] == honest[:, others]).all()
        assert (cheated[:FIRST] == honest[:FIRST]).all()


def test_without_frauds_meters_count_the_truth() -> None:
    assert [HONEST.counted_registers(96)[0].tolist()] == [HONEST.true_registers(96)[0].tolist()]
    assert not HONEST.not_taken.any()


@pytest.mark.parametrize("kind", METER_FRAUDS)
def test_what_is_stolen_is_missing_at_the_end_and_nothing_else_is(kind: str) -> None:
    target = SELLER if kind == "pv_over_report" else CHEATS
    world = world_with(fraud(kind, target=target))
    end = [int(register[-1].sum()) for register in world.counted]
    honest = [int(register[-1].sum()) for register in HONEST.counted]
    missing_wh = (honest[0] - end[0]) - (honest[1] - end[1])
    if kind in NO_ENERGY_STOLEN or kind == "replay":  # when the replay ends the register shows what it has counted
        assert missing_wh == 0
    else:
        assert missing_wh > 500


def test_h1_h3_h5_h6_follow_their_formulas() -> None:
    honest = taken(HONEST)
    scaled = taken(world_with(fraud("h1")))
    share = scaled.sum() / honest.sum()
    assert 0.09 < share <= 0.8
    assert scaled.tolist() == (honest * round(100 * share + 0.3) // 100).tolist()
    each = taken(world_with(fraud("h3")))
    assert (each <= honest * 0.8).all()
    assert (each >= honest * 0.1 - 1).all()
    even = taken(world_with(fraud("h5")))
    assert even[:96].max() - even[:96].min() <= 1
    assert even[:96].sum() == honest[:96].sum()
    backwards = taken(world_with(fraud("h6")))
    assert (backwards[:96] == honest[:96][::-1]).all()
    assert (backwards[96:] == honest[96:][::-1]).all()


def test_h2_counts_nothing_in_the_same_hours_of_each_day_and_h4_shares_of_the_mean() -> None:
    honest = taken(HONEST)
    zeroed = taken(world_with(fraud("h2")))
    changed = zeroed != honest
    assert changed.any()
    assert (zeroed[changed] == 0).all()
    random = taken(world_with(fraud("h4")))[:96]
    mean_wh = honest[:96].sum() / 96
    assert random.max() <= mean_wh * 0.8
    assert random.min() >= mean_wh * 0.1 - 1
    assert len(set(random.tolist())) > 5


def test_a_collusion_gives_one_what_it_takes_from_the_other() -> None:
    world = world_with(fraud("collusion"))
    moved = taken(HONEST) - taken(world)
    assert moved.sum() > 0
    assert (taken(world, FRIEND) - taken(HONEST, FRIEND) == moved).all()


def test_a_reversed_current_transformer_counts_what_is_taken_as_given() -> None:
    counted = world_with(fraud("reversed_ct")).counted
    at = column(CHEATS)
    given_wh = int(counted.export_wh[UNTIL, at] - counted.export_wh[FIRST, at])
    assert given_wh == taken(HONEST).sum()


@pytest.mark.parametrize(("kind", "low", "high"), [("replay", 150, 192), ("rollback", 20, 191)])
def test_registers_that_are_set_back_are_readings_that_nobody_takes(kind: str, low: int, high: int) -> None:
    world = world_with(fraud(kind))
    refused = world.not_taken[:, column(CHEATS)]
    assert low <= refused.sum() <= high
    assert not refused[:FIRST].any()
    assert world.not_taken.sum() == refused.sum()


def test_the_same_seed_cheats_the_same_and_another_one_otherwise() -> None:
    event = fraud("h3")
    assert (world_with(event).counted.import_wh == world_with(event).counted.import_wh).all()
    other = build_world(replace(VILLAGE, seed=8, events=(event,)))
    shares = [
        taken(world) / np.maximum(1, 4 * world.import_wh[FIRST:UNTIL, column(CHEATS)])
        for world in (other, world_with(event))
    ]
    assert not np.allclose(shares[0], shares[1])


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (fraud("h1", target="M-F1"), "events[0]: M-F1 is the meter of a feeder, which nobody is billed by"),
        (fraud("replay", first=96), "events[0]: a replay needs the day before; give from_slot 97 or later"),
        (fraud("rollback", first=5), "events[0]: a rollback needs the day before; give from_slot 97 or later"),
        (fraud("pv_over_report", target="M-L001"), "events[0]: M-L001 gives nothing in these slots"),
        (fraud("stolen_key"), "events[0]: target 'M-H003' is no area; there are A1"),
        (fraud("h1", target="M-X"), "events[0]: there is no meter 'M-X'"),
    ],
)
def test_a_fraud_that_cannot_be_is_one_line(event: Event, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        world_with(event)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fraud_and_a_fault_of_one_meter_overlap_and_a_stolen_key_overlaps_no_meter() -> None:
    with pytest.raises(UsageError, match=r"events\[1\]: overlaps events\[0\] on M-H003 in slots 97 to 288"):
        world_with(fraud("h1"), fraud("h3"))
    with pytest.raises(UsageError, match=r"events\[1\]: overlaps events\[0\] on A1"):
        world_with(fraud("stolen_key", target="A1"), fraud("stolen_key", target="A1"))
    assert len(world_with(fraud("h1"), fraud("stolen_key", target="A1")).scenario.events) == 2


def test_a_pair_names_its_other_and_a_single_one_does_not() -> None:
    with pytest.raises(
        UsageError, match="other names the second meter of the kinds 'swapped', 'collusion' and 'exchanged'"
    ):
        Event(label="x", kind="collusion", target=CHEATS, from_slot=1, until_slot=2)
    with pytest.raises(UsageError, match="and of no other kind"):
        Event(label="x", kind="h1", target=CHEATS, other=FRIEND, from_slot=1, until_slot=2)
