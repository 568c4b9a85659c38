"""One Modbus line: a TCP connection to a gateway or meter, one request at a time, and no answer given to the wrong request.

The client is pymodbus with its own retries switched off; this module decides when to try again (``edge.sampling``) and
what an unanswered request means:

* Modbus TCP numbers each request, so the client recognises a late answer and drops it. A gateway to a serial bus has the
  hazard of RTU on its far side, though: after a request without an answer the line rests for ``drain_ms``, so that what
  comes late on the bus is not handed to the next request under its number.
* RTU framing over TCP has no such number. After a request without a proper answer the line is **drained**: it stays
  connected, whatever still arrives is thrown away until the line has been silent for ``drain_ms``, then it is closed and
  opened anew before the next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from edge.drivers import PORT_DEFAULT
from gridcore.clock import monotonic_ms
from gridcore.errors import GridError, require
from gridcore.logs import get_logger

FRAMERS = {"socket": FramerType.SOCKET, "rtu": FramerType.RTU}
DRAIN_ROUNDS_MAX = 10
"""A line that never falls silent is closed after this many times ``drain_ms``."""
GATEWAY_EXCEPTIONS = (10, 11)
"""The gateway speaks, not the meter: no path to it, or no answer from it - one may still be under way on the bus."""
SILENT_REQUESTS_MAX = 3
"""So many requests in a row without any answer: the connection may be half dead, open a new one."""

_log = get_logger(__name__)


class LineError(GridError):
    """A request brought no usable answer. The line stays usable."""


class LineDownError(LineError):
    """There is no connection: every meter of the line is out of reach."""


class NoAnswerError(LineError):
    """The device did not answer in time."""


class DeviceRefusedError(LineError):
    """The device answered with an exception. ``code`` as in the Modbus application protocol, section 7."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class WrongAnswerError(LineError):
    """The answer does not fit the request: another device, function or number of registers."""


@dataclass(frozen=True, slots=True)
class LineConfig:
    """Where a line is and how it frames. Field metadata as in ``gridcore.config``."""

    line: str = field(metadata={"min": 1, "max": 64})
    host: str = field(metadata={"min": 1, "max": 255})
    port: int = field(default=PORT_DEFAULT, metadata={"min": 1, "max": 65_535})
    framer: str = field(default="socket", metadata={"choices": tuple(FRAMERS)})
    """"socket": Modbus TCP; "rtu": RTU frames through a serial device server."""
    connect_timeout_ms: int = field(default=3000, metadata={"min": 10, "max": 60_000})
    drain_ms: int = field(default=300, metadata={"min": 10, "max": 10_000})
    """Silence after a request without an answer: longer than the slowest meter may answer late."""


class ModbusLine:
    """Reads registers of the devices on one line. Safe to call from several tasks: requests queue up.

    Opens the connection by itself when it is needed; call ``close`` at the end.
    """

    def __init__(self, config: LineConfig, *, clock_ms: Callable[[], float] = monotonic_ms) -> None:
        self.config = config
        self._clock_ms = clock_ms
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._last_traffic_ms = clock_ms()
        self._silent_requests = 0
        self._unsettled = False
        self.requests = 0
        self.drains = 0

    async def read_words(
        self, unit_id: int, function_code: int, address: int, count: int, *, timeout_ms: int = 1000, min_gap_ms: int = 0
    ) -> Sequence[int]:
        """Return ``count`` registers from ``address`` of device ``unit_id``.

        ``min_gap_ms`` is kept between requests on RTU lines. Raises LineDownError, NoAnswerError, DeviceRefusedError or
        WrongAnswerError; after the call returns or raises, no late answer can reach another request.
        """
        require(function_code in (3, 4), "only holding and input registers are read")
        async with self._lock:
            if self._unsettled:
                await self._settle()
            client = await self._connected()
            if min_gap_ms and self.config.framer == "rtu":
                await self._keep_gap(min_gap_ms)
            where = f"{self.config.line}: unit {unit_id}, registers {address:#x}+{count}"
            self.requests += 1
            self._unsettled = True  # until a proper answer: also when this task is cancelled
            try:
                answer = await self._exchange(client, unit_id, function_code, address, count, timeout_ms)
                words = _checked_words(answer, unit_id, function_code, count, where)
            except ModbusException:
                if not client.connected:
                    self._drop(client)
                    raise LineDownError(f"{where}: the connection was lost") from None
                self._silent_requests += 1
                await self._settle()
                raise NoAnswerError(f"{where}: no answer within {timeout_ms} ms") from None
            except WrongAnswerError:
                await self._settle()
                raise
            except DeviceRefusedError as error:
                self._silent_requests = 0
                if error.code in GATEWAY_EXCEPTIONS:
                    await self._settle()
                self._unsettled = False
                raise
            self._unsettled = False
            self._silent_requests = 0
            return words

    async def close(self) -> None:
        """Close the connection, if any."""
        async with self._lock:
            if self._client is not None:
                self._drop(self._client)

    async def _exchange(
        self, client: AsyncModbusTcpClient, unit_id: int, function_code: int, address: int, count: int, timeout_ms: int
    ) -> ModbusPDU:
        read = client.read_holding_registers if function_code == 3 else client.read_input_registers
        # pymodbus keeps one time limit for connecting and answering; requests queue up, so each can bring its own
        client.ctx.comm_params.timeout_connect = timeout_ms / 1000.0
        return await read(address, count=count, device_id=unit_id)

    async def _connected(self) -> AsyncModbusTcpClient:
        client = self._client
        if client is not None and client.connected:
            return client
        if client is not None:
            self._drop(client)
        config = self.config
        fresh = AsyncModbusTcpClient(
            config.host,
            port=config.port,
            framer=FRAMERS[config.framer],
            name=config.line,
            reconnect_delay=0,  # connecting again is our decision
            retries=0,
            timeout=config.connect_timeout_ms / 1000.0,
            trace_packet=self._note_traffic,
            trace_connect=lambda up: None if up else _give_up_waiting(fresh),
        )
        fresh.set_max_no_responses(1 << 30)  # when to close is our decision too
        if not await fresh.connect():
            fresh.close()
            raise LineDownError(f"{config.line}: no connection to {config.host}:{config.port}")
        self._client = fresh
        return fresh

    def _note_traffic(self, _sending: bool, data: bytes) -> bytes:
        self._last_traffic_ms = self._clock_ms()
        return data

    async def _keep_gap(self, min_gap_ms: int) -> None:
        wait_ms = self._last_traffic_ms + min_gap_ms - self._clock_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000.0)

    async def _settle(self) -> None:
        """Throw away what still comes until the line has been silent for ``drain_ms``; open an RTU line anew after it.

        A Modbus TCP connection is kept unless several requests in a row met silence: then it may be half dead.
        """
        self.drains += 1
        quiet_ms = float(self.config.drain_ms)
        start_ms = self._clock_ms()
        while True:
            now_ms = self._clock_ms()
            wait_ms = max(start_ms, self._last_traffic_ms) + quiet_ms - now_ms
            if wait_ms <= 0 or now_ms - start_ms >= DRAIN_ROUNDS_MAX * quiet_ms:
                break
            await asyncio.sleep(wait_ms / 1000.0)
        if self._client is not None and (self.config.framer == "rtu" or self._silent_requests >= SILENT_REQUESTS_MAX):
            self._silent_requests = 0
            self._drop(self._client)
        self._unsettled = False
        _log.info("line_drained", line=self.config.line, drained_ms=round(self._clock_ms() - start_ms))

    def _drop(self, client: AsyncModbusTcpClient) -> None:
        client.close()
        if client is self._client:
            self._client = None


def _give_up_waiting(client: AsyncModbusTcpClient) -> None:
    """Let the request in flight fail at once when the connection is lost: pymodbus would wait for its time limit."""
    waiting = client.ctx.response_future
    if not waiting.done():
        waiting.set_exception(ConnectionException("connection lost"))
        waiting.exception()  # seen: nobody may be waiting


def _checked_words(answer: ModbusPDU, unit_id: int, function_code: int, count: int, where: str) -> Sequence[int]:
    if isinstance(answer, ExceptionResponse):
        raise DeviceRefusedError(
            f"{where}: device answers with exception {answer.exception_code}", answer.exception_code
        )
    if answer.dev_id != unit_id or answer.function_code != function_code or len(answer.registers) != count:
        raise WrongAnswerError(f"{where}: the answer of {len(answer.registers)} registers does not fit the request")
    return answer.registers
