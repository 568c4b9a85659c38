"""``gridledger settle files`` as its user calls it: results in one folder, nothing half, newer data as corrections."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridcore.files import locked
from gridledger.cli import main
from tests.unit.settling.folders import AUCTION, POINTS, READINGS, RULES, make_folder

UTC_READINGS = READINGS.replace("2025-06-01T02:15:00,", "2025-06-01T00:15:00,")
EXAMPLE = Path(__file__).parents[3] / "examples" / "settle-community"
FILES = {
    "statements.csv", "postings.csv", "invoices.csv", "report.html", "ledger", "sample.evd", "trust.json", "verify.py",
}  # fmt: skip


def settle(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    assert main(["settle", "files", *map(str, arguments), "--json"]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["settle", "files", *map(str, arguments)]) == 2
    return capsys.readouterr().err.strip()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names_in(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_example_is_settled_with_all_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    answer = settle(capsys, EXAMPLE, "--out", out)
    assert list(answer) == [
        "slots", "points", "parties", "readings", "missing", "estimated", "marked", "energy_shared_wh", "postings",
        "postings_sum_nano", "results_root", "wall_s", "out",
    ]  # fmt: skip
    assert (answer["slots"], answer["points"], answer["parties"]) == (388, 10, 9)
    assert (answer["readings"], answer["missing"], answer["estimated"]) == (3872, 8, 4)
    assert answer["postings_sum_nano"] == 0
    assert set(names_in(out)) >= FILES
    assert len(rows_of(out / "postings.csv")) == answer["postings"]
    assert names_in(tmp_path) == ["out"]


def orders_of(slots: range) -> str:
    """Two buys and a sell in each of some slots, at limits of their own."""
    rows = ["slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh"]
    for start_s in (1_748_736_000 + 900 * slot for slot in slots):
        for party, side, quantity_wh, limit in (("M1", "buy", 150, 440_000), ("M2", "sell", 300, 300_000)):
            rows.append(f"{start_s},{party}/{start_s}/1,{party},{side},{quantity_wh},{limit}")
    return "\n".join(rows) + "\n"


PAIRED = AUCTION.replace(
    'p2p_call_auction/1"\nreference_price_micro_per_kwh = 370000\nrationing = "pro_rata"', 'pay_as_bid/1"'
)


def test_a_folder_is_settled_by_trades_at_prices_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "rules.toml": PAIRED + 'timezone = "UTC"\n',
        "orders.csv": orders_of(range(2)),
        "readings.csv": UTC_READINGS,
    }
    out = tmp_path / "out"
    answer = settle(capsys, make_folder(tmp_path / "in", changes), "--out", out)
    assert answer["postings_sum_nano"] == 0
    bought = [row for row in rows_of(out / "statements.csv") if row["line_kind"] == "trade_buy"]
    assert [(row["energy_wh"], row["price_micro_per_kwh"]) for row in bought] == [("150", "")] * 2
    assert [row["amount_nano"] for row in bought] == [str(150 * 440_000)] * 2
    shown = subprocess.run(
        [sys.executable, "-I", "-S", out / "verify.py", out / "sample.evd", "--trust", out / "trust.json", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, json.loads(shown.stdout)["answer"]) == (0, "verified"), shown.stdout
    assert "trade_" in shown.stdout


PLACED = AUCTION.replace(
    'p2p_call_auction/1"\nreference_price_micro_per_kwh = 370000\nrationing = "pro_rata"',
    'grid_fee_path/1"\nprice_rule = "pay_as_bid"\n'
    "grid_places = [{place = 1, fee_micro_per_kwh = 9000}, {place = 5, parent = 1, fee_micro_per_kwh = 1000}]",
)


def with_places(*places: str) -> str:
    """points.csv with a place for each point."""
    header, *points = POINTS.splitlines()
    rows = [f"{point},{place}" for point, place in zip(points, places, strict=True)]
    return "\n".join([f"{header},grid_place", *rows]) + "\n"


def test_a_folder_with_places_of_the_grid_is_settled_with_their_fees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "rules.toml": PLACED + 'timezone = "UTC"\n',
        "orders.csv": orders_of(range(2)),
        "readings.csv": UTC_READINGS,
        "points.csv": with_places("1", "5"),
    }
    out = tmp_path / "out"
    answer = settle(capsys, make_folder(tmp_path / "in", changes), "--out", out)
    assert answer["postings_sum_nano"] == 0
    fees = [row for row in rows_of(out / "statements.csv") if row["line_kind"] == "grid_fee"]
    assert [(row["energy_wh"], row["amount_nano"]) for row in fees] == [("150", str(150 * 10_000))] * 2
    shown = subprocess.run(
        [sys.executable, "-I", "-S", out / "verify.py", out / "sample.evd", "--trust", out / "trust.json", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, json.loads(shown.stdout)["answer"]) == (0, "verified"), shown.stdout
    changes["points.csv"] = with_places("1", "1")
    newer = make_folder(tmp_path / "newer", changes)
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 1
    assert "the ledger has grid_place 5, not 1; slots were settled by it" in capsys.readouterr().err


@pytest.mark.parametrize(("place", "says"), [("0", "grid_place"), ("x", "grid_place"), ("65536", "grid_place")])
def test_a_place_that_is_none_is_refused_with_row_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, says: str
) -> None:
    changes = {"points.csv": with_places("1", place)}
    words = refused(capsys, make_folder(tmp_path / "in", changes), "--out", tmp_path / "out")
    assert (len(words.splitlines()), says in words, "row 3" in words) == (1, True, True), words


def test_a_folder_whose_orders_rank_by_arrival_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = PAIRED.replace("pay_as_bid/1", "continuous_double_auction/1") + 'timezone = "UTC"\n'
    changes = {"rules.toml": rules, "orders.csv": orders_of(range(2)), "readings.csv": UTC_READINGS}
    words = refused(capsys, make_folder(tmp_path / "in", changes), "--out", tmp_path / "out")
    assert "rules.toml" in words
    assert "orders.csv does not tell" in words
    assert len(words.splitlines()) == 1


SPLIT_AUCTION = AUCTION.replace(
    'p2p_call_auction/1"\nreference_price_micro_per_kwh = 370000\nrationing = "pro_rata"',
    'p2p_call_auction/2"\nprice_k_ppm = 500000\nrationing = "pro_rata"',
)


def test_a_folder_whose_auction_has_its_price_in_the_middle_is_settled_and_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "rules.toml": SPLIT_AUCTION + 'timezone = "UTC"\n',
        "orders.csv": orders_of(range(2)).replace(",sell,300,", ",sell,150,"),
        "readings.csv": UTC_READINGS,
    }
    out = tmp_path / "out"
    assert settle(capsys, make_folder(tmp_path / "in", changes), "--out", out)["postings_sum_nano"] == 0
    bought = [row for row in rows_of(out / "statements.csv") if row["line_kind"] == "trade_buy"]
    assert [(row["energy_wh"], row["price_micro_per_kwh"]) for row in bought] == [("150", "370000")] * 2
    shown = subprocess.run(
        [sys.executable, "-I", "-S", out / "verify.py", out / "sample.evd", "--trust", out / "trust.json", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, json.loads(shown.stdout)["answer"]) == (0, "verified"), shown.stdout


def test_a_folder_whose_orders_are_served_as_they_came_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = SPLIT_AUCTION.replace("pro_rata", "time") + 'timezone = "UTC"\n'
    changes = {"rules.toml": rules, "orders.csv": orders_of(range(2)), "readings.csv": UTC_READINGS}
    words = refused(capsys, make_folder(tmp_path / "in", changes), "--out", tmp_path / "out")
    assert "[market] rationing = 'time' serves orders by when they came, which orders.csv does not tell" in words
    assert len(words.splitlines()) == 1


def test_a_stranger_verifies_the_sample_and_is_told_that_no_meter_signed_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    command = [sys.executable, "-I", "-S", "verify.py", "sample.evd", "--trust", "trust.json"]
    verified = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)
    assert verified.returncode == 0
    assert "IMPORTED" in verified.stdout
    assert "no meter signed these values" in verified.stdout


def test_the_same_folder_gives_the_same_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "in", {})
    roots = {str(settle(capsys, folder, "--out", tmp_path / name)["results_root"]) for name in ("one", "two")}
    assert len(roots) == 1


def test_newer_readings_become_a_correction_and_what_they_do_not_say_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    newer = "".join(READINGS.splitlines(keepends=True)[:2]).replace("0.5", "0.7")
    answer = settle(capsys, make_folder(tmp_path / "newer", {"readings.csv": newer}), "--onto", out)
    assert answer["slots"] == 2
    levies = [row for row in rows_of(out / "statements.csv") if row["line_kind"] == "levy"]
    found = {(row["run"], row["party"], row["energy_wh"]) for row in levies}
    assert found == {
        ("initial", "M1", "500"),
        ("initial", "M1", "1125"),
        ("initial", "M2", "1"),
        ("correction-1", "M1", "200"),
    }


def test_days_that_come_later_give_the_same_as_all_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (EXAMPLE / "readings.csv").read_text().splitlines(keepends=True)
    first_days = [line for line in lines if line.startswith(("start", "2025-10-24", "2025-10-25"))]
    half = {name: (EXAMPLE / name).read_text() for name in ("rules.toml", "points.csv")}
    folder = make_folder(tmp_path / "half", {**half, "readings.csv": "".join(first_days)})
    assert settle(capsys, folder, "--out", tmp_path / "out")["slots"] == 192
    later = settle(capsys, EXAMPLE, "--onto", tmp_path / "out")
    at_once = settle(capsys, EXAMPLE, "--out", tmp_path / "other")
    assert later["results_root"] == at_once["results_root"]


def test_newer_data_that_say_nothing_else_correct_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    first = settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    some = make_folder(tmp_path / "newer", {"readings.csv": "".join(READINGS.splitlines(keepends=True)[:2])})
    assert settle(capsys, some, "--onto", out)["results_root"] == first["results_root"]


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("x")
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path)
    assert "is not empty; name an absent or an empty folder" in line
    assert names_in(tmp_path) == ["in", "mine"]


def test_a_fault_in_a_file_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "in", {"readings.csv": READINGS.replace("1.125", "-1")})
    line = refused(capsys, folder, "--out", tmp_path / "out")
    assert "readings.csv, row 4, import_kwh: '-1' is negative" in line
    assert names_in(tmp_path) == ["in"]


def test_a_fault_while_settling_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gridledger.settling.settled_folder.write_results", broken)
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    assert "No space left on device" in line
    assert names_in(tmp_path) == ["in"]


def test_what_a_killed_run_left_is_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".out.unfinished" / "ledger").mkdir(parents=True)
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    assert names_in(tmp_path) == ["in", "out"]


def test_two_at_once_do_not_make_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "in", {})
    with locked(tmp_path / ".out.unfinished.lock", "held"):
        line = refused(capsys, folder, "--out", tmp_path / "out")
    assert "another call makes it just now" in line
    settle(capsys, folder, "--out", tmp_path / "out")


def net_of(out: Path) -> dict[str, int]:
    """By party: the sum of its documents."""
    found: dict[str, int] = {}
    for row in rows_of(out / "invoices.csv"):
        found[row["party"]] = found.get(row["party"], 0) + int(row["net"])
    return found


def test_changed_prices_go_onto_a_settled_folder_as_a_correction_with_credit_notes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    other = make_folder(tmp_path / "other", {"rules.toml": RULES.replace("460000", "300000")})
    answer = settle(capsys, other, "--onto", out)
    assert answer["postings_sum_nano"] == 0
    settle(capsys, other, "--out", fresh)
    assert net_of(out) == net_of(fresh)
    of_m1 = [int(row["net"]) for row in rows_of(out / "invoices.csv") if row["party"] == "M1"]
    assert len(of_m1) == 2
    assert of_m1[1] < 0, "the second one is a credit note"
    assert {row["run"] for row in rows_of(out / "statements.csv")} == {"initial", "correction-1"}


def test_what_may_not_change_is_one_line_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    before = names_in(out)
    other = make_folder(tmp_path / "other", {"rules.toml": RULES.replace("Berlin", "Paris")})
    assert main(["settle", "files", str(other), "--onto", str(out)]) == 1
    line = capsys.readouterr().err
    words = (
        "rules.toml: [timeline] timezone: the ledger has Europe/Berlin, not Europe/Paris; it does not change afterwards"
    )
    assert words in line
    assert names_in(out) == before


def test_a_folder_without_a_ledger_takes_no_newer_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--onto", tmp_path)
    assert "holds no ledger" in line


def test_a_disk_without_room_is_said_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridledger.settling.settled_folder.BYTES_PER_ENERGY", 10**15)
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    assert "choose another disk" in line
    assert names_in(tmp_path) == ["in"]


def test_layouts_are_listed_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    presets = settle(capsys, "--presets")["presets"]
    assert isinstance(presets, dict)
    assert len(presets) >= 5
    assert all(preset["source"].startswith("https://") for preset in presets.values())
