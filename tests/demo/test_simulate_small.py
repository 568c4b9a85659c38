"""Scenarios through the real system: the same at another speed, what a run comes to, and what its folder holds."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.scenarios.gallery import find_scenario
from tests.demo.checks import INDEPENDENT
from tests.demo.demo_run import ABROAD, Finished, processes_of, run_simulation
from tests.independent import results_root

pytestmark = pytest.mark.slow
SLOTS = 6


def short_copy(name: str, folder: Path, slots: int) -> str:
    """The first slots of a scenario of the gallery, as a file of one's own beside its table."""
    found = find_scenario(name)
    table = found.scenario.grid.table
    assert table is not None
    (folder / table.name).write_bytes(table.read_bytes())
    path = folder / f"{name}.toml"
    path.write_text(found.data.decode().replace("days = 1\n", f"slots = {slots}\n"))
    return str(path)


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The begin of a day in the village."""
    folder = tmp_path_factory.mktemp("home")
    return run_simulation(folder / "out", short_copy("village_day", folder, SLOTS))


def test_a_run_says_what_it_came_to_and_leaves_nothing_running(at_home: Finished) -> None:
    answer = at_home.json
    assert (answer["slots"], answer["meters"], answer["readings_missing"]) == (SLOTS, 26, 0)
    assert answer["postings_sum_nano"] == 0
    assert answer["orders"] > 0
    assert processes_of(at_home.out) == []


def test_the_same_scenario_and_seed_give_the_same_bytes_in_other_surroundings_and_at_another_speed(
    at_home: Finished, tmp_path: Path
) -> None:
    scenario = short_copy("village_day", tmp_path, SLOTS)
    abroad = run_simulation(tmp_path / "out", scenario, "--speed", "900", surroundings=ABROAD)
    assert abroad.json["wall_s"] >= SLOTS, "a slot of 900 s each second"
    assert abroad.json["results_root"] == at_home.json["results_root"]
    digests = [json.loads((run.out / "manifest.json").read_text())["sm3"] for run in (at_home, abroad)]
    assert digests[0] == digests[1]


def test_another_seed_is_another_world_and_a_copy_of_the_folder_can_be_run_again(
    at_home: Finished, tmp_path: Path
) -> None:
    text = (at_home.out / "scenario.toml").read_text().replace('"village.csv"', '"grid.csv"')
    (tmp_path / "other.toml").write_text(text)
    (tmp_path / "grid.csv").write_bytes((at_home.out / "grid.csv").read_bytes())
    other = run_simulation(tmp_path / "other", str(tmp_path / "other.toml"), "--seed", "8")
    assert other.json["results_root"] != at_home.json["results_root"]
    assert (other.out / "truth.csv").read_bytes() != (at_home.out / "truth.csv").read_bytes()
    assert json.loads((other.out / "manifest.json").read_text())["seed"] == 8


def test_the_manifest_names_every_table_and_what_went_in(at_home: Finished) -> None:
    manifest = json.loads((at_home.out / "manifest.json").read_text())
    assert {"scenario", "grid table", "grid", "contract"} <= set(manifest["inputs_sm3"])
    tables = {path.name for path in at_home.out.glob("*.csv")} - {"grid.csv"}
    assert tables < set(manifest["sm3"])
    for name, digest in manifest["sm3"].items():
        assert results_root.sm3((at_home.out / name).read_bytes()).hex() == digest, name


def test_reported_energies_follow_the_truth_within_a_registers_step(at_home: Finished) -> None:
    step_wh = {row["meter"]: int(row["resolution_wh"]) for row in at_home.rows("meters.csv")}
    truth = {(row["slot_start_s"], row["meter"]): row for row in at_home.rows("truth.csv")}
    reported = at_home.rows("reported.csv")
    assert len(reported) == SLOTS * 25, "every home and load; the feeder's meter settles nothing"
    for row in reported:
        true = truth[row["slot_start_s"], row["meter"]]
        for name in ("import_wh", "export_wh"):
            assert abs(int(row[name]) - int(true[name])) < step_wh[row["meter"]]
        assert (row["quality"], row["flags"]) == ("measured", "")


def test_independent_scripts_find_physics_and_money_of_an_own_grid_right(at_home: Finished) -> None:
    for script, *more in (["recompute.py"], ["physics.py"], ["results_root.py", at_home.json["results_root"]]):
        command = [sys.executable, "-I", "-S", str(INDEPENDENT / script), str(at_home.out), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def test_slots_go_on_over_the_hour_that_clocks_leave_out(tmp_path: Path) -> None:
    done = run_simulation(tmp_path / "out", short_copy("daylight_saving_spring", tmp_path, 10))
    assert (done.json["slots"], done.json["readings_missing"], done.json["postings_sum_nano"]) == (10, 0, 0)
    with (done.out / "statements.csv").open(newline="") as file:
        starts = {int(row["slot_start_s"]) for row in csv.DictReader(file)}
    assert sorted(starts) == [1_774_738_800 + 900 * index for index in range(10)]
