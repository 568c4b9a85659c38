"""Observations from device and meter to the ledger: real broker, Modbus sockets, a real node, the agent in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.outbox_file import read_outbox
from firmware_profiles import MqttProfile, load_profile
from simulators.meters import Fault, MqttFleet, RunningBroker, VirtualDevice, open_broker
from tests.integration.mqtt_world import both_kinds, skip_without_mosquitto
from tests.integration.test_edge_with_node import NUMBERS, Plant, agent_task, plant, shown
from tests.waiting import until

DEVICES = [
    VirtualDevice("EM-9", "em-9", load_profile("shelly_pro3em", kind=MqttProfile)),
    VirtualDevice("SML-8", "sml-8", load_profile("tasmota_sml", kind=MqttProfile)),
]
SLOTS = 40
VOLTAGES = {f"M-{number}" for number in NUMBERS}


@asynccontextmanager
async def house(folder: Path, kind: str, slots: int) -> AsyncIterator[tuple[Plant, MqttFleet, RunningBroker]]:
    """A plant whose meters' voltages are observed, and two MQTT devices beside them."""
    skip_without_mosquitto(kind)
    async with plant(folder, slots) as world, open_broker(folder / "broker", kind) as broker:
        text = world.config.read_text().replace("limit_wh = 10000\n", 'limit_wh = 10000\nobserve = ["32.7.0"]\n')
        text += f'[[brokers]]\nbroker = "b"\nhost = "{broker.host}"\nport = {broker.port}\nretry_ms_max = 200\n'
        for number, device in enumerate(DEVICES, 900_001):
            text += f'[[devices]]\nnumber = {number}\ndevice = "{device.device}"\nbroker = "b"\n'
            text += f'address = "{device.address}"\nprofile = "{device.profile.id}"\n'
        world.config.write_text(text)
        fleet = MqttFleet(DEVICES)
        await fleet.start(broker.host, broker.port)
        talking = asyncio.create_task(_talk(fleet))
        try:
            yield world, fleet, broker
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            await fleet.close()


async def observations(world: Plant, boundary_s: int) -> dict[str, Any]:
    """What the node has of a boundary."""
    found: dict[str, Any] = await world.node.client("reg").query("gateways/gw-1/observations", boundary_s=boundary_s)
    return found


def by_name(found: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Thousandths by name and OBIS."""
    rows: dict[str, dict[str, int]] = {}
    for row in found["observations"]:
        rows.setdefault(row["name"], {})[row["obis"]] = row["value_milli"]
    return rows


@both_kinds
async def test_observations_go_from_device_to_ledger_beside_the_billed_registers(tmp_path: Path, kind: str) -> None:
    async with house(tmp_path, kind, 2) as (world, fleet, _), agent_task(world.config):
        for slot in range(3):
            await fleet.set_registers([1000 * slot + 1, 2000 * slot], [3, 4], [17.5, -2.0], [229.5 + slot, 230.0])
            boundary_s = await world.step(slot)
            await world.complete(boundary_s)
            assert await world.registers(boundary_s) == shown(slot)
            found = await observations(world, boundary_s)
            rows = by_name(found)
            assert {name: rows[name] for name in VOLTAGES} == {name: {"32.7.0": 230_000} for name in VOLTAGES}
            assert (rows["EM-9"]["1.8.0"], rows["EM-9"]["32.7.0"]) == (1_000_000 * slot + 1000, 229_500 + 1000 * slot)
            assert rows["SML-8"] == {"1.8.0": 2_000_000 * slot, "2.8.0": 4000, "16.7.0": -2000}
            assert found["absent"] == []
        await until(lambda: read_outbox(tmp_path / "outbox.sqlite").depth == 0)
        seen = read_outbox(tmp_path / "outbox.sqlite").progress.seen
        assert (seen.brokers, seen.absent) == ((("b", "up"),), ())


@both_kinds
async def test_broker_away_costs_no_reading_and_the_ledger_says_why_devices_are_absent(
    tmp_path: Path, kind: str
) -> None:
    async with house(tmp_path, kind, SLOTS) as (world, _, broker):
        await broker.kill()
        async with agent_task(world.config):
            boundary_s = await world.step(0)
            await world.complete(boundary_s)
            assert await world.registers(boundary_s) == shown(0)
            found = await observations(world, boundary_s)
            assert set(by_name(found)) == VOLTAGES
            assert [(row["name"], row["reason"]) for row in found["absent"]] == [
                ("EM-9", "broker_down"), ("SML-8", "broker_down"),
            ]  # fmt: skip
            await broker.start()
            names: set[str] = set()
            for slot in range(1, SLOTS + 1):  # how many it takes is a matter of pauses between attempts to connect
                boundary_s = await world.step(slot)
                await world.complete(boundary_s)
                names = set(by_name(await observations(world, boundary_s)))
                assert names >= VOLTAGES
                if names == VOLTAGES | {"EM-9", "SML-8"}:
                    break
                await asyncio.sleep(0.2)
            assert names == VOLTAGES | {"EM-9", "SML-8"}


async def test_late_meter_brings_its_voltage_late(tmp_path: Path) -> None:
    async with house(tmp_path, "amqtt", 1) as (world, _, _), agent_task(world.config):
        world.fleet.set_fault("M-2", Fault(silent=True))
        boundary_s = await world.step(0)

        async def is_observed() -> bool:
            return bool((await observations(world, boundary_s))["observations"])

        await until(is_observed)
        found = await observations(world, boundary_s)
        assert "M-2" in {row["name"] for row in found["absent"]}
        world.fleet.set_fault("M-2", None)
        await world.complete(boundary_s)
        found = await observations(world, boundary_s)
        assert by_name(found)["M-2"] == {"32.7.0": 230_000}
        assert "M-2" not in {row["name"] for row in found["absent"]}


async def _talk(fleet: MqttFleet) -> None:
    """Let the devices say their state again and again, as real ones do: whoever connects late hears it too."""
    while True:
        await fleet.speak()
        await asyncio.sleep(0.1)
