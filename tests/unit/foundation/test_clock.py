from __future__ import annotations

from gridcore.clock import Clock, WallClock, monotonic_ms, wall_ms


def test_wall_clock_gives_whole_utc_seconds() -> None:
    clock: Clock = WallClock()
    first = clock.now_s()
    assert type(first) is int
    assert first > 1_700_000_000
    assert clock.now_s() >= first


def test_milliseconds_are_those_of_the_wall_clock_and_of_one_that_never_jumps() -> None:
    before_s = WallClock().now_s()
    assert before_s <= wall_ms() // 1000 <= WallClock().now_s()
    first_ms = monotonic_ms()
    assert first_ms <= monotonic_ms()
