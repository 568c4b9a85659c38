"""What a Modbus reader gives beside registers: a meter's serial number and its clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edge.blocks import plan_reads
from edge.readers import QuarantinedError
from edge.readers.modbus import ModbusMeter
from firmware_profiles import ModbusProfile, load_profile
from firmware_profiles.modbus import ModbusClock
from gridcore.clock import wall_ms

SDM = load_profile("eastron_sdm630", kind=ModbusProfile)
ZONE_S = 7200


class Clockwork:
    """A line with one meter whose clock says what it is told."""

    def __init__(self, words: Sequence[int]) -> None:
        self.words = words
        self.asked: list[tuple[int, int, int]] = []

    async def read_words(
        self,
        unit_id: int,
        function_code: int,
        address: int,
        count: int,
        *,
        timeout_ms: int = 1000,
        min_gap_ms: int = 0,
        until_ms: float = float("inf"),
    ) -> Sequence[int]:
        self.asked.append((function_code, address, count))
        return self.words


def _meter(line: Clockwork, clock: ModbusClock | None) -> ModbusMeter:
    profile = replace(SDM, modbus=replace(SDM.modbus, clock=clock))
    return ModbusMeter(line, "M", 1, profile, plan_reads(SDM), clock_zone_s=ZONE_S)


FIELDS = ModbusClock(address=0x40, fields=("year", "month", "day", "hour", "minute", "second"), function_code=3)


@pytest.mark.parametrize("ahead_s", [0, 90, -4000])
async def test_clock_that_shows_local_time_is_compared_with_ours(ahead_s: int) -> None:
    shown = datetime.now(UTC) + timedelta(seconds=ZONE_S + ahead_s)
    line = Clockwork([shown.year, shown.month, shown.day, shown.hour, shown.minute, shown.second])
    seen_s = await _meter(line, FIELDS).read_clock_ahead(float("inf"))
    assert seen_s is not None
    assert abs(seen_s - ahead_s) <= 5
    assert line.asked == [(3, 0x40, 6)]


async def test_clock_in_utc_knows_no_zone() -> None:
    now_s = wall_ms() // 1000
    clock = ModbusClock(address=0x40, fields=("unix_s",), zone="utc", function_code=3)
    seen_s = await _meter(Clockwork([now_s >> 16, now_s & 0xFFFF]), clock).read_clock_ahead(float("inf"))
    assert seen_s is not None
    assert abs(seen_s) <= 5


async def test_clock_that_shows_no_date_is_quarantined_and_one_that_nobody_knows_is_none() -> None:
    with pytest.raises(QuarantinedError, match="M: clock: the meter's clock shows no date and time"):
        await _meter(Clockwork([2026, 13, 1, 0, 0, 0]), FIELDS).read_clock_ahead(float("inf"))
    assert await _meter(Clockwork([]), None).read_clock_ahead(float("inf")) is None


async def test_serial_number_that_was_never_set_is_none() -> None:
    """Two such meters are not one meter that answers twice."""
    abb = load_profile("abb_b23", kind=ModbusProfile)
    meter = ModbusMeter(Clockwork([0xFFFF, 0xFFFF]), "M", 1, abb, plan_reads(abb))
    assert await meter.read_serial(float("inf")) == ""
