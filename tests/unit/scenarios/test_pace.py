"""How fast simulated time may pass: measured with a clock of the test's, never with the wall's."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.demo.pace import Pace


@pytest.mark.parametrize(
    ("factor", "waits"), [(60, [0.0, 15.0, 12.0]), (1, [0.0, 900.0, 1797.0]), (900, [0.0, 1.0, 0.0])]
)
async def test_each_boundary_waits_for_its_moment_after_the_first(
    factor: int, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    moments = iter([100.0, 100.0, 103.0 if factor == 1 else 118.0])
    pace = Pace(factor, clock=lambda: next(moments))
    for index in range(3):
        await pace.wait_for(1_781_971_200 + 900 * index)
    assert slept == waits


async def test_without_a_factor_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "sleep", None)
    await Pace(None).wait_for(1)
    await Pace(None).wait_for(10**12)
