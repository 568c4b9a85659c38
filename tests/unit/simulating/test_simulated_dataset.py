"""A world as a dataset: what meters show, and what needs more than columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gridcore.errors import UsageError
from gridledger.settling.dataset import Dataset
from gridledger.simulating.dataset import dataset_of
from gridledger.simulating.terms import terms_of
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import BYPASS, LOST, REPLAY, Event

FOUND = find_scenario("village_day").sized(slots=8)


def columns_of(world: World, source: Path) -> Dataset:
    """The world under its own tariff."""
    return dataset_of(world, terms_of(world), source)


def event(kind: str) -> Event:
    """Something at a home, during slots 2 to 5."""
    return Event(label="one", kind=kind, target="M-H003", from_slot=2, until_slot=6)


def test_meters_show_whole_steps_and_nothing_is_lost_between_slots() -> None:
    world = build_world(FOUND.scenario)
    dataset = columns_of(world, FOUND.path)
    assert [point.point for point in dataset.points] == sorted(meter.meter for meter in world.meters if meter.party)
    for place, point in enumerate(dataset.points):
        column = next(column for column, meter in enumerate(world.meters) if meter.meter == point.point)
        step_wh = world.meters[column].resolution_wh
        assert not (dataset.import_wh[:, place] % step_wh).any()
        off = np.cumsum(dataset.import_wh[:, place]) - np.cumsum(world.import_wh[:, column])
        assert (np.abs(off) < step_wh).all()


def test_fraud_in_what_a_meter_counts_is_settled_as_it_was_counted() -> None:
    honest = columns_of(build_world(FOUND.scenario), FOUND.path)
    cheated = columns_of(build_world(replace(FOUND.scenario, events=(event(BYPASS),))), FOUND.path)
    place = next(place for place, point in enumerate(honest.points) if point.point == "M-H003")
    assert cheated.import_wh[:, place].sum() < honest.import_wh[:, place].sum()
    others = [other for other in range(len(honest.points)) if other != place]
    assert (cheated.import_wh[:, others] == honest.import_wh[:, others]).all()


@pytest.mark.parametrize("kind", [LOST, REPLAY])
def test_what_happens_on_the_way_to_the_ledger_is_refused(kind: str) -> None:
    scenario = FOUND.scenario.sized(slots=110)
    late = replace(event(kind), from_slot=100, until_slot=104)
    with pytest.raises(UsageError, match=rf"day.toml: events: 'one': '{kind}' needs meters and agents"):
        columns_of(build_world(replace(scenario, events=(late,))), Path("day.toml"))
