"""Tables of a simulated world: what each row says, and their copies as Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.simulating.direct import DirectPlan, run_direct
from gridledger.simulating.manifest import copy_tables
from gridledger.simulating.world_files import NAMES, write_world
from gridledger.tables.parquet_file import TEXTS, check_parquet, copy_as_parquet
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario

SLOTS = 3


@pytest.fixture(scope="module")
def world() -> World:
    """The begin of a day in the village."""
    return build_world(find_scenario("village_day").scenario.sized(slots=SLOTS))


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files."""
    out = tmp_path_factory.mktemp("world")
    write_world(out, world)
    return out


def rows(path: Path) -> Sequence[Mapping[str, str]]:
    """A CSV file's rows."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_truth_and_voltages_have_a_row_for_each_slot_and_meter(world: World, folder: Path) -> None:
    truth, voltages = rows(folder / "truth.csv"), rows(folder / "voltages.csv")
    keys = [(str(slot), meter.meter) for slot in world.slot_start_s.tolist() for meter in world.meters]
    for table in (truth, voltages):
        assert [(row["slot_start_s"], row["meter"]) for row in table] == keys
    last = len(world.meters) - 1
    assert truth[last]["import_wh"] == str(world.import_wh[0, last])
    shown = world.phase_voltages_v(1)
    assert abs(int(voltages[0]["voltage_mv"]) / 1000 - shown[0]) <= 0.0005


def test_without_meters_no_clock_has_drifted_and_every_other_table_is_the_same(tmp_path: Path) -> None:
    found = find_scenario("mixed_street").sized(slots=SLOTS)
    read, fed = tmp_path / "read", tmp_path / "fed"
    read.mkdir()
    write_world(read, build_world(found.scenario))
    run_direct(DirectPlan(fed, found, has_bills=False), lambda _: None)
    assert {row["kind"] for row in rows(read / "events.csv")} == {"clock_drift"}
    assert rows(fed / "events.csv") == []
    assert "电表时钟漂移" not in (fed / "report.html").read_text("utf-8")
    others = [name for name in NAMES if name != "events.csv"]
    assert [(fed / name).read_bytes() for name in others] == [(read / name).read_bytes() for name in others]


def test_loadings_have_a_row_for_each_slot_and_line_and_one_for_the_transformer(world: World, folder: Path) -> None:
    table = rows(folder / "loadings.csv")
    keys = [(str(slot), "A1", name) for slot in world.slot_start_s.tolist() for name in world.elements]
    assert [(row["slot_start_s"], row["area"], row["element"]) for row in table] == keys
    assert world.elements[-1] == "transformer"
    assert [int(row["loading_per_mille"]) for row in table] == world.loading_per_mille.ravel().tolist()
    assert max(int(row["loading_per_mille"]) for row in table) > 0


def test_every_table_has_a_copy_as_parquet_with_the_same_rows(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    copies = copy_tables(folder)
    assert {copy.stem for copy in copies} == {name.removesuffix(".csv") for name in NAMES}
    for copy in copies:
        table = parquet.read_table(copy)
        expected = rows(copy.with_suffix(".csv"))
        found = [{name: str(value) for name, value in row.items()} for row in table.to_pylist()]
        assert found == expected, copy.name
        for field in table.schema:
            assert str(field.type) == ("string" if field.name in TEXTS else "int64"), field.name


def test_a_copy_of_the_same_table_has_the_same_bytes_and_an_empty_number_is_null(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    copies = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        table = tmp_path / name / "registers.csv"
        table.write_text("boundary_s,meter,import_wh,quality\n900,M-H001,,missing\n1800,M-H001,7,measured\n")
        copies.append(copy_as_parquet(table))
    assert copies[0].read_bytes() == copies[1].read_bytes()
    assert parquet.read_table(copies[0])["import_wh"].to_pylist() == [None, 7]
    with pytest.raises(FileExistsError):
        copy_as_parquet(tmp_path / "a" / "registers.csv")


def test_parquet_without_pyarrow_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^--parquet: needs pyarrow; pip install 'gridledger\[parquet\]'$"):
        check_parquet("--parquet")
