"""The simulated world: reproducible, conserving energy, and shaped as ``meters.csv`` promises."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.errors import UsageError
from simulators.grid import diversity
from simulators.grid.diversity import battery_flow, day_orders, generator, home_loads, pv_and_battery_homes
from simulators.grid.feeder import SHAPE_SLOTS, load_feeder
from simulators.grid.households import orders_of_slot
from simulators.grid.world import (
    HOUSEHOLDS_MAX,
    HOUSEHOLDS_PER_AREA,
    SEED_MAX,
    SLOTS_MAX,
    World,
    build_world,
    shape_positions,
    shown_register_wh,
)

ROOT = Path(__file__).parents[3]
POINTS = 153


def digest_of(world: World) -> str:
    """SHA-256 over everything that a world and its orders hold."""
    digest = hashlib.sha256()
    for array in (world.slot_start_s, world.import_wh, world.export_wh, world.loss_wh):
        digest.update(array.tobytes())
    digest.update(world.voltage_pu_min.tobytes() + world.voltage_pu_max.tobytes())
    orders = [orders_of_slot(world, 5, slot) for slot in range(0, world.slots, 8)]
    digest.update(repr((world.areas, world.meters, world.traders, orders)).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def day() -> World:
    """One day of one full feeder."""
    return build_world(households=113, slots=96, seed=7)


def test_same_seed_gives_the_same_world_under_other_hash_seed_zone_and_locale() -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        "from test_simgrid_world import digest_of, build_world\n"
        "sys.stdout.write(digest_of(build_world(households=120, slots=24, seed=5)))"
    )
    here = digest_of(build_world(households=120, slots=24, seed=5))
    for hash_seed, zone, locale in (("1", "America/St_Johns", "C"), ("77", "Asia/Kathmandu", "tr_TR.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone, "LC_ALL": locale, "LANG": locale}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stdout == here, done.stderr


def test_other_seed_gives_another_world(day: World) -> None:
    other = build_world(households=113, slots=96, seed=8)
    assert (other.import_wh[:, :113] != day.import_wh[:, :113]).mean() > 0.8


@pytest.mark.parametrize("seed", [0, 3, SEED_MAX])
def test_energy_is_conserved_in_every_slot_and_area(seed: int) -> None:
    world = build_world(households=150, slots=96, seed=seed)
    net_wh = (world.import_wh - world.export_wh).reshape(96, 2, POINTS + 1)
    missing_wh = net_wh[:, :, :POINTS].sum(axis=2) + world.loss_wh - net_wh[:, :, POINTS]
    assert np.abs(missing_wh).max() <= 1
    assert world.loss_wh.min() > 0


def test_voltages_stay_within_ten_percent_and_flows_within_limits(day: World) -> None:
    assert 0.9 < day.voltage_pu_min.min() <= day.voltage_pu_max.max() < 1.1
    limits = np.array([meter.limit_wh for meter in day.meters])
    assert (np.maximum(day.import_wh, day.export_wh) <= limits).all()
    assert np.minimum(day.import_wh, day.export_wh).max() == 0
    assert min(day.import_wh.min(), day.export_wh.min()) == 0


def test_a_feeder_has_154_meters_in_three_roles(day: World) -> None:
    roles = [meter.role for meter in day.meters]
    assert roles == ["household"] * 113 + ["load"] * 40 + ["feeder"]
    assert day.areas == ("A1",)
    assert [day.meters[at].meter for at in (0, 112, 113, 152, 153)] == ["M-H001", "M-H113", "M-L001", "M-L040", "M-F1"]
    for meter in day.meters:
        is_home = meter.role == "household"
        assert (meter.ratio == 1) == is_home
        assert meter.resolution_wh == 10 * meter.ratio
        assert meter.modulus_wh == (0 if is_home else 2**32 * meter.resolution_wh)
        assert meter.profile == ("eastron_sdm630" if is_home else "acrel_adl400")
        assert meter.party == ("" if meter.role == "feeder" else meter.meter[2:])
    assert {meter.ratio for meter in day.meters} == {1, 10, 20, 40, 120}


def test_float_registers_of_homes_keep_a_step_of_five_watt_hours_for_a_year(day: World) -> None:
    homes = [meter for meter in day.meters if meter.role == "household"]
    year_wh = 366 * 96 * max(int(day.import_wh[:, :113].mean() * 3), int(day.export_wh[:, :113].mean() * 3))
    last_kwh = max(max(home.start_import_wh, home.start_export_wh) + year_wh for home in homes) / 1000
    assert np.spacing(np.float32(last_kwh)) <= 0.005
    assert max(max(home.start_import_wh, home.start_export_wh) for home in homes) < 40_000_000


def test_trading_homes_do_not_change_the_physics_and_a_short_world_begins_a_long_one(day: World) -> None:
    few = build_world(households=12, slots=8, seed=7)
    assert few.traders == tuple(f"H{number:03d}" for number in range(1, 13))
    assert few.meters == day.meters
    for name in ("import_wh", "export_wh", "loss_wh", "voltage_pu_min", "voltage_pu_max"):
        assert (getattr(few, name) == getattr(day, name)[:8]).all(), name


def test_more_homes_than_a_feeder_has_replicate_it_with_other_homes() -> None:
    world = build_world(households=114, slots=8, seed=7)
    assert world.areas == ("A1", "A2")
    assert len(world.meters) == 308
    assert world.traders[-2:] == ("H113", "H114")
    assert [world.meters[at].meter for at in (154, 267, 307)] == ["M-H114", "M-L041", "M-F2"]
    assert {meter.area for meter in world.meters[154:]} == {"A2"}
    assert len({meter.meter for meter in world.meters}) == 308
    first, second = world.import_wh[:, :113], world.import_wh[:, 154:267]
    assert (first != second).mean() > 0.8


def test_largest_world_is_built_and_one_home_more_is_refused() -> None:
    world = build_world(households=HOUSEHOLDS_MAX, slots=1, seed=1)
    assert len(world.areas) == HOUSEHOLDS_MAX // HOUSEHOLDS_PER_AREA
    assert len(set(world.traders)) == HOUSEHOLDS_MAX
    with pytest.raises(UsageError, match="households 11301: must be from 1 to 11300"):
        build_world(households=HOUSEHOLDS_MAX + 1, slots=1, seed=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("households", 0), ("slots", 0), ("slots", SLOTS_MAX + 1), ("seed", -1), ("seed", SEED_MAX + 1)],
)
def test_size_out_of_range_is_refused_by_name(name: str, value: int) -> None:
    sizes = {"households": 1, "slots": 1, "seed": 1, name: value}
    with pytest.raises(UsageError, match=f"{name} {value}: must be from"):
        build_world(**sizes)


def test_time_grid_starts_at_local_midnight_of_21_june(day: World) -> None:
    assert str(day.slot_start_s[0].astype("datetime64[s]")) == "2026-06-20T16:00:00"
    assert (np.diff(day.boundary_s) == 900).all()
    assert len(day.boundary_s) == 97


def test_a_world_cannot_be_changed(day: World) -> None:
    for array in (day.slot_start_s, day.import_wh, day.export_wh, day.loss_wh, *day.true_registers(3)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_registers_accumulate_from_the_start_values(day: World) -> None:
    imported, exported = day.true_registers(0)
    assert list(imported) == [meter.start_import_wh for meter in day.meters]
    assert list(exported) == [meter.start_export_wh for meter in day.meters]
    last_import, last_export = day.true_registers(96)
    assert (last_import - imported == day.import_wh.sum(axis=0)).all()
    assert (last_export - exported == day.export_wh.sum(axis=0)).all()
    for boundary in (-1, 97):
        with pytest.raises(UsageError, match=f"boundary_index {boundary}: the world has boundaries 0 to 96"):
            day.true_registers(boundary)


@given(st.integers(0, 2**50), st.sampled_from([1, 10, 100, 400, 1200]))
def test_shown_register_is_the_largest_multiple_not_above_the_truth(true_wh: int, resolution_wh: int) -> None:
    shown = shown_register_wh(true_wh, resolution_wh)
    assert shown % resolution_wh == 0
    assert shown <= true_wh < shown + resolution_wh


def test_shapes_are_read_by_month_day_and_time_and_skip_the_leap_day() -> None:
    local = ["2026-06-21T00:00:00", "2026-12-31T23:45:00", "2027-01-01T00:00:00", "2027-02-28T12:00:00"]
    local += ["2027-03-01T00:15:00", "2028-02-29T00:00:00", "2028-03-01T00:00:00"]
    slots = np.array([np.datetime64(moment).astype(np.int64) - 8 * 3600 for moment in local])
    days_and_slots = [divmod(int(position), 96) for position in shape_positions(slots)]
    assert days_and_slots == [(172, 0), (365, 95), (0, 0), (58, 48), (60, 1), (59, 0), (60, 0)]


def test_homes_differ_and_keep_their_yearly_energy() -> None:
    feeder = load_feeder()
    homes = slice(0, feeder.households)
    energy_wh, _ = home_loads(feeder, (7, 0), np.arange(SHAPE_SLOTS))
    profile = feeder.load_profile[homes]
    simbench_wh = feeder.load_p_shapes[profile].sum(axis=1) * feeder.load_p_scale[profile] * feeder.load_p_w[homes] / 4
    assert np.abs(energy_wh.sum(axis=0) / simbench_wh - 1).max() < 0.03
    assert len({energy_wh[:, home].tobytes() for home in range(feeder.households)}) == feeder.households


def test_day_orders_permute_within_season_and_kind_of_day() -> None:
    for order in day_orders(generator(1), 3):
        assert sorted(order) == list(range(366))
        moments = np.datetime64("2016-01-01") + np.arange(366)
        weekday = (moments - np.datetime64("2015-12-28")).astype(int) % 7
        assert (np.maximum(weekday, 4) == np.maximum(weekday[order], 4)).all()
        is_summer = (moments >= np.datetime64("2016-05-15")) & (moments < np.datetime64("2016-09-15"))
        assert (is_summer == is_summer[order]).all()


@given(st.integers(0, 2**32), st.integers(1, 230))
@settings(max_examples=50, deadline=None)
def test_pv_and_batteries_are_spread_over_every_ten_homes(seed: int, homes: int) -> None:
    has_pv, has_battery = pv_and_battery_homes(generator(seed), homes)
    for start in range(0, homes - 9, 10):
        assert has_pv[start : start + 10].sum() in (4, 5)
        assert has_battery[start : start + 10].sum() == 1
    assert not (has_battery & ~has_pv).any()


@given(st.integers(0, 2**32), st.lists(st.integers(-2_000, 2_000), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_battery_gives_no_more_than_it_held_and_stays_within_its_power(seed: int, net: list[int]) -> None:
    net_wh = np.array([[value, value] for value in net], dtype=np.int64)
    flow_wh = battery_flow(generator(seed), np.arange(len(net)), net_wh, np.array([True, False]))
    assert (flow_wh[:, 1] == 0).all()
    assert np.abs(flow_wh).max() <= diversity.BATTERY_POWER_WH
    taken, given_back = np.cumsum(np.maximum(flow_wh, 0)), np.cumsum(np.maximum(-flow_wh, 0))
    assert (given_back <= diversity.BATTERY_CAPACITY_WH[1] + taken).all()
    assert (np.maximum(flow_wh[:, 0], 0) <= np.maximum(-net_wh[:, 0], 0)).all()
