"""The scripts that check a demo find what is wrong: a small folder worked out by hand, and faults planted in it."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.independent import physics, recompute, results_root
from tests.independent.hand_made import FOLDER

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
SCRIPTS = ("recompute.py", "results_root.py", "physics.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The hand-made folder, fresh for every test."""
    for name, text in FOLDER.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def plant(folder: Path, name: str, old: str, new: str) -> None:
    """Replace the one occurrence of ``old`` in a file."""
    text = (folder / name).read_text()
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
    (folder / name).write_text(text.replace(old, new))


# ------------------------------------------------------------------------------------------------------- recomputation


def test_the_folder_worked_out_by_hand_is_recomputed_without_a_difference(folder: Path) -> None:
    problems, again = recompute.differences(folder)

    assert problems == []
    assert (len(again.fills), len(again.lines), len(again.postings)) == (5, 30, 18)


def test_supplier_only_counts_metered_energy_alone(folder: Path) -> None:
    again = recompute.differences(folder)[1]

    # H002 imported 60 + 10 Wh; H003 exported 40 Wh
    assert again.supplier_only_nano["H002"] == 70 * (460_000 + 180_000 + 40_000)
    assert again.supplier_only_nano["H003"] == -40 * 280_000


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("registers.csv", "1900,M-H002,560,", "1900,M-H002,570,", "statements.csv"),
        ("registers.csv", "2800,M-L001,100,", "2800,M-L001,90,", "statements.csv"),
        ("registers.csv", "2800,M-H001,1020,", "2800,M-H001,990,", "out of range"),
        ("registers.csv", "2800,M-H001,1020,", "2800,M-H001,12010,", "out of range"),
        ("statements.csv", ",20000000,clearing", ",20000001,clearing", "should be initial,H002,1000,trade_buy"),
        ("statements.csv", "initial,H005,1000,levy,20,40000,800000,levy\n", "", "missing initial,H005,1000,levy"),
        ("statements.csv", "surplus,10,280000,-2800000,balance", "surplus,10,280000,-2800000,supplier", "should be"),
        (
            "statements.csv",
            "initial,H003,1000,residual_export",
            "final,H003,1000,residual_export",
            "not expected: final",
        ),
        ("fills.csv", "H004/1000/1,20,", "H004/1000/1,21,", "fills.csv"),
        ("fills.csv", "1000,H005/1000/1,10,350000\n", "", "missing 1000,H005"),
        ("fills.csv", "H003/1000/1,30,350000", "H003/1000/1,30,350001", "fills.csv"),
        ("postings.csv", "1000,clearing,30500000,30500000,initial\n", "", "missing 1000,clearing"),
        ("postings.csv", "1000,clearing,30500000,30500000", "1000,clearing,0,0", "should be 1000,clearing"),
        ("postings.csv", "1000,H001,4600000,20000000", "1000,H001,0,15400000", "should be 1000,H001"),
        ("orders.csv", "H004,buy,40,", "H004,buy,60,", "fills.csv"),
        ("orders.csv", "1000,H005/1000/1,H005", "1000,H004/1000/2,H005", "is not <party>/<slot>/<counter>"),
        ("orders.csv", "1900,H002/1900/1,", "3700,H002/3700/1,", "is no slot"),
        ("rules.toml", "levy_micro_per_kwh = 40000", "levy_micro_per_kwh = 40001", "statements.csv"),
    ],
)
def test_a_planted_difference_is_found(folder: Path, name: str, old: str, new: str, said: str) -> None:
    plant(folder, name, old, new)

    problems = recompute.differences(folder)[0]

    assert any(said in problem for problem in problems), problems


def test_a_line_that_stands_twice_is_found(folder: Path) -> None:
    line = "initial,H005,1000,levy,20,40000,800000,levy\n"
    plant(folder, "statements.csv", line, line + line)

    assert recompute.differences(folder)[0] == ["statements.csv: not expected: " + line.strip()]


def test_a_slot_without_all_its_registers_is_not_settled(folder: Path) -> None:
    plant(folder, "registers.csv", "2800,M-H004,10,0,measured", "2800,M-H004,,,missing")

    again = recompute.differences(folder)[1]

    assert again.waiting == [(1900, "A2")]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("meters.csv", "M-F1,A1,,feeder", "M-F1,A1,F1,feeder"),
        ("meters.csv", "M-H005,A2,H005", "M-H005,A2,H004"),
        ("registers.csv", "boundary_s,meter", "meter,boundary_s"),
        ("registers.csv", "1900,M-H004,10,", "1900,M-H004,10.0,"),
        ("registers.csv", "1900,M-H004,10,", "1900,M-H004,010,"),
        ("fills.csv", "1000,H005/1000/1,10,350000", "1000,H005/1000/1,10"),
        ("rules.toml", '"pro_rata"', '"time"'),
        ("rules.toml", "shortfall_price_micro_per_kwh", "shortfall_micro_per_kwh"),
        ("rules.toml", "levy_micro_per_kwh = 40000", "levy_micro_per_kwh = 40000.0"),
    ],
)
def test_a_folder_of_another_form_is_refused(folder: Path, name: str, old: str, new: str) -> None:
    plant(folder, name, old, new)

    with pytest.raises(recompute.BadFolderError, match=name):
        recompute.differences(folder)


def cases(handler: str) -> list[Path]:
    """Folders of the project's conformance cases."""
    return sorted(path.parent for path in (VECTORS / handler).rglob("case.toml"))


def test_the_auction_of_the_script_gives_the_answers_of_the_conformance_cases() -> None:
    tried = 0
    for case in cases("call_auction"):
        content = tomllib.loads((case / "case.toml").read_text())
        expect = content.get("expect")
        is_known = content["handler"] == "call_auction/1" and content["input"].get("rationing") == "pro_rata"
        if expect is None or not is_known:
            continue
        with (case / content["input"]["orders"]).open() as file:
            rows = list(csv.DictReader(file))
        orders = [
            recompute.Order(
                0,
                row["order_id"],
                row["participant"],
                row["side"],
                int(row["quantity_wh"]),
                int(row["price_micro_per_kwh"]),
            )
            for row in rows
        ]
        price, filled = recompute.clear(orders, content["input"].get("reference_price_micro_per_kwh"))
        assert (price, filled) == (expect.get("price_micro_per_kwh"), expect.get("filled_wh", filled)), case.name
        tried += 1
    assert tried >= 5


def test_the_lines_of_the_script_sum_to_the_answers_of_the_conformance_cases() -> None:
    tried = 0
    for case in cases("slot_settlement"):
        content = tomllib.loads((case / "case.toml").read_text())
        given, expect = content["input"], content.get("expect")
        if expect is None:
            continue
        with (case / given["rows"]).open() as file:
            rows = list(csv.DictReader(file))
        accounts = dict.fromkeys(("supplier", "offtaker", "balance", "network", "levy"), 0)
        for row in rows:
            imported, exported, bought, sold = (
                int(row[f"{name}_wh"]) for name in ("import", "export", "bought", "sold")
            )
            trade_price = given.get("trade_price_micro_per_kwh", 0)
            lines = recompute.lines_of_party((imported, exported), (bought, sold), trade_price, given)
            assert sum(line[3] for line in lines) == expect["pays_nano"][row["participant"]], case.name
            alone = recompute.supplier_only(imported, exported, given)
            assert alone == expect.get("supplier_only_nano", {}).get(row["participant"], alone), case.name
            for _, _, _, amount, account in lines:
                if account != "clearing":
                    accounts[account] += amount
        assert accounts == expect.get("accounts_nano", accounts), case.name
        tried += 1
    assert tried >= 5


# ------------------------------------------------------------------------------------------------------- results_root


def test_plain_sm3_gives_the_answers_of_the_conformance_cases() -> None:
    tried = 0
    for case in cases("sm3"):
        content = tomllib.loads((case / "case.toml").read_text())
        if "expect" in content:
            message = bytes.fromhex(content["input"]["message"])
            assert results_root.plain_sm3(message).hex() == content["expect"]["digest"], case.name
            tried += 1
    assert tried >= 5


def test_plain_sm3_of_the_standards_example() -> None:
    digest = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"

    assert results_root.plain_sm3(b"abc").hex() == digest
    assert results_root.sm3(b"abc").hex() == digest


def test_the_tree_of_the_script_gives_the_answers_of_the_conformance_cases() -> None:
    tried = 0
    for case in cases("merkle_root"):
        content = tomllib.loads((case / "case.toml").read_text())
        if "expect" in content:
            leaves = [bytes.fromhex(leaf) for leaf in content["input"]["leaves"]]
            assert results_root.root_of(leaves).hex() == content["expect"]["root"], case.name
            tried += 1
    assert tried >= 5


def test_a_row_is_the_shortest_canonical_array() -> None:
    assert results_root.encode_row((0, 23, 24, 255, 256)).hex() == "85001718" + "18" + "18ff" + "190100"
    assert results_root.encode_row((65_536, 2**32, -1, -24, -25)).hex() == (
        "85" + "1a00010000" + "1b0000000100000000" + "20" + "37" + "3818"
    )
    assert results_root.encode_row(("", "H001", "电")).hex() == "8360" + "6448303031" + "63e794b5"


def root_of_folder(folder: Path) -> str:
    return results_root.results_root([results_root.load_rows(folder, name) for name in results_root.FILES]).hex()


def test_the_root_does_not_depend_on_the_order_of_lines_but_disorder_is_said(folder: Path) -> None:
    root = root_of_folder(folder)
    assert results_root.unsorted_files(folder) == []

    lines = (folder / "fills.csv").read_text().splitlines(keepends=True)
    (folder / "fills.csv").write_text("".join([lines[0], *reversed(lines[1:])]))

    assert root_of_folder(folder) == root
    assert results_root.unsorted_files(folder) == ["fills.csv"]


def test_numbers_sort_by_value_and_an_empty_field_comes_first() -> None:
    rows: list[results_root.Row] = [(1000, "M-B"), (1000, "M-A"), (900, "é"), (900, "z"), ("", "x"), (-5, "x")]

    assert sorted(rows, key=results_root.sort_key) == [
        ("", "x"),
        (-5, "x"),
        (900, "z"),
        (900, "é"),
        (1000, "M-A"),
        (1000, "M-B"),
    ]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("registers.csv", "1900,M-H002,560,", "1900,M-H002,570,"),
        ("registers.csv", "2800,M-H005,20,0,measured", "2800,M-H005,20,0,suspect"),
        ("registers.csv", "2800,M-H005,20,0,measured", "2800,M-H005,,,missing"),
        ("fills.csv", "H004/1000/1,20,", "H004/1000/1,21,"),
        ("postings.csv", "1000,offtaker,2800000,0,initial\n", ""),
        ("statements.csv", ",20000000,clearing", ",20000001,clearing"),
    ],
)
def test_every_change_of_a_result_changes_the_root(folder: Path, name: str, old: str, new: str) -> None:
    root = root_of_folder(folder)

    plant(folder, name, old, new)

    assert root_of_folder(folder) != root


# ------------------------------------------------------------------------------------------------------------- physics


def test_the_physics_of_the_folder_hold(folder: Path) -> None:
    problems, numbers = physics.findings(folder)

    assert problems == []
    assert numbers == {
        "truth_served_wh": 70,
        "truth_possible_wh": 80,
        "registers_served_wh": 70,
        "registers_possible_wh": 80,
    }


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("registers.csv", "1900,M-H002,560,", "1900,M-H002,570,", "M-H002 at 1900 shows (570, 0), must show (560, 0)"),
        ("registers.csv", "1900,M-L001,0,", "1900,M-L001,10000,", "M-L001 at 1900"),
        ("registers.csv", "2800,M-F2,0,0,measured\n", "", "M-F2 lacks the boundary 2800"),
        ("registers.csv", "2800,M-F2,0,0,measured", "2800,M-F2,,,missing", "M-F2 lacks the boundary 2800"),
        (
            "registers.csv",
            "2800,M-F2,0,0,measured\n",
            "2800,M-F2,0,0,measured\n2800,M-X,0,0,measured\n",
            "no boundary and meter",
        ),
        (
            "registers.csv",
            "2800,M-F2,0,0,measured\n",
            "2800,M-F2,0,0,measured\n1500,M-F2,0,0,measured\n",
            "1500 is no boundary",
        ),
        ("truth.csv", "1000,M-H002,63,", "1000,M-H002,69,", "truth.csv: A1 at 1000 is out of balance by 6 Wh"),
        ("truth.csv", "1900,M-H005,0,0\n", "", "M-H005 lacks the slot 1900"),
        ("losses.csv", "1000,A1,3", "1000,A1,7", "truth.csv: A1 at 1000 is out of balance by 4 Wh"),
        ("losses.csv", "1000,A1,3", "1000,A1,3000", "registers.csv: A1 at 1000 is out of balance"),
        ("losses.csv", "1900,A2,0\n", "", "exactly one line"),
        ("meters.csv", "11000,1005,2003", "11000,1015,2003", "M-H001 at 1000"),
        ("fills.csv", "H001/1000/1,50,", "H001/1000/1,5,", "market on truth: 35 of 80 Wh"),
        ("fills.csv", "1000,H005/1000/1,10,", "1000,H005/1000/2,10,", "no such orders: H005/1000/2"),
    ],
)
def test_planted_physics_are_found(folder: Path, name: str, old: str, new: str, said: str) -> None:
    plant(folder, name, old, new)

    problems = physics.findings(folder)[0]

    assert any(said in problem for problem in problems), problems


def test_a_market_in_which_nothing_was_possible_is_not_enough(folder: Path) -> None:
    (folder / "fills.csv").write_text(FOLDER["fills.csv"].splitlines()[0] + "\n")

    assert "market on truth: 0 of 80 Wh that homes could have traded" in physics.findings(folder)[0]


# ------------------------------------------------------------------------------------------------ as stand-alone programs


def call(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a stranger would, without site packages: nothing of ours can be imported."""
    command = [sys.executable, "-I", "-S", str(HERE / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_runs_alone_and_says_yes_by_its_exit_status(folder: Path, script: str) -> None:
    done = call(script, folder)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_says_in_one_line_that_a_file_is_missing(folder: Path, script: str) -> None:
    (folder / "registers.csv").unlink()

    done = call(script, folder)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "registers.csv" in done.stderr


def test_the_root_that_was_expected_is_compared(folder: Path) -> None:
    root = root_of_folder(folder)

    assert call("results_root.py", folder, root).returncode == 0
    assert call("results_root.py", folder, root[::-1]).returncode == 1


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("spoil", [shutil.rmtree, lambda folder: (folder / "postings.csv").write_bytes(b"\xff")])
def test_no_folder_gives_a_traceback(folder: Path, script: str, spoil: Callable[[Path], object]) -> None:
    spoil(folder)

    done = call(script, folder)

    assert "Traceback" not in done.stderr
    assert done.returncode == 0 if script == "physics.py" and folder.exists() else done.returncode == 2


def test_a_wrong_register_fails_every_program(folder: Path) -> None:
    root = root_of_folder(folder)
    plant(folder, "registers.csv", "1900,M-H002,560,", "1900,M-H002,570,")

    assert [call(script, folder).returncode for script in ("recompute.py", "physics.py")] == [1, 1]
    assert call("results_root.py", folder, root).returncode == 1
