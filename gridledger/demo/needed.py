"""What a scenario needs of this machine, said in one line before anything starts: a consensus engine, a broker, devices that can be."""

from __future__ import annotations

from importlib.util import find_spec

from firmware_profiles import MqttProfile, load_profile
from gridcore.errors import UsageError
from ledger.engines.cometbft.program import find_engine
from simulators.meters.broker import mosquitto_program
from simulators.meters.mqtt_devices import SHOWN
from simulators.scenarios.gallery import Found
from simulators.scenarios.schema import DEAD_BROKER


def check_engine(found: Found) -> None:
    """UsageError naming the file where the ledger of a scenario is held by validators and their engine is not installed."""
    if found.scenario.consortium is None:
        return
    try:
        find_engine()
    except UsageError as error:
        raise UsageError(f"{found.path}: consortium: {error}") from None


def check_broker(found: Found) -> None:
    """UsageError naming file and key where a scenario has devices that cannot be, or needs a broker and there is nothing here to be one."""
    scenario = found.scenario
    needs = [
        f"events[{number}]: {DEAD_BROKER!r}"
        for number, event in enumerate(scenario.events)
        if event.kind == DEAD_BROKER
    ]
    if scenario.mqtt_devices is not None:
        needs.insert(0, "mqtt_devices")
        for number, profile in enumerate(scenario.mqtt_devices.profiles):
            try:
                _check_device(profile)
            except UsageError as error:
                raise UsageError(f"{found.path}: mqtt_devices.profiles[{number}]: {error}") from None
    if not needs or mosquitto_program() is not None or find_spec("amqtt") is not None:
        return
    what = f"{needs[0]} needs an MQTT broker, and none is installed"
    raise UsageError(f"{found.path}: {what} (Debian: apt-get install mosquitto); install it, or leave this out")


def _check_device(name: str) -> None:
    """UsageError for a profile that is none of an MQTT device, or of one that no virtual device can be."""
    profile = load_profile(name, kind=MqttProfile)
    lacks = sorted({point.obis for point in profile.points if point.required} - SHOWN)
    if lacks:
        raise UsageError(f"profile {name!r} needs {', '.join(lacks)}, which virtual devices do not show")
    if any(point.topic != profile.mqtt.push_topic for point in profile.points):
        raise UsageError(f"profile {name!r} speaks on several topics, and virtual devices on one")
