"""One line: meters behind one link, one request at a time, and no answer given to the wrong request.

A request that brought no proper answer leaves the line **unsettled**: its answer may still be under way. Before the next one
the line is drained: whatever arrives is thrown away until the line has been silent for ``drain_ms``. A connection that opening
anew would rid of late bytes is closed after that, where the framing does not number requests; where it does, after
SILENT_REQUESTS_MAX requests without any answer, for then it may be half dead.

Behind a gateway to a serial bus a dead device costs more than its own time: the gateway waits for it longer than we do and
answers nobody meanwhile. While an answer is owed, the next device is waited for until the gateway is free; for how long is
learnt from the answer that came late.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edge.links import Link, LinkDownError, LinkLostError
from edge.links.serial import BAUDS, PARITIES, SerialLink
from edge.links.tcp import TcpLink
from edge.links.tls import open_tls
from edge.readers import PORT_DEFAULT, HungUpError, LineDownError, LineError, NoAnswerError, WrongAnswerError
from gridcore.clock import monotonic_ms
from gridcore.errors import UsageError
from gridcore.logs import get_logger

DRAIN_ROUNDS_MAX = 10
"""A line that never falls silent is closed after this many times ``drain_ms``."""
SILENT_REQUESTS_MAX = 3
"""So many requests in a row without any answer: the connection may be half dead, open a new one."""
GATEWAY_MARGIN = 1.25
"""It is waited for so much longer than it has been seen to take."""
CONNECT_PAUSE_MS = 100
CONNECT_PAUSE_MS_MAX = 1600
"""Pause after connecting while nothing on the line has ever answered: first and, doubling, last. Some device servers throw away
what comes too soon.
"""
FRAMERS = ("socket", "rtu", "dlt645")
CHINA_S = 28_800
"""China Standard Time ahead of UTC."""
TLS_PORT = 802
"""Where Modbus security listens (Modbus/TCP security, 2018-07-24)."""

_SERIAL_NAME = re.compile(r"tty[A-Za-z]{1,8}[0-9]{1,3}")
"""What Linux calls serial ports: ttyUSB0, ttyAMA0, ttyS1, ttymxc2."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LineConfig:
    """Where a line is and how it frames: a TCP address (``host``) or a serial port. Field metadata as in ``gridcore.config``."""

    line: str = field(metadata={"min": 1, "max": 64})
    host: str = field(default="", metadata={"max": 255})
    port: int = field(default=0, metadata={"min": 0, "max": 65_535})
    """0: PORT_DEFAULT, with TLS TLS_PORT."""
    framer: str = field(default="", metadata={"choices": ("", *FRAMERS)})
    """"socket": Modbus TCP (what a TCP line has unless it says otherwise); "rtu": RTU frames, on a serial port or through a
    serial device server; "dlt645": DL/T 645-2007 on either.
    """
    connect_timeout_ms: int = field(default=3000, metadata={"min": 10, "max": 60_000})
    drain_ms: int = field(default=300, metadata={"min": 10, "max": 10_000})
    """Silence after a request without an answer: longer than the slowest meter may answer late."""
    serial: Path | None = None
    """The serial port, e.g. /dev/ttyUSB0; then there is no host."""
    baud: int = field(default=9600, metadata={"choices": BAUDS})
    parity: str = field(default="even", metadata={"choices": PARITIES})
    stop_bits: int = field(default=1, metadata={"choices": (1, 2)})
    timeout_ms: int = field(default=0, metadata={"min": 0, "max": 60_000})
    """Time for an answer; 0: as the meter's profile says."""
    gap_ms: int = field(default=0, metadata={"min": 0, "max": 10_000})
    """Pause between two requests, where that is longer than what a profile says for its meter."""
    connect_pause_ms: int = field(default=0, metadata={"min": 0, "max": 10_000})
    """Pause between connecting and the first request."""
    gateway_ms_max: int = field(default=6000, metadata={"min": 0, "max": 60_000})
    """A gateway to a serial bus that has not come back from a dead device within this is not waiting for it: it was looked for once. 0: there
    is no gateway, and nobody is waited for.
    """
    utc_offset_min: int | None = field(default=None, metadata={"min": -840, "max": 840})
    """Of the meters' own clocks, where they show local time; absent: China Standard Time of DL/T 645 meters, else this machine's."""
    tls: bool = False
    """Modbus security: TLS, and who is there has a certificate."""
    ca: Path | None = None
    """PEM file of the authorities that may vouch for it; absent: those of the system."""
    certificate: Path | None = None
    """PEM file of our own certificate, where it is asked for; ``key``: of its key, which nobody else may read."""
    key: Path | None = None

    def __post_init__(self) -> None:
        """Rules over several fields. UsageError names the line and what would be right."""
        where = f"lines: line {self.line!r}"
        serial = serial_path(self.host)
        if serial:
            raise UsageError(f"{where}: host {self.host!r} is a serial port; write serial = {serial!r}")
        if bool(self.host) == (self.serial is not None):
            raise UsageError(f"{where} needs one place: a host (TCP), or serial, the path of a serial port")
        if self.serial is not None and self.framer == "socket":
            raise UsageError(f"{where}: framer 'socket' is Modbus TCP; a serial port has 'rtu'")
        if self.serial is not None and self.tls:
            raise UsageError(f"{where}: tls is for a host; a serial port has none")
        if not self.tls and (self.ca or self.certificate or self.key):
            raise UsageError(f"{where}: ca, certificate and key go with tls = true")
        if bool(self.certificate) != bool(self.key):
            raise UsageError(f"{where}: certificate and key go together; give both or neither")
        if not self.port:
            object.__setattr__(self, "port", TLS_PORT if self.tls else PORT_DEFAULT)  # frozen for everyone else
        if not self.framer:
            object.__setattr__(
                self, "framer", "rtu" if self.serial is not None else "socket"
            )  # frozen for everyone else

    @property
    def meters_ahead_s(self) -> int:
        """How far the meters' local time is ahead of UTC (s)."""
        if self.utc_offset_min is not None:
            return 60 * self.utc_offset_min
        return CHINA_S if self.framer == "dlt645" else time.localtime().tm_gmtoff

    @property
    def place(self) -> str:
        """Where it is; two lines at one place are one bus."""
        return str(self.serial) if self.serial is not None else f"{self.host}:{self.port}"


def serial_path(host: str) -> str:
    """The path of the serial port that was written where a host belongs; "" where it may be a host."""
    name = host.removeprefix("rtu:").removeprefix("dlt645:").removeprefix("serial:")
    if name.startswith("/"):
        return name
    is_device = _SERIAL_NAME.fullmatch(name.removeprefix("dev/")) is not None
    return f"/dev/{name.removeprefix('dev/')}" if is_device or name != host else ""


def serial_notes(lines: Sequence[LineConfig]) -> list[str]:
    """One line for each serial port that is not there, is none, or is not ours: it may come later, so it refuses nothing."""
    notes = []
    for config in lines:
        if config.serial is not None:
            place = f"lines: line {config.line!r}: serial {config.serial}"
            if not config.serial.exists():
                notes.append(f"{place} is not there; is the adapter plugged in?")
            elif not config.serial.is_char_device():
                notes.append(f"{place} is no serial port")
            elif not os.access(config.serial, os.R_OK | os.W_OK):
                notes.append(f"{place} is not ours to read and write; the group 'dialout' may")
    return notes


class Framing(Protocol):
    """How requests and answers of one protocol lie in the stream of bytes. It knows the request that is under way."""

    numbers_requests: bool
    """Whether an answer says to which request it belongs."""
    stray: str
    """What has arrived and was refused since the last request; "": nothing."""

    @property
    def owed(self) -> int:
        """How many requests that were given up could still be answered."""
        ...

    def take(self, buffer: bytearray) -> bytes | None:
        """Take the answer to the request under way out of ``buffer``; None: more has to come. WrongAnswerError."""
        ...

    def discard(self, buffer: bytearray) -> None:
        """Empty ``buffer``; what was owed and lies in it is owed no more."""
        ...

    def give_up(self) -> None:
        """The request under way is given up; its answer may still come."""
        ...

    def forget(self) -> None:
        """The connection is a new one, or has been drained: nothing is owed any more."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One framed request. ``where``: for errors, ``answer_bytes``: length of the answer that is hoped for."""

    where: str
    data: bytes
    answer_bytes: int


def open_link(config: LineConfig, clock_ms: Callable[[], float] = monotonic_ms) -> Link:
    """The link of a line, not opened yet. UsageError for a certificate or key that cannot be used."""
    if config.serial is not None:
        return SerialLink(
            str(config.serial),
            baud=config.baud,
            parity=config.parity,
            stop_bits=config.stop_bits,
            clock_ms=clock_ms,
        )
    where = f"lines: line {config.line!r}"
    tls = open_tls(where, config.ca, config.certificate, config.key) if config.tls else None
    timeout_ms = config.connect_timeout_ms
    return TcpLink(config.host, config.port, connect_timeout_ms=timeout_ms, tls=tls, clock_ms=clock_ms)


class Line:
    """Asks the devices on one line. Safe to call from several tasks: requests queue up.

    Opens the link by itself when it is needed; call ``close`` at the end.
    """

    def __init__(self, config: LineConfig, framing: Framing, *, clock_ms: Callable[[], float] = monotonic_ms) -> None:
        self.config = config
        self.requests = 0
        self.drains = 0
        self._framing = framing
        self._link = open_link(config, clock_ms)
        self._clock_ms = clock_ms
        self._lock = asyncio.Lock()
        self._unsettled = False
        self._silent_requests = 0
        self._is_out_of_step = False  # where frames begin in the stream is not known any more
        self._answers = 0  # of the present connection
        self._connect_pause_ms = config.connect_pause_ms
        self._has_answered = False
        self._sent_ms = self._owed_since_ms = self._freed_ms = 0.0
        self._gateway_ms: float | None = None  # so long the gateway waits for a device; None: not known

    async def ask(
        self, frame: Callable[[], Request], *, timeout_ms: int, gap_ms: int = 0, until_ms: float = float("inf")
    ) -> bytes:
        """Send the request that ``frame`` makes and return its answer, as the framing takes it.

        ``gap_ms``: pause that the device needs after the traffic before. ``until_ms``: when nobody wants the answer any more.
        Raises LineDownError, NoAnswerError or WrongAnswerError; after the call returns or raises, no late answer can reach
        another request.
        """
        async with self._lock:
            if self._unsettled:
                await self.settle()
            await self._open()
            await self._keep_gap(max(gap_ms, self.config.gap_ms, self._link.silence_ms))
            request = frame()
            self.requests += 1
            self._unsettled = True  # until a proper answer: also when this task is cancelled
            try:
                answer = await self._exchange_over(request, timeout_ms, until_ms)
            except asyncio.CancelledError:
                self._framing.give_up()
                raise
            except WrongAnswerError as error:
                _log.warning("answer_refused", line=self.config.line, request=request.where, reason=str(error))
                self._is_out_of_step = True
                await self.settle()
                raise WrongAnswerError(f"{request.where}: {error}") from None
            if answer is None:
                raise await self._gave_up(request, timeout_ms)
            self._silent_requests = 0
            self._answers += 1
            self._has_answered = True
            return answer

    async def tell(self, frame: bytes, *, gap_ms: int = 0) -> float:
        """Send what nobody answers, to all devices; return when its last byte had left (monotonic ms). LineDownError."""
        async with self._lock:
            if self._unsettled:
                await self.settle()
            await self._open()
            await self._keep_gap(max(gap_ms, self.config.gap_ms, self._link.silence_ms))
            try:
                await self._link.send(frame)
            except LinkLostError as error:
                raise LineDownError(f"{self.config.line}: {error}") from None
            await asyncio.sleep(self._link.wire_ms(len(frame)) / 1000.0)
            return self._clock_ms()

    async def settle(self) -> None:
        """Drain the line; open one anew whose late bytes that sheds."""
        self.drains += 1
        start_ms = self._clock_ms()
        if self._link.is_open:
            await self._link.drain(self.config.drain_ms, DRAIN_ROUNDS_MAX, self._framing.discard)
        if self._link.sheds_when_reopened and (self._is_half_dead() or not self._framing.numbers_requests):
            self._close()
        self._unsettled = False
        _log.info("line_drained", line=self.config.line, drained_ms=round(self._clock_ms() - start_ms))

    def unsettle(self) -> None:
        """An answer may still be under way although one has come: drain before the next request."""
        self._unsettled = True

    async def close(self) -> None:
        """Close the link, if it is open."""
        async with self._lock:
            self._close()

    async def _open(self) -> None:
        if self._link.is_open:
            return
        self._answers = 0
        self._framing.forget()
        try:
            await self._link.open()
        except LinkDownError as error:
            where = "" if self.config.line == self._link.place else f"{self.config.line}: "
            raise LineDownError(f"{where}{error}", error.down) from None
        await asyncio.sleep(self._connect_pause_ms / 1000.0)

    def _close(self) -> None:
        self._link.close()
        self._framing.forget()
        self._silent_requests, self._is_out_of_step = 0, False

    def _is_half_dead(self) -> bool:
        """Whether the connection has to be opened anew; not while a gateway may still come back from a dead device."""
        if self._is_out_of_step:
            return True
        is_owed = self._framing.owed and self._clock_ms() - self._owed_since_ms < self.config.gateway_ms_max
        return self._silent_requests >= SILENT_REQUESTS_MAX and not is_owed

    async def _keep_gap(self, gap_ms: float) -> None:
        wait_ms = self._link.last_traffic_ms + gap_ms - self._clock_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000.0)

    async def _exchange(self, request: Request, timeout_ms: float, until_ms: float) -> bytes | None:
        """Send and wait; None when the time is over. LinkLostError, WrongAnswerError."""
        self._framing.discard(self._link.buffer)  # nobody has asked for it
        self._sent_ms = self._clock_ms()
        await self._link.send(request.data)
        wire_ms = self._link.wire_ms(len(request.data) + request.answer_bytes)
        give_up_ms = min(until_ms, self._sent_ms + timeout_ms + wire_ms)
        owed = self._framing.owed
        while (answer := self._framing.take(self._link.buffer)) is None:
            if self._framing.owed < owed:  # the gateway is back from an earlier device; now this one has its time
                owed, now_ms = self._framing.owed, self._clock_ms()
                self._gateway_ms = max(self._gateway_ms or 0.0, GATEWAY_MARGIN * (now_ms - self._owed_since_ms))
                self._freed_ms = now_ms
                self._silent_requests = 0  # it is alive
                give_up_ms = max(give_up_ms, min(until_ms, now_ms + timeout_ms + wire_ms))
            if not await self._link.receive(give_up_ms):
                busy_until_ms = min(until_ms, self._busy_until_ms())
                if busy_until_ms <= give_up_ms:
                    return None
                give_up_ms = busy_until_ms
                self._gateway_ms = self._gateway_ms or 0.0  # looked for; what comes late will say more
        return answer

    async def _exchange_over(self, request: Request, timeout_ms: float, until_ms: float) -> bytes | None:
        """As ``_exchange``; once more over a new connection when one that has answered before is lost.

        Some devices close it after each answer: then the request never reached them.
        """
        is_again = False
        while True:
            try:
                answer = await self._exchange(request, timeout_ms, until_ms)
            except LinkLostError:
                had_answered = self._answers > 0
                self._close()
                if is_again or not had_answered:
                    self._unsettled = False
                    raise HungUpError(f"{request.where}: the connection was lost") from None
                is_again = True
                await self._open()
            else:
                # of an unnumbered request that was sent twice a second answer may come
                self._unsettled = answer is None or (is_again and not self._framing.numbers_requests)
                return answer

    def _busy_until_ms(self) -> float:
        """Until when the gateway may still be waiting for a device that was given up; 0.0 where nothing speaks for it."""
        most_ms = self.config.gateway_ms_max
        if not most_ms or not self._framing.owed or self._framing.stray:
            return 0.0
        return self._owed_since_ms + (most_ms if self._gateway_ms is None else self._gateway_ms)

    async def _gave_up(self, request: Request, timeout_ms: int) -> LineError:
        """Settle the line after a request without an answer; return what to raise."""
        if not self._framing.owed:
            self._owed_since_ms = max(self._sent_ms, self._freed_ms)
        self._framing.give_up()
        self._silent_requests += 1
        if not self._has_answered:
            self._connect_pause_ms = min(max(CONNECT_PAUSE_MS, 2 * self._connect_pause_ms), CONNECT_PAUSE_MS_MAX)
        stray = self._framing.stray
        await self.settle()
        if stray:
            _log.warning("answer_refused", line=self.config.line, request=request.where, reason=stray)
            return WrongAnswerError(f"{request.where}: {stray}")
        return NoAnswerError(f"{request.where}: no answer within {timeout_ms} ms")
