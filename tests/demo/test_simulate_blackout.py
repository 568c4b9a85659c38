"""The gallery's black-out through meters and an agent, which is dark with its village: nothing flows, and what is settled is still conserved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo.demo_run import run_simulation
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS, DARK = 50, range(40, 46)
METERS = 26


def test_a_village_that_was_dark_is_settled_again_and_loses_no_energy_and_no_money(tmp_path: Path) -> None:
    run = run_simulation(tmp_path / "out", short_copy("blackout_and_restart", tmp_path, SLOTS))
    assert run.json["postings_sum_nano"] == 0
    assert run.json["readings_missing"] == METERS * len(DARK)
    truth, reported = run.rows("truth.csv"), run.rows("reported.csv")
    starts = sorted({int(row["slot_start_s"]) for row in truth})
    dark = {starts[slot] for slot in DARK}
    flowed = [int(row["import_wh"]) + int(row["export_wh"]) for row in truth if int(row["slot_start_s"]) in dark]
    assert sum(flowed) == 0
    around = {starts[slot] for slot in range(DARK.start - 1, DARK.stop)}
    unmeasured = {int(row["slot_start_s"]) for row in reported if row["quality"] == "estimated"}
    assert unmeasured == around
    steps = {row["meter"]: int(row["resolution_wh"]) for row in run.rows("meters.csv")}
    off_wh = dict.fromkeys((row["meter"] for row in reported), 0)
    for row in truth:
        if row["meter"] in off_wh:
            off_wh[row["meter"]] += int(row["import_wh"]) - int(row["export_wh"])
    for row in reported:
        off_wh[row["meter"]] -= int(row["import_wh"]) - int(row["export_wh"])
    assert {meter: off for meter, off in off_wh.items() if abs(off) > steps[meter]} == {}
    settled = run.rows("settlement.csv")
    assert sum(int(row["bought_wh"]) for row in settled) == sum(int(row["sold_wh"]) for row in settled) > 0
