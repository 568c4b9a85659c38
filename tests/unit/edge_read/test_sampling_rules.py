"""How a reading is taken, against scripted lines: the double reading, absences, order of tries, pauses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.blocks import plan_reads
from edge.lines import LineConfig
from edge.meters import Meter, MeterConfig, MeterLine, SamplePolicy, build_lines, limits_of
from edge.probe import read_twice
from edge.readers import DeviceRefusedError, LineDownError, LineError, NoAnswerError, QuarantinedError, WrongAnswerError
from edge.readers.modbus import ModbusMeter
from edge.samples import OFFSET_MS_MAX, Sample
from edge.sampling import Sampling
from firmware_profiles import ModbusProfile, load_profile
from gridcore.errors import UsageError
from gridcore.quality import FLAG_LATE
from simulators.meters.registers import RegisterImage
from simulators.meters.station import Quantities

SDM = load_profile("eastron_sdm630", kind=ModbusProfile)
ACREL = load_profile("acrel_adl400", kind=ModbusProfile)
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
class ScriptedLine:
    """A line whose answers come from functions, by unit id; a request takes ``cost_ms``."""

    units: dict[int, Answer]
    clock: Ticks = field(default_factory=Ticks)
    cost_ms: float = 5.0
    asked: list[int] = field(default_factory=list)

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
        self.clock.now_ms += self.cost_ms
        self.asked.append(unit_id)
        return self.units[unit_id](unit_id, function_code, address, count)

    def meter(self, profile: ModbusProfile = SDM, number: int = 1, limit_wh: int = 5000) -> Meter:
        """A meter on this line; its unit id is its number."""
        config = MeterConfig(number, f"M{number}", "L", profile.id, limit_wh, number)
        reader = ModbusMeter(self, config.meter, number, profile, plan_reads(profile), clock_ms=self.clock)
        return Meter(config, reader, limits_of(config, profile))

    async def begin(self, boundary_s: int, boundary_ms: float) -> None:
        """Nothing to tell."""

    async def close(self) -> None:
        """Nothing to close."""


def _words(image: RegisterImage, function_code: int, address: int, count: int) -> tuple[int, ...]:
    data = image.read(function_code, address, count)
    if data is None:
        raise DeviceRefusedError("no such register", 2)
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def _showing(profile: ModbusProfile, *states: tuple[int, int]) -> Answer:
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


def _line(units: dict[int, Answer], *numbers: int) -> tuple[ScriptedLine, MeterLine]:
    line = ScriptedLine(units)
    return line, MeterLine(line, tuple(line.meter(number=number) for number in numbers))


async def _read(
    answer: Answer, profile: ModbusProfile = SDM, cost_ms: float = 5.0, limit_wh: int = 5000
) -> tuple[int, ...]:
    line = ScriptedLine({1: answer}, cost_ms=cost_ms)
    reading = await read_twice(line.meter(profile, limit_wh=limit_wh), boundary_ms=1000.0, policy=POLICY)
    return reading.registers_wh


@pytest.mark.parametrize("profile", [SDM, ACREL], ids=["sdm630", "adl400"])
async def test_reading_is_what_the_meter_shows(profile: ModbusProfile) -> None:
    assert await _read(_showing(profile, (1_234_567, 89)), profile) == (1_234_560, 80)


async def test_offset_is_measured_from_the_boundary_on_the_monotonic_clock() -> None:
    line = ScriptedLine({1: _showing(SDM, (50, 0))})
    reading = await read_twice(line.meter(), boundary_ms=900.0, policy=POLICY)
    assert (reading.offset_ms, reading.flags) == (105, 0)  # of the first read


async def test_reading_long_after_the_boundary_is_flagged_late() -> None:
    line = ScriptedLine({1: _showing(SDM, (50, 0))})
    early = await read_twice(line.meter(), boundary_ms=-3995.0, policy=POLICY)
    late = await read_twice(line.meter(), boundary_ms=-3990.0, policy=POLICY)
    assert (early.offset_ms, early.flags) == (5000, 0)
    assert late.flags == FLAG_LATE


async def test_offset_ends_at_its_limit_and_is_never_negative() -> None:
    line = ScriptedLine({1: _showing(SDM, (50, 0))})
    early = await read_twice(line.meter(), boundary_ms=1e9, policy=POLICY)
    late = await read_twice(line.meter(), boundary_ms=-1e12, policy=POLICY)
    assert (early.offset_ms, late.offset_ms) == (0, OFFSET_MS_MAX)


async def test_register_that_goes_back_between_the_two_readings_is_quarantined() -> None:
    with pytest.raises(QuarantinedError, match=r"1\.8\.0 read 500 Wh, then 490 Wh"):
        await _read(_showing(SDM, (500, 0), (490, 0)))


async def test_register_that_jumps_between_the_two_readings_is_quarantined() -> None:
    with pytest.raises(QuarantinedError, match=r"2\.8\.0"):
        await _read(_showing(SDM, (500, 0), (500, 30)))


async def test_one_step_between_the_two_readings_is_accepted_and_the_first_value_counts() -> None:
    assert await _read(_showing(SDM, (500, 0), (510, 0))) == (500, 0)


async def test_limit_grows_with_the_time_between_the_two_readings() -> None:
    states = [(500, 0), (540, 0)]
    with pytest.raises(QuarantinedError):
        await _read(_showing(SDM, *states), cost_ms=1000.0, limit_wh=9000)  # 1 s: 10 Wh, and one step of 10
    assert await _read(_showing(SDM, *states), cost_ms=3000.0, limit_wh=9000) == (500, 0)  # 3 s: 30 Wh


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
    image.show(Quantities(5, 5), shows="no_value")
    with pytest.raises(QuarantinedError, match="no value"):
        await _read(lambda _u, code, address, count: _words(image, code, address, count))


async def test_float_beyond_its_resolution_is_quarantined() -> None:
    with pytest.raises(QuarantinedError, match="too coarse"):
        await _read(_showing(SDM, (65_536_000, 0)))


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
    profile: ModbusProfile, drains: bool, delays: list[bool], requests: list[int]
) -> None:
    """Whatever is late, with telemetry in between.

    Drained: every reading is the state of the present boundary. Undrained: the double reading and the lengths of the blocks
    still keep every other register out; what they cannot see is a line that runs behind by a whole round of requests.
    """
    image = RegisterImage(profile)
    line = LateLine(image, list(delays), drains=drains)
    meter, plan = line.meter(profile), plan_reads(profile)
    shown: list[tuple[int, ...]] = []
    read = 0
    for boundary, request in enumerate(requests):
        shown.append((1_000_000 + 2_000 * boundary, 300_000 + 1_000 * boundary))
        image.show(Quantities(shown[-1][0], shown[-1][1], power_w=800.0, voltage_v=231.5))
        try:
            if request < len(plan.telemetry):
                block = plan.telemetry[request]
                await line.read_words(1, block.function_code, block.address, block.count)
            reading = await read_twice(meter, boundary_ms=0.0, policy=POLICY)
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
        await _read(lambda *_: answers.pop(0))


def _sample_policy(**more: int) -> SamplePolicy:
    return SamplePolicy(**{"attempts_max": 3, "window_ms": 60_000, **more})


async def _sample(line: MeterLine, policy: SamplePolicy) -> Sample:
    """The first pass, and rounds over whoever is missing until there are no tries left."""
    assert isinstance(line.line, ScriptedLine)
    clock = line.line.clock
    sampling = Sampling([line], 900, policy=policy, clock_ms=clock, sleep=clock.sleep, jitter=random.Random(1))
    sample = await sampling.first_pass()
    taken = list(sample.meters)
    while sample.absent and sampling.has_tries_left:
        await clock.sleep(sampling.pause_s())
        sample = await sampling.another_round([absence.number for absence in sample.absent])
        taken += sample.meters
    return replace(sample, meters=tuple(taken))


def _numbers(sample: Sample) -> tuple[list[int], list[tuple[int, str]]]:
    return [item.number for item in sample.meters], [(item.number, item.reason) for item in sample.absent]


async def test_billing_registers_of_all_meters_come_first_then_what_confirms_them() -> None:
    line, meters = _line({number: _showing(SDM, (7, 7)) for number in (3, 1, 2)}, 3, 1, 2)
    sample = await _sample(meters, _sample_policy())
    assert line.asked == [3, 1, 2, 3, 1, 2]
    assert [(item.number, item.offset_ms) for item in sample.meters] == [(1, 10), (2, 15), (3, 5)]


async def test_offsets_are_the_same_at_each_boundary() -> None:
    line, meters = _line({number: _showing(SDM, (7, 7)) for number in range(1, 9)}, *range(1, 9))
    line.units[4] = _failing(NoAnswerError("silence"))
    offsets = [
        [(item.number, item.offset_ms) for item in (await _sample(meters, _sample_policy())).meters] for _ in range(5)
    ]
    assert offsets[1:] == offsets[1:2] * 4
    assert [number for number, _ in offsets[0]] == [1, 2, 3, 5, 6, 7, 8]


async def test_dead_meter_costs_nobody_elses_reading() -> None:
    line, meters = _line(
        {1: _failing(NoAnswerError("silence")), 2: _showing(SDM, (7, 7)), 3: _failing(DeviceRefusedError("no", 2))},
        *(1, 2, 3),
    )
    assert _numbers(await _sample(meters, _sample_policy())) == ([2], [(1, "no_answer"), (3, "refused")])
    assert line.asked == [1, 2, 3, 2, 1, 3, 1, 3]


def _silent_after(answers: int) -> Answer:
    """So many requests are answered, the others not."""
    left = iter(range(answers))
    showing = _showing(SDM, (7, 7))

    def answer(*asked: int) -> Sequence[int]:
        if next(left, None) is None:
            raise NoAnswerError("silence")
        return showing(*asked)

    return answer


async def test_who_only_lacks_its_second_read_is_tried_before_the_dead() -> None:
    """Behind a gateway the turn of a dead meter costs those after it theirs."""
    line, meters = _line({1: _silent_after(0), 2: _silent_after(1)}, 1, 2)
    await _sample(meters, _sample_policy())
    assert line.asked[:5] == [1, 2, 2, 2, 1]


async def test_who_has_answered_before_is_tried_before_who_never_has() -> None:
    line, meters = _line({1: _silent_after(0), 2: _silent_after(1)}, 1, 2)
    await _sample(meters, _sample_policy())
    line.asked.clear()
    await _sample(meters, _sample_policy())
    assert line.asked == [2, 1, 2, 1, 2, 1]


async def test_meter_that_recovers_is_read_on_a_later_try() -> None:
    good = _showing(SDM, (7, 7))
    tries = [_failing(NoAnswerError("silence")), _failing(NoAnswerError("silence"))]

    def answer(*request: int) -> Sequence[int]:
        return (tries.pop(0) if tries else good)(*request)

    _, meters = _line({1: answer}, 1)
    sample = await _sample(meters, _sample_policy())
    assert [(item.number, item.attempts) for item in sample.meters] == [(1, 3)]
    assert sample.absent == ()


async def test_meter_that_is_busy_for_20_s_is_read_because_tries_last_as_long_as_the_window() -> None:
    line, meters = _line({1: _showing(SDM, (7, 7))}, 1)
    answer = line.units[1]

    def busy(*request: int) -> Sequence[int]:
        if line.clock.now_ms < 21_000:
            raise DeviceRefusedError("busy", 6)
        return answer(*request)

    line.units[1] = busy
    sample = await _sample(meters, SamplePolicy())
    assert [item.number for item in sample.meters] == [1]
    assert 20_000 <= sample.meters[0].offset_ms < 25_000
    assert sample.meters[0].flags == FLAG_LATE


async def test_meter_that_only_fails_to_confirm_keeps_its_first_read() -> None:
    """Its offset is that of the read that counts, however long the second one takes."""
    states = [_showing(SDM, (500, 0)), _failing(NoAnswerError("silence")), _showing(SDM, (510, 0))]

    def answer(*request: int) -> Sequence[int]:
        return states.pop(0)(*request)

    _, meters = _line({1: answer}, 1)
    (reading,) = (await _sample(meters, _sample_policy())).meters
    assert (reading.registers_wh, reading.offset_ms, reading.attempts) == ((500, 0), 5, 2)


async def test_meter_whose_two_reads_do_not_agree_is_read_anew() -> None:
    _, meters = _line({1: _showing(SDM, (0, 0), (5000, 0))}, 1)
    (reading,) = (await _sample(meters, _sample_policy())).meters
    assert (reading.registers_wh, reading.attempts) == ((5000, 0), 2)


async def test_meter_that_fails_again_and_again_is_asked_last_and_once() -> None:
    line, meters = _line({1: _failing(NoAnswerError("silence")), 2: _showing(SDM, (7, 7))}, 1, 2)
    for _ in range(3):
        await _sample(meters, _sample_policy())
    line.asked.clear()
    assert _numbers(await _sample(meters, _sample_policy())) == ([2], [(1, "no_answer")])
    assert line.asked == [2, 2, 1]
    line.units[1] = _showing(SDM, (8, 8))
    assert _numbers(await _sample(meters, _sample_policy())) == ([1, 2], [])
    assert meters.failures.counts == {}


async def test_suspect_is_left_for_later_when_the_boundary_is_long_past() -> None:
    line, meters = _line({1: _failing(NoAnswerError("silence")), 2: _showing(SDM, (7, 7))}, 1, 2)
    for _ in range(3):
        meters.failures.failed(1)
    line.asked.clear()
    line.cost_ms = 3000
    sample = await _sample(meters, SamplePolicy(attempts_max=2))
    assert (line.asked, sample.absent[0].detail[:24]) == ([2, 2], "silent at 3 boundaries i")
    line.asked.clear()
    await _sample(meters, SamplePolicy(window_ms=30_000))
    assert line.asked[:2] == [2, 2]
    assert 1 in line.asked, "a suspect is tried again while the window is open"


async def test_line_without_connection_is_not_asked_meter_by_meter() -> None:
    down = _failing(LineDownError("refused"))
    line, meters = _line({1: down, 2: down, 3: down}, 1, 2, 3)
    assert _numbers(await _sample(meters, _sample_policy())) == (
        [],
        [(1, "line_down"), (2, "line_down"), (3, "line_down")],
    )
    assert line.asked == [1, 1, 1]
    assert meters.failures.counts == {}  # the line's fault, not the meters'


async def test_line_that_goes_down_between_reading_and_confirming_keeps_what_was_read() -> None:
    line, meters = _line({number: _showing(SDM, (7, 7)) for number in (1, 2)}, 1, 2)
    good, asked = line.units[1], [0]

    def breaking(*request: int) -> Sequence[int]:
        asked[0] += 1
        if asked[0] == 2:
            raise LineDownError("cut")
        return good(*request)

    line.units[1] = breaking
    sample = await _sample(meters, _sample_policy())
    assert [(item.number, item.offset_ms, item.attempts) for item in sample.meters] == [(1, 5, 2), (2, 10, 2)]


async def test_no_request_is_sent_after_the_sampling_window() -> None:
    _, meters = _line({n: _showing(SDM, (7, 7)) for n in (1, 2, 3)}, 1, 2, 3)
    assert _numbers(await _sample(meters, _sample_policy(window_ms=25))) == ([1, 2], [(3, "window")])


async def test_window_keeps_the_reason_of_a_meter_that_was_tried() -> None:
    _, meters = _line({1: _failing(NoAnswerError("silence"))}, 1)
    assert _numbers(await _sample(meters, _sample_policy(window_ms=20, backoff_ms=1000))) == ([], [(1, "no_answer")])


def _config(
    number: int = 1, meter: str = "M1", line: str = "L", unit_id: int = 1, profile: str = SDM.id
) -> MeterConfig:
    return MeterConfig(number, meter, line, profile, 100, unit_id)


@pytest.mark.parametrize(
    ("lines", "meters", "message"),
    [
        (["L", "L"], [], "line 'L' is given twice"),
        (["L"], [_config(), _config(2, "M1", unit_id=2)], "meter 'M1' is given twice"),
        (["L"], [_config(), _config(1, "M2", unit_id=2)], "number '1' is given twice"),
        (["L"], [_config(), _config(2, "M2")], "line and place 'L/1' is given twice"),
        (["L"], [_config(line="K")], "on line 'K'; lines are L"),
        (["L"], [_config(profile="acrel_adl400")], "not loaded"),
    ],
)
def test_meter_table_that_contradicts_itself_is_refused(
    lines: list[str], meters: list[MeterConfig], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_lines([LineConfig(line, "127.0.0.1") for line in lines], meters, {SDM.id: SDM})
