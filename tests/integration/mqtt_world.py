"""What tests with real brokers share: brokers of both kinds, an observer over real connections, mosquitto_sub beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from edge.links.broker import BrokerConfig, BrokerLink
from edge.meters import SamplePolicy
from edge.observing import Observer
from edge.readers.mqtt import DeviceConfig, build_devices
from edge.samples import MeterSample, Sample
from firmware_profiles import MqttProfile, load_profile
from gridcore.clock import monotonic_ms
from gridcore.observations import Observations
from simulators.meters import MqttFleet, RunningBroker, VirtualDevice, mosquitto_program, open_broker
from tests.waiting import until

INSTALL = "not installed (Debian: apt-get install mosquitto mosquitto-clients)"
SHELLY = replace(load_profile("shelly_pro3em", kind=MqttProfile), timeout_ms=300)
TASMOTA = replace(load_profile("tasmota_sml", kind=MqttProfile), timeout_ms=300)
PROFILES: dict[str, MqttProfile] = {SHELLY.id: SHELLY, TASMOTA.id: TASMOTA}
POLICY = SamplePolicy(observe_ms=1500)
ROWS = [
    DeviceConfig(9001, "EM-1", "house", "shellypro3em-1", SHELLY.id),
    DeviceConfig(9002, "SML-2", "house", "sml-2", TASMOTA.id),
]
FLEET = [VirtualDevice(row.device, row.address, PROFILES[row.profile]) for row in ROWS]

both_kinds = pytest.mark.parametrize("kind", [pytest.param("mosquitto", marks=pytest.mark.external), "amqtt"])


def skip_without_mosquitto(kind: str = "mosquitto") -> None:
    """Skip where Mosquitto or its clients are missing; under CI that is a failure."""
    if kind == "mosquitto" and (mosquitto_program() is None or shutil.which("mosquitto_sub") is None):
        pytest.skip(f"mosquitto or mosquitto_sub {INSTALL}")


@dataclass
class House:
    """A broker, virtual devices on it, and an observer of them; boundaries are counted up."""

    broker: RunningBroker
    fleet: MqttFleet
    observer: Observer
    links: tuple[BrokerLink, ...]
    simulated: bool = True
    boundary_s: int = 0

    async def boundary(self, *, late: bool = False) -> Observations:
        """Observe at the next boundary; ``late``: once more at the same one."""
        if not late:
            self.boundary_s += 900
        sample = Sample(self.boundary_s, (MeterSample(1, "M-1", (0, 0), 0, 0, 0),), (), 0)
        return await self.observer.observe(sample, boundary_ms=monotonic_ms(), simulated=self.simulated)


@asynccontextmanager
async def house(
    folder: Path, kind: str, *, rows: Sequence[DeviceConfig] = ROWS, port: int | None = None, simulated: bool = True
) -> AsyncIterator[House]:
    """``port``: where the observer connects, if not to the broker itself."""
    skip_without_mosquitto(kind)
    async with open_broker(folder / "broker", kind) as broker:
        config = BrokerConfig("house", broker.host, port or broker.port, retry_ms_max=300, connect_timeout_ms=2000)
        links, devices = build_devices([config], rows, PROFILES, client_id="gw-1")
        observer = Observer((), links, devices, POLICY)
        fleet = MqttFleet(FLEET)
        await fleet.start(broker.host, broker.port)
        observer.start()
        assert await links[0].wait_usable(5)  # what is said before it listens for the first time is lost to it
        try:
            yield House(broker, fleet, observer, links, simulated)
        finally:
            await observer.close()
            await fleet.close()


def values(observed: Observations, number: int) -> dict[str, int]:
    """Thousandths by OBIS of one device."""
    return {row.obis: row.value_milli for row in observed.rows if row.device == number}


async def until_up(link: BrokerLink, connections: int = 1) -> None:
    """Wait until the link has been up so many times, and is."""
    await until(lambda: link.is_up and link.connections >= connections)


class Listener:
    """mosquitto_sub beside the agent: every message of every topic."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def next(self, topic: str) -> dict[str, Any]:
        """The next message of a topic, numbers as Decimal."""
        assert self._process.stdout is not None
        async with asyncio.timeout(10):
            while True:
                line = (await self._process.stdout.readline()).decode()
                name, _, payload = line.rstrip("\n").partition(" ")
                if name == topic:
                    content: dict[str, Any] = json.loads(payload, parse_float=Decimal, parse_int=Decimal)
                    return content


@asynccontextmanager
async def listening(broker: RunningBroker) -> AsyncIterator[Listener]:
    """mosquitto_sub, subscribed."""
    process = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-h", broker.host, "-p", str(broker.port), "-t", "#", "-q", "1", "-F", "%t %p",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    listener = Listener(process)
    try:
        await say(broker, "hello", b"{}", retain=True)  # heard whether it has subscribed before or after
        await listener.next("hello")
        yield listener
    finally:
        process.terminate()
        await process.wait()


async def say(broker: RunningBroker, topic: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish once, as another client than the agent's and the devices'; returns when the broker has it."""
    await asyncio.to_thread(publish.single, topic, payload, 1, retain, broker.host, broker.port)


class Proxy:
    """A TCP relay in front of the broker: it can swallow what the client says, and cut the connection."""

    def __init__(self, port_of_broker: int) -> None:
        self._target = port_of_broker
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.swallows = False
        self.refuses = False

    async def start(self) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> list[asyncio.StreamWriter]:
        """Close every connection; returns them."""
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()
        return writers

    async def close(self) -> None:
        """End."""
        if self._server is not None:
            self._server.close()
        for writer in self.cut():
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        await asyncio.gather(self._relay(reader, far_writer, True), self._relay(far_reader, writer, False))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, from_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if not (from_client and self.swallows):
                    writer.write(data)
        writer.close()
