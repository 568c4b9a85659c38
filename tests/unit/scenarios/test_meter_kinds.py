"""Meters of homes in a scenario: who has which, and what is wrong with a table is one line."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.readers.dlt645 import FREEZE_TOLERANCE_S, _outside_s
from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.demo import needed
from gridledger.demo.devices import place_devices
from simulators.grid.metering import RIGHT_CLOCK, ClockError
from simulators.grid.spans import spans
from simulators.grid.world import build_world
from simulators.meters.station import MeterClock
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.meter_kinds import (
    BAUD_MIN,
    DLT645,
    LINE_S_MAX,
    MODBUS_RTU,
    MODBUS_TCP,
    READING_BYTES_MAX,
    USUAL_METERS,
    MeterKind,
    MqttDevices,
    kinds_of_ten,
)
from simulators.scenarios.schema import CLOCK_DRIFT

VILLAGE = find_scenario("village_day")
SMALL = VILLAGE.scenario.sized(slots=4)


def said_of(path: Path, tables: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that ``simulate check`` says of the village with these tables, without the path."""
    text = VILLAGE.data.decode().replace('"village.csv"', f'"{VILLAGE.path.with_name("village.csv")}"')
    path.write_text(f"{text}\n{tables}\n")
    assert main(["simulate", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert f"{path}: " in said
    return said.partition(f"{path}: ")[2]


def meters(*tables: str) -> str:
    """Tables of meters."""
    return "\n".join(f"[[meters]]\n{table}" for table in tables)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            meters('homes_of_ten = 10\nspeaks = "modbus_tcp"\nprofile = "eastron_sdm63"'),
            "meters[0]: unknown profile 'eastron_sdm63'; did you mean 'eastron_sdm630'?",
        ),
        (
            meters('homes_of_ten = 4\nspeaks = "dlt645"', 'homes_of_ten = 6\nspeaks = "dlt645"\nprofile = "abb_b23"'),
            "meters[1]: profile 'abb_b23' is read by modbus; here belongs one of dlt645",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "modbus_tcp"\nprofile = "shelly_pro3em"'),
            "meters[0]: profile 'shelly_pro3em' is read by mqtt; here belongs one of modbus",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "modbus_rtu"\nprofile = "carlo_gavazzi_em24_e1"'),
            "meters[0]: profile 'carlo_gavazzi_em24_e1' does not speak modbus_rtu; its framings are tcp",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "modbus_tcp"\nprofile = "eastron_sdm120"'),
            "meters[0]: profile 'eastron_sdm120' does not bill what is taken and what is given",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "mqtt"'),
            "meters[0].speaks = 'mqtt' is not allowed; choose 'modbus_tcp', 'modbus_rtu' or 'dlt645'",
        ),
        (
            meters('homes_of_ten = 4\nspeaks = "dlt645"', 'homes_of_ten = 5\nspeaks = "modbus_tcp"'),
            "meters: homes_of_ten are together 9; every home has one meter, so give 10",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "modbus_tcp"\nbaud = 9600'),
            "meters[0]: baud 9600: modbus_tcp goes over a network; give speaks = 'modbus_rtu'",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "modbus_rtu"\nbaud = 300'),
            "meters[0]: baud 300 is not from 1200 to 115200; 0 lets answers come at once",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "dlt645"\nbaud = 2400'),
            "meters[0]: meters_per_line 31: at 2400 baud a line reads 7 of dlt645 in 12 s; give 7, or more baud",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "modbus_rtu"\nclock_drift_ppm_max = 50'),
            "meters[0]: clock_ahead_s and clock_drift_ppm are of meters with a clock; give speaks = 'dlt645'",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "dlt645"\nclock_drift_ppm_min = 50'),
            "meters[0]: clock_drift_ppm_min 50 is above clock_drift_ppm_max 0",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "dlt645"\nclock_ahead_s_max = 3601'),
            "meters[0].clock_ahead_s_max = 3601 is out of range; allowed: -3600 to 3600",
        ),
        (
            meters('homes_of_ten = 10\nspeaks = "dlt645"\nclock_ahead_s_max = 9')
            + '\n[[events]]\nlabel = "x"\nkind = "meter_clock"\ntarget = "M-H001"\nfrom_slot = 1\nuntil_slot = 2',
            "events[0]: the clock of M-H001 is wrong by itself; name another meter",
        ),
        (
            '[mqtt_devices]\nhomes_of_ten = [2]\nprofiles = ["tasmota_sml", "shely_pro3em"]',
            "mqtt_devices.profiles[1]: unknown profile 'shely_pro3em'; did you mean 'shelly_pro3em'?",
        ),
        (
            '[mqtt_devices]\nhomes_of_ten = [2]\nprofiles = ["dlt645_2007"]',
            "mqtt_devices.profiles[0]: profile 'dlt645_2007' is read by dlt645; here belongs one of mqtt",
        ),
        (
            '[mqtt_devices]\nhomes_of_ten = [2]\nprofiles = ["shelly_3em"]',
            "mqtt_devices.profiles[0]: profile 'shelly_3em' needs 21.8.0, ",
        ),
        (
            '[mqtt_devices]\nhomes_of_ten = [2]\nprofiles = ["espeasy_energy"]',
            "mqtt_devices.profiles[0]: profile 'espeasy_energy' speaks on several topics, and virtual devices on one",
        ),
        (
            '[mqtt_devices]\nhomes_of_ten = [11]\nprofiles = ["tasmota_sml"]',
            "mqtt_devices: homes_of_ten: 11 is not from",
        ),
    ],
)
def test_meters_that_cannot_be_are_one_line(
    tables: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said_of(tmp_path / "my.toml", tables, capsys).startswith(words)


def test_devices_without_a_broker_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needed, "mosquitto_program", lambda: None)
    monkeypatch.setattr(needed, "find_spec", lambda _: None)
    said = said_of(tmp_path / "my.toml", '[mqtt_devices]\nhomes_of_ten = [2]\nprofiles = ["tasmota_sml"]', capsys)
    assert said.startswith(
        "mqtt_devices needs an MQTT broker, and none is installed (Debian: apt-get install mosquitto)"
    )


@given(st.sampled_from((MODBUS_RTU, DLT645)), st.integers(BAUD_MIN, 115_200), st.integers(1, 31))
def test_a_line_is_taken_where_its_meters_can_be_read_in_time_and_not_else(speaks: str, baud: int, count: int) -> None:
    is_taken = True
    try:
        MeterKind(homes_of_ten=10, speaks=speaks, baud=baud, meters_per_line=count)
    except UsageError:
        is_taken = False
    assert is_taken == (count * READING_BYTES_MAX[speaks] * 11 <= LINE_S_MAX * baud)


def test_of_each_ten_homes_the_tables_say_in_their_order_who_has_which_meter() -> None:
    kinds = (
        MeterKind(homes_of_ten=3, speaks=MODBUS_TCP, profile="carlo_gavazzi_em340"),
        MeterKind(homes_of_ten=6, speaks=MODBUS_RTU, baud=9600, meters_per_line=4),
        MeterKind(homes_of_ten=1, speaks=DLT645),
    )
    usual, mixed = build_world(SMALL), build_world(replace(SMALL, meters=kinds))
    homes = [meter for meter in mixed.meters if meter.role == "household"]
    assert [home.wiring.speaks for home in homes] == ([MODBUS_TCP] * 3 + [MODBUS_RTU] * 6 + [DLT645]) * 2 + [
        MODBUS_TCP
    ] * 3 + [MODBUS_RTU]
    registers = {(home.profile, home.resolution_wh, home.modulus_wh) for home in homes}
    assert registers == {("carlo_gavazzi_em340", 100, 0), ("eastron_sdm630", 10, 0), ("dlt645_2007", 10, 10**9)}
    assert (mixed.import_wh == usual.import_wh).all()
    assert (mixed.export_wh == usual.export_wh).all()
    others = [meter for meter in mixed.meters if meter.role != "household"]
    assert others == [meter for meter in usual.meters if meter.role != "household"]
    starts = [[(meter.start_import_wh, meter.start_export_wh) for meter in world.meters] for world in (usual, mixed)]
    assert starts[0] == starts[1]


def test_without_tables_all_homes_have_the_usual_meter() -> None:
    assert SMALL.meters == USUAL_METERS
    assert {kind.profile_id for kind in kinds_of_ten(USUAL_METERS)} == {"eastron_sdm630"}


def test_devices_stand_at_drawn_homes_of_every_area_in_turn_of_their_profiles() -> None:
    fleet = MqttDevices(homes_of_ten=(3,), profiles=("shelly_pro3em", "tasmota_energy"))
    world = build_world(replace(SMALL.sized(households=48), mqtt_devices=fleet))
    placed = place_devices(world)
    areas = [world.meters[one.row].area for one in placed]
    assert sorted(set(areas)) == ["A1", "A2"]
    assert areas == sorted(areas)
    tens = [(area, int(world.meters[one.row].party[1:]) - 1) for one, area in zip(placed, areas, strict=True)]
    per_ten = [sum(area == "A1" and start <= home < start + 10 for area, home in tens) for start in (0, 10)]
    assert per_ten == [3, 3]
    assert [one.number for one in placed] == list(range(len(world.meters), len(world.meters) + len(placed)))
    assert [one.device.profile.id for one in placed[:3]] == ["shelly_pro3em", "tasmota_energy", "shelly_pro3em"]
    assert len({one.device.address for one in placed}) == len({one.row for one in placed}) == len(placed)
    other = place_devices(build_world(replace(SMALL.sized(households=48, seed=8), mqtt_devices=fleet)))
    assert [one.row for one in other] != [one.row for one in placed]


def test_clocks_are_drawn_for_each_meter_within_their_range_and_change_nothing_else() -> None:
    kind = MeterKind(
        homes_of_ten=10, speaks=DLT645, clock_ahead_s_min=-90, clock_ahead_s_max=30, clock_drift_ppm_max=80
    )
    right, wrong = (
        build_world(replace(SMALL, meters=(one,))) for one in (MeterKind(homes_of_ten=10, speaks=DLT645), kind)
    )
    clocks = [meter.clock for meter in wrong.meters if meter.role == "household"]
    assert len(set(clocks)) > 20
    assert min(clock.ahead_s for clock in clocks) >= -90
    assert max(clock.ahead_s for clock in clocks) <= 30
    assert {clock.drift_ppm >= 0 for clock in clocks} == {True}
    assert max(clock.drift_ppm for clock in clocks) <= 80
    assert [replace(meter, clock=RIGHT_CLOCK) for meter in wrong.meters] == list(right.meters)
    assert right.labels == ()
    assert {event.kind for event in wrong.labels} == {CLOCK_DRIFT}
    again = build_world(replace(SMALL, meters=(kind,)))
    assert again.labels == wrong.labels


@given(st.integers(-3_600, 3_600), st.integers(-10_000, 10_000), st.integers(0, 400))
def test_a_clock_is_off_where_its_freeze_bears_a_minute_that_an_agent_does_not_take(
    ahead_s: int, drift_ppm: int, boundary: int
) -> None:
    first_ms, after_ms = 1_776_182_400_000, 900_000 * boundary
    now = [first_ms]
    clock = MeterClock(ahead_s * 1000, drift_ppm, lambda: now[0])
    clock.now_ms()
    now[0] += after_ms
    minute_s = clock.now_ms() // 60_000 * 60
    taken = _outside_s((first_ms + after_ms) // 1000, minute_s) <= FREEZE_TOLERANCE_S
    error = ClockError(ahead_s, drift_ppm)
    assert bool(error.is_off(np.array([after_ms // 1000]))[0]) != taken


@given(st.lists(st.booleans(), max_size=40))
def test_spans_are_the_stretches_that_are_true(is_on: list[bool]) -> None:
    found = list(spans(np.array(is_on, dtype=np.bool_)))
    assert [place for first, end in found for place in range(first, end)] == [
        place for place, is_it in enumerate(is_on) if is_it
    ]
    assert all(one[1] < other[0] for one, other in pairwise(found))
