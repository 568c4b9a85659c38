"""The line of virtual meters on a clock that jumps from timer to timer: one frame at a time, line time to the microsecond."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from firmware_profiles import ModbusProfile, load_profile
from simulators.meters.bus import Bus, Wire
from simulators.meters.faults import Fault, LineFault
from simulators.meters.registers import RegisterImage
from simulators.meters.responder import ModbusStation, RtuSpeech, SocketSpeech, crc16
from simulators.meters.station import Quantities, Station

SDM = load_profile("eastron_sdm630", kind=ModbusProfile)
ACREL = load_profile("acrel_adl400", kind=ModbusProfile)
BYTE_S = 11 / 9600
REQUEST_BYTES, ANSWER_BYTES = 8, 9
TURNAROUND_MS = 20
ONE_READ_S = (REQUEST_BYTES + ANSWER_BYTES) * BYTE_S + TURNAROUND_MS / 1000


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer: no test waits, and nothing depends on the machine's speed."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def jump(timeout: float | None = None) -> Any:
            self.now_s += timeout or 0.0
            return select(0)

        selector.select = jump

    def time(self) -> float:
        return self.now_s


@dataclass
class Asker:
    """Somebody on the bus: what came back, and when."""

    bus: Bus
    buffer: bytes = b""
    opened_s: float = 0.0
    answered_s: float = float("-inf")
    answers: int = 0
    heard: list[tuple[float, bytes]] = field(default_factory=list)
    is_closed: bool = False

    def write(self, data: bytes) -> None:
        self.heard.append((round(asyncio.get_running_loop().time(), 6), data))

    def close(self) -> None:
        self.is_closed = True

    def ask(self, *requests: bytes) -> None:
        for request in requests:
            self.bus.receive(self, request)


def _rtu(unit_id: int, address: int = 0x48, count: int = 2) -> bytes:
    body = bytes((unit_id, 4)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
    return body + crc16(body)


def _socket(number: int, unit_id: int) -> bytes:
    return number.to_bytes(2, "big") + b"\0\0\0\6" + bytes((unit_id,)) + b"\4\0\x48\0\2"


def _stations(count: int = 3, turnaround_ms: int = TURNAROUND_MS) -> dict[int, Station]:
    stations: dict[int, Station] = {}
    for unit_id in range(1, count + 1):
        stations[unit_id] = ModbusStation(RegisterImage(SDM), turnaround_ms=turnaround_ms)
        stations[unit_id].count(Quantities(1000 * unit_id))
    return stations


@pytest.fixture
def loop() -> Iterator[JumpingLoop]:
    loop = JumpingLoop()
    yield loop
    loop.close()


def _run(loop: JumpingLoop, work: Coroutine[Any, Any, None]) -> None:
    loop.run_until_complete(work)


def test_requests_of_two_askers_take_their_turns_for_as_long_as_their_bytes_take(loop: JumpingLoop) -> None:
    async def work() -> None:
        bus = Bus(RtuSpeech(_stations()), Wire(9600))
        one, two = Asker(bus), Asker(bus)
        one.ask(_rtu(1), _rtu(2))
        two.ask(_rtu(3))
        await asyncio.sleep(1)
        times = [at_s for asker in (one, two) for at_s, _ in asker.heard]
        assert times == [pytest.approx(n * ONE_READ_S, abs=1e-5) for n in (1, 2, 3)]
        assert [answer[:1] for asker in (one, two) for _, answer in asker.heard] == [b"\1", b"\2", b"\3"]

    _run(loop, work())


def test_an_answer_of_80_registers_at_9600_baud_takes_200_ms(loop: JumpingLoop) -> None:
    async def work() -> None:
        bus = Bus(RtuSpeech(_stations()), Wire(9600))
        asker = Asker(bus)
        asker.ask(_rtu(1, 0, 80))
        await asyncio.sleep(1)
        assert asker.heard[0][0] == pytest.approx((8 + 165) * BYTE_S + TURNAROUND_MS / 1000, abs=1e-5)

    _run(loop, work())


def test_a_dead_unit_behind_a_gateway_holds_its_neighbours_up_for_the_gateway_s_own_time_limit(
    loop: JumpingLoop,
) -> None:
    async def work() -> None:
        stations = _stations()
        stations[1].set_fault(Fault(silent=True))
        bus = Bus(SocketSpeech(stations), Wire(9600))
        bus.fault = LineFault(gateway_timeout_ms=5000)
        asker = Asker(bus)
        asker.ask(_socket(7, 1), _socket(8, 2))
        await asyncio.sleep(10)
        (dead_s, dead), (live_s, live) = asker.heard
        assert dead == b"\0\7\0\0\0\3\1\x84\x0b"
        assert live[:2] == b"\0\x08"
        assert dead_s == pytest.approx(5 + REQUEST_BYTES * BYTE_S, abs=1e-5)
        assert live_s == pytest.approx(dead_s + ONE_READ_S, abs=1e-5)

    _run(loop, work())


def test_a_late_meter_leaves_the_bus_to_others(loop: JumpingLoop) -> None:
    async def work() -> None:
        stations = _stations()
        stations[1].set_fault(Fault(late_ms=300))
        bus = Bus(RtuSpeech(stations), Wire(9600))
        asker = Asker(bus)
        asker.ask(_rtu(1), _rtu(2))
        await asyncio.sleep(1)
        assert [answer[0] for _, answer in asker.heard] == [2, 1]

    _run(loop, work())


def test_a_request_too_soon_after_an_answer_or_a_connect_is_dropped(loop: JumpingLoop) -> None:
    async def work() -> None:
        bus = Bus(RtuSpeech(_stations(turnaround_ms=0)))
        bus.fault = LineFault(gap_ms=150, pause_after_connect_ms=200)
        asker = Asker(bus)
        for wait_s in (0.1, 0.1, 0.1, 0.15):
            await asyncio.sleep(wait_s)
            asker.ask(_rtu(1))
        assert [at_s for at_s, _ in asker.heard] == [0.2, 0.45]

    _run(loop, work())


def test_echo_noise_wrong_numbers_and_closing_are_what_they_say(loop: JumpingLoop) -> None:
    async def work() -> None:
        bus = Bus(SocketSpeech(_stations(turnaround_ms=0)))
        bus.fault = LineFault(echo=True, noise=b"\0", transaction_id_off=-1, unit_id_off=1, answers_per_connection=1)
        asker = Asker(bus)
        asker.ask(_socket(7, 1))
        echo, answer = (data for _, data in asker.heard)
        assert echo == _socket(7, 1)
        assert answer[:9] == b"\0\0\6\0\0\0\7\2\4"
        assert asker.is_closed

    _run(loop, work())


def test_an_answer_that_is_overtaken_comes_behind_the_next_one_and_one_that_is_doubled_twice(loop: JumpingLoop) -> None:
    async def work() -> None:
        bus = Bus(SocketSpeech(_stations(turnaround_ms=0)))
        bus.fault = LineFault(overtaken_every=2, twice=True)
        asker = Asker(bus)
        asker.ask(*(_socket(number, 1) for number in (1, 2, 3, 4)))
        bus.fault = LineFault()
        asker.ask(_socket(5, 1))
        heard = [
            [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 13)] for _, data in asker.heard
        ]
        assert heard == [[1, 1], [3, 3], [2], [5], [4]]

    _run(loop, work())


def test_a_damaged_answer_has_a_wrong_checksum_and_its_own_length(loop: JumpingLoop) -> None:
    async def ask() -> list[bytes]:
        bus = Bus(RtuSpeech(_stations()))
        asker = Asker(bus)
        for fault in (LineFault(), LineFault(damaged=True)):
            bus.fault = fault
            asker.ask(_rtu(1))
            await asyncio.sleep(1)
        return [frame for _, frame in asker.heard]

    whole, damaged = loop.run_until_complete(ask())
    assert crc16(whole[:-2]) == whole[-2:]
    assert (len(damaged), damaged[:-2]) == (len(whole), whole[:-2])
    assert crc16(damaged[:-2]) != damaged[-2:]


def test_noise_before_a_request_is_skipped_and_a_wrong_checksum_meets_silence(loop: JumpingLoop) -> None:
    async def work() -> None:
        asker = Asker(Bus(RtuSpeech(_stations(turnaround_ms=0))))
        asker.ask(b"\0\xff", _rtu(1)[:-1] + b"\x00", _rtu(2)[:3], _rtu(2)[3:])
        assert [answer[0] for _, answer in asker.heard] == [2]

    _run(loop, work())


def test_a_client_that_speaks_no_modbus_is_cut_off(loop: JumpingLoop) -> None:
    async def work() -> None:
        asker = Asker(Bus(SocketSpeech(_stations(turnaround_ms=0))))
        asker.ask(b"GET / HTTP/1.1\r\n\r\n")
        assert (asker.is_closed, asker.heard, asker.buffer) == (True, [], b"")

    _run(loop, work())


@pytest.mark.parametrize(
    ("fault", "shown_wh"),
    [
        (Fault(shows="zero"), [0, 0, 0]),
        (Fault(shows="zero", requests=2), [0, 0, 1000]),
        (Fault(lower_wh=150), [850, 850, 850]),
        (Fault(back_wh=10), [990, 980, 970]),
        (Fault(lasts_ms=0, shows="zero"), [1000, 1000, 1000]),
    ],
    ids=["zero", "zero twice", "lower", "goes back", "over at once"],
)
def test_what_a_faulty_meter_shows(fault: Fault, shown_wh: list[int]) -> None:
    station = ModbusStation(RegisterImage(ACREL))
    station.count(Quantities(1000))
    station.set_fault(fault)
    answers = [station.answer(b"\3\0\x0a\0\2") for _ in shown_wh]
    assert [int.from_bytes(answer.body[2:], "big") * 10 for answer in answers if answer is not None] == shown_wh


def test_a_stuck_meter_shows_the_moment_when_it_got_stuck() -> None:
    station = ModbusStation(RegisterImage(ACREL))
    station.count(Quantities(1000))
    station.set_fault(Fault(stuck=True))
    station.count(Quantities(9000, power_w=5000))
    assert station.shown()[0] == Quantities(1000)


class CreepingLoop(JumpingLoop):
    """A clock that moves a little whenever somebody looks at it."""

    def time(self) -> float:
        self.now_s += 1e-6
        return self.now_s


@pytest.mark.parametrize(("gap_ms", "answered"), [(0, [7, 8, 9]), (20, [7])])
def test_requests_that_come_in_one_piece_are_all_answered_unless_the_line_needs_a_gap(
    gap_ms: int, answered: list[int]
) -> None:
    async def work() -> None:
        bus = Bus(SocketSpeech(_stations(turnaround_ms=0)))
        bus.fault = LineFault(gap_ms=gap_ms)
        asker = Asker(bus)
        asker.ask(_socket(7, 1) + _socket(8, 2) + _socket(9, 3))
        await asyncio.sleep(0.01)
        assert [int.from_bytes(answer[:2], "big") for _, answer in asker.heard] == answered

    loop = CreepingLoop()
    _run(loop, work())
    loop.close()
