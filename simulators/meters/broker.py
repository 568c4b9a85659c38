"""An MQTT broker for simulated devices: Mosquitto as a child process where it is installed, else ``amqtt`` in this process.

    async with open_broker(folder) as broker:
        broker.host, broker.port, broker.kind          # "127.0.0.1", a free port that stays, "mosquitto" or "amqtt"

Both listen on the loopback alone, keep persistent sessions, and let anyone in. Mosquitto keeps its sessions in ``folder`` over
restarts; what ``amqtt`` knows ends with it. ``stop`` and ``start`` restart the broker on the same port; ``kill`` is kill -9.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gridcore.errors import GridError
from gridcore.processes import end_with_parent
from gridcore.serving.ports import HOST, free_port

if TYPE_CHECKING:
    from amqtt.broker import Broker

KINDS = ("mosquitto", "amqtt")
PACKET_BYTES_MAX = 65_536
"""A packet beyond this costs its sender the connection (Mosquitto)."""
START_S_MAX = 10.0
STOP_S_MAX = 5.0
POLL_S = 0.02


class RunningBroker(Protocol):
    """A broker that answers at ``host``:``port`` between ``start`` and ``stop``."""

    kind: str
    host: str
    port: int

    async def start(self) -> None:
        """Listen; returns when connections are accepted. GridError when it does not come up."""
        ...

    async def stop(self) -> None:
        """End in good order."""
        ...

    async def kill(self) -> None:
        """End at once."""
        ...


@asynccontextmanager
async def open_broker(folder: Path, kind: str | None = None) -> AsyncIterator[RunningBroker]:
    """Run a broker that keeps its files in ``folder`` (made when absent). ``kind``: one of KINDS; None: Mosquitto if installed."""
    kind = kind or ("mosquitto" if mosquitto_program() else "amqtt")
    port = free_port()
    broker: RunningBroker = _Mosquitto(folder, port) if kind == "mosquitto" else _Amqtt(port)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


def mosquitto_program() -> str | None:
    """Path of Mosquitto; distributions put it where only root's PATH looks."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")))


def write_mosquitto_config(folder: Path, port: int) -> Path:
    """Write what Mosquitto needs to listen on ``port`` of the loopback and to keep its sessions in ``folder`` (made when absent)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        f"autosave_interval 5\nmax_packet_size {PACKET_BYTES_MAX}\n"
        "log_type error\nlog_type warning\nlog_type notice\n"  # not each time that it saves its sessions
        f"user {pwd.getpwuid(os.geteuid()).pw_name}\nset_tcp_nodelay true\n"
    )
    return config


class _Mosquitto:
    """Mosquitto as a child process, with a configuration of its own."""

    kind = "mosquitto"
    host = HOST

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """See ``RunningBroker``."""
        program = mosquitto_program()
        if program is None:
            raise GridError("mosquitto is not installed (Debian: apt-get install mosquitto)")
        config = write_mosquitto_config(self._folder, self.port)
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                program,
                "-c",
                str(config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        await _answering(self.port, lambda: self._process is None or self._process.returncode is not None)

    async def stop(self) -> None:
        """See ``RunningBroker``."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """See ``RunningBroker``."""
        await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), STOP_S_MAX)
        except TimeoutError:
            process.kill()
            await process.wait()


class _Amqtt:
    """The broker of the ``amqtt`` package in this event loop, behind a socket of ours.

    It ends only after its clients have: Python 3.11 may swallow the cancellation by which it stops their readers. What it kept
    for a client that was away it marks as retained, so to the agent that is an old reading.
    """

    kind = "amqtt"
    host = HOST

    def __init__(self, port: int) -> None:
        self.port = port
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """See ``RunningBroker``."""
        from amqtt.broker import Broker

        self._broker = Broker(
            {
                "listeners": {"default": {"type": "external"}},
                # lets everyone in; the package's plugin for that keeps no session of those it lets in
                "plugins": {"amqtt.plugins.base.BaseAuthPlugin": {}},
            }
        )
        await self._broker.start()
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def stop(self) -> None:
        """See ``RunningBroker``."""
        broker, server, self._broker, self._server = self._broker, self._server, None, None
        if broker is None or server is None:
            return
        server.close()
        for writer in self._clients.values():
            writer.transport.abort()
        if self._clients:
            await asyncio.wait(self._clients, timeout=STOP_S_MAX)
        ending = asyncio.ensure_future(broker.shutdown())
        while not ending.done():
            await asyncio.wait({ending}, timeout=STOP_S_MAX)
            ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)

    async def kill(self) -> None:
        """See ``RunningBroker``; in process there is no other end."""
        await self.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter

        task, broker = asyncio.current_task(), self._broker
        if broker is None or task is None:
            writer.transport.abort()
            return
        self._clients[task] = writer
        try:
            with contextlib.suppress(OSError):  # the client is gone
                await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), "default")
        finally:
            writer.transport.abort()  # the package leaves it open when the client went first
            del self._clients[task]


async def _answering(port: int, has_ended: Callable[[], bool]) -> None:
    """Wait until someone accepts connections on the port. GridError when the process has ended, or it takes too long."""
    try:
        async with asyncio.timeout(START_S_MAX):
            while not has_ended():
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, port)
                    writer.close()
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise GridError(f"the broker on port {port} does not answer within {START_S_MAX:.0f} s") from None
    raise GridError(f"the broker on port {port} ended as soon as it was started; see mosquitto.log in its folder")
