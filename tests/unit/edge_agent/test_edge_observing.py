"""Observations and billing: what informs rides in the batch of its boundary, and nothing about it costs a reading."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from edge.meters import SamplePolicy
from edge.observing import Observer
from edge.outbox_file import read_outbox
from edge.readers import DeviceRefusedError, LineError, NoAnswerError
from edge.readers.mqtt import AbsentError, Device, DeviceConfig, Moment
from edge.samples import Sample
from firmware_profiles import MqttProfile, load_profile
from gridcore.observations import Observation, Observations, decode_observations
from gridcore.sm3 import sm3
from gridcore.transactions.readings import split_attachment
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S, FakeLine, fake_lines, meter_line
from tests.unit.edge_agent.test_edge_agent_path import POLICY, World, running
from tests.waiting import until

VOLTAGES = ("32.7.0", "52.7.0")
TASMOTA = load_profile("tasmota_sml", kind=MqttProfile)


class StubDevice:
    """Gives what it is told to: rows, a reason for absence, or it hangs."""

    def __init__(self, number: int, outcome: str = "rows") -> None:
        self.config = DeviceConfig(number, f"D-{number}", "house", f"d-{number}", TASMOTA.id)
        self.profile = TASMOTA
        self.outcome = outcome
        self.asked: list[Moment] = []

    async def observe(self, moment: Moment) -> list[Observation]:
        self.asked.append(moment)
        if self.outcome == "hang":
            await asyncio.sleep(60)
        if self.outcome == "bug":
            raise ZeroDivisionError("a bug of ours")
        if self.outcome != "rows":
            raise AbsentError(self.outcome, "as the test wants it")
        return [Observation(self.config.number, "16.7.0", 1500, 0)]


class VoltageLine(FakeLine):
    """A fake line whose requests for anything but billing registers can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: LineError | None = None
        self.order: list[tuple[int, bool]] = []

    async def read_words(
        self, unit_id: int, function_code: int, address: int, count: int, **more: Any
    ) -> Sequence[int]:
        is_billing = address >= 0x48
        self.order.append((unit_id, is_billing))
        if not is_billing and self.trouble is not None:
            raise self.trouble
        return await super().read_words(unit_id, function_code, address, count, **more)


def world_of(
    folder: Path, devices: Sequence[StubDevice] = (), observe: tuple[str, ...] = (), observe_ms: int = 2000
) -> tuple[World, VoltageLine]:
    """An agent whose meters and devices are observed."""
    line = VoltageLine()
    world = World(folder)
    lines = (meter_line(line, observe=observe),)
    world.line, world.lines = line, lines
    world.agent._lines = lines
    policy = replace(POLICY, observe_ms=observe_ms)
    world.agent._observer = Observer(lines, (), cast("Sequence[Device]", devices), policy)
    return world, line


def observed(world: World, index: int) -> Observations | None:
    """The observations of the accepted batch number ``index``; None where it has none."""
    transaction = world.node.accepted[index]
    _, _, data = split_attachment(transaction.attachment)
    assert transaction.body.get("observations") == (sm3(data) if data else None)
    return decode_observations(data) if data else None


async def test_observations_ride_in_the_batch_of_their_boundary_after_all_billing_reads(tmp_path: Path) -> None:
    world, line = world_of(tmp_path, [StubDevice(9)], VOLTAGES)
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
    found = observed(world, 0)
    assert found is not None
    assert [(row.device, row.obis, row.value_milli) for row in found.rows] == [
        (1, "32.7.0", 1010), (1, "52.7.0", 1010), (2, "32.7.0", 1020), (2, "52.7.0", 1020), (3, "32.7.0", 1030), (3, "52.7.0", 1030),
        (9, "16.7.0", 1500),
    ]  # fmt: skip
    assert (found.names, found.absent) == ({9: "D-9"}, {})
    kinds = [is_billing for _, is_billing in line.order]
    assert kinds == sorted(kinds, reverse=True)
    assert world.rows() == [(FIRST_S, [1, 2, 3])]


async def test_agent_without_anything_to_observe_makes_batches_as_before(tmp_path: Path) -> None:
    world, _ = world_of(tmp_path)
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
    assert "observations" not in world.node.accepted[0].body


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(NoAnswerError("silence"), "no_answer"), (DeviceRefusedError("exception 2", 2), "refused")],
)
async def test_meter_whose_voltage_cannot_be_read_is_billed_all_the_same(
    tmp_path: Path, trouble: LineError, reason: str
) -> None:
    world, line = world_of(tmp_path, [], VOLTAGES)
    line.trouble = trouble
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        line.trouble = None
        await world.node.move_clock(FIRST_S + SLOT_S)
        await world.arrived(2)
    assert world.rows() == [(FIRST_S, [1, 2, 3]), (FIRST_S + SLOT_S, [1, 2, 3])]
    assert observed(world, 0) == Observations(absent=dict.fromkeys((1, 2, 3), reason))
    later = observed(world, 1)
    assert later is not None
    assert (len(later.rows), later.absent) == (6, {})


@pytest.mark.parametrize("outcome", ["broker_down", "no_answer", "refused", "stale"])
async def test_absent_device_is_named_with_its_reason_once_in_the_log_and_in_the_status(
    tmp_path: Path, outcome: str
) -> None:
    world, _ = world_of(tmp_path, [StubDevice(9, outcome), StubDevice(10)])
    with capture_logs() as lines:
        async with running(world):
            for count, boundary_s in enumerate((FIRST_S, FIRST_S + SLOT_S), 1):
                await world.node.move_clock(boundary_s)
                await world.arrived(count)
    for index in (0, 1):
        found = observed(world, index)
        assert found is not None
        assert (found.names, found.absent) == ({9: "D-9", 10: "D-10"}, {9: outcome})
    silent = [line for line in lines if line["event"] == "not_observed"]
    assert [(line["device"], line["reason"]) for line in silent] == [("D-9", outcome)]
    assert read_outbox(tmp_path / "outbox.sqlite").progress.seen.absent == (("D-9", outcome),)


async def test_hanging_device_holds_a_batch_no_longer_than_configured(tmp_path: Path) -> None:
    world, _ = world_of(tmp_path, [StubDevice(9, "hang"), StubDevice(10)], observe_ms=50)
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
    found = observed(world, 0)
    assert found is not None
    assert (found.absent, [row.device for row in found.rows]) == ({9: "no_answer"}, [10])


async def test_fault_of_our_own_in_observing_costs_observations_and_no_reading(tmp_path: Path) -> None:
    world, _ = world_of(tmp_path, [StubDevice(9, "bug")])
    with capture_logs() as lines:
        async with running(world):
            await world.node.move_clock(FIRST_S)
            await world.arrived(1)
    assert world.rows() == [(FIRST_S, [1, 2, 3])]
    assert observed(world, 0) is None
    assert [line["error"] for line in lines if line["event"] == "observations_dropped"] == ["ZeroDivisionError"]


async def test_next_boundary_ends_observing_and_the_readings_are_signed(tmp_path: Path) -> None:
    device = StubDevice(9, "hang")
    world, _ = world_of(tmp_path, [device], observe_ms=60_000)
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await until(lambda: len(device.asked) == 1)
        device.outcome = "rows"
        await world.node.move_clock(FIRST_S + SLOT_S)
        await world.arrived(2)
    assert world.rows() == [(FIRST_S, [1, 2, 3]), (FIRST_S + SLOT_S, [1, 2, 3])]
    assert observed(world, 0) is None
    assert observed(world, 1) is not None


async def test_agent_stopped_while_it_observes_has_stored_its_readings(tmp_path: Path) -> None:
    device = StubDevice(9, "hang")
    world, _ = world_of(tmp_path, [device], observe_ms=60_000)
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await until(lambda: len(device.asked) == 1)
    assert read_outbox(tmp_path / "outbox.sqlite").progress.last_boundary_s == FIRST_S


async def test_late_meter_brings_late_observations_and_asks_nobody_twice(tmp_path: Path) -> None:
    early, late = StubDevice(9), StubDevice(10, "stale")
    world, line = world_of(tmp_path, [early, late], ("32.7.0",))
    async with running(world):
        line.silent = {2}
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        late.outcome = "rows"
        line.silent = set()
        await world.arrived(2)
    first, second = observed(world, 0), observed(world, 1)
    assert first is not None
    assert second is not None
    assert ([row.device for row in first.rows], first.absent) == ([1, 3, 9], {2: "no_answer", 10: "stale"})
    assert ([row.device for row in second.rows], second.names, second.absent) == ([2, 10], {10: "D-10"}, {})
    assert len(early.asked) == 1


async def test_device_that_gave_nothing_for_long_is_waited_for_only_shortly(tmp_path: Path) -> None:
    device = StubDevice(9, "no_answer")
    observer = Observer((), (), cast("Sequence[Device]", [device]), SamplePolicy(observe_ms=5000), lambda: 0.0)
    for boundary in range(5):
        sample = Sample(boundary * 900, (), (), 0)
        await observer.observe(sample, boundary_ms=0.0, simulated=False)
    assert [moment.until_ms for moment in device.asked] == [5000, 5000, 5000, 300, 300]


def test_offsets_are_relative_to_the_boundary_on_real_time_and_zero_on_simulated() -> None:
    assert Moment(1000.0, 2000.0, False).offset_ms(850.4) == -150
    assert Moment(1000.0, 2000.0, False).offset_ms(1e300) == 2**31 - 1
    assert Moment(1000.0, 2000.0, True).offset_ms(850.0) == 0


def test_lines_of_the_shared_world_observe_nothing() -> None:
    _, lines = fake_lines()
    assert not Observer(lines, (), (), POLICY).has_work
