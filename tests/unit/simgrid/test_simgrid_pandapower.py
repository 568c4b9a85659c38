"""Nets of pandapower as own grids: against pandapower's figures, and what cannot be imported in one line that names table and row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.simulating.import_grid import SCENARIO, TABLE, import_net
from simulators.grid.feeder import Feeder
from simulators.grid.own_feeder import read_own_feeder
from simulators.grid.pandapower_file import read_net
from simulators.grid.pandapower_grid import Homes, import_grid
from simulators.grid.power_flow import FeederModel
from simulators.scenarios.gallery import find_scenario

FOLDER = Path(__file__).parent / "pandapower"
ORACLE = json.loads((FOLDER / "oracle.json").read_text())["nets"]
HOMES = Homes("H0-A")
U_TOLERANCE_PU = 5e-6
LOADING_TOLERANCE = 1e-4
"""Of what a line can carry."""
REACTIVE = 0.2
"""As in ``simulators/grid/make_pandapower_nets.py``."""
Frame = dict[str, Any]
"""A table as the file holds it: columns, index, data."""


def feeder_of(name: str, out: Path) -> Feeder:
    """The grid of an imported net, as a run reads it."""
    import_net(FOLDER / f"{name}.json", out, HOMES)
    grid = find_scenario(str(out / SCENARIO)).scenario.grid
    assert grid.table is not None
    assert grid.transformer is not None
    return read_own_feeder(grid.table, grid.transformer)


def nodes_of(out: Path) -> list[str]:
    """The nodes below the transformer, as the feeder numbers them from 1."""
    return ["busbar", *(line.split(",")[0] for line in (out / TABLE).read_text().splitlines()[1:])]


def lines_of(out: Path) -> list[tuple[str, str]]:
    """The nodes at the two ends of each line, as the feeder numbers the lines."""
    rows = (line.split(",") for line in (out / TABLE).read_text().splitlines()[1:])
    return [(node, other) for node, other, *_ in rows]


@pytest.mark.parametrize("name", sorted(ORACLE))
def test_an_imported_grid_has_the_voltages_losses_and_loadings_that_pandapower_finds(name: str, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    model, nodes = FeederModel(feeder_of(name, out)), nodes_of(out)
    trafo = read_net(FOLDER / f"{name}.json").rows("trafo")[0]
    node_of = {"busbar": f"{trafo.whole('lv_bus')}"} | {node: node.removeprefix("B") for node in nodes[1:]}
    loads = read_net(FOLDER / f"{name}.json").in_service("load")
    errors, off = [], []
    for case in ORACLE[name]:
        p_w = np.zeros((1, len(nodes) + 1))
        for load in loads:
            bus = "8" if name == "synthetic_lv" and load.whole("bus") == 26 else str(load.whole("bus"))
            number = 1 + next(place for place, node in enumerate(nodes) if node_of[node] == bus)
            p_w[0, number] += case["factor"] * load.number("p_mw") * load.number("scaling") * 1e6
        flow = model.solve(p_w, p_w * REACTIVE)
        compared = [(number, node_of[node]) for number, node in enumerate(nodes, 1) if node_of[node] in case["u_pu"]]
        assert len(compared) > 13
        errors.append(max(abs(flow.u_pu[0, number] - case["u_pu"][bus]) for number, bus in compared))
        assert flow.loss_w[0] == pytest.approx(case["loss_w"], rel=1e-3)
        said = {frozenset(line.split("-")): loading for line, loading in case["line_loading"].items()}
        lines = [frozenset({node_of[node], node_of[other]}) for node, other in lines_of(out)]
        own = {line: flow.line_loading[0, place] for place, line in enumerate(lines) if line in said}
        assert len(own) > 12
        off.append(max(abs(loading - said[line]) for line, loading in own.items()))
    assert len(errors) == 4
    assert max(errors) < U_TOLERANCE_PU, errors
    assert max(off) < LOADING_TOLERANCE, off
    assert max(max(case["line_loading"].values()) for case in ORACLE[name]) > 0.2


def changed(path: Path, change: Callable[[dict[str, Frame]], None], name: str = "synthetic_lv") -> Path:
    """A copy of a net whose tables are changed."""
    whole = json.loads((FOLDER / f"{name}.json").read_text())
    held = {table: value for table, value in whole["_object"].items() if isinstance(value, dict) and "orient" in value}
    frames = {table: json.loads(value["_object"]) for table, value in held.items()}
    change(frames)
    for table, frame in frames.items():
        whole["_object"][table] = {"_module": "pandas.core.frame", "_class": "DataFrame", "_object": json.dumps(frame)}
    path.write_text(json.dumps(whole))
    return path


def named(table: str, row: int, label: object) -> Callable[[dict[str, Frame]], None]:
    """Another label of a row."""

    def change(frames: dict[str, Frame]) -> None:
        frames[table]["index"][row] = label

    return change


def put(table: str, row: int, **cells: object) -> Callable[[dict[str, Frame]], None]:
    """Other values in a row."""

    def change(frames: dict[str, Frame]) -> None:
        frame = frames[table]
        for name, value in cells.items():
            if name not in frame["columns"]:
                frame["columns"].append(name)
                for data in frame["data"]:
                    data.append(None)
            frame["data"][frame["index"].index(row)][frame["columns"].index(name)] = value

    return change


def add(table: str, **cells: object) -> Callable[[dict[str, Frame]], None]:
    """A further row, or the first one of its table."""

    def change(frames: dict[str, Frame]) -> None:
        frame = frames.setdefault(table, {"columns": list(cells), "index": [], "data": []})
        frame["index"].append(max(frame["index"], default=-1) + 1)
        like = frame["data"][0] if frame["data"] else [None] * len(frame["columns"])
        frame["data"].append([cells.get(name, value) for name, value in zip(frame["columns"], like, strict=True)])

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (add("trafo3w", hv_bus=0, in_service=True), "trafo3w row 0: trafo3w is not imported; a grid of its own hangs"),
        (add("gen", bus=3, in_service=True), "gen row 0: gen is not imported; make it a row of sgen"),
        (add("shunt", bus=3, in_service=True), "shunt row 0: shunt is not imported; take it out of service"),
        (add("ext_grid", bus=2), "ext_grid row 1: there are 2 external grids in service (ext_grid); it must be one"),
        (put("ext_grid", 0, in_service=False), "there are 0 external grids in service (ext_grid); it must be one"),
        (
            put("ext_grid", 0, bus=4),
            "ext_grid row 0: stands at bus 4; it must stand at bus 0, the transformer's hv_bus",
        ),
        (add("trafo"), "trafo row 1: there are 2 transformers in service (trafo); it must be one"),
        (put("trafo", 0, in_service=False), "there are 0 transformers in service (trafo); it must be one"),
        (put("trafo", 0, vn_lv_kv=0.42), "trafo row 0: vn_lv_kv is 0.42; it must be 0.4"),
        (put("trafo", 0, tap_changer_type=None), "tap_changer_type is None; it must be 'Ratio'"),
        (put("trafo", 0, tap_side="lv"), "trafo row 0: tap_side is 'lv'; it must be 'hv'"),
        (put("trafo", 0, tap_step_degree=5.0), "trafo row 0: tap_step_degree is 5; it must be 0"),
        (put("trafo", 0, tap_dependency_table=True), "trafo row 0: tap_dependency_table is true; it must be false"),
        (put("trafo", 0, sn_mva=0.1605), "trafo row 0: sn_mva comes to 160.5 kVA; it must be a whole number"),
        (put("trafo", 0, vk_percent=30.0), "trafo row 0: comes to short_circuit_ppm = 300000, which is not from 1000"),
        (put("trafo", 0, vkr_percent=4.0), "trafo row 0: load_loss_w 6400 is too much for this rating"),
        (put("trafo", 0, pfe_kw=None), "trafo row 0: pfe_kw is None; it must be a number"),
        (put("bus", 5, vn_kv=0.69), "bus row 5: vn_kv is 0.69; below the transformer it must be 0.4"),
        (put("line", 3, from_bus=99), "line row 3: from_bus is 99, and the table bus has no such row"),
        (put("line", 3, length_km=0.0), "line row 3: comes to length_m = 0, which is no number from 1 to 10000"),
        (put("line", 3, x_ohm_per_km=0.0), "line row 3: comes to x_micro_ohm_per_m = 0, which is no number from 1"),
        (put("line", 3, max_i_ka=None), "line row 3: max_i_ka is None; it must be a number"),
        (put("line", 3, g_us_per_km=1.0), "line row 3: g_us_per_km is 1; it must be 0"),
        (
            put("switch", 1, closed=True),
            "closes a ring; a table holds a tree: open the line, by its in_service or a switch",
        ),
        (put("switch", 0, z_ohm=0.1), "switch row 0: z_ohm is 0.1; it must be 0: make it a row of line"),
        (put("switch", 0, et="x"), "switch row 0: et is 'x'; it must be 'b', 'l' or 't'"),
        (put("switch", 0, closed=False), "load row 18: bus 26 is not connected to the transformer"),
        (put("load", 2, p_mw=-0.001), "load row 2: p_mw is -0.001; a load takes energy"),
        (put("load", 2, p_mw=9.0), "load row 2: comes to annual_kwh = "),
        (put("load", 2, bus=2.5), "load row 2: bus is 2.5; it must be a whole number"),
        (put("switch", 0, element=8), "load row 18: bus 26 is not connected to the transformer"),
        (put("trafo", 0, sn_mva=0.0), "trafo row 0: sn_mva is 0; it must be above 0"),
        (put("trafo", 0, tap_pos=99, tap_step_percent=-1.5), "trafo row 0: its tap lowers vn_hv_kv by 148%"),
        (put("trafo", 0, parallel=1e300), "trafo row 0: parallel is 1e+300; it must be a number within 1e+09"),
        (put("trafo", 0, sn_mva=1e-320), "trafo row 0: sn_mva is 9.99989e-321; it must be above 0, and 1e-09 at least"),
        (put("trafo", 0, vn_hv_kv=5e-324), "trafo row 0: vn_hv_kv is 4.94066e-324; it must be above 0"),
        (named("load", 2, 3), "table load: its rows must be named by whole numbers, each once"),
        (named("line", 2, "2"), "table line: its rows must be named by whole numbers, each once"),
        (named("switch", 0, None), "table switch: its rows must be named by whole numbers, each once"),
        (put("load", 2, p_mw="much"), "load row 2: p_mw is 'much'; it must be a number"),
    ],
)
def test_a_net_that_is_no_grid_of_ones_own_is_one_line(
    change: Callable[[dict[str, Frame]], None], words: str, tmp_path: Path
) -> None:
    path = changed(tmp_path / "net.json", change)
    out = tmp_path / "out"
    with pytest.raises(UsageError) as caught:
        import_net(path, out, HOMES)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"gAAAAA", "is no JSON"),
        (b'["\xe4"]', "is no JSON (byte 2 is not UTF-8); save the net with"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"bus": []}', "holds no pandapower net; save the net with pandapower.to_json"),
        (b'{"_class": "pandapowerNet", "_object": {}}', "has no table of buses"),
        (
            b'{"_class": "pandapowerNet", "_object": {"bus": {"_class": "DataFrame", "_object": "7"}}}',
            "table bus: is not held by columns, index and data",
        ),
        (
            b'{"_class": "pandapowerNet", "_object": {"bus": {"_class": "DataFrame", "_object": {"columns": ["vn_kv"], "index": [0], "data": [[1, 2]]}}}}',
            "table bus: a row has other cells than there are columns",
        ),
    ],
)
def test_a_file_that_pandapower_has_not_written_is_one_line(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_net(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@given(data=st.data())
def test_a_net_with_any_cell_replaced_is_imported_or_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = json.loads((FOLDER / "synthetic_lv.json").read_text())
    table = data.draw(st.sampled_from(("bus", "line", "trafo", "load", "ext_grid", "switch")))
    frame = json.loads(whole["_object"][table]["_object"])
    row = data.draw(st.integers(0, len(frame["data"]) - 1))
    column = data.draw(st.integers(0, len(frame["columns"]) - 1))
    frame["data"][row][column] = data.draw(
        st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.integers(-(10**400), 10**400), st.integers(-2, 30))
        | st.floats()
        | st.just([])
    )
    whole["_object"][table]["_object"] = json.dumps(frame)
    path = tmp_path_factory.mktemp("net") / "net.json"
    path.write_text(json.dumps(whole))
    said = ""
    try:
        import_grid(read_net(path), HOMES)
    except UsageError as error:
        said = str(error)
    assert said == "" or said.startswith(f"{path}: ")
    assert "\n" not in said


def test_what_is_out_of_service_or_unconnected_without_loads_counts_for_nothing(tmp_path: Path) -> None:
    def spare(frames: dict[str, Frame]) -> None:
        add("trafo3w", hv_bus=0, in_service=False)(frames)
        add("trafo", in_service=False)(frames)
        add("ext_grid", bus=2, in_service=False)(frames)
        add("bus", vn_kv=110.0)(frames)

    whole = import_grid(read_net(FOLDER / "synthetic_lv.json"), HOMES)
    assert import_grid(read_net(changed(tmp_path / "net.json", spare)), HOMES) == whole
    assert (whole.loads, whole.homes, whole.left_out) == (18, 14, {"sgen": 5})


def test_loads_keep_their_own_shape_and_others_get_the_one_that_is_named() -> None:
    found = import_grid(read_net(FOLDER / "synthetic_lv.json"), Homes("H0-B", 3_000))
    kinds = {row[6:9] for row in found.rows}
    assert ("1", "H0-B", "3000") in kinds, "the shape `own` is none of ours"
    assert ("2", "H0-L", "1042") in kinds, "two loads alike"
    with pytest.raises(UsageError, match="--profile 'H9' is not there; known: "):
        import_grid(read_net(FOLDER / "synthetic_lv.json"), Homes("H9"))


def test_a_grid_is_refused_above_the_rows_of_a_table_and_not_at_them(tmp_path: Path) -> None:
    def long(nodes: int) -> Callable[[dict[str, Frame]], None]:
        def change(frames: dict[str, Frame]) -> None:
            have = 13
            for number in range(nodes - have):
                add("bus", vn_kv=0.4)(frames)
                add("line", from_bus=2, to_bus=15 + number)(frames)

        return change

    assert len(import_grid(read_net(changed(tmp_path / "a.json", long(2_000), "kerber_landnetz")), HOMES).rows) == 2_000
    with pytest.raises(UsageError, match="has 2001 nodes below the transformer; a table holds 2000"):
        import_grid(read_net(changed(tmp_path / "b.json", long(2_001), "kerber_landnetz")), HOMES)


def test_the_command_makes_a_folder_that_can_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "grid"
    net = str(FOLDER / "synthetic_lv.json")
    assert main(["simulate", "import-grid", net, "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"nodes": 28, "homes": 14, "loads": 18, "rating_kva": 160, "left_out": {"sgen": 5}, "out": str(out)}
    assert sorted(path.name for path in out.iterdir()) == [TABLE, SCENARIO]
    assert main(["simulate", "check", str(out / SCENARIO)]) == 0
    assert "14 homes that trade, p2p_call_auction/1; it can be run" in capsys.readouterr().out
    assert main(["simulate", "import-grid", net, "--out", str(out)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_scenario_that_could_not_be_run_is_not_written(tmp_path: Path) -> None:
    def alone(frames: dict[str, Frame]) -> None:
        for row in frames["load"]["index"][1:]:
            put("load", row, in_service=False)(frames)

    path, out = changed(tmp_path / "net.json", alone, "kerber_landnetz"), tmp_path / "out"
    with pytest.raises(UsageError) as caught:
        import_net(path, out, HOMES)
    assert str(caught.value).startswith(f"{path}: cannot be run: 1 homes and 1 loads; there are at least 2 homes")
    assert not out.exists()
