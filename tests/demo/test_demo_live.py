"""The demonstration with its pages: the URL first, figures that grow while the day runs, and an end that leaves nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.grid.world import RATED_PHASE_V
from simulators.meters.broker import mosquitto_program
from tests.demo import checks
from tests.demo.demo_run import EXECUTABLE, Finished, demo_command, read_pid, run_demo
from tests.demo.live import CHILDREN, LiveDemo, answers, demo_that_goes_on, live_demo
from tests.demo.test_demo_small import run_bad
from tests.worlds.simulated import demo_world

pytestmark = pytest.mark.slow
HOUSEHOLDS, SLOTS = 12, 8
DEVICES = {"Shelly", "Tasmota"}


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same seed and size without pages."""
    return run_demo(tmp_path_factory.mktemp("headless") / "out", "--json", households=HOUSEHOLDS, slots=SLOTS)


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDemo]:
    """A demonstration whose day is over and whose pages go on."""
    with live_demo(tmp_path_factory.mktemp("live") / "out", households=HOUSEHOLDS, slots=SLOTS) as demo:
        demo.wait_until_over()
        yield demo


# ---------------------------------------------------------------------------------------------------- while it runs


@pytest.fixture
def running(tmp_path: Path) -> Iterator[LiveDemo]:
    """A demonstration that has just printed its URL, which answers, or of which it says that it does not yet."""
    with demo_that_goes_on(tmp_path / "out") as demo:
        assert answers(demo.url()) or "still starting" in demo.stdout
        demo.wait_for_pages()
        yield demo


def test_the_url_answers_when_it_is_printed_and_the_overview_fills_while_the_day_runs(running: LiveDemo) -> None:
    visitor = running.visitor("utility")
    assert "SIMULATED" in running.stdout
    assert "12 homes traded" not in running.stdout, "the URL comes before the day"

    def settled() -> int:
        return int(sum(row["settled"] for row in visitor.rows("/api/v1/areas")))

    first = running.wait_for(lambda: settled() or None, "settled slot")
    later = running.wait_for(lambda: count if (count := settled()) > first else None, "further settled slot")

    assert 0 < first < later
    assert "files in" not in running.stdout, "the day is still running"
    assert re.search(
        r"12 homes traded [\d.,]+ kWh; [\d.]+ % (cheaper|dearer) than supplier only", visitor.text("/overview")
    )
    assert "SIMULATED" in visitor.text("/overview")


@pytest.mark.external
@pytest.mark.skipif(mosquitto_program() is None, reason="no mosquitto; install it: apt-get install mosquitto")
def test_a_killed_broker_comes_back_and_its_devices_are_observed_again(running: LiveDemo) -> None:
    visitor = running.visitor("utility")

    def observed_at_newest_boundary() -> tuple[int, set[str]]:
        newest = visitor.get("/api/v1/areas/A1/slots").json()
        settled = [row[0] for row in newest["rows"] if row[2] is not None and row[2] == row[3]]
        boundary_s = settled[-1] + checks.SLOT_S if settled else checks.FIRST_SLOT_S
        rows = visitor.rows(f"/api/v1/gateways/gateway-1/observations?boundary_s={boundary_s}") if settled else []
        return boundary_s, {row["device"].partition(" ")[0] for row in rows}

    before_s, _ = running.wait_for(
        lambda: found if (found := observed_at_newest_boundary())[1] >= DEVICES else None, "devices"
    )
    broker = running.pid("broker")
    os.kill(broker, signal.SIGKILL)
    running.wait_for(lambda: pid if (pid := read_pid(running.out, "broker")) not in (None, broker) else None, "broker")

    after_s, _ = running.wait_for(
        lambda: found if (found := observed_at_newest_boundary())[0] > before_s and found[1] >= DEVICES else None,
        "devices after the broker's restart",
    )
    assert after_s > before_s


def test_sigterm_in_the_middle_of_the_day_ends_pages_node_and_agents(running: LiveDemo) -> None:
    pids = [running.pid(name) for name in CHILDREN]

    assert running.end(signal.SIGTERM) == 143

    running.check_nothing_is_left()
    assert len(set(pids)) == len(CHILDREN)
    assert list((running.out / "run").glob("*.pid")) == []


def test_ctrl_c_in_the_middle_of_the_day_says_that_it_was_interrupted(running: LiveDemo) -> None:
    assert running.end(signal.SIGINT) == 130

    running.check_nothing_is_left()


# ------------------------------------------------------------------------------------------------------ when it is over


def test_pages_do_not_change_what_the_ledger_decides(over: LiveDemo, headless: Finished) -> None:
    manifest = json.loads((over.out / "manifest.json").read_text())

    assert manifest["results_root"] == headless.json["results_root"]
    for name in checks.RESULT_FILES:
        assert (over.out / name).read_bytes() == (headless.out / name).read_bytes(), name


def test_four_roles_sign_in_without_a_password_under_the_marks_demo_and_simulated(over: LiveDemo) -> None:
    visitor = over.visitor()
    page = visitor.text("/sign-in")
    assert "DEMO" in page
    assert "SIMULATED" in page
    assert 'type="password"' not in visitor.get("/sign-in").text
    for role, party, title in (
        ("utility", "", "Overview"),
        ("regulator", "", "Overview"),
        ("administrator", "", "Overview"),
        ("household", "H001", "H001"),
    ):
        home = over.visitor().sign_in(role, party)
        assert home.status_code == 200
        assert title in home.text, role
        assert "SIMULATED" in home.text, role


def test_the_overview_and_the_summary_say_the_same_sentence(over: LiveDemo) -> None:
    visitor = over.visitor("regulator")
    sentence = re.search(r"\d+ homes traded .* supplier only", over.stdout)

    assert sentence is not None, over.stdout
    over.wait_for(lambda: True if sentence[0] in visitor.text("/overview") else None, sentence[0])


def test_figures_of_the_pages_are_those_of_the_files(over: LiveDemo) -> None:
    visitor = over.visitor("utility")
    fills = {(row["slot_start_s"], row["order"]): int(row["filled_wh"]) for row in rows_of(over, "fills.csv")}
    buys = {row["order"] for row in rows_of(over, "orders.csv") if row["side"] == "buy"}
    bought = sum(wh for (_, order), wh in fills.items() if order in buys)

    area = over.wait_for(
        lambda: row if (row := visitor.rows("/api/v1/areas")[0])["settled"] == SLOTS else None, "settled slots"
    )

    assert area["volume_wh"] == bought
    assert area["missing"] == 0


def test_the_lowest_voltage_is_the_one_of_the_power_flow(over: LiveDemo) -> None:
    world = demo_world(households=HOUSEHOLDS, slots=SLOTS, seed=7)
    visitor = over.visitor("utility")
    slots = over.wait_for(
        lambda: (
            rows if len(rows := visitor.rows("/api/v1/areas/A1/slots")) >= SLOTS and rows[SLOTS - 1]["orders"] else None
        ),
        "slots",
    )

    shown_v = [row["voltage_milli_min"] / 1000 for row in slots[:SLOTS]]

    assert shown_v == pytest.approx((world.voltage_pu_min[:, 0] * RATED_PHASE_V).tolist(), abs=0.5)
    assert len(set(shown_v)) > 1, "it is no constant"


def test_a_reading_corrected_after_the_day_is_settled_at_once_and_no_slot_behind_the_day_is(over: LiveDemo) -> None:
    last = rows_of(over, "registers.csv")[-1]
    number, meter = next(
        found for found in enumerate(rows_of(over, "meters.csv")) if found[1]["meter"] == last["meter"]
    )
    higher_wh = int(last["import_wh"]) + int(meter["resolution_wh"])
    run = over.out / "run"
    node = tomllib.loads((run / "web.toml").read_text())["node"]
    words = ["metering", "approve", "--url", node, "--signer", "utility", "--reason", "read at the meter"]
    key = ["--key", f"file:{run / 'utility.pem'}", "--password", f"file:{run / 'utility.password'}"]
    where = ["--installation", str(number), "--boundary", last["boundary_s"]]
    register = ["--import-wh", str(higher_wh // int(meter["ratio"])), "--export-wh", "0"]
    done = subprocess.run([EXECUTABLE, *words, *key, *where, *register], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    visitor = over.visitor("utility")

    def corrected() -> list[dict[str, Any]]:
        return [row for row in visitor.rows("/api/v1/areas/A1/runs") if row["last_run"] == "correction-1"]

    (row,) = over.wait_for(lambda: corrected() or None, "correction")
    assert row["slot_start_s"] == int(last["boundary_s"]) - checks.SLOT_S
    assert row["difference_nano"] > 0
    assert visitor.rows("/api/v1/areas")[0]["settled"] == SLOTS, "nothing is settled that nobody has simulated"


def test_killed_pages_are_started_again_at_the_same_address(over: LiveDemo) -> None:
    before = over.pid("web")

    os.kill(before, signal.SIGKILL)
    after = over.wait_for(lambda: pid if (pid := read_pid(over.out, "web")) != before else None, "new process")

    assert after != before
    over.wait_for_pages()
    visitor = over.visitor("utility")
    assert visitor.rows("/api/v1/areas")[0]["settled"] == SLOTS, "what was projected is still there"


def test_the_pages_own_key_reads_and_writes_nothing(over: LiveDemo) -> None:
    config = (over.out / "run" / "web.toml").read_text()

    assert 'signer = "web"' in config
    assert "demo = true" in config
    assert 'host = "127.0.0.1"' in config
    key = over.out / "run" / "web.pem"
    assert key.stat().st_mode & 0o077 == 0
    assert b"ENCRYPTED PRIVATE KEY" in key.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_the_day_ctrl_c_and_sigterm_end_it_well(tmp_path: Path, number: signal.Signals) -> None:
    with live_demo(tmp_path / "out", "--json", households=HOUSEHOLDS, slots=2) as demo:
        url = demo.url(lambda: demo.stderr)
        answer = demo.wait_for(lambda: json.loads(demo.stdout) if demo.stdout.endswith("}\n") else None, "JSON")

        assert answers(url)
        assert demo.end(number) == 0

        assert list(answer) == [*checks.JSON_KEYS, "url"]
        assert answer["url"] == url
        assert len(demo.stdout.splitlines()) == 1
        demo.check_nothing_is_left()


# ------------------------------------------------------------------------------------------------------------ bad input


def test_a_port_that_is_taken_is_refused_in_one_line_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        command = demo_command(tmp_path / "out", "--port", port, households=HOUSEHOLDS, slots=SLOTS, headless=False)

        done = run_bad(command)

    assert f"--port {port}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_port_without_pages_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run_bad(demo_command(tmp_path / "out", "--port", "7080", households=HOUSEHOLDS, slots=SLOTS))

    assert "--port" in done.stderr
    assert not (tmp_path / "out").exists()


def rows_of(demo: LiveDemo, name: str) -> list[dict[str, str]]:
    """Rows of one of its CSV files."""
    return Finished(demo.out, 0, "", "", 0.0).rows(name)
