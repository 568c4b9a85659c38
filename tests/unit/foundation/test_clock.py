from __future__ import annotations

import pytest

from gridcore.clock import Clock, ManualClock, WallClock, monotonic_ms, wall_ms
from gridcore.errors import UsageError


def test_wall_clock_gives_whole_utc_seconds() -> None:
    clock: Clock = WallClock()
    first = clock.now_s()
    assert type(first) is int
    assert first > 1_700_000_000
    assert clock.now_s() >= first


def test_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(900)
    assert clock.now_s() == clock.now_s() == 900
    clock.advance_to(1800)
    clock.advance_to(1800)
    assert clock.now_s() == 1800


def test_manual_clock_going_back_is_refused() -> None:
    clock = ManualClock(1800)
    with pytest.raises(UsageError, match="cannot go back to 900"):
        clock.advance_to(900)
    assert clock.now_s() == 1800


def test_milliseconds_are_those_of_the_wall_clock_and_of_one_that_never_jumps() -> None:
    before_s = WallClock().now_s()
    assert before_s <= wall_ms() // 1000 <= WallClock().now_s()
    first_ms = monotonic_ms()
    assert first_ms <= monotonic_ms()
