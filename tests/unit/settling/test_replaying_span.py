"""``gridledger settle replay`` of a day, a month or a span: all runs made again in one pass, each that differs told in one line."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from gridcore import cbor
from gridledger.cli import main
from gridledger.settling.chain.founding import ZONE_NAME
from ledger.leaves.positions import POSITIONS
from ledger.store.rerun import DifferingRun, RunSpan, rerun_span
from ledger.store.state_db import DB_NAME
from settlement.catalogue import CONTRACTS
from tests.unit.settling.folders import READINGS, make_folder

FIRST_S = 1_748_736_000
"""02:00 of 1 June in Berlin."""
TWO_DAYS = "start,point,import_kwh,export_kwh,quality\n" + "".join(
    f"2025-06-{1 + hour // 24:02}T{hour % 24:02}:{minute}:00Z,{row},\n"
    for hour in range(30)
    for minute in ("00", "15", "30", "45")
    for row in ("P1,0.5,0", "P2,0,0.25")
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of 120 slots; the first one has a correction run too."""
    folder = tmp_path_factory.mktemp("span")
    out = folder / "out"
    first = make_folder(folder / "in", {"readings.csv": TWO_DAYS})
    assert main(["settle", "files", str(first), "--out", str(out)]) == 0
    newer = READINGS.splitlines(keepends=True)[0] + "2025-06-01T00:00:00Z,P1,0.7,0,corrected\n"
    assert (
        main(["settle", "files", str(make_folder(folder / "newer", {"readings.csv": newer})), "--onto", str(out)]) == 0
    )
    return out / "ledger"


def replayed(capsys: pytest.CaptureFixture[str], status: int, data: Path, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["settle", "replay", "--data", str(data), "--area", "A1", *arguments]) == status
    return capsys.readouterr().out if status < 2 else capsys.readouterr().err.strip()


def answered(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads(replayed(capsys, 0, data, "--json", *arguments))
    return answer


def test_a_local_day_and_a_month_are_all_runs_of_their_slots(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = answered(capsys, data, "--day", "2025-06-01")
    assert (day["slots"], day["runs"], day["same"], day["differing"]) == (88, 89, True, [])
    month = answered(capsys, data, "--month", "2025-06")
    assert (month["slots"], month["runs"], month["compared"]) == (120, 121, 3 * 121)
    one = answered(capsys, data, "--month", "2025-06", "--run", "correction-1")
    assert (one["slots"], one["runs"]) == (1, 1)
    words = replayed(capsys, 0, data, "--day", "2025-06-02")
    assert words.startswith("the same: 32 runs of 32 slots, zone ")


def test_a_span_has_the_slots_that_start_in_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    span = ("--from", "2025-06-01T02:10:00+02:00", "--until", "2025-06-01T01:00:00Z")
    assert answered(capsys, data, *span)["slots"] == 3
    assert answered(capsys, data, "--until", "2025-06-01T00:15:00Z")["runs"] == 2
    assert not list(data.glob("check-*")), "what was derived is gone"


def change(folder: Path, key: str, column: str) -> None:
    """Another first byte of a column, behind the ledger's back."""
    with sqlite3.connect(folder / DB_NAME) as connection:
        ((body,),) = connection.execute("SELECT leaf FROM leaves WHERE key = ?", (key,)).fetchall()
        name, value = cbor.decode(body)
        pays = bytearray(value["columns"][column])
        pays[0] ^= 1
        value["columns"][column] = bytes(pays)
        connection.execute("UPDATE leaves SET leaf = ? WHERE key = ?", (cbor.encode([name, value]), key))
    connection.close()


def test_each_run_that_differs_is_told_in_one_line_and_the_exit_status_is_1(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ledger"
    shutil.copytree(data, folder)
    keys = [
        POSITIONS.key(FIRST_S + 900 * slot, ZONE_NAME, run, 0) for slot, run in ((0, "correction-1"), (7, "initial"))
    ]
    for key in keys:
        change(folder, key, "pays_nano")
    *lines, last = replayed(capsys, 1, folder, "--month", "2025-06").splitlines()
    assert [line.split(", block ")[0] for line in lines] == [
        f"NOT THE SAME: slot {FIRST_S + 900 * 7}, run initial",
        f"NOT THE SAME: slot {FIRST_S}, run correction-1",
    ]
    assert [line.rpartition(": ")[2] for line in lines] == keys[::-1]
    assert last.startswith("2 of 121 runs of 120 slots, zone ")
    assert "NOT THE SAME" in last
    told = json.loads(replayed(capsys, 1, folder, "--day", "2025-06-01", "--json"))
    assert [(one["slot_start_s"], one["run"]) for one in told["differing"]] == [
        (FIRST_S + 6300, "initial"), (FIRST_S, "correction-1"),
    ]  # fmt: skip
    replayed(capsys, 0, folder, "--day", "2025-06-02")


def test_blocks_are_made_again_once_and_no_further_than_the_last_run(data: Path) -> None:
    told: list[DifferingRun] = []
    made: list[tuple[int, int]] = []
    span = RunSpan("A1", lambda _: (FIRST_S, FIRST_S + 900), "initial")
    again = rerun_span(data, span, CONTRACTS, told.append, progress=lambda done, of: made.append((done, of)))
    assert told == []
    assert made == [(height, again.height) for height in range(1, again.height + 1)]


def test_the_commands_of_the_page_find_all_the_same(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "settlement-runs.md").read_text("utf-8")
    begins = "gridledger settle replay --data demo-7-1/ledger --area A1 "
    asked = [line.removeprefix(begins).split() for line in page.splitlines() if line.startswith(begins)]
    spans = [words for words in asked if "--slot" not in words]
    here = [[word.replace("2026-06-2", "2025-06-0").replace("2026", "2025") for word in words] for words in spans]
    assert [words[0] for words in here] == ["--day", "--month", "--from"]
    for words in here:
        assert replayed(capsys, 0, data, *words).startswith("the same: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--day", "2025-6-1"], "--day '2025-6-1': is none; write 2026-06-21"),
        (["--day", "2025-02-30"], "--day '2025-02-30': is none; write 2026-06-21"),
        (["--month", "2025"], "--month '2025': is none; write 2026-06"),
        (["--month", "2025-07"], "area A1: no slot from 1751320800 to before 1753999200 has a run"),
        (["--month", "2025-06", "--run", "final"], "has a run final"),
        (["--day", "2025-06-01", "--month", "2025-06"], "name the slots once: --slot, --day, --month, or --from and --until"),
        (["--day", "2025-06-01", "--slot", "1748736000"], "name the slots once"),
        (
            ["--from", "2025-06-02T00:00:00Z", "--until", "2025-06-01T00:00:00Z"],
            "--until: is not behind --from; give a later time",
        ),
        ([], "--slot is missing: name runs by --area and --slot, --day, --month or --from and --until"),
    ],
)  # fmt: skip
def test_slots_that_are_none_are_one_clear_line(
    data: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = replayed(capsys, 2, data, *arguments)
    assert says in words
    assert len(words.splitlines()) == 1
