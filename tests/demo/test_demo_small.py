"""The whole system on 12 homes and 8 slots: as a person runs it, in other surroundings, and with its processes killed."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from gridcore import verify
from gridledger.cli import main
from gridledger.settling.participants import read_participants
from tests.demo import checks
from tests.demo.demo_run import (
    ABROAD,
    EXECUTABLE,
    Finished,
    KillPlan,
    demo_command,
    end_by_force,
    parent_of,
    processes_of,
    read_pid,
    run_demo,
)
from tests.demo.folder_of_demo import make_folder_of_demo
from tests.independent import recompute, results_root
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.slow
HOUSEHOLDS, SLOTS, KILLS = 12, 8, 10


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An undisturbed run that prints JSON."""
    return run_demo(tmp_path_factory.mktemp("home") / "out", "--json", households=HOUSEHOLDS, slots=SLOTS)


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same seed in other surroundings, printing for a person."""
    out = tmp_path_factory.mktemp("abroad") / "out"
    return run_demo(out, households=HOUSEHOLDS, slots=SLOTS, surroundings=ABROAD)


def test_its_data_settled_as_files_give_the_same_statements_and_postings(demo: Finished, tmp_path: Path) -> None:
    folder = make_folder_of_demo(demo.out, tmp_path / "folder")
    assert main(["settle", "files", str(folder), "--out", str(tmp_path / "out"), "--json"]) == 0
    for name in ("statements.csv", "postings.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (demo.out / name).read_bytes()


def test_its_ledger_extracted_as_a_folder_settles_to_the_same_statements(demo: Finished, tmp_path: Path) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out"
    assert main(["settle", "extract", "--data", str(demo.out / "ledger"), "--out", str(folder)]) == 0
    assert main(["settle", "files", str(folder), "--out", str(out), "--json"]) == 0
    for name in ("statements.csv", "postings.csv"):
        assert (out / name).read_bytes() == (demo.out / name).read_bytes()
    rules = (folder / "rules.toml").read_text()
    other = tmp_path / "mid.toml"
    market = rules[rules.index("[market]") : rules.index("[prices]")]
    other.write_text(rules.replace(market, '[market]\ncontract = "mid_market_rate/1"\n'))
    assert main(["settle", "what-if", str(folder), "--rules", str(other), "--out", str(tmp_path / "tried")]) == 0
    parties = {row["party"] for row in demo.rows("statements.csv")}
    assert parties <= set(read_participants(tmp_path / "tried" / "variants" / "mid"))


def test_with_lost_readings_every_slot_settles_and_the_summary_says_what_was_estimated(tmp_path: Path) -> None:
    lossy = run_demo(tmp_path / "out", "--json", "--drop-ppm", "30000", households=HOUSEHOLDS, slots=SLOTS)
    lost = lossy.json["readings_dropped"]
    assert lossy.json["readings_missing"] == lost > 0
    assert lossy.json["estimated_at_deadline"] >= lossy.json["estimated"] > 0
    assert lossy.json["corrections"] > 0
    assert lossy.json["postings_sum_nano"] == 0
    settled = {int(row["slot_start_s"]) for row in lossy.rows("statements.csv") if row["run"] == "initial"}
    assert len(settled) == SLOTS
    assert {"initial", "correction-1"} <= {row["run"] for row in lossy.rows("postings.csv")}
    folder = tmp_path / "folder"
    assert main(["settle", "extract", "--data", str(lossy.out / "ledger"), "--out", str(folder)]) == 0
    assert main(["settle", "files", str(folder), "--out", str(tmp_path / "again")]) == 0
    assert _owed_nano(tmp_path / "again") == _owed_nano(lossy.out)


def _owed_nano(out: Path) -> dict[str, int]:
    """What each party owes by all runs together."""
    owed: Counter[str] = Counter()
    with (out / "statements.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            owed[row["party"]] += int(row["amount_nano"])
    return owed


@pytest.fixture(scope="module")
def killed(demo: Finished, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same seed, node and agent killed with -9 at random moments."""
    plan = KillPlan(KILLS, (demo.out / "ledger" / "blocks.log").stat().st_size)
    out = tmp_path_factory.mktemp("killed") / "out"
    return run_demo(out, "--json", households=HOUSEHOLDS, slots=SLOTS, plan=plan)


# ------------------------------------------------------------------------------------------------------ undisturbed


def test_the_summary_is_complete_and_agrees_with_the_files(demo: Finished) -> None:
    checks.check_summary(demo, households=HOUSEHOLDS, slots=SLOTS)


def test_every_file_has_its_columns_slots_and_boundaries(demo: Finished) -> None:
    checks.check_files(demo, slots=SLOTS)


def test_independent_scripts_come_to_the_same_integers(demo: Finished) -> None:
    checks.check_independently(demo)


def test_the_stored_blocks_replay_to_the_same_state(demo: Finished) -> None:
    checks.check_ledger_command(demo)


def test_the_slow_twin_has_the_same_state_root_at_every_height(demo: Finished) -> None:
    checks.check_replay_by_twin(demo)


def test_it_ends_by_itself_and_leaves_nothing_running(demo: Finished) -> None:
    checks.check_nothing_left_running(demo)
    assert list((demo.out / "run").glob("*.pid")) == []


def test_the_manifest_names_the_digests_of_the_inputs(demo: Finished) -> None:
    manifest = json.loads((demo.out / "manifest.json").read_text())

    assert (manifest["seed"], manifest["households"], manifest["slots"]) == (7, HOUSEHOLDS, SLOTS)
    assert {"gridledger", "python", "numpy", "power-grid-model"} <= set(manifest["versions"])
    assert {"scenario", "grid", "contract", "profile eastron_sdm630", "profile acrel_adl400"} == set(
        manifest["inputs_sm3"]
    )
    assert manifest["results_root"] == demo.json["results_root"]
    assert set(manifest["sm3"]) == set(checks.RESULT_FILES)
    for name, digest in manifest["sm3"].items():
        assert results_root.sm3((demo.out / name).read_bytes()).hex() == digest, name


def test_every_home_that_may_trade_has_orders_in_the_slots_and_no_other_has(demo: Finished) -> None:
    parties = {f"H{number:03d}" for number in range(1, HOUSEHOLDS + 1)}

    assert {order["party"] for order in demo.rows("orders.csv")} == parties
    assert {order["slot_start_s"] for order in demo.rows("orders.csv")} == {
        str(checks.FIRST_SLOT_S + checks.SLOT_S * index) for index in range(SLOTS)
    }


def test_limits_of_orders_lie_in_their_ranges(demo: Finished) -> None:
    limits: dict[str, list[int]] = {"buy": [], "sell": []}
    for order in demo.rows("orders.csv"):
        limits[order["side"]].append(int(order["price_micro_per_kwh"]))

    assert 370_000 <= min(limits["buy"]) <= max(limits["buy"]) <= 460_000
    assert 280_000 <= min(limits["sell"]) <= max(limits["sell"]) <= 370_000


# ------------------------------------------------------------------------------------------------- other surroundings


def test_other_hash_seed_time_zone_and_locale_give_the_same_files(demo: Finished, abroad: Finished) -> None:
    assert abroad.status == 0, abroad.explain()

    for name in checks.RESULT_FILES:
        assert (abroad.out / name).read_bytes() == (demo.out / name).read_bytes(), name


def test_the_text_for_a_person_states_the_recomputed_money(demo: Finished, abroad: Finished) -> None:
    again = recompute.differences(demo.out)[1]
    traders = {order["party"] for order in demo.rows("orders.csv")}
    pays = sum(int(line[6]) for line in again.lines if line[1] in traders)
    alone = sum(nano for party, nano in again.supplier_only_nano.items() if party in traders)

    said = re.search(r"they pay ([\d,.]+) CNY; with the supplier alone they would pay ([\d,.]+) CNY", abroad.stdout)

    assert said is not None, abroad.stdout
    assert [float(amount.replace(",", "")) for amount in said.groups()] == pytest.approx(
        [pays / 1e9, alone / 1e9], abs=0.006
    )
    prices = recompute.load_rules(demo.out).prices
    taken_wh = sum(import_wh(demo, f"M-{party}") for party in traders)
    share = abs(alone - pays) / recompute.supplier_only(taken_wh, 0, prices)
    word = "cheaper" if alone > pays else "dearer"
    bought_wh = demo.json["energy_traded_wh"]
    assert f"12 homes traded {bought_wh / 1000:.1f} kWh; {share:.1%}".replace("%", " %") in abroad.stdout
    assert f"{word} than supplier only" in abroad.stdout
    assert "SIMULATED" in abroad.stdout
    assert demo.json["results_root"][:16] in abroad.stdout
    assert "\r" not in abroad.stdout + abroad.stderr


def import_wh(demo: Finished, meter: str) -> int:
    """What a meter without roll-over took from the first boundary to the last."""
    registers = {
        row["boundary_s"]: int(row["import_wh"]) for row in demo.rows("registers.csv") if row["meter"] == meter
    }
    return registers[max(registers)] - registers[min(registers)]


# ------------------------------------------------------------------------------------------------------------- killed


def test_kills_at_random_moments_change_no_result(demo: Finished, killed: Finished) -> None:
    checks.check_summary(killed, households=HOUSEHOLDS, slots=SLOTS)

    assert len(killed.kills) == KILLS, "the run ended before all of its kills"
    assert Counter(name for name, _ in killed.kills) == {"node": KILLS // 2, "edge-1": KILLS // 2}
    assert killed.json["results_root"] == demo.json["results_root"]
    for name in checks.RESULT_FILES:
        assert (killed.out / name).read_bytes() == (demo.out / name).read_bytes(), name


def test_what_was_killed_replays_as_well(killed: Finished) -> None:
    checks.check_ledger_command(killed)
    checks.check_replay_by_twin(killed)
    checks.check_nothing_left_running(killed)


# -------------------------------------------------------------------------------------------------------- the sample


@pytest.fixture
def bundle(demo: Finished, tmp_path: Path) -> Path:
    """The sample bundle away from its folder."""
    assert demo.status == 0, demo.explain()
    path = tmp_path / "sample.evd"
    path.write_bytes((demo.out / "sample.evd").read_bytes())
    return path


def test_the_sample_verifies_on_a_bare_interpreter(demo: Finished, bundle: Path) -> None:
    done = checks.verify_alone(demo.out, bundle, "--trust", demo.out / "trust.json")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("VERIFIED")
    assert "SIMULATED" in done.stdout
    assert "Not checked" in done.stdout


def test_the_book_beside_the_sample_proves_the_price_as_well(demo: Finished, bundle: Path) -> None:
    words = ("--trust", demo.out / "trust.json", "--json", "--with-book")
    book = bundle.parent / "sample.book"
    data = (demo.out / "sample.book").read_bytes()
    book.write_bytes(data)
    whole = checks.verify_alone(demo.out, bundle, *words, book)
    middle = len(data) // 2
    book.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    changed = checks.verify_alone(demo.out, bundle, *words, book)

    assert (whole.returncode, changed.returncode) == (0, 3)
    assert "book" in json.loads(whole.stdout)["claims"]
    assert json.loads(changed.stdout)["reason"].startswith("book:"), "another book says nothing about the line"
    parties = {row["party"].encode() for row in demo.rows("orders.csv")}
    assert parties
    assert not [party for party in parties if party in data], "the book is anonymous"


def test_the_command_that_the_summary_prints_works_as_printed(abroad: Finished) -> None:
    lines = [line.strip() for line in abroad.stdout.splitlines()]
    at = next(index for index, line in enumerate(lines) if line.startswith("cd "))
    path = f"{EXECUTABLE.parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        "\n".join(lines[at : at + 2]),
        shell=True,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert lines[at + 1].startswith("python3 -I -S verify.py sample.evd")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("VERIFIED")


def test_every_kind_of_line_can_be_exported_from_the_data_at_rest_and_verified(demo: Finished, tmp_path: Path) -> None:
    lines = {row["line_kind"]: row for row in demo.rows("statements.csv")}
    assert {"trade_buy", "trade_sell", "residual_import", "network_traded", "network_residual", "levy"} <= set(lines)
    for kind, row in lines.items():
        out = tmp_path / f"{kind}.evd"
        choice = ["--party", row["party"], "--slot", row["slot_start_s"], "--line", kind]
        assert main(["evidence", "export", "--data", str(demo.out / "ledger"), "--out", str(out), *choice]) == 0
        verdict = verify.verify_files(out, demo.out / "trust.json", None)
        assert verdict.answer == verify.VERIFIED, f"{kind}: {verdict.reason}"
        amounts = {line["line_kind"]: line["amount_nano"] for line in verdict.facts["lines"]}
        assert (verdict.facts["party"], str(amounts[kind])) == (row["party"], row["amount_nano"])


def test_the_sample_is_a_line_of_the_statements(demo: Finished, bundle: Path) -> None:
    done = checks.verify_alone(demo.out, bundle, "--trust", demo.out / "trust.json", "--json")
    facts = json.loads(done.stdout)["facts"]

    of_slot, of_line = (
        ("run", "party", "slot_start_s"),
        ("line_kind", "energy_wh", "price_micro_per_kwh", "amount_nano"),
    )
    proved = {(*(str(facts[key]) for key in of_slot), *(str(line[key]) for key in of_line)) for line in facts["lines"]}
    lines = [tuple(row[key] for key in (*of_slot, *of_line)) for row in demo.rows("statements.csv")]
    assert proved == {line for line in lines if line[:3] == tuple(str(facts[key]) for key in of_slot)}


def test_without_a_trust_root_or_with_anothers_it_cannot_be_decided(
    demo: Finished, abroad: Finished, bundle: Path
) -> None:
    assert checks.verify_alone(demo.out, bundle).returncode == 3
    assert checks.verify_alone(demo.out, bundle, "--trust", abroad.out / "trust.json").returncode == 3


def test_a_missing_bundle_and_a_malformed_trust_root_are_bad_usage(demo: Finished, bundle: Path) -> None:
    malformed = bundle.parent / "trust.json"
    malformed.write_text("{}")

    for done in (
        checks.verify_alone(demo.out, bundle.parent / "absent.evd", "--trust", demo.out / "trust.json"),
        checks.verify_alone(demo.out, bundle, "--trust", malformed),
    ):
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1


def test_one_changed_byte_is_not_verified(demo: Finished, bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 0x01
    bundle.write_bytes(data)

    assert checks.verify_alone(demo.out, bundle, "--trust", demo.out / "trust.json").returncode == 1


def load_verifier(folder: Path) -> ModuleType:
    """The folder's own verifier, in this process."""
    spec = importlib.util.spec_from_file_location("verifier_of_the_demo", folder / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_changed_bytes_anywhere_are_not_verified(demo: Finished, bundle: Path) -> None:
    verifier = load_verifier(demo.out)
    trust = verifier.decode_trust((demo.out / "trust.json").read_bytes())
    data = bundle.read_bytes()
    places = [0, len(data) - 1, *random.Random(7).sample(range(1, len(data) - 1), 60)]

    assert verifier.verify_bundle(data, trust).answer == "verified"
    for place in places:
        for change in (0x01, 0x80):
            changed = bytes([*data[:place], data[place] ^ change, *data[place + 1 :]])
            assert verifier.verify_bundle(changed, trust).answer != "verified", f"byte {place} xor {change:#x}"


def test_the_command_and_the_file_give_the_same_answer(demo: Finished, bundle: Path) -> None:
    command = [str(EXECUTABLE), "verify", str(bundle), "--trust", str(demo.out / "trust.json"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    alone = checks.verify_alone(demo.out, bundle, "--trust", demo.out / "trust.json", "--json")

    assert done.returncode == alone.returncode == 0
    assert json.loads(done.stdout)["facts"] == json.loads(alone.stdout)["facts"]


# --------------------------------------------------------------------------------------------------------- bad input


def test_a_folder_that_is_not_empty_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")

    done = run_bad(demo_command(tmp_path, households=HOUSEHOLDS, slots=SLOTS))

    assert str(tmp_path) in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_as_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")

    run_bad(demo_command(tmp_path / "out", households=HOUSEHOLDS, slots=SLOTS))

    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.parametrize(
    "words", [["--households", "0"], ["--days", "0"], ["--seed", "-1"], ["--engine", "abacus"], ["--dyas", "1"]]
)
def test_a_bad_argument_is_refused_in_one_line_that_names_it(tmp_path: Path, words: list[str]) -> None:
    done = run_bad([str(EXECUTABLE), "demo", "--headless", "--out", str(tmp_path / "out"), *words])

    assert words[0] in done.stderr
    assert not (tmp_path / "out").exists()


def run_bad(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command line that must end with exit 2 and one line."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done


# ------------------------------------------------------------------------------------------------------- interrupted


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A demonstration of a whole day whose node and agent are running."""
    out = tmp_path / "out"
    command = demo_command(out, "--speed", "450", households=HOUSEHOLDS, slots=None)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: all(read_pid(out, name) for name in ("node", "edge-1")), "node and agent", PATIENCE_S)
        yield out, process
    finally:
        end_by_force(out, process)


def test_ctrl_c_ends_the_processes_too(started: tuple[Path, subprocess.Popen[str]]) -> None:
    out, process = started

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)

    assert "Traceback" not in stderr
    assert process.returncode == 130
    assert processes_of(out) == []


def test_sigterm_ends_the_processes_too(started: tuple[Path, subprocess.Popen[str]]) -> None:
    out, process = started

    process.terminate()
    _, stderr = process.communicate(timeout=PATIENCE_S)

    assert "Traceback" not in stderr
    assert process.returncode == 143
    assert processes_of(out) == []


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is a signal on Linux only")
def test_kill_9_of_the_demo_leaves_no_process_behind(started: tuple[Path, subprocess.Popen[str]]) -> None:
    out, process = started
    children = [pid for pid in (read_pid(out, "node"), read_pid(out, "edge-1")) if pid is not None]

    process.kill()
    process.communicate(timeout=PATIENCE_S)

    assert children
    wait_until(lambda: all(parent_of(pid) is None for pid in children), "the end of node and agent")


def test_a_node_that_cannot_start_again_ends_the_demo_in_one_line(started: tuple[Path, subprocess.Popen[str]]) -> None:
    out, process = started
    config = out / "run" / "node.toml"
    config.write_text(config.read_text().replace("log_level", "log_levle"))

    pid = read_pid(out, "node")
    assert pid is not None
    assert parent_of(pid) == process.pid
    os.kill(pid, signal.SIGKILL)
    _, stderr = process.communicate(timeout=PATIENCE_S)

    assert "Traceback" not in stderr
    assert "log_levle" in stderr.splitlines()[-1]
    assert process.returncode in (1, 2)
    assert processes_of(out) == []
