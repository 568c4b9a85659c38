"""An answer that cannot be written is never taken for "not verified": exit status 2 and, where possible, one line on stderr."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gridcore import verify
from tests.unit.verify.honest import TRADE

ALONE = [sys.executable, "-I", "-S", "verify.py"]
COMMAND = [sys.executable, "-m", "gridledger.cli", "verify"]
PROGRAMS = pytest.mark.parametrize("program", [ALONE, COMMAND], ids=["alone", "gridledger"])
ROOT = Path(verify.__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good bundle, its trust root, and the verifier."""
    folder = tmp_path_factory.mktemp("output")
    (folder / "sample.evd").write_bytes(TRADE.bundle_bytes)
    (folder / "trust.json").write_bytes(TRADE.trust_bytes)
    shutil.copyfile(verify.__file__, folder / "verify.py")
    return folder


def run_in_shell(folder: Path, program: list[str], redirection: str, *options: str) -> tuple[int, str]:
    """Exit status and stderr of a good bundle's check whose output the shell redirects."""
    command = ["sh", "-c", f'"$@" {redirection}', "sh", *program, "sample.evd", "--trust", "trust.json", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@PROGRAMS
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "1</dev/null"])
def test_unusable_stdout_is_said_and_is_no_answer(folder: Path, program: list[str], redirection: str) -> None:
    status, errors = run_in_shell(folder, program, redirection)
    assert status == 2, errors
    assert errors.count("\n") == 1, errors
    assert "cannot be written" in errors


@PROGRAMS
def test_json_that_cannot_be_written_is_no_answer(folder: Path, program: list[str]) -> None:
    status, errors = run_in_shell(folder, program, ">/dev/full", "--json")
    assert (status, errors.count("\n")) == (2, 1), errors


@PROGRAMS
def test_neither_stdout_nor_stderr_leaves_the_exit_status(folder: Path, program: list[str]) -> None:
    assert run_in_shell(folder, program, ">/dev/full 2>&1") == (2, "")


def test_closed_stdout_and_stderr_leave_the_exit_status(folder: Path) -> None:
    assert run_in_shell(folder, ALONE, ">&- 2>&-") == (2, "")


@PROGRAMS
def test_a_reader_that_went_away_is_no_answer(folder: Path, program: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        command = [*program, "sample.evd", "--trust", "trust.json"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, check=False, cwd=folder, env=environment, stdout=write_end, stderr=subprocess.PIPE, timeout=60
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
