"""Profiles of MQTT devices: the shipped ones hold together, and each mistake is one line that names what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_profiles import ModbusProfile, MqttProfile, load_profile, profile_ids
from firmware_profiles.mqtt import PATH_STEPS_MAX
from gridcore.errors import UsageError

RPC = """\
id = "test_device"
vendor = "Test"
models = ["T1"]
source = ["made for this test"]
evidence = "one-source"
timeout_ms = 500
ratio_applied = true
netting = "phase"

[mqtt]
mode = "rpc"
request_topic = "{device}/rpc"
reply_topic = "{client}/rpc"
requests = [{ method = "EM.GetStatus", params = { id = 0 } }]

[[points]]
obis = "32.7.0"
request = "EM.GetStatus"
path = "a.voltage"
scale = "1/10"
unit = "V"
min = 0
max = 300
"""
PUSH = """\
id = "test_device"
vendor = "Test"
models = ["T1"]
source = ["made for this test"]
evidence = "one-source"
timeout_ms = 500
ratio_applied = false
netting = "unstated"

[mqtt]
mode = "push"
push_topic = "tele/{device}/SENSOR"
age_ms_max = 60000

[[points]]
obis = "1.8.0"
path = "SML.Total_in"
scale = "1000/1"
unit = "Wh"
"""


def load(folder: Path, text: str) -> None:
    (folder / "test_device.toml").write_text(text, encoding="utf-8")
    load_profile("test_device", folder)


def test_shipped_profiles_ask_or_listen_and_bill_nothing() -> None:
    found = [load_profile(profile_id) for profile_id in profile_ids()]
    shipped = [profile for profile in found if isinstance(profile, MqttProfile)]
    assert {profile.mqtt.mode for profile in shipped} == {"rpc", "push"}
    assert not any(profile.billing for profile in shipped)


def test_topics_name_the_device_and_the_client() -> None:
    profile = load_profile("shelly_pro3em", kind=MqttProfile)
    assert profile.topic(profile.mqtt.request_topic, device="home/em-1", client="gw-1") == "home/em-1/rpc"
    assert profile.topic(profile.mqtt.reply_topic, device="home/em-1", client="gw-1") == "gw-1/rpc"


@pytest.mark.parametrize("text", [RPC, PUSH], ids=["rpc", "push"])
def test_profiles_of_this_test_are_good(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)


@pytest.mark.parametrize(
    ("base", "old", "new", "reason"),
    [
        (RPC, "timeout_ms", "timeoutms", "timeoutms is an unknown key; did you mean 'timeout_ms'?"),
        (RPC, 'mode = "rpc"', 'mode = "ask"', "mode = 'ask' is not allowed; choose 'rpc' or 'push'"),
        (RPC, "{device}/rpc", "rpc", "request_topic 'rpc' must hold {device}"),
        (RPC, "{client}/rpc", "{client}/{user}", "of placeholders only {client}"),
        (RPC, "{device}/rpc", "{device}/#", "is no topic to publish to"),
        (RPC, "{device}/rpc", "$SYS/{device}", "is no topic to publish to"),
        (RPC, 'mode = "rpc"', 'mode = "rpc"\nage_ms_max = 5', "mode 'rpc' has no push_topic and no age_ms_max"),
        (RPC, '[{ method = "EM.GetStatus", params = { id = 0 } }]', "[]", "needs at least one"),
        (RPC, "requests = [", 'requests = [{ method = "X" }, ', "no point lies in the answer to 'X'; leave it out"),
        (RPC, 'request = "EM.GetStatus"', 'request = "EM"', "point 32.7.0: request 'EM' is none of requests"),
        (RPC, '"1/10"', '"2/10"', "point 32.7.0: scale '2/10' is not a fraction 'num/den' in lowest terms"),
        (RPC, '"1/10"', '"0/1"', "point 32.7.0: scale is 0"),
        (RPC, "min = 0", "min = 301", "point 32.7.0: min 301 is above max 300"),
        (RPC, '"a.voltage"', '"a..voltage"', "point 32.7.0: path 'a..voltage' is not up to 8 keys"),
        (RPC, '"a.voltage"', f'"{".".join("a" * (PATH_STEPS_MAX + 1))}"', "is not up to 8 keys with dots between"),
        (RPC, '"32.7.0"', '"voltage"', "point voltage: obis is not of the form C.D.E"),
        (RPC, '"32.7.0"', '"٣٢.7.0"', "obis is not of the form C.D.E"),
        (RPC, '"V"', '"kV"', "points[0].unit = 'kV' is not allowed"),
        (RPC, 'evidence = "one-source"', 'evidence = "rumour"', "evidence = 'rumour' is not allowed"),
        (RPC, 'id = "test_device"', 'id = "other_device"', "id is 'other_device'; it must be the file's name"),
        (PUSH, "age_ms_max = 60000\n", "", "age_ms_max is missing; say for how long"),
        (PUSH, "age_ms_max", 'reply_topic = "x"\nage_ms_max', "mode 'push' has no request_topic, reply_topic or requests"),
        (PUSH, 'path = "SML', 'request = "X"\npath = "SML', "stands in a profile of mode 'push'; leave it out"),
        (PUSH, "[[points]]", '[[points]]\nobis = "1.8.0"\npath = "x"\nscale = "1/1"\nunit = "Wh"\n[[points]]', "is given twice"),
    ],
)  # fmt: skip
def test_mistake_is_one_line_that_names_file_and_place(
    tmp_path: Path, base: str, old: str, new: str, reason: str
) -> None:
    assert old in base
    with pytest.raises(UsageError) as caught:
        load(tmp_path, base.replace(old, new, 1))
    line = str(caught.value)
    assert line.startswith(str(tmp_path / "test_device.toml"))
    assert reason in line
    assert "\n" not in line


def test_unknown_profile_names_the_nearest_known_one() -> None:
    with pytest.raises(UsageError, match=r"unknown profile 'tasmota_sm'; did you mean 'tasmota_sml'"):
        load_profile("tasmota_sm", kind=MqttProfile)


def test_profile_of_another_transport_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="profile 'tasmota_sml' is read by mqtt; here belongs one of modbus"):
        load_profile("tasmota_sml", kind=ModbusProfile)
