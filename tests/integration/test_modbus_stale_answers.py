"""The stale-answer hazard on real sockets: an RTU answer does not say to which request it belongs.

A raw server of RTU frames over TCP answers late. A bare pymodbus client then takes register A's value for register B: that is
reproduced first. Our line drains instead, also when the device server hands the late bytes to the *next* connection; and with
the drain switched off the double reading and the lengths of the blocks still keep the value of any other register out.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType

from edge.blocks import plan_reads
from edge.lines import Line, LineConfig
from edge.meters import Meter, MeterConfig, MeterLine, SamplePolicy, limits_of, modbus_meter
from edge.probe import read_twice
from edge.readers import DeviceRefusedError, LineError, QuarantinedError
from edge.readers.modbus import ModbusLine
from edge.sampling import Sampling
from firmware_profiles import ModbusProfile, load_profile
from simulators.meters.registers import RegisterImage
from simulators.meters.responder import crc16
from simulators.meters.station import Quantities

TIMEOUT_MS = 50
PATIENT_MS = 5_000
"""For what is answered at once, however loaded the machine."""
SHIPPED = load_profile("eastron_sdm630", kind=ModbusProfile)
SDM = replace(SHIPPED, timeout_ms=TIMEOUT_MS, modbus=replace(SHIPPED.modbus, min_gap_ms=0))
POLICY = SamplePolicy(attempts_max=4, backoff_ms=5, window_ms=5000)
PLAN = plan_reads(SDM)
TRUTH = (9_113_000, 412_000)


@dataclass
class LateServer:
    """An RTU line behind a serial device server. ``delays_ms`` are used up one per request; then answers come at once."""

    delays_ms: list[int]
    to_newest_connection: bool = False
    """Late bytes go to whoever is connected then, as serial device servers do."""
    image: RegisterImage = field(default_factory=lambda: RegisterImage(SDM))
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    handlers: list[asyncio.Task[None]] = field(default_factory=list)
    late: int = 0

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handlers.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        loop = asyncio.get_running_loop()
        try:
            while True:
                request = await reader.readexactly(8)
                _, code, address, count = struct.unpack(">BBHH", request[:6])
                data = self.image.read(code, address, count)
                body = request[:2] + (bytes((len(data),)) + data if data is not None else b"")
                frame = body + crc16(body)
                delay_ms = self.delays_ms.pop(0) if self.delays_ms else 0
                self.late += delay_ms > TIMEOUT_MS
                loop.call_later(delay_ms / 1000, self._send, writer, frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _send(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        target = self.writers[-1] if self.to_newest_connection else writer
        if not target.is_closing():
            target.write(frame)


@asynccontextmanager
async def _serving(server: LateServer) -> AsyncIterator[int]:
    server.image.show(Quantities(*TRUTH, power_w=800.0, voltage_v=230.0))
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for writer in server.writers:
            writer.close()
        await asyncio.gather(*server.handlers)
        await listener.wait_closed()


def _line(port: int) -> tuple[ModbusLine, Meter]:
    config = LineConfig("rtu", "127.0.0.1", port, "rtu", connect_timeout_ms=500, drain_ms=TIMEOUT_MS * 2)
    line = ModbusLine(config)
    row = MeterConfig(1, "M1", "rtu", SDM.id, 5000, 1)
    return line, Meter(row, modbus_meter(line, row, SDM, PLAN), limits_of(row, SDM))


async def test_bare_client_takes_a_late_answer_for_another_register() -> None:
    """What the rules are against; if this ever fails, the client has learnt it and the rules can be thought over."""
    async with _serving(LateServer([160, 140])) as port:
        client = AsyncModbusTcpClient(
            "127.0.0.1", port=port, framer=FramerType.RTU, timeout=0.1, retries=0, reconnect_delay=0
        )
        assert await client.connect()
        with pytest.raises(ModbusIOException):
            await client.read_input_registers(0x48, count=2, device_id=1)
        voltage = await client.read_input_registers(0x00, count=2, device_id=1)
        client.close()
    assert client.convert_from_registers(voltage.registers, client.DATATYPE.FLOAT32) == 9113.0  # volts, it says


@pytest.mark.parametrize("to_newest", [False, True], ids=["own connection", "newest connection"])
async def test_late_answer_is_drained_before_the_next_request(to_newest: bool) -> None:
    server = LateServer([80], to_newest)
    async with _serving(server) as port:
        line, meter = _line(port)
        with pytest.raises(LineError, match="no answer within 50 ms"):
            await line.read_words(1, 4, 0x48, 2, timeout_ms=TIMEOUT_MS)
        words = await line.read_words(1, 4, 0x00, 2, timeout_ms=PATIENT_MS)
        assert struct.unpack(">f", struct.pack(">HH", *words)) == (230.0,)
        reading = await read_twice(meter, boundary_ms=0.0, policy=POLICY)
        await line.close()
    assert reading.registers_wh == TRUTH
    assert (server.late, line.line.drains) == (1, 1)


@pytest.mark.parametrize("to_newest", [False, True], ids=["own connection", "newest connection"])
async def test_answer_to_a_cancelled_request_is_drained_before_the_next_one(to_newest: bool) -> None:
    server = LateServer([90], to_newest)
    async with _serving(server) as port:
        line, _ = _line(port)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.read_words(1, 4, 0x48, 2, timeout_ms=5000), TIMEOUT_MS / 1000)
        words = await line.read_words(1, 4, 0x00, 2, timeout_ms=5000)
        assert struct.unpack(">f", struct.pack(">HH", *words)) == (230.0,)
        await line.close()


class ForgetfulGateway(LateServer):
    """A Modbus TCP gateway to a bus: it gives up on a slow meter with exception 11, then takes what comes late for the
    answer to the request that it is just serving, under that request's number."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        late: bytes | None = None
        due_s = 0.0
        loop = asyncio.get_running_loop()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await reader.readexactly(12)
                code, address, count = struct.unpack(">BHH", request[7:])
                data = self.image.read(code, address, count) or b""
                if self.delays_ms:
                    late, due_s = bytes((code, len(data))) + data, loop.time() + self.delays_ms.pop(0) / 1000
                    self.late += 1
                    reply = bytes((code | 0x80, 11))
                elif late is not None and loop.time() < due_s:
                    await asyncio.sleep(due_s - loop.time())
                    reply, late = late, None
                else:
                    reply = bytes((code, len(data))) + data
                writer.write(request[:4] + struct.pack(">HB", len(reply) + 1, request[6]) + reply)
        writer.close()


@pytest.mark.parametrize("drained", [True, False], ids=["drained", "undrained"])
async def test_gateway_that_mixes_up_answers_is_given_time(drained: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not drained:
        monkeypatch.setattr(Line, "settle", _go_on)
    async with _serving(ForgetfulGateway([60])) as port:
        line = ModbusLine(LineConfig("tcp", "127.0.0.1", port, drain_ms=120))
        with pytest.raises(DeviceRefusedError, match="exception 11"):
            await line.read_words(1, 4, 0x48, 2)
        words = await line.read_words(1, 4, 0x00, 2)
        await line.close()
    assert struct.unpack(">f", struct.pack(">HH", *words)) == (230.0 if drained else 9113.0,)


async def test_drain_waits_until_the_line_is_silent() -> None:
    """Two answers under way: the drain starts anew with each byte that comes."""
    server = LateServer([])
    async with _serving(server) as port:
        line, _ = _line(port)
        await line.read_words(1, 4, 0x00, 2, timeout_ms=PATIENT_MS)
        server.delays_ms = [100]
        body = b"\x01\x04\x04" + struct.pack(">f", 1.0)
        asyncio.get_running_loop().call_later(0.17, server.writers[0].write, body + crc16(body))
        with pytest.raises(LineError):
            await line.read_words(1, 4, 0x48, 2, timeout_ms=TIMEOUT_MS)
        words = await line.read_words(1, 4, 0x00, 2, timeout_ms=PATIENT_MS)
        assert struct.unpack(">f", struct.pack(">HH", *words)) == (230.0,)
        await line.close()


async def test_line_that_never_falls_silent_is_closed_all_the_same() -> None:
    server = LateServer([10_000])

    async def chatter(port: int) -> None:
        while True:
            await asyncio.sleep(0.005)
            for writer in server.writers:
                writer.write(b"\x55")

    async with _serving(server) as port:
        noise = asyncio.create_task(chatter(port))
        line = ModbusLine(LineConfig("rtu", "127.0.0.1", port, "rtu", drain_ms=10))
        with pytest.raises(LineError):
            await line.read_words(1, 4, 0x48, 2, timeout_ms=TIMEOUT_MS)
        noise.cancel()
        assert list(await line.read_words(1, 4, 0x48, 2, timeout_ms=PATIENT_MS)) == [0x460E, 0x6400]
        await line.close()


async def test_answer_with_another_number_of_registers_is_refused_and_drained() -> None:
    server = LateServer([])
    async with _serving(server) as port:
        line, _ = _line(port)
        body = b"\x01\x04\x04" + struct.pack(">f", 1.0)
        await line.read_words(1, 4, 0x00, 2, timeout_ms=PATIENT_MS)
        server.delays_ms = [30]
        asyncio.get_running_loop().call_later(0.01, server.writers[0].write, body + crc16(body))
        with pytest.raises(LineError, match="answer of 2 registers does not fit"):
            await line.read_words(1, 4, 0x48, 4, timeout_ms=PATIENT_MS)
        assert line.line.drains == 1
        await line.close()


async def test_sampling_over_a_late_line_brings_only_true_registers() -> None:
    server = LateServer([80, 0, 80, 0, 0])
    async with _serving(server) as port:
        line, meter = _line(port)
        sampling = Sampling([MeterLine(line, (meter,))], 900, policy=POLICY)
        assert (await sampling.first_pass()).meters == ()
        sample = await sampling.another_round([1])
        await line.close()
    assert [(reading.registers_wh, reading.attempts) for reading in sample.meters] == [(TRUTH, 3)]


async def _go_on(self: Line) -> None:
    """In place of the drain: go on with the same connection at once."""
    self._unsettled = False


@pytest.mark.parametrize("drained", [True, False], ids=["drained", "undrained"])
@pytest.mark.parametrize("seed", range(2))
async def test_no_wrong_register_leaves_read_meter_whatever_comes_late(
    drained: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not drained:
        monkeypatch.setattr(Line, "settle", _go_on)
    draw = random.Random(seed)
    server = LateServer([draw.choice([0, 0, 0, 70, 95]) for _ in range(8)], draw.random() < 0.5)
    readings: list[tuple[int, ...]] = []
    async with _serving(server) as port:
        line, meter = _line(port)
        for _ in range(20):  # ends with a reading after the last late answer
            done = not server.delays_ms
            block = PLAN.telemetry[draw.randrange(3)]
            with suppress(LineError):
                await line.read_words(1, block.function_code, block.address, block.count, timeout_ms=TIMEOUT_MS)
            try:
                reading = await read_twice(meter, boundary_ms=0.0, policy=POLICY)
            except (LineError, QuarantinedError):
                continue
            readings.append(reading.registers_wh)
            if done:
                break
        await line.close()
    assert server.late > 0
    assert readings == [TRUTH] * len(readings)
    assert readings
