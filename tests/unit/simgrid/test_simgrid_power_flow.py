"""The power flow against pandapower's frozen answers, and the shipped extract against SimBench's own numbers."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcore.errors import GridError
from simulators.grid import feeder as feeder_module
from simulators.grid.european_lv import load_european_lv
from simulators.grid.extract_simbench import wall_clock_rows
from simulators.grid.feeder import SHAPE_SLOTS, Feeder, load_feeder
from simulators.grid.power_flow import CHUNK_SLOTS_MAX, FeederModel
from simulators.grid.world import build_world
from simulators.scenarios.gallery import DEMONSTRATION, find_scenario
from simulators.scenarios.schema import EUROPEAN_LV, SIMBENCH_RURAL3, SIMBENCH_SEMIURB4, SIMBENCH_URBAN6

SIZES = {  # nodes, lines, loads, homes, distinct household series
    SIMBENCH_SEMIURB4: (44, 42, 58, 32, 12),
    SIMBENCH_URBAN6: (59, 57, 135, 102, 22),
    SIMBENCH_RURAL3: (129, 127, 153, 113, 12),
}
TAPS = {SIMBENCH_SEMIURB4: 0, SIMBENCH_URBAN6: -1, SIMBENCH_RURAL3: -1}
VOLTAGE_PU = 5e-6
LOADING = 2e-5
"""Of what a line can carry."""


def frozen(name: str) -> dict[str, NDArray[Any]]:
    """pandapower's answers, made by ``simulators/grid/make_oracle.py`` and ``make_european_oracle.py``."""
    with np.load(Path(__file__).with_name(f"oracle_{name}.npz"), allow_pickle=False) as archive:
        return {each: archive[each] for each in archive.files}


@pytest.fixture(scope="module", params=SIZES)
def source(request: pytest.FixtureRequest) -> str:
    """A grid of SimBench."""
    return str(request.param)


@pytest.fixture(scope="module")
def oracle(source: str) -> dict[str, NDArray[Any]]:
    """What pandapower says of it."""
    return frozen(source.partition(":")[2])


def test_voltages_and_losses_agree_with_pandapower_with_taps_on(oracle: dict[str, NDArray[Any]], source: str) -> None:
    feeder = load_feeder(source)
    assert (feeder.transformer.tap_position, feeder.transformer.tap_neutral) == (TAPS[source], 0)
    flow = FeederModel(feeder).solve(oracle["p_w"], oracle["q_var"])
    assert np.abs(flow.u_pu - oracle["u_pu"]).max() < VOLTAGE_PU
    assert np.abs(flow.loss_w / oracle["loss_w"] - 1).max() < 1e-3
    assert np.abs(flow.upper_w - oracle["upper_w"]).max() < 1.0
    assert np.abs(flow.line_loading - oracle["line_loading"]).max() < LOADING
    assert oracle["line_loading"].max() > 0.3


def test_voltages_of_each_phase_agree_with_pandapower_on_the_european_feeder() -> None:
    oracle, feeder = frozen("european_lv"), load_european_lv()
    assert (feeder.nodes, feeder.line_nodes.shape[1], feeder.loads, feeder.phases) == (907, 905, 55, 3)
    p_w, q_var = (at_terminals(feeder, oracle[name]) for name in ("p_w", "q_var"))
    flow = FeederModel(feeder).solve(p_w, q_var)
    assert np.abs(flow.u_pu - oracle["u_pu"]).max() < VOLTAGE_PU
    assert np.abs(flow.loss_w - oracle["loss_w"]).max() < 1.0
    assert np.abs(flow.line_loading - oracle["line_loading"]).max() < LOADING
    spread = oracle["u_pu"].reshape(len(p_w), feeder.nodes, 3)
    assert np.ptp(spread, axis=2).max() > 0.02, "phases differ"
    assert oracle["upper_w"].min() < -30_000 < 100_000 < oracle["upper_w"].max()


def at_terminals(feeder: Feeder, of_loads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Powers [cases, loads] as [cases, terminals]."""
    found = np.zeros((len(of_loads), feeder.terminals))
    found[:, feeder.load_terminal] = of_loads
    return found


@pytest.mark.parametrize("source", [*SIZES, EUROPEAN_LV])
def test_energy_is_conserved_to_a_watt_hour_in_every_slot_after_losses(source: str) -> None:
    name = {SIMBENCH_URBAN6: "urban_street", EUROPEAN_LV: "three_phases"}.get(source, DEMONSTRATION)
    scenario = find_scenario(name).sized(slots=96).scenario
    world = build_world(dataclasses.replace(scenario, grid=dataclasses.replace(scenario.grid, source=source)))
    area = [column for column, meter in enumerate(world.meters) if meter.area == "A1"]
    *points, feeder = area
    net_wh = world.import_wh - world.export_wh
    gap_wh = net_wh[:, points].sum(axis=1) + world.loss_wh[:, 0] - net_wh[:, feeder]
    assert np.abs(gap_wh).max() <= 1
    assert np.abs(net_wh[:, points]).sum() > 10_000
    assert (world.loss_wh[:, 0] > 0).any()


def test_each_home_of_the_european_feeder_shows_the_voltage_of_its_own_phase() -> None:
    world = build_world(find_scenario("three_phases").sized(slots=60).scenario)
    feeder = load_european_lv()
    assert feeder.load_phase is not None
    assert np.bincount(feeder.load_phase).tolist() == [21, 19, 15]
    noon_pu = world.voltage_pu[50, :55]
    assert 1.0 < noon_pu.min() < noon_pu.max() < 1.15, "rated 416 V, told in per unit of 400 V"
    means = [noon_pu[feeder.load_phase == phase].mean() for phase in range(3)]
    assert max(means) - min(means) > 0.001


def test_oracle_holds_both_directions_of_flow_and_more_than_a_handful_of_slots(oracle: dict[str, NDArray[Any]]) -> None:
    assert len(oracle["wall_clock_slot"]) >= 10
    assert oracle["upper_w"].min() < -20_000 < 80_000 < oracle["upper_w"].max()


def test_shipped_shapes_give_the_loads_that_pandapower_saw(oracle: dict[str, NDArray[Any]], source: str) -> None:
    feeder, slots = load_feeder(source), oracle["wall_clock_slot"]
    p_w, q_var = np.zeros_like(oracle["p_w"]), np.zeros_like(oracle["q_var"])
    for load, (node, row) in enumerate(zip(feeder.load_node, feeder.load_profile, strict=True)):
        p_w[:, node] += feeder.load_p_w[load] * feeder.load_p_scale[row] * feeder.load_p_shapes[row, slots]
        q_var[:, node] += feeder.load_q_var[load] * feeder.load_q_scale[row] * feeder.load_q_shapes[row, slots]
    for unit, (node, row) in enumerate(zip(feeder.pv_node, feeder.pv_profile, strict=True)):
        p_w[:, node] -= feeder.pv_p_w[unit] * feeder.pv_scale[row] * feeder.pv_shapes[row, slots]
    assert np.abs(p_w - oracle["p_w"]).max() < 2.0
    assert np.abs(q_var - oracle["q_var"]).max() < 2.0


def test_feeder_has_the_counts_of_its_grid_and_homes_first(source: str) -> None:
    feeder = load_feeder(source)
    homes = feeder.households
    series = {(int(p), float(w)) for p, w in zip(feeder.load_profile[:homes], feeder.load_p_w[:homes], strict=True)}
    assert (feeder.nodes, feeder.line_nodes.shape[1], feeder.loads, homes, len(series)) == SIZES[source]
    assert feeder.load_p_shapes.shape[1] == feeder.pv_shapes.shape[1] == SHAPE_SLOTS
    assert all(feeder.load_profile_names[row].startswith("H0") for row in feeder.load_profile[:homes])


def test_batches_longer_than_a_chunk_equal_single_slots() -> None:
    model, nodes = FeederModel(load_feeder()), load_feeder().nodes
    scale = np.linspace(-800.0, 800.0, CHUNK_SLOTS_MAX + 1)[:, None]
    p_w = scale * np.ones((1, nodes))
    whole = model.solve(p_w, 0.1 * p_w)
    for slot in (0, CHUNK_SLOTS_MAX - 1, CHUNK_SLOTS_MAX):
        alone = model.solve(p_w[slot : slot + 1], 0.1 * p_w[slot : slot + 1])
        assert alone.upper_w[0] == whole.upper_w[slot]
        assert (alone.u_pu[0] == whole.u_pu[slot]).all()


def test_no_slots_give_an_empty_flow() -> None:
    nodes = load_feeder().nodes
    flow = FeederModel(load_feeder()).solve(np.zeros((0, nodes)), np.zeros((0, nodes)))
    assert flow.upper_w.shape == (0,)
    assert flow.u_pu.shape == (0, nodes)


def test_demand_beyond_the_feeder_is_one_clear_error() -> None:
    feeder = load_feeder()
    p_w = np.full((2, feeder.nodes), 1e6)
    with pytest.raises(GridError, match="power flow: no solution") as caught:
        FeederModel(feeder).solve(p_w, p_w)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["absent", "cut", "flipped", "other"])
def test_damaged_extract_is_one_clear_error(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(files("simulators.grid").joinpath("data/rural3.npz").read_bytes())
    path = tmp_path / "rural3.npz"
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    if damage != "absent":
        path.write_bytes({"cut": bytes(data[:5_000]), "flipped": bytes(data), "other": b"not an archive"}[damage])
    monkeypatch.setitem(feeder_module.EXTRACTS, SIMBENCH_RURAL3, str(path))
    with pytest.raises(GridError, match="cannot be read") as caught:
        load_feeder.__wrapped__()
    assert "\n" not in str(caught.value)


def test_extract_ships_with_its_licence_and_source() -> None:
    notice = files("simulators.grid").joinpath("data/LICENSE-ODbL.md").read_text(encoding="utf-8")
    assert "SimBench" in notice
    assert "Open Database License" in notice
    assert "Database Contents License" in notice
    assert all(name.removeprefix("data/") in notice for name in feeder_module.EXTRACTS.values())
    notice = files("simulators.grid").joinpath("data/LICENSE-european_lv.md").read_text(encoding="utf-8")
    assert "European Low Voltage Test Feeder" in notice
    assert "BSD 3-Clause License" in notice


def test_summer_time_labels_become_a_regular_wall_clock() -> None:
    moments = np.datetime64("2016-01-01T00:00") + np.timedelta64(15, "m") * np.arange(SHAPE_SLOTS)
    spring, autumn = (86 * 24 + 2) * 4, (303 * 24 + 2) * 4
    labelled = np.concatenate([moments[:spring], moments[spring + 4 : autumn + 4], moments[autumn:]])
    rows = wall_clock_rows([f"{str(m)[8:10]}.{str(m)[5:7]}.{str(m)[:4]} {str(m)[11:16]}" for m in labelled])
    assert len(labelled) == SHAPE_SLOTS == len(rows)
    assert list(rows[spring - 4 : spring + 5]) == [*range(spring - 4, spring), *range(spring - 4, spring), spring]
    assert list(rows[autumn + 2 : autumn + 6]) == [autumn - 2, autumn - 1, autumn + 4, autumn + 5]
    assert (labelled[rows[spring + 4 :]] == moments[spring + 4 :]).all()
