from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gridcore import sm3
from gridcore.errors import GridError, InvariantError, UsageError
from gridcore.sm3.hashers import factory
from gridcore.sm3.rows import LoopKernel
from gridledger.bench import (
    GROUP,
    Measurement,
    best_seconds,
    find_benchmarks,
    run_benchmark,
    select_names,
    text_line,
)
from gridledger.cli import main
from gridledger.commands import doctor
from gridledger.toml_text import toml_lines

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Line:
    host: str
    port: int = 502


@dataclass(frozen=True)
class PlantedConfig:
    password: str = field(metadata={"secret": True})
    data: Path = Path("data")
    lines: tuple[Line, ...] = ()


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("gridledger.commands.config.config_type", lambda kind: PlantedConfig)
    path = tmp_path / "edge.toml"
    path.write_text('password = "file:pw"\n[[lines]]\nhost = "h1"\n')
    (tmp_path / "pw").write_text("hush")
    (tmp_path / "pw").chmod(0o600)
    return path


def test_usable_configuration_is_said_to_be_usable(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "node", str(config_file)]) == 0
    assert "usable as node configuration" in capsys.readouterr().out


def test_configuration_whose_secret_others_may_read_is_refused(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config_file.parent / "pw").chmod(0o644)
    assert main(["config", "check", "node", str(config_file), "--json"]) == 2
    output = capsys.readouterr()
    assert "chmod 600" in json.loads(output.out)["error"]
    assert output.err.count("\n") == 1


def test_shown_configuration_is_toml_with_defaults_and_without_secrets(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "show", "node", str(config_file)]) == 0
    shown = capsys.readouterr().out
    assert tomllib.loads(shown) == {
        "password": f"file:{config_file.parent}/pw",
        "data": str(Path("data").resolve()),
        "lines": [{"host": "h1", "port": 502}],
    }
    assert "hush" not in shown


def test_toml_of_any_table_loads_to_the_same_table() -> None:
    table: dict[str, object] = {
        "a-b": [1, -2], "c d": 'é"\\\n\x01\x7f中', "yes": True, "e": [], "": "x",
        "t": {"x": 1, "u": {"y": ["q"]}, "rows": [{"k": 1}, {"k": 2, "deep": {"z": False}}]},
    }  # fmt: skip
    assert tomllib.loads("\n".join(toml_lines(table))) == table


def test_doctor_finds_this_machine_fit_and_says_what_it_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["doctor", "--path", str(tmp_path), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert status == (0 if report["healthy"] else 1)
    assert {"python", "sm2", "sm3", "disk", "fonts", "mbpoll", "[edge]"} <= {
        finding["topic"] for finding in report["findings"]
    }
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_the_remedy(tmp_path: Path) -> None:
    assert doctor.examine_python((3, 10, 9)).state == "broken"
    assert doctor.examine_program("no-such-program", "x").remedy == "apt-get install no-such-program"
    assert doctor.examine_extra("sim", ("numpy", "no_such_library")).remedy == "pip install 'gridledger[sim]'"
    finding = doctor.guarded("disk", lambda: doctor.examine_disk(tmp_path / "none"))
    assert (finding.topic, finding.state) == ("disk", "broken")


def test_doctor_says_which_row_kernel_is_in_use_and_how_to_get_the_native_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm3, "ROWS", LoopKernel("hashlib", factory("hashlib")))
    finding = doctor.examine_sm3_rows()
    assert (finding.state, finding.detail) == ("missing", "hashlib, one row at a time")
    assert finding.remedy.endswith("-m gridledger.build_row_kernel (needs a C compiler)")


def test_doctor_of_a_folder_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--path", str(tmp_path / "nope")]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"--path {tmp_path / 'nope'}: is no folder; name an existing folder on the disk to try\n"


def test_evidence_of_an_unknown_kind_of_line_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evidence", "export", "--data", str(tmp_path), "--party", "H001", "--slot", "0", "--line", "trade_bu"]
    assert main([*words, "--out", str(tmp_path / "line.evd")]) == 2
    assert "--line 'trade_bu': is no kind of line; did you mean 'trade_buy'?" in capsys.readouterr().err


def test_shown_paths_are_absolute_without_detours(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    config_file.write_text('password = "file:../pw"\ndata = "inner/../data"\n')
    assert main(["config", "show", "node", "../edge.toml"]) == 0
    shown = tomllib.loads(capsys.readouterr().out)
    top = tmp_path.resolve()
    assert (shown["password"], shown["data"]) == (f"file:{top.parent / 'pw'}", str(top / "data"))


def test_benchmark_with_a_bound_gets_a_ratio() -> None:
    result = run_benchmark("x", lambda: Measurement(100, 0.5, "bare loop", 0.25))
    assert result == {
        "name": "x",
        "n": 100,
        "seconds": 0.5,
        "per_second": 200.0,
        "bound_name": "bare loop",
        "bound_seconds": 0.25,
        "ratio": 2.0,
    }
    assert "2.00 x bound (bare loop" in text_line(result)
    assert run_benchmark("x", lambda: Measurement(1, 0.5))["ratio"] is None
    assert best_seconds(lambda: None, rounds=2) < 1


def test_a_benchmark_that_misses_its_limit_says_so_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = {
        "fast": lambda: Measurement(10, 0.5).within(0.5),
        "free": lambda: Measurement(10, 9.0),
        "slow": lambda: Measurement(10, 0.6).within(0.5),
    }
    monkeypatch.setattr("gridledger.bench.find_benchmarks", lambda: offered)
    assert main(["bench", "run", "fast", "free", "--json"]) == 0
    fast, free = json.loads(capsys.readouterr().out)["results"]
    assert (fast["limit"], fast["is_met"], "limit" in free, "is_met" in free) == ("0.5 s", True, False, False)
    assert main(["bench", "run"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line.partition("; ")[2] for line in told[:3]] == ["meets its limit: 0.5 s", "", "MISSES its limit: 0.5 s"]
    assert main(["bench", "run", "slow", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["results"][0]["is_met"] is False


def test_benchmarks_are_chosen_by_name_or_group() -> None:
    known = dict.fromkeys(["clear_10k", "sm2_verify/python", "sm2_verify/libcrypto"], lambda: Measurement(1, 1.0))
    assert select_names([], known) == sorted(known)
    assert select_names(["sm2_verify", "sm2_verify/python"], known) == ["sm2_verify/libcrypto", "sm2_verify/python"]
    with pytest.raises(UsageError, match="did you mean 'clear_10k'"):
        select_names(["clear10k"], known)


def test_benchmark_modules_are_found_and_a_name_given_twice_is_our_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import benchmarks

    monkeypatch.setattr(benchmarks, "__path__", [str(tmp_path)])
    for name in ("planted_one", "planted_two"):
        (tmp_path / f"{name}.py").write_text("BENCHMARKS = {'" + name + "': None}")
    assert set(benchmarks.find_benchmarks()) == {"planted_one", "planted_two"}
    (tmp_path / "planted_three.py").write_text("BENCHMARKS = {'planted_one': None}")
    with pytest.raises(InvariantError, match="given once"):
        benchmarks.find_benchmarks()


def test_the_project_offers_its_benchmarks_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    points = [EntryPoint(name, value, GROUP) for name, value in offered.items()]
    monkeypatch.setattr("gridledger.bench.entry_points", lambda group: points)
    assert {"clear_10k", "settle_slot_1m", "batch_apply_100k"} <= set(find_benchmarks())


@pytest.mark.parametrize("offers", [(), (EntryPoint("checkout", "benchmarks:find_benchmarks", GROUP),)])
def test_bench_beside_a_wheel_says_where_the_benchmarks_are(
    offers: tuple[EntryPoint, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "benchmarks", None)
    monkeypatch.setattr("gridledger.bench.entry_points", lambda group: offers)
    with pytest.raises(GridError, match="part of the source checkout, run there: make bench"):
        find_benchmarks()


def test_a_benchmark_that_lacks_a_library_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    offers = [EntryPoint("other", "no_such_library:find", GROUP)]
    monkeypatch.setattr("gridledger.bench.entry_points", lambda group: offers)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        find_benchmarks()


def test_bench_list_and_run_print_what_outside_programs_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gridledger.bench.find_benchmarks", lambda: {"a": lambda: Measurement(1, 1.0), "b": lambda: Measurement(2, 1.0)}
    )
    assert main(["bench", "list"]) == 0
    assert capsys.readouterr().out == "a\nb\n"
    assert main(["bench", "run", "b", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert list(row) == ["name", "n", "seconds", "per_second", "bound_name", "bound_seconds", "ratio"]
    assert main(["bench", "run", "c"]) == 2
