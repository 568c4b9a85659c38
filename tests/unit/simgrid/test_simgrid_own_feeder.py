"""A grid of one's own: against pandapower's frozen figures, and what is wrong with a table in one line."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gridcore.errors import UsageError
from simulators.grid.own_feeder import read_own_feeder
from simulators.grid.power_flow import FeederModel
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import Event, Transformer

ROOT = Path(__file__).parents[3]
VILLAGE = ROOT / "simulators" / "scenarios" / "gallery" / "village.csv"
ORACLE = json.loads((Path(__file__).parent / "oracle_village.json").read_text())
TRANSFORMER = Transformer(100, 1_500, 210, no_load_current_ppm=20_000)
TEXT = VILLAGE.read_text()


@pytest.fixture(scope="module")
def boom() -> World:
    """The scenario in which the village exports the most."""
    return build_world(find_scenario("solar_boom").scenario)


def test_the_village_agrees_with_pandapower_that_read_the_same_table() -> None:
    feeder = read_own_feeder(VILLAGE, TRANSFORMER)
    names = ["busbar", *(line.split(",")[0] for line in TEXT.splitlines()[1:])]
    assert len(ORACLE["cases"]) == 5
    for case in ORACLE["cases"]:
        units = np.bincount(feeder.load_node, minlength=feeder.nodes)[None, :].astype(np.float64)
        flow = FeederModel(feeder).solve(units * case["unit_w"], units * case["unit_var"])
        for number, name in enumerate(names, 1):
            assert flow.u_pu[0, number] == pytest.approx(case["u_pu"][name], abs=1e-6), name
        assert flow.loss_w[0] == pytest.approx(case["loss_w"], rel=1e-4)
        assert flow.line_loading[0] == pytest.approx(case["line_loading"], abs=1e-4)


def test_the_example_of_the_page_is_the_village_of_the_gallery() -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text()
    blocks = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    assert blocks == [TEXT]
    assert len(TEXT.splitlines()) == 10


def test_homes_come_first_and_take_in_a_year_what_the_table_says() -> None:
    feeder = read_own_feeder(VILLAGE, TRANSFORMER)
    assert (feeder.households, feeder.loads, feeder.nodes) == (24, 25, 11)
    profile = feeder.load_profile
    year_wh = feeder.load_p_shapes[profile].sum(axis=1) * feeder.load_p_scale[profile] * feeder.load_p_w / 4
    kwh = Counter(np.rint(year_wh / 1000).astype(int).tolist())
    assert kwh == {3200: 2, 2600: 3, 3600: 4, 2200: 3, 4100: 3, 2900: 4, 3300: 3, 5200: 2, 18000: 1}
    assert round(year_wh[-1] / 1000) == 18_000


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("i_max_a", "i_a", "has no column 'i_max_a'"),
        (",", ";", "row 1: columns are separated by semicolons; use commas, and a point in decimals"),
        (",", "\t", "row 1: columns are separated by tabs; use commas"),
        (",", ", ", "row 1: write the column 'from' in small letters, without spaces around it"),
        ("node,from", "Node,From", "row 1: write the column 'node' in small letters"),
        ("annual_kwh\n", "annual_kwh,colour\n", "the column 'colour' is unknown or there twice"),
        ("N3,N2,130", "N3,N9,130", "row 4: the node 'N3' hangs on 'N9', which no row has"),
        ("N3,N2,130", "N3,N4,130", "row 4: the node 'N3' is not connected to 'busbar'"),
        ("N4,N3", "N3,N3", "row 5: the node 'N3' is there already"),
        ("N4,N3", "busbar,N3", "row 5: the node 'busbar' is there already"),
        ("82,215,4,H0-C", "82,-215,4,H0-C", "row 4: i_max_a = '-215' is no whole number from 1 to 10000"),
        (
            "N1,busbar,60,",
            "N1,busbar,6.0001,",
            "row 2: length_m = '6.0001' is no number from 1 to 10000 with at most 3 digits",
        ),
        ("N1,busbar,60,", "N1,busbar,0.999,", "row 2: length_m = '0.999' is no number from 1 to 10000"),
        ("N1,busbar,60,", "N1,busbar,10000.001,", "row 2: length_m = '10000.001' is no number from 1 to 10000"),
        ("N1,busbar,60,", "N1,busbar,60.,", "row 2: length_m = '60.' is no number from 1 to 10000"),
        ("N1,busbar,60,208,", "N1,busbar,60,.5,", "row 2: r_micro_ohm_per_m = '.5' is no number from 1 to 100000"),
        (",270,2,H0-A", ",270,2.0,H0-A", "row 2: units = '2.0' is no whole number from 0 to 200"),
        ("H0-G", "H0-Z", "row 5: the profile 'H0-Z' is not there; known: APLS_A_11.0,"),
        ("2,H0-A,3200", "2,,3200", "row 2: a node with units has a profile and annual_kwh"),
        ("2,H0-A,3200", "2,H0-A", "row 2 has 8 cells and the head 9"),
        ("N1,busbar", ",busbar", "row 2: node is a name of 1 to 40 characters"),
        ("N1,busbar", '"N1,busbar', "is no CSV table: a quotation mark does not end"),
        ("\n", "\r", "or rows end in a carriage return alone; save it as CSV in UTF-8"),
        ("N1,", "N\0,", "node is a name of 1 to 40 characters"),
        ("H0-", "G1-", "is not there; known:"),
    ],
)
def test_a_table_that_is_no_grid_is_one_line(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in TEXT
    path = tmp_path / "grid.csv"
    path.write_bytes(TEXT.replace(old, new).encode())
    with pytest.raises(UsageError) as caught:
        read_own_feeder(path, TRANSFORMER)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_lengths_and_impedances_may_have_three_digits_behind_the_point(tmp_path: Path) -> None:
    path = tmp_path / "grid.csv"
    path.write_text(TEXT.replace("N1,busbar,60,208,80,", "N1,busbar,60.5,207.125,80.25,"))
    feeder = read_own_feeder(path, TRANSFORMER)
    assert feeder.line_r_ohm[0] == 60.5 * 207.125 / 1e6
    assert feeder.line_x_ohm[0] == 60.5 * 80.25 / 1e6
    whole = read_own_feeder(VILLAGE, TRANSFORMER)
    assert (feeder.line_r_ohm[1:] == whole.line_r_ohm[1:]).all()
    assert whole.line_r_ohm[0] == 60 * 208 / 1e6


def test_a_grid_without_homes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.csv"
    path.write_text(re.sub("H0-.", "G1-C", TEXT))
    with pytest.raises(UsageError, match="0 homes and 25 loads; there are at least 2 homes"):
        read_own_feeder(path, TRANSFORMER)


def test_a_table_of_more_rows_than_its_limit_is_refused_at_the_limit(tmp_path: Path) -> None:
    head, first = TEXT.splitlines()[:2]
    rows = [f"X{number},busbar,10,200,80,200,0,,0" for number in range(1_999)]
    path = tmp_path / "grid.csv"
    path.write_text("\n".join([head, first, *rows]))
    assert read_own_feeder(path, TRANSFORMER).nodes == 2_002
    path.write_text("\n".join([head, first, *rows, "Y,busbar,10,200,80,200,0,,0"]))
    with pytest.raises(UsageError, match="more than 2000 rows"):
        read_own_feeder(path, TRANSFORMER)


def test_energy_of_an_own_grid_is_conserved_in_every_slot(boom: World) -> None:
    net_wh = boom.import_wh - boom.export_wh
    missing_wh = net_wh[:, :-1].sum(axis=1) + boom.loss_wh[:, 0] - net_wh[:, -1]
    assert np.abs(missing_wh).max() <= 1


def test_solar_boom_overloads_its_transformer_at_noon_and_raises_voltages_beyond_the_band(boom: World) -> None:
    kinds = Counter(violation.kind for violation in boom.violations)
    assert kinds["transformer_loading"] > 20
    assert kinds["voltage_high"] > 20
    assert kinds["voltage_low"] == 0
    for violation in boom.violations:
        slot = int(np.searchsorted(boom.slot_start_s, violation.slot_start_s))
        assert 32 < slot < 64, "while the sun shines"
        assert violation.value_per_mille > violation.limit_per_mille
        if violation.kind == "voltage_high":
            column = [meter.meter for meter in boom.meters].index(violation.element)
            assert violation.value_per_mille == round(float(boom.voltage_pu[slot, column]) * 1000)


def test_loads_are_those_of_the_violations_and_none_without_power(boom: World) -> None:
    loading = boom.loading_per_mille
    over = [one for one in boom.violations if one.kind.endswith("_loading")]
    assert [one.value_per_mille for one in over] == [
        int(loading[int(np.searchsorted(boom.slot_start_s, one.slot_start_s)), boom.elements.index(one.element)])
        for one in over
    ]
    assert len(over) == int((loading > boom.scenario.grid.loading_percent_max * 10).sum()) > 20
    dark = Event(label="dark", kind="blackout", target="A1", from_slot=40, until_slot=44)
    loading = build_world(replace(boom.scenario, events=(dark,))).loading_per_mille
    assert loading[40:44].max() == 0 < loading[44].max()


def test_limits_of_the_scenario_decide_what_is_a_violation(boom: World) -> None:
    scenario = boom.scenario
    wide = replace(scenario.grid, voltage_percent_max=150, loading_percent_max=1000)
    assert build_world(replace(scenario, grid=wide)).violations == ()
    narrow = replace(scenario.grid, voltage_percent_min=100, loading_percent_max=1)
    kinds = {violation.kind for violation in build_world(replace(scenario, grid=narrow)).violations}
    assert kinds == {"line_loading", "transformer_loading", "voltage_high"}


def test_more_traders_than_the_village_has_replicate_it() -> None:
    scenario = find_scenario("village_day").scenario.sized(households=25, slots=4)
    world = build_world(scenario)
    assert world.areas == ("A1", "A2")
    assert len(world.meters) == 52
    assert world.traders[-1] == "H025"


def test_winter_takes_more_than_spring_and_evenings_more_than_nights() -> None:
    winter, spring = (build_world(find_scenario(name).scenario) for name in ("winter_peak", "village_day"))
    homes = slice(0, 24)
    assert winter.import_wh[:, homes].sum() > 4 * spring.import_wh[:, homes].sum()
    evening, night = winter.import_wh[70:80, homes].sum(), winter.import_wh[8:18, homes].sum()
    assert evening > 1.5 * night
    assert {violation.kind for violation in winter.violations} >= {"transformer_loading"}


@pytest.mark.parametrize(("name", "slots"), [("daylight_saving_spring", 92), ("daylight_saving_autumn", 100)])
def test_pv_follows_the_sun_and_homes_the_clock_over_a_change_of_clocks(name: str, slots: int) -> None:
    scenario = find_scenario(name).scenario
    assert build_world(scenario).slots == slots
    world = build_world(replace(scenario, batteries=None, weather=replace(scenario.weather, cloud_percent=0)))
    sun_s = world.slot_start_s[world.export_wh[:, :24].sum(axis=1) > 0]
    noon_s = float(sun_s.mean()) % 86_400
    assert 10.4 * 3600 < noon_s < 11.7 * 3600, "UTC, at 13.4 degrees east"
