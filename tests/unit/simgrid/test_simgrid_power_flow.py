"""The power flow against pandapower's frozen answers, and the shipped extract against SimBench's own numbers."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcore.errors import GridError
from simulators.grid import feeder as feeder_module
from simulators.grid.extract_simbench import wall_clock_rows
from simulators.grid.feeder import SHAPE_SLOTS, load_feeder
from simulators.grid.power_flow import CHUNK_SLOTS_MAX, FeederModel

ORACLE = Path(__file__).with_name("oracle_rural3.npz")


@pytest.fixture(scope="module")
def oracle() -> dict[str, NDArray[Any]]:
    """pandapower's answers, made by ``simulators/grid/make_oracle.py``."""
    with np.load(ORACLE, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_voltages_and_losses_agree_with_pandapower(oracle: dict[str, NDArray[Any]]) -> None:
    flow = FeederModel(load_feeder()).solve(oracle["p_w"], oracle["q_var"])
    assert np.abs(flow.u_pu - oracle["u_pu"]).max() < 1e-5
    assert np.abs(flow.loss_w / oracle["loss_w"] - 1).max() < 1e-3
    assert np.abs(flow.upper_w - oracle["upper_w"]).max() < 1.0


def test_oracle_holds_both_directions_of_flow_and_more_than_a_handful_of_slots(oracle: dict[str, NDArray[Any]]) -> None:
    assert len(oracle["wall_clock_slot"]) >= 10
    assert oracle["upper_w"].min() < -100_000 < 200_000 < oracle["upper_w"].max()


def test_shipped_shapes_give_the_loads_that_pandapower_saw(oracle: dict[str, NDArray[Any]]) -> None:
    feeder, slots = load_feeder(), oracle["wall_clock_slot"]
    p_w, q_var = np.zeros_like(oracle["p_w"]), np.zeros_like(oracle["q_var"])
    for load, (node, row) in enumerate(zip(feeder.load_node, feeder.load_profile, strict=True)):
        p_w[:, node] += feeder.load_p_w[load] * feeder.load_p_scale[row] * feeder.load_p_shapes[row, slots]
        q_var[:, node] += feeder.load_q_var[load] * feeder.load_q_scale[row] * feeder.load_q_shapes[row, slots]
    for unit, (node, row) in enumerate(zip(feeder.pv_node, feeder.pv_profile, strict=True)):
        p_w[:, node] -= feeder.pv_p_w[unit] * feeder.pv_scale[row] * feeder.pv_shapes[row, slots]
    assert np.abs(p_w - oracle["p_w"]).max() < 2.0
    assert np.abs(q_var - oracle["q_var"]).max() < 2.0


def test_feeder_has_the_counts_of_rural3_and_homes_first() -> None:
    feeder = load_feeder()
    assert (feeder.nodes, feeder.line_nodes.shape[1], feeder.loads, feeder.households) == (129, 127, 153, 113)
    assert feeder.load_p_shapes.shape[1] == feeder.pv_shapes.shape[1] == SHAPE_SLOTS
    assert (
        len({(int(p), float(w)) for p, w in zip(feeder.load_profile[:113], feeder.load_p_w[:113], strict=True)}) == 12
    )


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
    monkeypatch.setattr(feeder_module, "EXTRACT_NAME", str(path))
    with pytest.raises(GridError, match="cannot be read") as caught:
        load_feeder.__wrapped__()
    assert "\n" not in str(caught.value)


def test_extract_ships_with_its_licence_and_source() -> None:
    notice = files("simulators.grid").joinpath("data/LICENSE-ODbL.md").read_text(encoding="utf-8")
    assert "SimBench" in notice
    assert "Open Database License" in notice
    assert "Database Contents License" in notice


def test_summer_time_labels_become_a_regular_wall_clock() -> None:
    moments = np.datetime64("2016-01-01T00:00") + np.timedelta64(15, "m") * np.arange(SHAPE_SLOTS)
    spring, autumn = (86 * 24 + 2) * 4, (303 * 24 + 2) * 4
    labelled = np.concatenate([moments[:spring], moments[spring + 4 : autumn + 4], moments[autumn:]])
    rows = wall_clock_rows([f"{str(m)[8:10]}.{str(m)[5:7]}.{str(m)[:4]} {str(m)[11:16]}" for m in labelled])
    assert len(labelled) == SHAPE_SLOTS == len(rows)
    assert list(rows[spring - 4 : spring + 5]) == [*range(spring - 4, spring), *range(spring - 4, spring), spring]
    assert list(rows[autumn + 2 : autumn + 6]) == [autumn - 2, autumn - 1, autumn + 4, autumn + 5]
    assert (labelled[rows[spring + 4 :]] == moments[spring + 4 :]).all()
