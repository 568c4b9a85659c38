"""Energinet's scenario of a supplier, a balance party and a resolution that change at midnight, settled out of files (docs/settlement-cases.md)."""

from __future__ import annotations

import csv
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gridledger.cli import main
from settlement.split import spread
from settlement.tariffs.network import grid_loss
from tests.unit.settling.folders import AUCTION, make_folder

FIRST = datetime(2023, 11, 1, 23, tzinfo=UTC)
MIDNIGHT = datetime(2023, 11, 2, 23, tzinfo=UTC)
READ_AT = (datetime(2023, 11, 2, 2, tzinfo=UTC), datetime(2023, 11, 3, 2, tzinfo=UTC))
QUARTER = timedelta(minutes=15)
SLOTS = 192
Case = dict[str, Any]


def readings_of(case: Case) -> dict[tuple[datetime, str], tuple[int, int]]:
    """What the points take and give in quarters in which there is anything, the loss point among them."""
    found: dict[tuple[datetime, str], tuple[int, int]] = {}
    for start, when in zip(READ_AT, case["when"], strict=True):
        energies = zip(
            spread(when["energy_wh"], when["parts"]), spread(when["exchange_wh"], when["parts"]), strict=True
        )
        for at, (energy_wh, exchange_wh) in enumerate(energies):
            slot = start + at * QUARTER
            found |= {
                (slot, "flex"): (energy_wh, 0),
                (slot, "profiled"): (energy_wh, 0),
                (slot, "plant"): (0, energy_wh),
            }
            loss = grid_loss(exchange_wh, 0, energy_wh, when["consuming_points"] * energy_wh)
            found[slot, "loss"] = (loss.loss_consumption_wh, loss.loss_production_wh)
    return found


def test_each_supplier_has_the_energy_of_its_days_and_the_area_sums_to_zero(tmp_path: Path, repository: Path) -> None:
    scenario = repository / "tests/unit/settlement/energinet/supplier_and_resolution_change.toml"
    case = tomllib.loads(scenario.read_text("utf-8"))
    before, after = case["then"]
    read = readings_of(case)
    rows = ["start,point,import_kwh,export_kwh"]
    for slot in (FIRST + at * QUARTER for at in range(SLOTS)):
        for point in ("flex", "loss", "plant", "profiled"):
            taken_wh, given_wh = read.get((slot, point), (0, 0))
            rows.append(f"{slot:%Y-%m-%dT%H:%M:%SZ},{point},{taken_wh / 1000:.3f},{given_wh / 1000:.3f}")
    points = ["point,party,area,valid_from"]
    for then, valid_from in ((before, ""), (after, f"{MIDNIGHT:%Y-%m-%dT%H:%M:%SZ}")):
        points += [f"{point},{then['supplier']},A1,{valid_from}" for point in ("flex", "plant", "profiled")]
        points.append(f"loss,{then['loss_supplier']},A1,{valid_from}")
    rules = AUCTION + 'timezone = "Europe/Copenhagen"\n'
    files: dict[str, str | bytes | None] = {
        "points.csv": "\n".join(points) + "\n", "readings.csv": "\n".join(rows) + "\n", "rules.toml": rules,
    }  # fmt: skip
    make_folder(tmp_path / "in", files)
    assert main(["settle", "files", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    settled: Counter[tuple[str, str, int]] = Counter()
    with (tmp_path / "out" / "statements.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["line_kind"] in ("residual_import", "residual_export"):
                settled[row["party"], row["line_kind"], int(row["slot_start_s"])] += int(row["energy_wh"])
    due: Counter[tuple[str, str, int]] = Counter()
    for start, when, then in zip(READ_AT, case["when"], case["then"], strict=True):
        for at in range(when["parts"]):
            slot_s = int((start + at * QUARTER).timestamp())
            due[then["supplier"], "residual_import", slot_s] = then["consumption_wh"][at]
            due[then["supplier"], "residual_export", slot_s] = then["production_wh"][at]
            due[then["loss_supplier"], "residual_export", slot_s] = then["loss_production_wh"][at]
            exchange_wh = spread(when["exchange_wh"], when["parts"])[at]
            assert (
                exchange_wh + then["production_wh"][at] + then["loss_production_wh"][at] == then["consumption_wh"][at]
            )
    assert +settled == +due
