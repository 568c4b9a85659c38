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
from simulators.grid.batteries import WITHOUT_BATTERY
from simulators.grid.diversity import (
    Slots,
    day_orders,
    generator,
    home_energy,
    home_loads,
    pv_and_battery_homes,
    pv_yield,
)
from simulators.grid.feeder import SHAPE_SLOTS, homes_at_line_ends, load_feeder
from simulators.grid.households import orders_of_slot
from simulators.grid.local_time import shape_positions
from simulators.grid.world import (
    World,
)
from simulators.scenarios.home_devices import NO_BATTERIES, NO_PV
from simulators.scenarios.schema import AGENT_HOUSEHOLDS_MAX, HOUSEHOLDS_MAX, SEED_MAX, SLOTS_MAX, Calendar
from tests.worlds.simulated import demo_world, demonstration

ROOT = Path(__file__).parents[3]
POINTS = 153
DEMO = demonstration(households=113, slots=96, seed=7).scenario
PV, BATTERIES = DEMO.pv or NO_PV, DEMO.batteries or NO_BATTERIES
DARK_SLOT = 88  # 22:00: no PV in the shapes


def digest_of(world: World) -> str:
    """SHA-256 over everything that a world and its orders hold."""
    digest = hashlib.sha256()
    for array in (world.slot_start_s, world.import_wh, world.export_wh, world.loss_wh, world.battery_wh):
        digest.update(array.tobytes())
    digest.update(world.voltage_pu_min.tobytes() + world.voltage_pu_max.tobytes() + world.voltage_pu.tobytes())
    orders = [orders_of_slot(world, slot) for slot in range(0, world.slots, 8)]
    digest.update(repr((world.areas, world.meters, world.traders, world.batteries, world.line_ends, orders)).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def day() -> World:
    """One day of one full feeder."""
    return demo_world(households=113, slots=96, seed=7)


def test_same_seed_gives_the_same_world_under_other_hash_seed_zone_and_locale() -> None:
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        "from test_simgrid_world import digest_of, demo_world\n"
        "sys.stdout.write(digest_of(demo_world(households=120, slots=24, seed=5)))"
    )
    here = digest_of(demo_world(households=120, slots=24, seed=5))
    for hash_seed, zone, locale in (("1", "America/St_Johns", "C"), ("77", "Asia/Kathmandu", "tr_TR.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone, "LC_ALL": locale, "LANG": locale}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stdout == here, done.stderr


def test_other_seed_gives_another_world(day: World) -> None:
    other = demo_world(households=113, slots=96, seed=8)
    assert (other.import_wh[:, :113] != day.import_wh[:, :113]).mean() > 0.8


@pytest.mark.parametrize("seed", [0, 3, SEED_MAX])
def test_energy_is_conserved_in_every_slot_and_area(seed: int) -> None:
    world = demo_world(households=150, slots=96, seed=seed)
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
    few = demo_world(households=12, slots=8, seed=7)
    assert few.traders == tuple(f"H{number:03d}" for number in range(1, 13))
    assert few.meters == day.meters
    assert few.batteries == day.batteries
    for name in ("import_wh", "export_wh", "loss_wh", "voltage_pu_min", "voltage_pu_max", "voltage_pu"):
        assert (getattr(few, name) == getattr(day, name)[:8]).all(), name
    assert (few.battery_wh == day.battery_wh[:9]).all()


def test_more_homes_than_a_feeder_has_replicate_it_with_other_homes() -> None:
    world = demo_world(households=114, slots=8, seed=7)
    assert world.areas == ("A1", "A2")
    assert len(world.meters) == 308
    assert world.traders[-2:] == ("H113", "H114")
    assert [world.meters[at].meter for at in (154, 267, 307)] == ["M-H114", "M-L041", "M-F2"]
    assert {meter.area for meter in world.meters[154:]} == {"A2"}
    assert len({meter.meter for meter in world.meters}) == 308
    first, second = world.import_wh[:, :113], world.import_wh[:, 154:267]
    assert (first != second).mean() > 0.8


def test_largest_world_of_agents_is_built_and_one_home_more_than_any_is_refused() -> None:
    world = demo_world(households=AGENT_HOUSEHOLDS_MAX, slots=1, seed=1)
    assert len(world.areas) == AGENT_HOUSEHOLDS_MAX // 113
    assert len(set(world.traders)) == AGENT_HOUSEHOLDS_MAX
    with pytest.raises(UsageError, match="households 1130001: must be from 1 to 1130000"):
        demo_world(households=HOUSEHOLDS_MAX + 1, slots=1, seed=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("households", 0), ("slots", 0), ("slots", SLOTS_MAX + 1), ("seed", -1), ("seed", SEED_MAX + 1)],
)
def test_size_out_of_range_is_refused_by_name(name: str, value: int) -> None:
    sizes = {"households": 1, "slots": 1, "seed": 1, name: value}
    with pytest.raises(UsageError, match=f"{name} {value}: must be from"):
        demo_world(**sizes)


def test_time_grid_starts_at_local_midnight_of_21_june(day: World) -> None:
    assert str(day.slot_start_s[0].astype("datetime64[s]")) == "2026-06-20T16:00:00"
    assert (np.diff(day.boundary_s) == 900).all()
    assert len(day.boundary_s) == 97


def test_a_world_cannot_be_changed(day: World) -> None:
    arrays = (day.slot_start_s, day.import_wh, day.export_wh, day.loss_wh, day.voltage_pu, day.battery_wh)
    for array in (*arrays, *day.true_registers(3)):
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


def test_shapes_are_read_by_month_day_and_time_and_skip_the_leap_day() -> None:
    local = ["2026-06-21T00:00:00", "2026-12-31T23:45:00", "2027-01-01T00:00:00", "2027-02-28T12:00:00"]
    local += ["2027-03-01T00:15:00", "2028-02-29T00:00:00", "2028-03-01T00:00:00"]
    slots = np.array([np.datetime64(moment).astype(np.int64) - 8 * 3600 for moment in local])
    days_and_slots = [
        divmod(int(position), 96)
        for position in shape_positions(slots, Calendar("2026-06-21", "Asia/Shanghai", days=1))
    ]
    assert days_and_slots == [(172, 0), (365, 95), (0, 0), (58, 48), (60, 1), (59, 0), (60, 0)]


def test_homes_differ_and_keep_their_yearly_energy() -> None:
    feeder = load_feeder()
    homes = slice(0, feeder.households)
    energy_wh, _ = home_loads(feeder, (7, 0), np.arange(SHAPE_SLOTS), DEMO.households)
    profile = feeder.load_profile[homes]
    simbench_wh = feeder.load_p_shapes[profile].sum(axis=1) * feeder.load_p_scale[profile] * feeder.load_p_w[homes] / 4
    assert np.abs(energy_wh.sum(axis=0) / simbench_wh - 1).max() < 0.03
    assert len({energy_wh[:, home].tobytes() for home in range(feeder.households)}) == feeder.households


def test_day_orders_permute_within_season_and_kind_of_day() -> None:
    orders = day_orders(generator(1), 3)
    assert len(orders) == 3
    for order in orders:
        assert sorted(order) == list(range(366))
        moments = np.datetime64("2016-01-01") + np.arange(366)
        weekday = (moments - np.datetime64("2015-12-28")).astype(int) % 7
        assert (np.maximum(weekday, 4) == np.maximum(weekday[order], 4)).all()
        is_summer = (moments >= np.datetime64("2016-05-15")) & (moments < np.datetime64("2016-09-15"))
        assert (is_summer == is_summer[order]).all()


@given(st.integers(0, 2**32), st.integers(1, 230))
@settings(max_examples=50, deadline=None)
def test_pv_and_batteries_are_spread_over_every_ten_homes(seed: int, homes: int) -> None:
    has_pv, has_battery = pv_and_battery_homes(generator(seed), homes, PV.homes_of_ten, BATTERIES.homes_of_ten)
    for start in range(0, homes - 9, 10):
        assert has_pv[start : start + 10].sum() in (4, 5)
        assert has_battery[start : start + 10].sum() == 1
    assert not (has_battery & ~has_pv).any()


def test_homes_meter_load_less_pv_plus_what_their_battery_takes_or_gives() -> None:
    feeder, key, when = load_feeder(), (7, 0), 96 * 172 + np.arange(96)
    slots = Slots(1_781_971_200 + 900 * np.arange(96), when, np.ones(96, dtype=np.bool_))
    homes = home_energy(feeder, key, slots, DEMO)
    behind_wh = home_loads(feeder, key, when, DEMO.households)[0] - pv_yield(
        feeder, key, slots, homes.has_pv, PV, DEMO.weather
    )
    assert (homes.import_wh - homes.export_wh == behind_wh + homes.battery.flow_wh).all()
    assert (homes.battery.flow_wh.any(axis=0) == (homes.strategies != WITHOUT_BATTERY)).all()


def test_state_of_charge_of_every_battery_stays_between_reserve_and_capacity_and_is_used(day: World) -> None:
    assert day.battery_wh.shape == (97, len(day.batteries))
    assert len(day.batteries) in (11, 12), "one home in ten"
    for battery, charge_wh in zip(day.batteries, day.battery_wh.T, strict=True):
        column = day.meter_of_party[battery.party]
        assert battery.reserve_wh <= charge_wh.min() <= charge_wh.max() <= battery.capacity_wh
        assert charge_wh.max() - charge_wh.min() > battery.capacity_wh // 4
        # it gives no less than the meter exports by night, when no PV does
        given_wh = np.maximum(-np.diff(charge_wh), 0)
        assert (given_wh[DARK_SLOT:] >= day.export_wh[DARK_SLOT:, column]).all()


def test_batteries_of_a_second_feeder_name_its_own_homes() -> None:
    world = demo_world(households=114, slots=8, seed=7)
    areas = [world.meters[world.meter_of_party[battery.party]].area for battery in world.batteries]
    assert sorted(set(areas)) == ["A1", "A2"]
    assert areas == sorted(areas)
    assert world.battery_wh.shape == (9, len(world.batteries))


def test_meters_of_one_node_share_its_voltage_and_the_least_and_largest_are_the_areas(day: World) -> None:
    feeder = load_feeder()
    assert day.voltage_pu.shape == day.import_wh.shape
    for node in np.unique(feeder.load_node):
        columns = np.flatnonzero(feeder.load_node == node)
        assert (day.voltage_pu[:, columns] == day.voltage_pu[:, columns[:1]]).all()
    tolerance = np.spacing(np.float32(1.06))
    assert (day.voltage_pu.min(axis=1) >= day.voltage_pu_min[:, 0] - tolerance).all()
    assert (day.voltage_pu.max(axis=1) <= day.voltage_pu_max[:, 0] + tolerance).all()
    # the busbar lies between them: lines lose voltage where energy is taken and gain it where it is fed in
    assert (day.voltage_pu[:, 153] > day.voltage_pu_min[:, 0]).all()
    assert (day.voltage_pu[:, 153] < day.voltage_pu_max[:, 0]).any()


def test_meters_show_the_phase_voltage_of_the_slot_that_ends(day: World) -> None:
    for boundary, slot in ((0, 0), (1, 0), (2, 1), (96, 95)):
        assert day.phase_voltages_v(boundary) == pytest.approx(day.voltage_pu[slot] * 230.94, abs=0.01)
    for boundary in (-1, 97):
        with pytest.raises(UsageError, match=f"boundary_index {boundary}: the world has boundaries 0 to 96"):
            day.phase_voltages_v(boundary)


def test_meters_show_the_mean_power_of_the_slot_that_ends(day: World) -> None:
    for boundary, slot in ((0, 0), (1, 0), (2, 1), (96, 95)):
        power_w = day.mean_powers_w(boundary)
        assert (power_w == 4 * (day.import_wh[slot] - day.export_wh[slot])).all()
    with pytest.raises(UsageError, match="boundary_index 97: the world has boundaries 0 to 96"):
        day.mean_powers_w(97)


def test_line_ends_are_homes_where_one_line_arrives_the_farthest_first() -> None:
    feeder = load_feeder()
    homes = homes_at_line_ends(feeder)
    lines_at = np.bincount(feeder.line_nodes.ravel(), minlength=feeder.nodes)
    nodes = feeder.load_node[list(homes)]
    assert (lines_at[nodes] == 1).all()
    assert len(set(nodes.tolist())) == len(homes) >= 12
    assert max(homes) < feeder.households
    world = demo_world(households=114, slots=8, seed=7)
    assert [[world.meters[column].area for column in columns] for columns in world.line_ends] == [
        ["A1"] * len(homes),
        ["A2"] * len(homes),
    ]


@pytest.mark.parametrize("seed", [7, 8])
def test_busbar_and_eleven_line_ends_tell_the_lowest_voltage_within_half_a_volt(seed: int) -> None:
    world = demo_world(households=113, slots=96 * 7, seed=seed)
    watched = world.voltage_pu[:, [*world.line_ends[0][:11], 153]].min(axis=1)
    assert ((watched - world.voltage_pu_min[:, 0]) * 230.94).max() < 0.5


def test_a_slot_of_a_meter_takes_twelve_bytes(day: World) -> None:
    assert sum(grid.nbytes for grid in (day.import_wh, day.export_wh, day.voltage_pu)) == 12 * day.import_wh.size
