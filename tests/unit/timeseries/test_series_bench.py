"""The benchmark ``timeseries`` measures both sides over the same points, and says what it lacks."""

from __future__ import annotations

import pytest

from benchmarks import timeseries
from gridledger.bench import run_benchmark
from gridledger.cli import main
from tests.external import NEEDS_INFLUXD


def needs_influxd(test: object) -> object:
    for mark in NEEDS_INFLUXD:
        test = mark(test)
    return test


@needs_influxd
def test_both_sides_write_the_same_points_into_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeseries, "METERS", 70)
    monkeypatch.setattr(timeseries, "SLOTS", 10)
    monkeypatch.setattr(timeseries, "ROWS_AT_ONCE", 300)
    result = run_benchmark("timeseries", timeseries.BENCHMARKS["timeseries"])
    assert (result["n"], result["bound_name"]) == (700, "bare influxdb-client loop over the same points")
    assert isinstance(result["ratio"], float)


def test_a_missing_server_is_one_line_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gridledger.bench.find_benchmarks", lambda: timeseries.BENCHMARKS)
    monkeypatch.setattr("benchmarks.influxd.find_program", lambda _: None)
    assert main(["bench", "run", "timeseries"]) == 1
    assert "influxd is missing; run: make influxd, or put one on PATH\n" in capsys.readouterr().err
