"""MQTT devices without a broker: which message counts for which boundary, and whose answer is whose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from edge.links.broker import Arrival, BrokerConfig, BrokerLink, Taker
from edge.readers.mqtt import AbsentError, DeviceConfig, Moment, PushDevice, RpcDesk, RpcDevice
from firmware_profiles import MqttProfile, load_profile
from gridcore.clock import monotonic_ms
from gridcore.observations import Observation

TASMOTA = replace(load_profile("tasmota_sml", kind=MqttProfile), timeout_ms=20)
SHELLY = replace(load_profile("shelly_pro3em", kind=MqttProfile), timeout_ms=20)
BOUNDARY_MS = 1_000_000.0
NEVER = float("-inf")


@dataclass
class StubLink:
    """A link that is up unless told otherwise; ``answer`` makes payloads for what is published."""

    client_id: str = "gw-1"
    config: BrokerConfig = field(default_factory=lambda: BrokerConfig("house", "127.0.0.1"))
    is_up: bool = True
    trouble: str = "no connection (Connection refused)"
    takers: dict[str, Taker] = field(default_factory=dict)
    published: list[tuple[str, Any]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], list[bytes]] = lambda _: []

    def subscribe(self, topic: str, taker: Taker) -> None:
        self.takers[topic] = taker

    async def wait_usable(self, timeout_s: float) -> bool:
        return self.is_up

    def publish(self, topic: str, payload: bytes) -> None:
        question = json.loads(payload)
        self.published.append((topic, question))
        for answer in self.answer(question):
            self.say("gw-1/rpc", answer)

    def say(
        self, topic: str, payload: bytes, at_ms: float = BOUNDARY_MS, *, kept: bool = False, again: bool = False
    ) -> None:
        self.takers[topic](Arrival(topic, payload, at_ms, kept, again))


def push_device() -> tuple[StubLink, PushDevice, Callable[..., None]]:
    """A device that speaks, and how to let it: total in kWh, time, and whether it was kept or comes again."""
    link = StubLink()
    config = DeviceConfig(9, "SML", "house", "sml", TASMOTA.id)
    device = PushDevice(config, TASMOTA, cast("BrokerLink", link), lambda: BOUNDARY_MS + 500)

    def say(total: str, at_ms: float = BOUNDARY_MS, **flags: bool) -> None:
        link.say("tele/sml/SENSOR", f'{{"SML":{{"Total_in":{total}}}}}'.encode(), at_ms, **flags)

    return link, device, say


def at(boundary_ms: float = BOUNDARY_MS, *, simulated: bool = False) -> Moment:
    """A moment 500 ms after the boundary with 50 ms left."""
    return Moment(boundary_ms, BOUNDARY_MS + 550, simulated)


async def reason_of(device: PushDevice | RpcDevice, moment: Moment) -> str:
    """Why the device is absent."""
    with pytest.raises(AbsentError) as caught:
        await device.observe(moment)
    return caught.value.reason


async def test_last_message_before_the_boundary_counts_with_its_age() -> None:
    _, device, say = push_device()
    say("1", BOUNDARY_MS - 200_000)
    say("2", BOUNDARY_MS - 60_000)
    assert await device.observe(at()) == [Observation(9, "1.8.0", 2_000_000, -60_000)]
    assert await reason_of(device, at()) == "stale"  # it counts for one boundary


@pytest.mark.parametrize(("age_ms", "counts"), [(TASMOTA.mqtt.age_ms_max, True), (TASMOTA.mqtt.age_ms_max + 1, False)])
async def test_message_older_than_its_profile_allows_is_stale_on_real_time(age_ms: int, counts: bool) -> None:
    _, device, say = push_device()
    say("1", BOUNDARY_MS - age_ms)
    if counts:
        assert await device.observe(at()) == [Observation(9, "1.8.0", 1_000_000, -age_ms)]
    else:
        assert await reason_of(device, at()) == "stale"
        assert await device.observe(at(simulated=True)) == [Observation(9, "1.8.0", 1_000_000, 0)]


async def test_message_that_comes_while_the_boundary_waits_counts() -> None:
    _, device, say = push_device()
    asyncio.get_running_loop().call_soon(say, "3", BOUNDARY_MS + 505)  # once the device waits
    assert await device.observe(at()) == [Observation(9, "1.8.0", 3_000_000, 505)]


async def test_kept_message_of_unknown_age_counts_on_simulated_time_only() -> None:
    _, device, say = push_device()
    say("1", NEVER, kept=True)
    assert await reason_of(device, at()) == "stale"
    assert await device.observe(at(simulated=True)) == [Observation(9, "1.8.0", 1_000_000, 0)]


async def test_message_sent_again_counts_once_also_behind_newer_ones() -> None:
    _, device, say = push_device()
    say("1")
    say("2")
    assert (await device.observe(at()))[0].value_milli == 2_000_000
    say("1", again=True)
    say("2", again=True)
    assert await reason_of(device, at()) == "stale"
    say("3", again=True)  # the broker tried before, but it never came here
    assert (await device.observe(at()))[0].value_milli == 3_000_000


async def test_nonsense_does_not_displace_what_was_good_and_is_one_line_between_boundaries() -> None:
    _, device, say = push_device()
    say("1")
    with capture_logs() as lines:
        for _ in range(100):
            say('"x"')
            say("1")
        say('"x"')
        assert (await device.observe(at()))[0].value_milli == 1_000_000
        say('"x"')
        assert await reason_of(device, at()) == "refused"
    assert [line["event"] for line in lines] == ["payload_refused"] * 2


async def test_device_without_its_broker_is_absent_at_once() -> None:
    link, device, _ = push_device()
    link.is_up = False
    assert await reason_of(device, at()) == "broker_down"
    rpc = RpcDevice(DeviceConfig(8, "EM", "house", "em", SHELLY.id), SHELLY, RpcDesk(cast("BrokerLink", link)))
    assert await reason_of(rpc, at()) == "broker_down"
    assert link.published == []


RESULTS = {
    "EM.GetStatus": {
        **{f"{phase}_{what}": 1.5 for phase in "abc" for what in ("voltage", "current")}, "total_act_power": -20.25, "a_freq": 50,
    },
    "EMData.GetStatus": {"total_act": 1234.56, "total_act_ret": 0},
}  # fmt: skip


def good(question: dict[str, Any]) -> dict[str, Any]:
    """The right answer to a question."""
    return {"id": question["id"], "src": "em", "dst": question["src"], "result": RESULTS[question["method"]]}


def rpc_device() -> tuple[StubLink, RpcDevice]:
    """A device that answers as its stub link says."""
    link = StubLink()
    config = DeviceConfig(8, "EM", "house", "em", SHELLY.id)
    return link, RpcDevice(config, SHELLY, RpcDesk(cast("BrokerLink", link)), lambda: BOUNDARY_MS + 500)


async def test_device_is_asked_by_topic_and_name_and_its_answers_are_read() -> None:
    link, device = rpc_device()
    link.answer = lambda question: [json.dumps(good(question)).encode()]
    values = {row.obis: row.value_milli for row in await device.observe(at())}
    assert values["1.8.0"] == 1_234_560
    assert values["16.7.0"] == -20_250
    assert values["14.7.0"] == 50_000
    assert [topic for topic, _ in link.published] == ["em/rpc", "em/rpc"]
    assert [question["method"] for _, question in link.published] == ["EM.GetStatus", "EMData.GetStatus"]
    assert {question["src"] for _, question in link.published} == {"gw-1"}
    assert len({question["id"] for _, question in link.published}) == 2


async def test_silent_device_is_asked_as_long_as_there_is_time_and_its_late_answer_is_nobody_s() -> None:
    link = StubLink()
    started_ms = monotonic_ms()
    quick = replace(SHELLY, timeout_ms=50)
    device = RpcDevice(
        DeviceConfig(8, "EM", "house", "em", SHELLY.id),
        quick,
        RpcDesk(cast("BrokerLink", link)),
        lambda: BOUNDARY_MS + monotonic_ms() - started_ms,
    )
    asked: dict[str, int] = {}

    def answer(question: dict[str, Any]) -> list[bytes]:
        asked[question["method"]] = asked.get(question["method"], 0) + 1
        return [json.dumps(good(question)).encode()] if asked[question["method"]] == 3 else []

    link.answer = answer
    patient = Moment(BOUNDARY_MS, BOUNDARY_MS + 60_000, simulated=False)
    assert len(await device.observe(patient)) == len(SHELLY.points)
    assert len(link.published) == 6
    first = link.published[0][1]
    with capture_logs() as lines:
        link.say("gw-1/rpc", json.dumps(good(first)).encode())
    assert [line["event"] for line in lines] == ["answer_refused"]
    link.answer = lambda _: []
    started_ms = monotonic_ms()
    assert await reason_of(device, Moment(BOUNDARY_MS, BOUNDARY_MS + 300, simulated=False)) == "no_answer"
    assert len(link.published) >= 8


async def test_one_bad_value_costs_that_value_alone() -> None:
    link, device = rpc_device()
    bad: dict[str, Any] = {"a_voltage": "230", "b_voltage": 301, "c_voltage": None}

    def answer(question: dict[str, Any]) -> list[bytes]:
        content = good(question)
        changes = bad if question["method"] == "EM.GetStatus" else {}
        return [json.dumps({**content, "result": content["result"] | changes}).encode()]

    link.answer = answer
    with capture_logs() as lines:
        values = {row.obis for row in await device.observe(at())}
    assert values == {point.obis for point in SHELLY.points} - {"32.7.0", "52.7.0", "72.7.0"}
    assert [line["event"] for line in lines] == ["value_refused"]


async def test_message_with_its_time_that_comes_once_more_is_old_whoever_sends_it() -> None:
    """A bridge or a restarted script repeats it without the mark of a repetition."""
    link, device, say = push_device()
    old = b'{"Time":"2026-11-29T12:00:00","SML":{"Total_in":5}}'
    link.say("tele/sml/SENSOR", old)
    assert (await device.observe(at()))[0].value_milli == 5_000_000
    with capture_logs() as lines:
        link.say("tele/sml/SENSOR", old)
        link.say("tele/sml/SENSOR", old)
    assert [line["event"] for line in lines] == ["old_message_ignored"]
    assert await reason_of(device, at()) == "stale"
    say("6")
    say("6")  # without a time nobody can say that it is old: the register has not moved
    assert (await device.observe(at()))[0].value_milli == 6_000_000


async def test_device_with_a_topic_for_each_value_is_read_as_one() -> None:
    points = {point.obis: point for point in TASMOTA.points}
    plain = replace(
        TASMOTA,
        mqtt=replace(TASMOTA.mqtt, push_topic=""),
        points=(
            replace(points["1.8.0"], path="", topic="{device}/energy", required=True),
            replace(points["16.7.0"], path="", topic="{device}/power", required=True),
        ),
    )
    link = StubLink()
    device = PushDevice(
        DeviceConfig(9, "P", "house", "p", plain.id), plain, cast("BrokerLink", link), lambda: BOUNDARY_MS + 500
    )
    link.say("p/energy", b"12.5", BOUNDARY_MS - 10)
    link.say("p/power", b"-3", BOUNDARY_MS + 20)
    assert await device.observe(at()) == [
        Observation(9, "1.8.0", 12_500_000, -10),
        Observation(9, "16.7.0", -3000, 20),
    ]
    link.say("p/power", b"7", BOUNDARY_MS + 30)
    assert await device.observe(at()) == [Observation(9, "16.7.0", 7000, 30)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "text"}, "no_answer"),
        ({"id": True}, "no_answer"),
        ({"id": None}, "no_answer"),
        ({"id": [1]}, "no_answer"),
        ({"id": 1e30}, "no_answer"),
        ({"id": 0}, "no_answer"),
        ({"src": "other"}, "no_answer"),
        ({"src": None}, "no_answer"),
        ({"error": {"code": 404}}, "refused"),
        ({"result": []}, "refused"),
        ({"result": None}, "refused"),
        ({"result": {}}, "refused"),
    ],
)
async def test_answer_that_is_not_right_is_refused_or_nobody_s(change: dict[str, Any], reason: str) -> None:
    link, device = rpc_device()
    link.answer = lambda question: [json.dumps(good(question) | change).encode()]
    assert await reason_of(device, at()) == reason


async def test_second_answer_to_one_question_changes_nothing() -> None:
    link, device = rpc_device()

    def answer(question: dict[str, Any]) -> list[bytes]:
        other = good(question) | {"result": {**RESULTS[question["method"]], "total_act": 9, "a_voltage": 9}}
        return [json.dumps(good(question)).encode(), json.dumps(other).encode()]

    link.answer = answer
    values = {row.obis: row.value_milli for row in await device.observe(at())}
    assert (values["1.8.0"], values["32.7.0"]) == (1_234_560, 1500)
