"""mqtt_fleet: 1,000 MQTT devices in one process say what they show, again and again, and a subscriber has all of it.

The bound is a bare client of paho that publishes the same topics and payloads with the same assurance (QoS 1) to the same broker: what making values and
JSON costs is the difference. Mosquitto where it is installed, else amqtt.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement

PROFILE: Final = "tasmota_energy"
DEVICES: Final = 1_000
ROUNDS: Final = 5
QOS: Final = 1
WITHIN_S: Final = 120.0


class Heard:
    """Every message that a subscriber of the broker has had."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._is_ready, self._has_all = threading.Event(), threading.Event()
        self._wanted = 0

    def want(self, messages: int) -> None:
        """Forget what came, and wait for so many from now on."""
        self.messages, self._wanted = [], messages
        self._has_all.clear()

    def wait(self) -> None:
        """Until all have come."""
        require(self._has_all.wait(WITHIN_S), "every message comes")

    def wait_until_ready(self) -> None:
        """Until the broker passes messages on."""
        require(self._is_ready.wait(WITHIN_S), "the broker takes the subscription")

    def on_connect(self, client: Client, *_: object) -> None:
        """See paho."""
        client.subscribe("#", QOS)

    def on_subscribe(self, *_: object) -> None:
        """See paho."""
        self._is_ready.set()

    def on_message(self, _client: Client, _userdata: object, message: Any) -> None:
        """See paho."""
        self.messages.append((message.topic, bytes(message.payload)))
        if len(self.messages) == self._wanted:
            self._has_all.set()


@contextmanager
def _client(host: str, port: int, heard: Heard | None = None) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_queued_messages_set(0)
    if heard is not None:
        client.on_connect = heard.on_connect
        client.on_subscribe, client.on_message = heard.on_subscribe, heard.on_message
    client.connect(host, port)
    client.loop_start()
    try:
        if heard is not None:
            heard.wait_until_ready()
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


async def _measure(folder: Path) -> Measurement:
    from firmware_profiles import load_profile
    from firmware_profiles.mqtt import MqttProfile
    from simulators.meters.broker import open_broker
    from simulators.meters.mqtt_devices import MqttFleet, VirtualDevice

    profile = load_profile(PROFILE, kind=MqttProfile)
    fleet = MqttFleet([VirtualDevice(f"E{number}", f"plug-{number}", profile) for number in range(DEVICES)])
    heard, seconds, bound_seconds = Heard(), float("inf"), float("inf")
    async with open_broker(folder) as broker:
        with _client(broker.host, broker.port, heard), _client(broker.host, broker.port) as bare:
            await fleet.start(broker.host, broker.port)
            for round_ in range(ROUNDS):
                heard.want(DEVICES)
                begun_s = time.perf_counter()
                await fleet.set_registers([1_000 * round_ + number for number in range(DEVICES)], [0] * DEVICES)
                await asyncio.to_thread(heard.wait)
                seconds = min(seconds, time.perf_counter() - begun_s)
                said = list(heard.messages)
                require(len({topic for topic, _ in said}) == DEVICES, "each device has spoken")
                heard.want(DEVICES)
                begun_s = time.perf_counter()
                for topic, payload in said:
                    bare.publish(topic, payload, QOS)
                await asyncio.to_thread(heard.wait)
                bound_seconds = min(bound_seconds, time.perf_counter() - begun_s)
            await fleet.close()
    return Measurement(DEVICES, seconds, f"a bare paho client, the same messages ({broker.kind})", bound_seconds)


def mqtt_fleet() -> Measurement:
    """Messages of one round of all devices, the best of ROUNDS."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


BENCHMARKS: dict[str, Benchmark] = {"mqtt_fleet": mqtt_fleet}
