"""The MQTT side of a run: a broker, and devices of other makers beside meters of homes. They inform and bill nothing.

A scenario says at how many homes they stand, and of which profiles; where it does not, there are two.

The broker is Mosquitto where it is installed, a process like the others; else ``amqtt`` in this one; and where there is neither, the
demonstration runs without devices.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from firmware_profiles import MqttProfile, load_profile
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.serving.ports import HOST, free_port
from gridledger.demo.scene import Scene
from gridledger.supervised import Supervised
from simulators.grid.diversity import Stream, generator, owners_of_ten
from simulators.grid.world import World
from simulators.meters.broker import RunningBroker, mosquitto_program, open_broker, write_mosquitto_config
from simulators.meters.mqtt_devices import MqttFleet, VirtualDevice
from simulators.scenarios.meter_kinds import MqttDevices

BROKER: Final = "loopback"
ANSWERS_S_MAX: Final = 5.0
"""So long the day waits for a broker that is just starting; after that it does without, and finds it when it comes."""
POLL_S: Final = 0.02
RETRY_MS_MAX: Final = 500
"""An agent looks for a broker that is away at least so often."""

_log = get_logger(__name__)


@dataclass(frozen=True)
class PlacedDevice:
    """A device beside a home's meter. ``number``: its own in observations; ``row``: the meter's column in the world."""

    number: int
    row: int
    device: VirtualDevice


def place_devices(world: World) -> tuple[PlacedDevice, ...]:
    """The devices of a world, in the order of their numbers. They stand in front of everything of their home: they see what the meter sees."""
    fleet = world.scenario.mqtt_devices
    return _two_devices(world) if fleet is None else tuple(_fleet(world, fleet))


def _fleet(world: World, fleet: MqttDevices) -> Iterator[PlacedDevice]:
    """At so many of each ten homes of every area, drawn; the profiles in turn."""
    number = 0
    for index, area in enumerate(world.areas):
        homes = [row for row, meter in enumerate(world.meters) if meter.area == area and meter.role == "household"]
        rng = generator(world.scenario.seed, index, Stream.MQTT_OWNERS)
        for home in np.flatnonzero(owners_of_ten(rng, len(homes), fleet.homes_of_ten)).tolist():
            row, profile = homes[home], fleet.profiles[number % len(fleet.profiles)]
            party = world.meters[row].party
            address = f"{profile}_{party.lower()}"
            device = VirtualDevice(f"{profile} {party}", address, load_profile(profile, kind=MqttProfile))
            yield PlacedDevice(len(world.meters) + number, row, device)
            number += 1


def _two_devices(world: World) -> tuple[PlacedDevice, ...]:
    """A Shelly-like device at the first trading home with PV (else the first home), a Tasmota-like one at the first other home.

    Both in the first area.
    """
    homes = [
        row for row, meter in enumerate(world.meters) if meter.area == world.areas[0] and meter.role == "household"
    ]
    trading = set(world.traders)
    with_pv = [row for row in homes if world.meters[row].start_export_wh and world.meters[row].party in trading]
    first = (with_pv or homes)[0]
    second = next(row for row in homes if row != first)
    number = len(world.meters)  # behind every installation's
    placed: list[PlacedDevice] = []
    for row, maker, address, profile in (
        (first, "Shelly", "shellypro3em-{}", "shelly_pro3em"),
        (second, "Tasmota", "tasmota_{}", "tasmota_sml"),
    ):
        party = world.meters[row].party
        device = VirtualDevice(
            f"{maker} {party}", address.format(party.lower()), load_profile(profile, kind=MqttProfile)
        )
        placed.append(PlacedDevice(number + len(placed), row, device))
    return tuple(placed)


def devices_toml(port: int, devices: Sequence[PlacedDevice]) -> str:
    """The tables of an agent's configuration that name broker and devices."""
    parts = [f'[[brokers]]\nbroker = "{BROKER}"\nhost = "{HOST}"\nport = {port}\nretry_ms_max = {RETRY_MS_MAX}\n']
    for placed in devices:
        device = placed.device
        parts.append(
            f'[[devices]]\nnumber = {placed.number}\ndevice = "{device.device}"\nbroker = "{BROKER}"\n'
            f'address = "{device.address}"\nprofile = "{device.profile.id}"\n'
        )
    return "\n".join(parts)


@dataclass(frozen=True)
class Broker:
    """Where the broker is. ``process``: to be kept alive by the demonstration; else it runs in this process, and is ``own``."""

    port: int
    process: Supervised | None
    own: RunningBroker | None = None

    async def stop(self) -> None:
        """End it, as a power cut does."""
        if self.process is not None:
            await self.process.pause()
        elif self.own is not None:
            await self.own.kill()

    async def start(self) -> None:
        """Start it again after a ``stop``."""
        if self.process is not None:
            self.process.resume()
        elif self.own is not None:
            await self.own.start()


@asynccontextmanager
async def broker_of(scene: Scene) -> AsyncIterator[Broker | None]:
    """The broker of a demonstration, None where there is no program and no package for one. Mosquitto is only made ready here."""
    program = mosquitto_program()
    if program is not None:
        port = free_port()
        config = write_mosquitto_config(scene.run_dir / "broker", port)
        yield Broker(port, Supervised("broker", [program, "-c", str(config)], scene.run_dir))
        return
    async with contextlib.AsyncExitStack() as stack:
        broker: RunningBroker | None = None
        try:
            broker = await stack.enter_async_context(open_broker(scene.run_dir / "broker", "amqtt"))
        except (ImportError, GridError, OSError) as error:
            _log.warning("no_broker", reason=str(error), consequence="a demonstration without MQTT devices")
        yield None if broker is None else Broker(broker.port, None, broker)


async def connect_devices(devices: MqttFleet, broker: Broker) -> None:
    """Let the devices connect as soon as the broker answers; they go on trying by themselves when it takes too long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWERS_S_MAX):
            while not await _is_listening(broker.port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_S)
    await devices.start(HOST, broker.port)


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
