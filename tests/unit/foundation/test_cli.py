from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gridcore.errors import GridError, InvariantError, UsageError
from gridledger import __version__
from gridledger.cli import ARGUMENT_CHARACTERS_MAX, COMMANDS, LINE_CHARACTERS_MAX, build_parser, main
from gridledger.commands import print_result, whole_number

COMMAND_FOLDER = Path(__file__).resolve().parents[3] / "gridledger" / "commands"
COMMAND_FILES = [*COMMAND_FOLDER.glob("[!_]*.py"), *(path.parent for path in COMMAND_FOLDER.glob("*/__init__.py"))]
BUILT = {path.stem for path in COMMAND_FILES}


class UndecidedError(GridError):
    exit_status = 3


class Planted:
    """A command that does what the test wants."""

    EXAMPLE = "gridledger planted run"

    def __init__(self, work: Callable[[argparse.Namespace], int]) -> None:
        self.run = work

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("run").add_argument("--days", type=whole_number(1, 31), default=1)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[argparse.Namespace], int]], None]:
    def plant_work(work: Callable[[argparse.Namespace], int]) -> None:
        monkeypatch.setitem(COMMANDS, "planted", "a planted command")
        monkeypatch.setitem(sys.modules, "gridledger.commands.planted", Planted(work))

    monkeypatch.setattr("gridcore.logs.configure_logs", lambda **_: None)
    return plant_work


Plant = Callable[[Callable[[argparse.Namespace], int]], None]


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def work(_: argparse.Namespace) -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("edge.toml: poll.ms is missing"), 2, "edge.toml: poll.ms is missing"),
        (GridError("gateway gw1: receipt does not verify"), 1, "gateway gw1: receipt does not verify"),
        (UndecidedError("no trust root"), 3, "no trust root"),
        (
            FileNotFoundError(2, "No such file or directory", "/nowhere/x"),
            2,
            "gridledger: /nowhere/x: No such file or directory",
        ),
        (OSError(98, "Address already in use"), 2, "gridledger: Address already in use"),
        (ModuleNotFoundError("No module named 'numpy'", name="numpy.core"), 2, "'numpy' is not installed"),
    ],
)
def test_error_becomes_one_line_and_its_exit_status(
    plant: Plant, capsys: pytest.CaptureFixture[str], error: Exception, status: int, line: str
) -> None:
    plant(raising(error))
    assert main(["planted", "run"]) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert line in output.err
    assert output.err.count("\n") == 1
    assert main(["planted", "run", "--json"]) == status
    assert line in json.loads(capsys.readouterr().out)["error"]


def test_fault_of_our_own_keeps_its_traceback_and_is_no_negative_answer(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (
        KeyError("x"),
        InvariantError("debits equal credits"),
        ModuleNotFoundError("x", name="ledger.nothing"),
    ):
        plant(raising(error))
        assert main(["planted", "run"]) == 70
        assert "Traceback" in capsys.readouterr().err


def test_interrupt_is_quiet(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    plant(raising(KeyboardInterrupt()))
    assert main(["planted", "run"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "words", [["--json", "planted", "run"], ["planted", "--json", "run"], ["planted", "run", "--json"]]
)
def test_common_options_count_wherever_they_stand(plant: Plant, words: list[str]) -> None:
    seen: list[argparse.Namespace] = []

    def work(args: argparse.Namespace) -> int:
        seen.append(args)
        return 0

    plant(work)
    assert main(words) == 0
    assert main(["planted", "--log-level", "debug", "run"]) == 0
    assert seen[0].json is True
    assert (seen[1].json, seen[1].log_level) == (False, "debug")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["plantde", "run"], "did you mean 'planted'?"),
        (["zzzz"], "commands: demo"),
        (["--zzz"], "unknown option --zzz"),
        (["planted"], "the following arguments are required: action"),
        (["planted", "run", "--day", "3"], "unrecognized arguments: --day 3"),
        (
            ["planted", "\udcff\udcfe"],
            r"argument '\udcff\udcfe': is not in utf-8; write texts, and name files, in utf-8",
        ),
        (["planted", "run", "--days", "32"], "argument --days: '32' is not a whole number from 1 to 31"),
        (["planted", "run", "--days", "1.5"], "'1.5' is not a whole number"),
        (["planted", "run", "--days", "٣"], "is not a whole number"),
        (["planted", "run", "--days=--3"], "is not a whole number from 1 to 31"),
        (["planted", "run", "--days", 5000 * "9"], "99... is not a whole number from 1 to 31"),
        (["planted", "run", "--days", ""], "gridledger: --days: is empty; give a value, or leave it out"),
        (["planted", "run", "--days="], "gridledger: --days: is empty; give a value, or leave it out"),
        (["planted", ""], "gridledger: argument 2: is empty; give a value, or leave it out"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    plant: Plant, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    plant(raising(AssertionError("must not run")))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


def test_a_line_that_quotes_what_a_terminal_would_obey_shows_it_escaped(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(raising(UsageError("表 \x1b[31m\r\x00\udcff: no name\nof a point")))
    assert main(["planted", "run"]) == 2
    assert capsys.readouterr().err == "表 \\x1b[31m\\r\\x00\\udcff: no name of a point\n"


def test_a_result_that_repeats_what_others_wrote_shows_control_characters_escaped(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(args: argparse.Namespace) -> int:
        print_result(args, {}, "表\t1\n\x1b]0;owned\x07\x9b2J")
        return 0

    plant(work)
    assert main(["planted", "run"]) == 0
    assert capsys.readouterr().out == "表\t1\n\\x1b]0;owned\\x07\\x9b2J\n"


def test_a_line_that_quotes_thousands_of_characters_keeps_its_beginning_and_its_end(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(raising(UsageError(LINE_CHARACTERS_MAX * "x")))
    assert main(["planted", "run"]) == 2
    assert capsys.readouterr().err == f"{LINE_CHARACTERS_MAX * 'x'}\n"
    plant(raising(UsageError(f"--area {LINE_CHARACTERS_MAX * 'x'}: is no area")))
    assert main(["planted", "run"]) == 2
    line = capsys.readouterr().err
    assert (line.startswith("--area xx"), line.endswith("xx: is no area\n")) == (True, True)
    assert len(line) == LINE_CHARACTERS_MAX + len("...\n")


@pytest.mark.parametrize("words", [["--log-level", 5000 * "z"], [f"--log-level={5000 * 'z'}"]])
def test_a_line_that_repeats_a_long_argument_cuts_it_and_says_what_would_be_right(
    plant: Plant, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    plant(raising(AssertionError("must not run")))
    assert main(["planted", "run", *words]) == 2
    half = ARGUMENT_CHARACTERS_MAX // 2
    assert f"{half * 'z'}..." in (line := capsys.readouterr().err)
    assert line.endswith("(choose from 'debug', 'info', 'warning', 'error') (see gridledger planted run --help)\n")
    assert len(line) < 2 * ARGUMENT_CHARACTERS_MAX


@pytest.mark.parametrize("sign", ["\x1b", "\udcff", "\U000e0001"])
def test_a_line_of_signs_that_are_escaped_is_not_longer_than_any_other(
    plant: Plant, capsys: pytest.CaptureFixture[str], sign: str
) -> None:
    plant(raising(UsageError(f"--area {LINE_CHARACTERS_MAX * sign}: is no area")))
    assert main(["planted", "run"]) == 2
    line = capsys.readouterr().err
    assert (line.startswith(f"--area {ascii(sign)[1:-1]}"), line.endswith(": is no area\n")) == (True, True)
    assert len(line) == LINE_CHARACTERS_MAX + len("...\n")


def test_ideographic_and_no_break_spaces_of_a_file_name_are_printed_as_they_are(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(raising(UsageError("电表\u3000读数\u00a01.csv: is not there")))
    assert main(["planted", "run"]) == 2
    assert capsys.readouterr().err == "电表\u3000读数\u00a01.csv: is not there\n"


def test_no_command_shows_the_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: gridledger" in capsys.readouterr().err


def test_help_and_version_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gridledger {__version__}\n"
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.rstrip().splitlines()[-2:] == [
        "example:",
        "  gridledger demo --headless --days 1 --households 12 --seed 7",
    ]


def test_commands_and_modules_are_the_same_list() -> None:
    assert set(COMMANDS) == BUILT


@pytest.mark.parametrize("name", sorted(BUILT))
def test_every_help_ends_with_an_example_of_its_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser, _ = build_parser(name)
    inner = [
        choice
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for choice in action.choices
    ]
    for words in [[name, "--help"], *([name, choice, "--help"] for choice in inner)]:
        assert main(words) == 0
        lines = capsys.readouterr().out.rstrip().splitlines()
        assert "example:" in lines[-3:]
        assert lines[-1].lstrip().startswith("gridledger " + name)


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from gridledger.cli import main; main(['--help']); print(sorted(m for m in sys.modules if m in sys.argv))"
    heavy = ["numpy", "structlog", "cryptography", "quart", "pymodbus", "asyncio", "ctypes"]
    done = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_of_a_command_and_a_check_of_a_scenario_load_no_more_than_they_need() -> None:
    program = """
import sys
from gridledger.cli import COMMANDS, main
loaded = []
for words in [*([name, "--help"] for name in COMMANDS if name != "bench"), ["simulate", "check", "village_day"]]:
    assert main(words) == 0
    loaded += [f"{words}: {name}" for name in sys.argv[1:] if name in sys.modules]
    if "check" not in words and "numpy" in sys.modules:
        loaded.append(f"{words}: numpy")
print(loaded)
"""
    heavy = ["quart", "hypercorn", "httpx", "pymodbus", "ledger.application", "gridledger.settling.chain"]
    done = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_closed_pipe_leaves_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "gridledger", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141
