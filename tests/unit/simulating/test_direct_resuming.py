"""A run without agents that is killed goes on with its ledger, and its files are those of a run that nobody killed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.cli import EXIT_INTERRUPTED, main
from gridledger.commands import simulate as command_module
from gridledger.simulating.begun import BEGUN
from gridledger.simulating.direct import DirectPlan, run_direct
from gridledger.simulating.experiment import simulate
from gridledger.simulating.own_traders import Adaptive, Told
from simulators.grid.gates import Gate
from simulators.grid.households import OrderIntent, orders_of_slot
from simulators.grid.world import World
from simulators.scenarios.gallery import find_scenario

DAYS = 3
KILLED = """
import os, signal, sys
from pathlib import Path
from gridledger.settling.chain import importing
from gridledger.simulating import direct
from simulators.scenarios.gallery import find_scenario
scenario, out, at, has_bills = sys.argv[1:]
blocks = 0

def kill(line):
    global blocks
    blocks += line.startswith("settled")
    if line.startswith(at) or at == f"block {blocks}":
        os.kill(os.getpid(), signal.SIGKILL)

if at == "founding":
    importing.found_ledger = lambda *_: kill(at)
plan = direct.DirectPlan(Path(out), find_scenario(scenario), has_bills=has_bills == "bills")
direct.run_direct(plan, kill)
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some days of the village: each is a block of its own."""
    path = tmp_path_factory.mktemp("scenario") / "days.toml"
    found = find_scenario("village_day")
    text = found.data.decode().replace("days = 1\n", f"days = {DAYS}\n")
    assert f"days = {DAYS}" in text
    path.write_text(text)
    table = found.scenario.grid.table
    assert table is not None
    path.with_name(table.name).write_bytes(table.read_bytes())
    return path


def digests(out: Path) -> dict[str, str]:
    """Of all its tables and its report."""
    found: dict[str, str] = json.loads((out / "manifest.json").read_text())["sm3"]
    return found


@pytest.fixture(scope="module")
def undisturbed(scenario: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody kills."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run_direct(DirectPlan(out, find_scenario(str(scenario)), has_bills=False), lambda _: None)
    return out


def killed(scenario: Path, out: Path, at: str, bills: str = "none") -> Path:
    """A run that ends with kill -9 when it comes to ``at``; the folder that it worked in."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(scenario), str(out), at, bills], check=False)
    assert done.returncode == -9
    assert not out.exists()
    return out.with_name(f".{out.name}.unfinished")


@pytest.mark.parametrize("at", ["founding", "block 4", "writing"])
def test_a_run_that_was_killed_goes_on_and_comes_to_the_same_files(
    scenario: Path, undisturbed: Path, tmp_path: Path, at: str
) -> None:
    out = tmp_path / "out"
    genesis = killed(scenario, out, at) / "settlement" / "ledger" / "genesis.cbor"
    assert genesis.exists() == (at != "founding")
    founded = genesis.read_bytes() if genesis.exists() else b""
    assert main(["simulate", "run", str(scenario), "--direct", "--no-bills", "--resume", "--out", str(out)]) == 0
    assert digests(out) == digests(undisturbed)
    assert {path.name for path in out.iterdir()} == {path.name for path in undisturbed.iterdir()}
    gone_on = (out / "settlement" / "ledger" / "genesis.cbor").read_bytes()
    assert (gone_on == founded) == (at != "founding"), "its keys and salts are drawn: only the same ledger has the same"


def test_one_with_bills_goes_on_too(scenario: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    left = killed(scenario, out, "block 4", "bills")
    (left / "settlement" / "statements.csv").write_text("half of it")
    command = ["simulate", "run", str(scenario), "--direct", "--out"]
    assert main([*command, str(out), "--resume"]) == 0
    assert main([*command, str(whole)]) == 0
    assert digests(out) == digests(whole)
    for name in ("statements.csv", "postings.csv", "participants.csv"):
        assert (out / "settlement" / name).read_bytes() == (whole / "settlement" / name).read_bytes()


def test_a_run_that_ctrl_c_stops_says_how_it_goes_on_and_does(
    scenario: Path,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    command = ["simulate", "run", str(scenario), "--direct", "--no-bills", "--out", str(out)]

    def stop(line: str) -> None:
        if line.startswith("settled"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(command_module, "print_progress", stop)
        assert main(command) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "stopped; the same command with --resume goes on\n"
    assert [path.name for path in tmp_path.iterdir()] == [".out.unfinished"]
    genesis = tmp_path / ".out.unfinished" / "settlement" / "ledger" / "genesis.cbor"
    founded = genesis.read_bytes()
    assert main([*command, "--resume"]) == 0
    assert capsys.readouterr().err == ""
    assert digests(out) == digests(undisturbed)
    assert (out / "settlement" / "ledger" / "genesis.cbor").read_bytes() == founded


def dearer(told: list[Gate | None], more: int = 1) -> Adaptive:
    """Homes that ask and offer more by ``more`` with each gate that they are told of."""

    def begin(world: World) -> Told:
        def ask(slot: int, gate: Gate | None) -> list[OrderIntent]:
            told.append(gate)
            plain = orders_of_slot(world, slot)
            return [replace(order, price_micro_per_kwh=order.price_micro_per_kwh + more * len(told)) for order in plain]

        return ask

    return Adaptive(begin)


def test_a_run_of_traders_that_learn_goes_on_and_they_are_told_all_gates_again(tmp_path: Path) -> None:
    out, slots, told = tmp_path / "out", 6, list[Gate | None]()
    whole = simulate("village_day", tmp_path / "whole", slots=slots, traders=dearer(told))
    found = find_scenario("village_day").sized(slots=slots)

    def stop_at(block: int) -> None:
        blocks = iter(range(block))

        def stop(line: str) -> None:
            if line.startswith("settled") and next(blocks, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_direct(DirectPlan(out, found, has_bills=False, orders=dearer([]), goes_on=True), stop)

    for block in (4, 3):
        stop_at(block)
    with pytest.raises(UsageError, match="traders: slot 0: they do not order what the ledger has of it"):
        simulate("village_day", out, slots=slots, traders=dearer([], more=2), resume=True)
    stop_at(5)
    again = list[Gate | None]()
    gone_on = simulate("village_day", out, slots=slots, traders=dearer(again), resume=True)
    assert again == told
    assert gone_on.settled.parties() == whole.settled.parties()
    assert digests(out) == digests(tmp_path / "whole")


def test_where_nothing_was_begun_it_begins_and_what_another_run_left_is_not_touched(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    left = killed(scenario, out, "block 2")
    command = ["simulate", "run", str(scenario), "--direct", "--no-bills", "--out", str(out)]
    for more in (["--resume", "--seed", "8"], ["--resume", "--direct"]):
        words = command if more[-1] != "--direct" else [word for word in command if word != "--no-bills"]
        assert main([*words, *more]) == 2
        line = capsys.readouterr().err
        assert "was begun with another scenario, seed or other options" in line
        assert line.count("\n") == 1
    assert (left / BEGUN).exists()
    assert main(command) == 0, "without --resume it begins anew"
    assert not left.exists()
    assert capsys.readouterr().err == ""
    assert main([*command[:-1], str(tmp_path / "fresh"), "--resume"]) == 0
    said = f"--resume: --out {tmp_path / 'fresh'}: there is nothing to go on with; the run begins at its first slot\n"
    assert capsys.readouterr().err == f"gridledger simulate run: {said}"
