"""A line of virtual meters: one frame at a time, each for as long as its bytes take on the wire.

    client (TCP connection or pty) -> requests -> bus, one after the other -> answers

``Wire`` computes line time; without one, answers come at once. Who else asks on the same bus waits, as behind a real gateway.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from simulators.meters.faults import NO_LINE_FAULT, LineFault

WAITING_MAX = 256
"""Requests that wait for the bus; further ones are dropped, as by a gateway whose memory is full."""
_PTY_READ_BYTES = 4096


class NonsenseError(Exception):
    """What a client sent has no frames in it: its connection is closed."""


class Heard(NamedTuple):
    """One request: the frame as the client sent it, and how many bytes it takes on the bus."""

    frame: bytes
    bus_bytes: int


class Reply(NamedTuple):
    """One answer: the frame for the client, and how many bytes it takes on the bus. Times in milliseconds.

    held_ms: so long the bus is taken before the answer; late_ms: so long the meter thinks while others may use the bus.
    """

    frame: bytes
    bus_bytes: int
    held_ms: int = 0
    late_ms: int = 0


class Speech(Protocol):
    """What the meters of a line speak."""

    def take(self, buffer: bytes) -> tuple[Heard | None, bytes]:
        """Take the first request off ``buffer``: it (None: not whole yet) and the rest. NonsenseError: there is none."""
        ...

    def answer(self, heard: Heard, fault: LineFault) -> Reply | None:
        """The answer to a request; None: silence."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """A serial line: ``baud``, and bits a byte (start, 8, parity, stop: 11 for 8E1)."""

    baud: int
    bits_per_byte: int = 11

    def seconds(self, count: int) -> float:
        """How long ``count`` bytes take."""
        return count * self.bits_per_byte / self.baud


class Client(Protocol):
    """Somebody who asks on a bus."""

    buffer: bytes
    opened_s: float
    answered_s: float
    answers: int

    def write(self, data: bytes) -> None:
        """Send bytes; they are lost when nobody is there any more."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class _Turn(NamedTuple):
    """A request whose turn on the bus it is, or will be."""

    client: Client
    heard: Heard


class Bus:
    """The meters of one line and the wire between them. One event loop only."""

    def __init__(self, speech: Speech, wire: Wire | None = None) -> None:
        self.fault = NO_LINE_FAULT
        self._speech = speech
        self._wire = wire
        self._waiting: deque[_Turn] = deque()
        self._is_taken = False
        self._free_at_s = 0.0
        self._delivered = 0
        self._overtaken: tuple[Client, bytes] | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    def receive(self, client: Client, data: bytes) -> None:
        """Answer every whole request in the stream of ``client``."""
        now_s = asyncio.get_running_loop().time()
        if (now_s - client.opened_s) * 1000.0 < self.fault.pause_after_connect_ms:
            return
        client.buffer += data
        while True:
            try:
                heard, client.buffer = self._speech.take(client.buffer)
            except NonsenseError:
                client.buffer = b""
                client.close()
                return
            if heard is None:
                return
            if self.fault.echo:
                client.write(heard.frame)
            has_gap = not self.fault.gap_ms or (now_s - client.answered_s) * 1000.0 >= self.fault.gap_ms
            if has_gap and len(self._waiting) < WAITING_MAX:
                self._waiting.append(_Turn(client, heard))
                self._next_turn()

    def close(self) -> None:
        """Forget what is under way."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._waiting.clear()
        self._overtaken = None
        self._is_taken = False

    def _next_turn(self) -> None:
        while self._waiting and not self._is_taken:
            turn = self._waiting.popleft()
            self._is_taken = True
            self._free_at_s = max(self._free_at_s, asyncio.get_running_loop().time())
            self._after(self._line_s(turn.heard.bus_bytes), partial(self._hear, turn))

    def _hear(self, turn: _Turn) -> None:
        """The request has reached the meters."""
        reply = self._speech.answer(turn.heard, self.fault)
        if reply is None or reply.late_ms:
            self._is_taken = False
            if reply is not None:
                self._at(self._free_at_s + reply.late_ms / 1000.0, partial(self._deliver, turn.client, reply.frame))
        else:
            answering_s = reply.held_ms / 1000.0 + self._line_s(reply.bus_bytes)
            self._after(answering_s, partial(self._finish, turn.client, reply.frame))

    def _finish(self, client: Client, frame: bytes) -> None:
        self._is_taken = False
        self._deliver(client, frame)

    def _deliver(self, client: Client, frame: bytes) -> None:
        fault = self.fault
        self._delivered += 1
        if fault.overtaken_every and self._delivered % fault.overtaken_every == 0:
            self._overtaken = client, frame
            return
        client.answered_s = asyncio.get_running_loop().time()
        client.answers += 1
        if fault.damaged:
            frame = frame[:-2] + bytes((frame[-2] ^ 1,)) + frame[-1:]
        client.write((fault.noise + frame) * (1 + fault.twice))
        if self._overtaken is not None:
            (late, behind), self._overtaken = self._overtaken, None
            late.write(behind)
        if fault.answers_per_connection and client.answers >= fault.answers_per_connection:
            client.close()

    def _line_s(self, count: int) -> float:
        return 0.0 if self._wire is None else self._wire.seconds(count)

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        """Go on when the bus has been taken for ``seconds`` more; at once where that is no time."""
        if seconds:
            self._free_at_s += seconds  # a sum of line times: a late timer delays nothing after it
            self._at(self._free_at_s, then)
        else:
            then()

    def _at(self, due_s: float, then: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            then()
            self._next_turn()

        timer = asyncio.get_running_loop().call_at(due_s, run)
        self._timers.add(timer)


class TcpClient(asyncio.Protocol):
    """One connection to a bus. ``connections`` holds the open ones, so that the line can be cut."""

    def __init__(self, bus: Bus, connections: set[asyncio.Transport]) -> None:
        self._bus = bus
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self.buffer = b""
        self.opened_s = asyncio.get_running_loop().time()
        self.answered_s = float("-inf")
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._transport is not None:
            self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """See ``Bus.receive``."""
        self._bus.receive(self, data)

    def write(self, data: bytes) -> None:
        """See ``Client``."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """See ``Client``."""
        if self._transport is not None:
            self._transport.close()


class PtyClient:
    """The other end of a serial line: a pty whose slave is the serial device of whoever asks (``path``)."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._master, self._slave = os.openpty()  # the slave stays open here: the line is there when nobody listens
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        loop = asyncio.get_running_loop()
        self.buffer = b""
        self.opened_s = float("-inf")
        self.answered_s = float("-inf")
        self.answers = 0
        loop.add_reader(self._master, self._readable)

    def write(self, data: bytes) -> None:
        """See ``Client``; what does not fit because nobody listens is lost, as on a wire."""
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Pull the plug."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1

    def _readable(self) -> None:
        self._bus.receive(self, os.read(self._master, _PTY_READ_BYTES))
