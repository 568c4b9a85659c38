"""What hangs in the feeder of a demonstration: every meter, twelve voltages, two devices of other makers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config import EdgeConfig
from gridcore.config import load_config
from gridcore.errors import UsageError
from gridcore.serving.ports import check_free
from gridledger.demo import devices
from gridledger.demo.devices import Broker, broker_of, place_devices
from gridledger.demo.dropped import Dropped
from gridledger.demo.instruments import instruments_of
from gridledger.demo.scene import Scene, lay_out
from gridledger.demo.troubles import Troubles
from gridledger.simulating.terms import terms_of
from simulators.grid.world import LINE_ENDS_OBSERVED, World
from simulators.meters import broker as brokers
from tests.worlds.simulated import demo_world


def scene_of(folder: Path, world: World) -> Scene:
    """A laid-out folder without pages."""
    return lay_out(folder / "out", world, terms_of(world), None)


async def configs_of(scene: Scene, world: World, broker: Broker | None) -> list[EdgeConfig]:
    """The agents' configurations, as the agents read them."""
    async with instruments_of(scene, world, broker, Troubles(world, Dropped(7))):
        return [load_config(scene.edge_config(number + 1), EdgeConfig) for number in range(len(world.areas))]


async def test_voltages_are_read_at_the_busbar_and_at_line_ends_of_every_area(tmp_path: Path) -> None:
    world = demo_world(households=114, slots=1, seed=7)

    configs = await configs_of(scene_of(tmp_path, world), world, None)
    assert len(configs) == 2
    for number, config in enumerate(configs, 1):
        observed = {meter.meter: meter.observe for meter in config.meters if meter.observe}
        assert set(observed.values()) == {("32.7.0",)}
        assert f"M-F{number}" in observed
        assert len(observed) == LINE_ENDS_OBSERVED + 1
        assert {meter.number for meter in config.meters} == {
            row for row, meter in enumerate(world.meters) if meter.area == f"A{number}"
        }


async def test_two_devices_of_other_makers_stand_at_two_homes_of_the_first_area_alone(tmp_path: Path) -> None:
    world = demo_world(households=114, slots=1, seed=7)

    first, second = await configs_of(scene_of(tmp_path, world), world, Broker(1883, None))

    assert [device.profile for device in first.devices] == ["shelly_pro3em", "tasmota_sml"]
    assert [device.number for device in first.devices] == [len(world.meters), len(world.meters) + 1]
    assert [broker.port for broker in first.brokers] == [1883]
    assert (second.devices, second.brokers) == ((), ())
    parties = [world.meters[placed.row].party for placed in place_devices(world)]
    assert len(set(parties)) == 2
    assert set(parties) <= set(world.traders)
    assert world.meters[place_devices(world)[0].row].start_export_wh > 0, "the first one stands where PV is"


async def test_without_a_broker_there_are_no_devices_and_the_configuration_is_whole(tmp_path: Path) -> None:
    world = demo_world(households=1, slots=1, seed=7)

    (config,) = await configs_of(scene_of(tmp_path, world), world, None)

    assert (config.devices, config.brokers) == ((), ())
    assert len(config.meters) == 154


def refuse(*_: object) -> None:
    raise ImportError("no package amqtt")


@pytest.mark.parametrize(
    ("program", "package", "expected"),
    [("/usr/sbin/mosquitto", None, "a process"), (None, None, "in this process"), (None, refuse, "none")],
)
async def test_the_broker_is_mosquitto_or_amqtt_or_there_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str | None,
    package: Callable[..., None] | None,
    expected: str,
) -> None:
    monkeypatch.setattr(devices, "mosquitto_program", lambda: program)
    if package is not None:
        monkeypatch.setattr(brokers._Amqtt, "start", package)
    scene = scene_of(tmp_path, demo_world(households=1, slots=1, seed=7))

    async with broker_of(scene) as broker:
        if expected == "none":
            assert broker is None
        else:
            assert broker is not None
            assert (broker.process is None) == (expected == "in this process")
            if broker.process is None:
                with pytest.raises(UsageError, match=f"{broker.port}: Address already in use"):
                    check_free(broker.port)
