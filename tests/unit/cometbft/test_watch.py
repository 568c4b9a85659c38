"""What a validator is told of its own machine: a clock that is off, a key that another node has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.engines.cometbft.watch import ClockWatch
from simulators.consensus.founding import START_S
from tests.worlds.clocks import ManualClock
from tests.worlds.quartet import quartet


def test_clock_that_is_off_is_said_once_and_once_that_it_is_right_again(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock(10_000)
    watch = ClockWatch(clock)
    for ahead_s in (2, 3_600, 3_601, 3, -7_200, 0):
        clock.set_wrong(10_000 + ahead_s)
        watch.compare(10_000)
    told = [line.partition("event='")[2].partition("'")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["clock_is_off", "clock_is_right", "clock_is_off", "clock_is_right"]


def test_signature_by_the_own_key_that_the_guard_does_not_know_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with quartet(tmp_path) as four:
        for step in range(3):
            four.decide([four.clock(START_S + 1 + step)])
        home = four.homes[3]
        guard = next((tmp_path / "node-3").rglob("guard"))
        shutil.copy(guard, tmp_path / "old")
        for step in range(3, 6):
            four.decide([four.clock(START_S + 1 + step)])
        assert "key_signs_elsewhere" not in capsys.readouterr().err
        home.close()
        shutil.copy(tmp_path / "old", guard)
        four.machines[3] = type(four.machines[3])(home.open())
        block = four.block(four.prepare())
        four.machines[3].finalize(block)
    assert "another node signs with this node's key, or an old guard was put back" in capsys.readouterr().err
