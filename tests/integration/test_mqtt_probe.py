"""``edge probe mqtt://...``: what a field engineer sees of a device before it is configured."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridledger.cli import main
from simulators.meters import DeviceFault, MqttFleet, open_broker
from tests.integration.mqtt_world import FLEET
from tests.integration.test_mqtt_with_node import _talk


async def test_probe_shows_each_value_and_says_whether_the_device_can_be_observed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_broker(tmp_path, "amqtt") as broker:
        fleet = MqttFleet(FLEET)
        await fleet.start(broker.host, broker.port)
        await fleet.set_registers([1_234_567, 7_654_321], [89, 4], [812.345, -1499.0])
        place = f"mqtt://{broker.host}:{broker.port}"
        rpc = ["edge", "probe", f"{place}/shellypro3em-1", "--profile", "shelly_pro3em"]
        assert await asyncio.to_thread(main, rpc) == 0
        text = capsys.readouterr().out
        assert "shellypro3em-1 at " in text
        assert "read as shelly_pro3em: can be observed" in text
        assert "16.7.0  812.345" in text
        talking = asyncio.create_task(_talk(fleet))
        push = ["edge", "probe", f"{place}/sml-2", "--profile", "tasmota_sml", "--json"]
        assert await asyncio.to_thread(main, push) == 0
        answer = json.loads(capsys.readouterr().out)
        assert {row["obis"]: row["value"] for row in answer["values"]} == {
            "1.8.0": "7654321", "2.8.0": "4", "16.7.0": "-1499",
        }  # fmt: skip
        fleet.set_fault("SML-2", DeviceFault(payload=b'{"SML":{"Total_in":"12"}}'))
        await fleet.speak()  # what it said before has gone through the broker then
        assert await asyncio.to_thread(main, push) == 1
        answer = json.loads(capsys.readouterr().out)
        assert [row["verdict"] for row in answer["values"]] == ["refused", "missing", "missing"]
        fleet.set_fault("SML-2", DeviceFault(silent=True))
        await fleet.speak()
        for words, reason in (
            ([*push, "--wait", "1"], "sml-2: has said nothing new for 1 s; wait longer with --wait"),
            ([*rpc[:2], f"{place}/nobody", *rpc[3:]], "nobody: no answer to EM.GetStatus within 1500 ms"),
        ):
            assert await asyncio.to_thread(main, words) == 1
            assert reason in capsys.readouterr().err
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        await fleet.close()
    assert await asyncio.to_thread(main, rpc) == 1
    assert "no connection (Connection refused)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["mqtt://h:1883", "--profile", "shelly_pro3em"], "write mqtt://HOST:PORT/ADDRESS"),
        (["mqtt://h:99999/x", "--profile", "shelly_pro3em"], "write mqtt://HOST:PORT/ADDRESS"),
        (["mqtt://u:p@h/x", "--profile", "shelly_pro3em"], "write mqtt://HOST:PORT/ADDRESS"),
        (["mqtt://h/a+b", "--profile", "shelly_pro3em"], "address 'a+b' stands in topics"),
        (["mqtt://h/x", "--profile", "shelly_pro3"], "did you mean 'shelly_pro3em'?"),
        (["mqtt://h/x", "--profile", "shelly_pro3em", "--password", "env:NONE_SUCH", "--user", "u"], "is not set"),
        (["mqtt://h/x", "--profile", "shelly_pro3em", "--password", "env:PATH"], "has a password but no user"),
        (["tcp://h:1", "--profile", "eastron_sdm630"], "give --unit N"),
    ],
)
def test_wrong_question_is_one_line(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "probe", *words]) == 2
    line = capsys.readouterr().err.strip()
    assert reason in line
    assert "\n" not in line
    assert "u:p@" not in line
