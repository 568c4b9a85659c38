"""Shipped profiles of devices that only speak, on payloads as their projects and users publish them, through a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.links.broker import BrokerConfig
from edge.observing import Observer
from edge.readers.mqtt import DeviceConfig, build_devices
from edge.samples import MeterSample, Sample
from firmware_profiles import MqttProfile, load_profile
from gridcore.clock import monotonic_ms
from gridcore.observations import Observations
from simulators.meters import open_broker
from tests.integration.mqtt_world import POLICY, both_kinds, say, skip_without_mosquitto, values

NUMBER = 9001

SAID: dict[str, tuple[str, list[tuple[str, bytes]], dict[str, int]]] = {
    "shelly_3em": (
        "shellyem3-C45BBE792599",
        [
            ("shellies/shellyem3-C45BBE792599/emeter/0/total", b"2019449.8"),
            ("shellies/shellyem3-C45BBE792599/emeter/0/power", b"169.88"),
            ("shellies/shellyem3-C45BBE792599/emeter/1/power", b"-373.89"),
            ("shellies/shellyem3-C45BBE792599/emeter/2/total_returned", b"2246508.0"),
            ("shellies/shellyem3-C45BBE792599/emeter/2/current", b"2.89"),
        ],
        {"21.8.0": 2_019_449_800, "36.7.0": 169_880, "56.7.0": -373_890, "62.8.0": 2_246_508_000, "71.7.0": 2_890},
    ),
    "tasmota_energy": (
        "pump",
        [
            (
                "tele/pump/SENSOR",
                b'{"Time":"2019-09-22T09:47:11","ENERGY":{"Total":0.29,"Yesterday":0.00,"Power":759,"Voltage":233,"Current":4.95}}',
            )
        ],
        {"1.8.0": 290_000, "16.7.0": 759_000, "32.7.0": 233_000, "31.7.0": 4_950},
    ),
    "zigbee2mqtt_meter": (
        "cellar/z1",
        [
            (
                "zigbee2mqtt/cellar/z1",
                b'{"child_lock":"UNLOCK","current":0,"energy":12.05,"identify":null,"power":0,"state":"OFF","voltage":243}',
            )
        ],
        {"1.8.0": 12_050_000, "16.7.0": 0, "32.7.0": 243_000, "31.7.0": 0},
    ),
    "espeasy_energy": (
        "garage",
        [
            ("/garage/energy/import_kwh", b"1234.56"),
            ("/garage/energy/power_w", b"-42"),
        ],
        {"1.8.0": 1_234_560_000, "16.7.0": -42_000},
    ),
}
"""By profile: the device's place, what it says on which topic, and the thousandths that are observed."""


async def observed(folder: Path, kind: str, profile_id: str, messages: list[tuple[str, bytes]]) -> Observations:
    skip_without_mosquitto(kind)
    profile = load_profile(profile_id, kind=MqttProfile)
    row = DeviceConfig(NUMBER, "D-1", "house", SAID[profile_id][0], profile_id)
    async with open_broker(folder / "broker", kind) as broker:
        config = BrokerConfig("house", broker.host, broker.port, retry_ms_max=300, connect_timeout_ms=2000)
        links, devices = build_devices([config], [row], {profile_id: profile}, client_id="gw-1")
        observer = Observer((), links, devices, POLICY)
        observer.start()
        try:
            assert await links[0].wait_usable(5)
            for topic, payload in messages:
                await say(broker, topic, payload)
            sample = Sample(900, (MeterSample(1, "M-1", (0, 0), 0, 0, 0),), (), 0)
            return await observer.observe(sample, boundary_ms=monotonic_ms(), simulated=True)
        finally:
            await observer.close()


@both_kinds
@pytest.mark.parametrize("profile_id", sorted(SAID))
async def test_what_a_device_says_is_observed_by_its_shipped_profile(
    tmp_path: Path, kind: str, profile_id: str
) -> None:
    _, messages, expected = SAID[profile_id]
    found = await observed(tmp_path, kind, profile_id, messages)
    assert values(found, NUMBER) == expected
    assert found.absent == {}


async def test_plug_that_has_no_energy_yet_gives_its_other_values(tmp_path: Path) -> None:
    message = b'{"child_lock":null,"current":0.1,"energy":null,"linkquality":81,"power":12,"state":"ON","voltage":241}'
    found = await observed(tmp_path, "amqtt", "zigbee2mqtt_meter", [("zigbee2mqtt/cellar/z1", message)])
    assert values(found, NUMBER) == {"16.7.0": 12_000, "32.7.0": 241_000, "31.7.0": 100}
