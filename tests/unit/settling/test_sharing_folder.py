"""A community that shares by keys, as files: the published example of collective self-consumption (case C8)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import RULES, make_folder

HALVES = "point,share_ppm\nB,500000\nC,500000\n"


def community(folder: Path, method: str, keys: str | None) -> Path:
    """A injects 1.0 kWh; B uses 0.4, C 0.8."""
    market = f'"sharing_keys/1"\nmethod = "{method}"\ntrade_price_micro_per_kwh = 200000'
    changes = {
        "rules.toml": RULES.replace('"mid_market_rate/1"', market),
        "points.csv": "point,party,area\nA,MA,X\nB,MB,X\nC,MC,X\n",
        "readings.csv": "start,point,import_kwh,export_kwh\n"
        + "".join(f"2025-06-01T00:00:00Z,{row}\n" for row in ("A,0,1", "B,0.4,0", "C,0.8,0")),
        "keys.csv": keys,
    }
    return make_folder(folder, changes)


@pytest.mark.parametrize(
    ("method", "keys", "bought_wh", "surplus_wh", "residual_wh"),
    [
        ("priority", "point,priority\nB,1\nC,2\n", {"MB": 400, "MC": 600}, {}, {"MC": 200}),
        ("static", HALVES, {"MB": 400, "MC": 500}, {"MA": 100}, {"MC": 300}),
        ("static_reallocated", HALVES, {"MB": 400, "MC": 600}, {}, {"MC": 200}),
        ("dynamic", None, {"MB": 333, "MC": 667}, {}, {"MB": 67, "MC": 133}),
    ],
)
def test_each_method_gives_what_was_published(
    tmp_path: Path, method: str, keys: str | None, bought_wh: object, surplus_wh: object, residual_wh: object
) -> None:
    out = tmp_path / "out"
    assert main(["settle", "files", str(community(tmp_path / "in", method, keys)), "--out", str(out)]) == 0
    with (out / "statements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {
        kind: {row["party"]: int(row["energy_wh"]) for row in rows if row["line_kind"] == kind}
        for kind in ("trade_buy", "residual_export", "residual_import")
    }
    assert found == {"trade_buy": bought_wh, "residual_export": surplus_wh, "residual_import": residual_wh}


@pytest.mark.parametrize(
    ("method", "keys", "line"),
    [
        (
            "static",
            "point,share_ppm\nB,500001\nC,500000\n",
            "keys.csv, row 3, share_ppm: the shares of the area X sum to 1000001 ppm; give at most 1000000 together",
        ),
        ("static", None, "keys.csv: holds no share, and [market] method is static; give each point its share_ppm"),
        (
            "priority",
            "point,priority\nB,1\n",
            "keys.csv: C has no priority; method priority needs one of each point that imports",
        ),
        (
            "static",
            "point,share_ppm,priority\nB,1,1\n",
            "keys.csv, row 2, point: the row of B has a share and a priority; give share_ppm or priority",
        ),
        (
            "static",
            "point,share_ppm\nB,1\nB,2\n",
            "keys.csv, row 3, point: the key of B stands in row 2 already; give each point one key at a time",
        ),
    ],
)
def test_keys_that_cannot_be_shared_by_are_refused(tmp_path: Path, method: str, keys: str | None, line: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_folder(community(tmp_path, method, keys))
    assert str(raised.value) == line


def test_shares_that_change_together_are_summed_when_all_have_changed(tmp_path: Path) -> None:
    keys = "point,share_ppm,valid_from\nB,0,\nC,1000000,\nB,1000000,2025-06-02\nC,0,2025-06-02\n"
    dataset = read_folder(community(tmp_path, "static", keys))
    midnight = 1_748_815_200
    assert [(key.point, key.share_ppm, key.valid_from_s) for key in dataset.keys] == [
        ("B", 0, None),
        ("B", 1_000_000, midnight),
        ("C", 1_000_000, None),
        ("C", 0, midnight),
    ]
