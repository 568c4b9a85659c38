"""How a reading is taken, against scripted lines: the double reading, absences, order of tries, pauses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.drivers.modbus import (
    DeviceRefusedError,
    LineConfig,
    LineDownError,
    LineError,
    ModbusLine,
    NoAnswerError,
    WrongAnswerError,
)
from edge.meters import Meter, MeterConfig, MeterLine, SamplePolicy, build_lines
from edge.sampling import OFFSET_MS_MAX, QuarantinedError, read_meter, sample_boundary
from firmware_profiles import Profile, load_profile
from gridcore.errors import UsageError
from gridcore.quality import FLAG_LATE
from simulators.meters.registers import Quantities, RegisterImage

SDM = load_profile("eastron_sdm630")
ACREL = load_profile("acrel_adl400")
POLICY = SamplePolicy()


class Ticks:
    """A clock that moves only when told to; sleeping tells it."""

    def __init__(self) -> None:
        self.now_ms = 1000.0
        self.pauses_s: list[float] = []

    def __call__(self) -> float:
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        self.now_ms += seconds * 1000.0


Answer = Callable[[int, int, int, int], Sequence[int]]


@dataclass
class ScriptedLine(ModbusLine):
    """A line whose answers come from functions, by unit id; a request takes ``cost_ms``."""

    units: dict[int, Answer]
    clock: Ticks = field(default_factory=Ticks)
    cost_ms: float = 5.0
    asked: list[int] = field(default_factory=list)

    async def read_words(
        self, unit_id: int, function_code: int, address: int, count: int, *, timeout_ms: int = 1000, min_gap_ms: int = 0
    ) -> Sequence[int]:
        self.clock.now_ms += self.cost_ms
        self.asked.append(unit_id)
        return self.units[unit_id](unit_id, function_code, address, count)


def _words(image: RegisterImage, function_code: int, address: int, count: int) -> tuple[int, ...]:
    data = image.read(function_code, address, count)
    if data is None:
        raise DeviceRefusedError("no such register", 2)
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def _showing(profile: Profile, *states: tuple[int, int]) -> Answer:
    """Answer each request from the next of ``states`` (import, export); the last one stays."""
    image = RegisterImage(profile)
    left = list(states)

    def answer(_unit: int, function_code: int, address: int, count: int) -> Sequence[int]:
        image.show(Quantities(*(left.pop(0) if len(left) > 1 else left[0])))
        return _words(image, function_code, address, count)

    return answer


def _failing(error: Exception) -> Answer:
    def answer(*_: int) -> Sequence[int]:
        raise error

    return answer


def _meter(profile: Profile = SDM, number: int = 1, limit_wh: int = 5000) -> Meter:
    config = MeterConfig(number, f"M{number}", "L", number, profile.id, limit_wh)
    (line,) = build_lines([LineConfig("L", "127.0.0.1")], [config], {profile.id: profile})
    return line.meters[0]


def _line(units: dict[int, Answer], *meters: Meter) -> MeterLine:
    return MeterLine(ScriptedLine(units), meters)


async def _read(answer: Answer, meter: Meter, cost_ms: float = 5.0) -> tuple[int, ...]:
    line = ScriptedLine({meter.config.unit_id: answer}, cost_ms=cost_ms)
    reading = await read_meter(line, meter, boundary_ms=1000.0, policy=POLICY, clock_ms=line.clock)
    return reading.registers_wh


@pytest.mark.parametrize("profile", [SDM, ACREL], ids=["sdm630", "adl400"])
async def test_reading_is_what_the_meter_shows(profile: Profile) -> None:
    assert await _read(_showing(profile, (1_234_567, 89)), _meter(profile)) == (1_234_560, 80)


async def test_offset_is_measured_from_the_boundary_on_the_monotonic_clock() -> None:
    line = ScriptedLine({1: _showing(SDM, (50, 0))})
    reading = await read_meter(line, _meter(), boundary_ms=900.0, policy=POLICY, clock_ms=line.clock)
    assert (reading.offset_ms, reading.flags) == (110, 0)


async def test_reading_long_after_the_boundary_is_flagged_late() -> None:
    line = ScriptedLine({1: _showing(SDM, (50, 0))})
    early = await read_meter(line, _meter(), boundary_ms=-3990.0, policy=POLICY, clock_ms=line.clock)
    late = await read_meter(line, _meter(), boundary_ms=-3990.0, policy=POLICY, clock_ms=line.clock)
    assert (early.offset_ms, early.flags) == (5000, 0)
    assert late.flags == FLAG_LATE


async def test_offset_ends_at_its_limit_and_is_never_negative() -> None:
    line = ScriptedLine({1: _showing(SDM, (50, 0))})
    early = await read_meter(line, _meter(), boundary_ms=1e9, policy=POLICY, clock_ms=line.clock)
    late = await read_meter(line, _meter(), boundary_ms=-1e12, policy=POLICY, clock_ms=line.clock)
    assert (early.offset_ms, late.offset_ms) == (0, OFFSET_MS_MAX)


async def test_register_that_goes_back_between_the_two_readings_is_quarantined() -> None:
    with pytest.raises(QuarantinedError, match=r"1\.8\.0 read 500 Wh, then 490 Wh"):
        await _read(_showing(SDM, (500, 0), (490, 0)), _meter())


async def test_register_that_jumps_between_the_two_readings_is_quarantined() -> None:
    with pytest.raises(QuarantinedError, match=r"2\.8\.0"):
        await _read(_showing(SDM, (500, 0), (500, 30)), _meter())


async def test_one_step_between_the_two_readings_is_accepted_and_the_later_value_counts() -> None:
    assert await _read(_showing(SDM, (500, 0), (510, 0)), _meter()) == (510, 0)


async def test_limit_grows_with_the_time_between_the_two_readings() -> None:
    states = [(500, 0), (540, 0)]
    with pytest.raises(QuarantinedError):
        await _read(_showing(SDM, *states), _meter(limit_wh=9000), cost_ms=500.0)  # 1 s: 10 Wh, and one step of 10
    assert await _read(_showing(SDM, *states), _meter(limit_wh=9000), cost_ms=1500.0) == (540, 0)  # 3 s: 30 Wh


def test_a_virtual_meter_shows_its_newest_state_in_every_register_however_they_were_read_before() -> None:
    image = RegisterImage(SDM)
    requests = [(point.function_code, point.address, point.words) for point in SDM.points]
    random.Random(7).shuffle(requests)
    for state in (Quantities(1000, 10, 500.0, 229.0), Quantities(7000, 30, -250.0, 241.0)):
        image.show(state)
        for request in requests[:3]:
            image.read(*request)
        fresh = RegisterImage(SDM)
        fresh.show(state)
        assert [image.read(*request) for request in requests] == [
            fresh.read(*request) for request in reversed(requests)
        ][::-1]


async def test_meter_that_says_no_value_is_quarantined_never_zero() -> None:
    image = RegisterImage(SDM)
    image.show(Quantities(5, 5), without_value=True)
    with pytest.raises(QuarantinedError, match="no value"):
        await _read(lambda _u, code, address, count: _words(image, code, address, count), _meter())


async def test_float_beyond_its_resolution_is_quarantined() -> None:
    with pytest.raises(QuarantinedError, match="too coarse"):
        await _read(_showing(SDM, (65_536_000, 0)), _meter())


class LateLine(ScriptedLine):
    """An RTU line where a request that times out leaves its answer behind, and the next request gets it.

    As the framing has it, an answer is taken for any request of as many registers; otherwise it is a wrong answer.
    ``drains``: after such a request whatever is left behind is thrown away, as ``ModbusLine`` does.
    """

    def __init__(self, image: RegisterImage, delays: list[bool], *, drains: bool) -> None:
        super().__init__({1: lambda _u, code, address, count: _words(image, code, address, count)})
        self.delays = delays
        self.drains_after_errors = drains
        self.left_behind: list[Sequence[int]] = []

    async def read_words(
        self, unit_id: int, function_code: int, address: int, count: int, *, timeout_ms: int = 1000, min_gap_ms: int = 0
    ) -> Sequence[int]:
        self.left_behind.append(await super().read_words(unit_id, function_code, address, count))
        if self.delays and self.delays.pop(0):
            return self._failed(NoAnswerError("late"))
        words = self.left_behind.pop(0)
        return words if len(words) == count else self._failed(WrongAnswerError("another number of registers"))

    def _failed(self, error: LineError) -> Sequence[int]:
        if self.drains_after_errors:
            self.left_behind.clear()
        raise error


@pytest.mark.parametrize("drains", [True, False], ids=["drained", "undrained"])
@pytest.mark.parametrize("profile", [SDM, ACREL], ids=["sdm630", "adl400"])
@given(delays=st.lists(st.booleans(), max_size=40), requests=st.lists(st.integers(0, 3), min_size=1, max_size=30))
@settings(max_examples=150)
async def test_late_answer_never_becomes_another_registers_value(
    profile: Profile, drains: bool, delays: list[bool], requests: list[int]
) -> None:
    """Whatever is late, with telemetry in between.

    Drained: every reading is the state of the present boundary. Undrained: the double reading and the lengths of the blocks
    still keep every other register out; what they cannot see is a line that runs behind by a whole round of requests.
    """
    meter = _meter(profile)
    image = RegisterImage(profile)
    line = LateLine(image, list(delays), drains=drains)
    shown: list[tuple[int, ...]] = []
    read = 0
    for boundary, request in enumerate(requests):
        shown.append((1_000_000 + 2_000 * boundary, 300_000 + 1_000 * boundary))
        image.show(Quantities(shown[-1][0], shown[-1][1], power_w=800.0, voltage_v=231.5))
        try:
            if request < len(meter.plan.telemetry):
                block = meter.plan.telemetry[request]
                await line.read_words(1, block.function_code, block.address, block.count)
            reading = await read_meter(line, meter, boundary_ms=0.0, policy=POLICY, clock_ms=line.clock)
        except (LineError, QuarantinedError):
            continue
        assert reading.registers_wh in (shown[-1:] if drains else shown)
        read += 1
    assert any(delays) or read == len(requests), "on a line in time every boundary is read"


async def test_double_reading_alone_stops_a_late_answer_of_the_same_length() -> None:
    """Even where a telemetry block is as long as the billing block, its late answer does not agree with the second reading."""
    image = RegisterImage(SDM)
    image.show(Quantities(9_113_000, 0, voltage_v=230.0))
    billing = _words(image, 4, 0x48, 4)
    answers = [_words(image, 4, 0x00, 4), (*billing, 0, 0)]  # first the late answer: two phase voltages
    with pytest.raises(QuarantinedError, match=r"1\.8\.0 read 230000 Wh, then 9113000 Wh"):
        await _read(lambda *_: answers.pop(0), _meter())


def _sample_policy(**more: int) -> SamplePolicy:
    return SamplePolicy(**{"attempts_max": 3, "window_ms": 60_000, **more})


async def _sample(line: MeterLine, policy: SamplePolicy, **more: object) -> tuple[list[int], list[tuple[int, str]]]:
    assert isinstance(line.line, ScriptedLine)
    clock = line.line.clock
    sample = await sample_boundary(
        [line], 900, policy=policy, clock_ms=clock, sleep=clock.sleep, jitter=random.Random(1)
    )
    return [item.number for item in sample.meters], [(item.number, item.reason) for item in sample.absent]


async def test_dead_meter_costs_nobody_elses_reading() -> None:
    line = _line(
        {1: _failing(NoAnswerError("silence")), 2: _showing(SDM, (7, 7)), 3: _failing(DeviceRefusedError("no", 2))},
        _meter(number=1),
        _meter(number=2),
        _meter(number=3),
    )
    assert await _sample(line, _sample_policy()) == ([2], [(1, "no_answer"), (3, "refused")])
    assert isinstance(line.line, ScriptedLine)
    assert line.line.asked == [1, 2, 2, 3, 1, 3, 1, 3]


async def test_meter_that_recovers_is_read_on_a_later_try() -> None:
    good = _showing(SDM, (7, 7))
    tries = [_failing(NoAnswerError("silence")), _failing(NoAnswerError("silence"))]

    def answer(*request: int) -> Sequence[int]:
        return (tries.pop(0) if tries else good)(*request)

    line = _line({1: answer}, _meter(number=1))
    assert isinstance(line.line, ScriptedLine)
    sample = await sample_boundary(
        [line], 0, policy=_sample_policy(), clock_ms=line.line.clock, sleep=line.line.clock.sleep
    )
    assert [(item.number, item.attempts) for item in sample.meters] == [(1, 3)]
    assert sample.absent == ()


async def test_meter_that_fails_again_and_again_is_asked_last_and_once() -> None:
    meters = [_meter(number=1), _meter(number=2)]
    line = _line({1: _failing(NoAnswerError("silence")), 2: _showing(SDM, (7, 7))}, *meters)
    for _ in range(3):
        await _sample(line, _sample_policy())
    assert isinstance(line.line, ScriptedLine)
    line.line.asked.clear()
    assert await _sample(line, _sample_policy()) == ([2], [(1, "no_answer")])
    assert line.line.asked == [2, 2, 1]
    line.line.units[1] = _showing(SDM, (8, 8))
    assert await _sample(line, _sample_policy()) == ([1, 2], [])
    assert line.failures == {}


async def test_line_without_connection_is_not_asked_meter_by_meter() -> None:
    meters = [_meter(number=number) for number in (1, 2, 3)]
    down = _failing(LineDownError("refused"))
    line = _line({1: down, 2: down, 3: down}, *meters)
    assert await _sample(line, _sample_policy()) == ([], [(1, "line_down"), (2, "line_down"), (3, "line_down")])
    assert isinstance(line.line, ScriptedLine)
    assert line.line.asked == [1, 1, 1]
    assert line.failures == {}  # the line's fault, not the meters'


async def test_no_request_is_sent_after_the_sampling_window() -> None:
    line = _line({n: _showing(SDM, (7, 7)) for n in (1, 2, 3)}, *[_meter(number=n) for n in (1, 2, 3)])
    readings, absences = await _sample(line, _sample_policy(window_ms=15))
    assert (readings, absences) == ([1, 2], [(3, "window")])


async def test_window_keeps_the_reason_of_a_meter_that_was_tried() -> None:
    line = _line({1: _failing(NoAnswerError("silence"))}, _meter(number=1))
    assert await _sample(line, _sample_policy(window_ms=20, backoff_ms=1000)) == ([], [(1, "no_answer")])


def _config(
    number: int = 1, meter: str = "M1", line: str = "L", unit_id: int = 1, profile: str = SDM.id
) -> MeterConfig:
    return MeterConfig(number, meter, line, unit_id, profile, 100)


@pytest.mark.parametrize(
    ("lines", "meters", "message"),
    [
        (["L", "L"], [], "line 'L' is given twice"),
        (["L"], [_config(), _config(2, "M1", unit_id=2)], "meter 'M1' is given twice"),
        (["L"], [_config(), _config(1, "M2", unit_id=2)], "number '1' is given twice"),
        (["L"], [_config(), _config(2, "M2")], "unit_id 'L/1' is given twice"),
        (["L"], [_config(line="K")], "on line 'K'; lines are L"),
        (["L"], [_config(profile="acrel_adl400")], "not loaded"),
    ],
)
def test_meter_table_that_contradicts_itself_is_refused(
    lines: list[str], meters: list[MeterConfig], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_lines([LineConfig(line, "127.0.0.1") for line in lines], meters, {SDM.id: SDM})
