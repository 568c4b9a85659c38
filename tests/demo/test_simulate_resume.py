"""A run that is killed with -9 goes on with --resume, and one that is stopped with Ctrl-Z with fg: to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.demo.resuming import BOUNDARY, KEYS, ORDERS
from gridledger.simulating.begun import BEGUN
from gridledger.simulating.manifest import FILES
from tests.demo.demo_run import EXECUTABLE, Finished, processes_of, run_simulation
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 5
POLL_S = 0.01
PATIENCE_S = 300.0
STUCK = '\n[[events]]\nlabel = "a stuck"\nkind = "stuck"\ntarget = "M-H005"\nfrom_slot = 2\nuntil_slot = 4\n'
MOMENTS = (
    (f"run/{BEGUN}", b""),
    (f"run/{KEYS}", b""),
    (f"run/{ORDERS}", b""),
    (f"run/{BOUNDARY}", b"2"),
    ("registers.csv", b""),
)
"""A file of the folder and how it begins: while it is laid out, before the node answers, at the first orders, at a boundary, while tables are written."""


def scenario_in(folder: Path) -> str:
    """The begin of a day in the village, with a register that stands still meanwhile."""
    path = Path(short_copy("village_day", folder, SLOTS))
    path.write_text(path.read_text() + STUCK)
    return str(path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return run_simulation(folder / "out", scenario_in(folder))


def start(out: Path, scenario: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a run that somebody will disturb."""
    command = [str(EXECUTABLE), "simulate", "run", scenario, "--out", str(out), "--json", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(process: subprocess.Popen[bytes], path: Path, content: bytes = b"") -> None:
    """Wait until a file of a run is there and begins with ``content``."""
    give_up = time.monotonic() + PATIENCE_S
    while not (path.exists() and path.read_bytes().startswith(content)):
        assert process.poll() is None, f"ended with {process.returncode} before {path}"
        assert time.monotonic() < give_up, path
        time.sleep(POLL_S)


def check_same(resumed: Finished, undisturbed: Finished) -> None:
    """Both came to the same, byte for byte."""
    assert resumed.json["results_root"] == undisturbed.json["results_root"]
    for name in FILES:
        if (undisturbed.out / name).exists():
            assert (resumed.out / name).read_bytes() == (undisturbed.out / name).read_bytes(), name
    assert processes_of(resumed.out) == []


def test_a_run_that_is_killed_again_and_again_goes_on_to_the_same_bytes(undisturbed: Finished, tmp_path: Path) -> None:
    out, scenario = tmp_path / "out", scenario_in(tmp_path)
    log, genesis = out / "ledger" / "blocks.log", out / "ledger" / "genesis.cbor"
    kept = genesis_kept = b""
    for name, content in MOMENTS:
        process = start(out, scenario, "--resume")
        wait_for(process, out / name, content)
        process.kill()
        process.wait()
        if name == f"run/{BOUNDARY}":
            kept, genesis_kept = log.read_bytes(), genesis.read_bytes()
    last = run_simulation(out, scenario, "--resume")
    check_same(last, undisturbed)
    assert len(kept) > 1_000
    assert log.read_bytes().startswith(kept[: len(kept) // 2]), "it did not begin anew"
    assert genesis.read_bytes() == genesis_kept


def test_a_run_that_is_stopped_with_ctrl_z_goes_on_when_it_may(undisturbed: Finished, tmp_path: Path) -> None:
    out, scenario = tmp_path / "out", scenario_in(tmp_path)
    process = start(out, scenario)
    wait_for(process, out / "run" / BOUNDARY)
    process.send_signal(signal.SIGTSTP)
    pid, status = os.waitpid(process.pid, os.WUNTRACED)
    assert (pid, os.WIFSTOPPED(status)) == (process.pid, True)
    shown = (out / "run" / BOUNDARY).read_bytes()
    time.sleep(1.0)
    assert (out / "run" / BOUNDARY).read_bytes() == shown, "nothing goes on"
    process.send_signal(signal.SIGCONT)
    assert process.wait(PATIENCE_S) == 0
    root = json.loads((out / "manifest.json").read_text())["results_root"]
    assert root == undisturbed.json["results_root"]


def test_what_cannot_be_resumed_is_one_line(
    undisturbed: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(undisturbed.out, out)
    scenario = scenario_in(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    for words, said in (
        (["--out", str(out), "--resume", "--seed", "8"], "was begun with another scenario, grid, rules or seed"),
        (["--out", str(other), "--resume"], "holds no run that was killed"),
        (["--out", str(out)], "is not empty"),
    ):
        assert main(["simulate", "run", scenario, *words]) == 2
        line = capsys.readouterr().err
        assert said in line
        assert line.count("\n") == 1
    assert (other / "notes.txt").read_text() == "mine"
