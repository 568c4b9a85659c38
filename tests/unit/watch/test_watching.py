"""The watch beside a running node: what is told of two looks at a growing ledger, and that its copy is one of the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.watching import news_of
from gridwatch.alerts import Alert


def gap(meter: str) -> Alert:
    """A meter without readings."""
    return Alert(1800, "gaps", meter, 900, 1800, 2, 1, ())


def test_what_is_new_is_told_once_and_what_late_readings_fill_is_withdrawn() -> None:
    first = news_of(4, 1, [], [gap("M-1"), gap("M-2")])
    assert (first.found, first.withdrawn) == ((gap("M-1"), gap("M-2")), ())
    second = news_of(5, 1, first.standing, [gap("M-2"), gap("M-3")])
    assert (second.found, second.withdrawn) == ((gap("M-3"),), (gap("M-1"),))
    assert second.standing == (gap("M-2"), gap("M-3"))
    third = news_of(6, 1, second.standing, second.standing)
    assert (third.found, third.withdrawn) == ((), ())


def test_a_folder_without_a_ledger_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["watch", "follow", "--once", "--data", str(tmp_path / "none"), "--copy", str(tmp_path / "copy")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "none") in said
    assert said.count("\n") == 1
    assert not (tmp_path / "copy").exists()
