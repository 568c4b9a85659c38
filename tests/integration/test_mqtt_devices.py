"""MQTT devices over real brokers: Mosquitto as a process, amqtt in this one. What the agent records is what was said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge.links.broker import Arrival, BrokerConfig, BrokerLink
from edge.observing import Observer
from edge.readers.mqtt import build_devices
from gridcore.observations import decode_observations, encode_observations
from simulators.meters import DeviceFault, MqttFleet, open_broker
from tests.integration.mqtt_world import (
    FLEET,
    POLICY,
    PROFILES,
    ROWS,
    SHELLY,
    TASMOTA,
    House,
    Proxy,
    both_kinds,
    house,
    listening,
    say,
    skip_without_mosquitto,
    until_up,
    values,
)
from tests.waiting import until

EM, SML = ROWS[0].number, ROWS[1].number
TELE = "tele/sml-2/SENSOR"


@both_kinds
async def test_values_of_both_kinds_of_device_are_recorded_exactly(tmp_path: Path, kind: str) -> None:
    async with house(tmp_path, kind) as world:
        await world.fleet.set_registers([1_234_567, 7_654_321], [89, 4], [812.345, -1499.0], [229.9, 231.0])
        observed = await world.boundary()
        assert observed.absent == {}
        assert observed.names == {EM: "EM-1", SML: "SML-2"}
        assert values(observed, EM) == {
            "1.8.0": 1_234_567_000, "2.8.0": 89_000, "16.7.0": 812_345, "14.7.0": 50_000,
            "32.7.0": 229_900, "52.7.0": 229_900, "72.7.0": 229_900,
            "31.7.0": 1_214, "51.7.0": 1_214, "71.7.0": 1_214,
        }  # fmt: skip
        assert values(observed, SML) == {"1.8.0": 7_654_321_000, "2.8.0": 4_000, "16.7.0": -1_499_000}
        assert {row.offset_ms for row in observed.rows} == {0}  # simulated time stands still
        assert decode_observations(encode_observations(observed)) == observed


@pytest.mark.external
async def test_mosquitto_sub_prints_what_the_agent_records(tmp_path: Path) -> None:
    skip_without_mosquitto()
    async with house(tmp_path, "mosquitto") as world, listening(world.broker) as listener:
        for step in range(1, 4):
            await world.fleet.set_registers([1_000_123 * step, 3_333_337 * step], [0, 7 * step], [17.301 * step, 99.5])
            observed = await world.boundary()
            printed = await listener.next(TELE)
            assert values(observed, SML) == {
                point.obis: printed["SML"][point.steps[-1]] * int(point.ratio) * 1000 for point in TASMOTA.points
            }
            answers: dict[str, Any] = {}
            for _ in SHELLY.mqtt.requests:
                answers |= (await listener.next("gw-1/rpc"))["result"]
            assert values(observed, EM) == {point.obis: answers[point.path] * 1000 for point in SHELLY.points}


@both_kinds
async def test_message_counts_for_one_boundary_and_a_silent_device_is_stale(tmp_path: Path, kind: str) -> None:
    async with house(tmp_path, kind) as world:
        assert (await world.boundary()).absent == {SML: "no_answer"}
        await world.fleet.set_registers([10, 20], [0, 0])
        assert values(await world.boundary(), SML)["1.8.0"] == 20_000
        world.fleet.set_fault("SML-2", DeviceFault(silent=True))
        await world.fleet.set_registers([11, 21], [0, 0])
        observed = await world.boundary()
        assert observed.absent == {SML: "stale"}
        assert values(observed, EM)["1.8.0"] == 11_000
        world.fleet.set_fault("SML-2", None)
        await world.fleet.speak()
        late = await world.boundary(late=True)
        assert (values(late, SML)["1.8.0"], values(late, EM), late.absent) == (21_000, {}, {})


@both_kinds
async def test_broker_killed_and_restarted_is_found_again_and_nothing_counts_twice(tmp_path: Path, kind: str) -> None:
    async with house(tmp_path, kind) as world:
        await world.fleet.set_registers([10, 20], [0, 0])
        assert (await world.boundary()).absent == {}
        await world.broker.kill()
        await _down(world.links[0])
        observed = await world.boundary()
        assert (observed.rows, observed.absent) == ((), {EM: "broker_down", SML: "broker_down"})
        assert world.observer.seen().absent == (("EM-1", "broker_down"), ("SML-2", "broker_down"))
        assert dict(world.observer.seen().brokers)["house"] != "up"
        await world.broker.start()
        await until_up(world.links[0], connections=2)
        await _speaks_again(world)
        observed = await world.boundary()
        assert (values(observed, EM)["1.8.0"], values(observed, SML)["1.8.0"]) == (30_000, 40_000)
        assert world.observer.seen().brokers == (("house", "up"),)
        assert (await world.boundary()).absent == {SML: "stale"}


@both_kinds
async def test_broker_that_is_away_from_the_start_delays_nothing_and_is_found_later(tmp_path: Path, kind: str) -> None:
    skip_without_mosquitto(kind)
    async with open_broker(tmp_path / "broker", kind) as broker:
        await broker.stop()
        config = BrokerConfig("house", broker.host, broker.port, retry_ms_max=300)
        links, devices = build_devices([config], ROWS, PROFILES, client_id="gw-1")
        world = House(broker, MqttFleet(FLEET), Observer((), links, devices, POLICY), links)
        with capture_logs() as lines:
            world.observer.start()
            for _ in range(3):
                assert (await world.boundary()).absent == {EM: "broker_down", SML: "broker_down"}
        assert [line["event"] for line in lines].count("broker_down") == 1  # one line, not one for each attempt
        await broker.start()
        await world.fleet.start(broker.host, broker.port)
        await until_up(world.links[0])
        await world.fleet.set_registers([10, 20], [0, 0])
        observed = await world.boundary()
        assert (len(observed.rows), observed.absent) == (13, {})
        await world.observer.close()
        await world.fleet.close()


@both_kinds
async def test_retained_message_is_an_old_reading(tmp_path: Path, kind: str) -> None:
    skip_without_mosquitto(kind)
    async with open_broker(tmp_path / "broker", kind) as broker:
        await say(broker, TELE, b'{"SML":{"Total_in":1}}', retain=True)
        config = BrokerConfig("house", broker.host, broker.port)
        links, devices = build_devices([config], ROWS[1:], PROFILES, client_id="gw-1")
        world = House(broker, MqttFleet(()), Observer((), links, devices, POLICY), links)
        with capture_logs() as lines:
            world.observer.start()
            assert (await world.boundary()).absent == {SML: "no_answer"}
        assert [line["topic"] for line in lines if line["event"] == "retained_message_ignored"] == [TELE]
        await say(broker, TELE, b'{"SML":{"Total_in":2}}', retain=True)  # said now: new, whatever becomes of it later
        assert values(await world.boundary(), SML) == {"1.8.0": 2_000_000}
        await world.observer.close()


@pytest.mark.external
async def test_redelivered_message_is_counted_once(tmp_path: Path) -> None:
    """The broker never gets our acknowledgement and sends the message again after the connection was lost."""
    skip_without_mosquitto()
    async with open_broker(tmp_path / "broker", "mosquitto") as broker:
        proxy = Proxy(broker.port)
        config = BrokerConfig("house", broker.host, await proxy.start(), retry_ms_max=300)
        links, devices = build_devices([config], ROWS[1:], PROFILES, client_id="gw-1")
        arrivals = _spy(links[0])
        world = House(broker, MqttFleet(()), Observer((), links, devices, POLICY), links)
        world.observer.start()
        await until_up(links[0])
        assert await links[0].wait_usable(5)
        proxy.swallows = True
        await say(broker, TELE, b'{"SML":{"Total_in":5}}')
        assert values(await world.boundary(), SML) == {"1.8.0": 5_000_000}
        proxy.cut()
        proxy.swallows = False
        await until_up(links[0], connections=2)
        assert (await world.boundary()).absent == {SML: "stale"}
        assert [(arrival.again, arrival.kept) for arrival in arrivals] == [(False, False), (True, True)]
        await world.observer.close()
        await proxy.close()


@pytest.mark.external
@pytest.mark.parametrize("simulated", [True, False])
async def test_what_the_broker_kept_while_the_connection_was_away_counts_by_its_earliest_time(
    tmp_path: Path, simulated: bool
) -> None:
    skip_without_mosquitto()
    async with open_broker(tmp_path / "broker", "mosquitto") as broker:
        proxy = Proxy(broker.port)
        config = BrokerConfig("house", broker.host, await proxy.start(), retry_ms_max=300)
        links, devices = build_devices([config], ROWS[1:], PROFILES, client_id="gw-1")
        world = House(broker, MqttFleet(()), Observer((), links, devices, POLICY), links, simulated=simulated)
        world.observer.start()
        assert await links[0].wait_usable(5)  # the broker keeps only what has been subscribed to
        proxy.refuses = True
        proxy.cut()
        await _down(links[0])
        for total in (6, 7):
            await say(broker, TELE, b'{"SML":{"Total_in":%d}}' % total)
        proxy.refuses = False
        await until_up(links[0], connections=2)
        observed = await world.boundary()
        assert values(observed, SML) == {"1.8.0": 7_000_000}
        (offset_ms,) = {row.offset_ms for row in observed.rows}
        assert offset_ms == 0 if simulated else -60_000 < offset_ms < 0
        await world.observer.close()
        again, devices = build_devices([config], ROWS[1:], PROFILES, client_id="gw-1")  # a new process
        await say(broker, TELE, b'{"SML":{"Total_in":8}}')
        world = House(broker, MqttFleet(()), Observer((), again, devices, POLICY), again, simulated=simulated)
        world.observer.start()
        observed = await world.boundary()
        if simulated:
            assert values(observed, SML) == {"1.8.0": 8_000_000}
        else:  # nobody knows how old it is
            assert observed.absent == {SML: "stale"}
        await world.observer.close()
        await proxy.close()


HOSTILE = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b'"SML"',
    b'{"SML":{"Total_in":"12"}}',
    b'{"SML":{"Total_in":true}}',
    b'{"SML":{"Total_in":NaN}}',
    b'{"SML":{"Total_in":Infinity}}',
    b'{"SML":{"Total_in":1e999}}',
    b'{"SML":{"Total_in":-1}}',
    b'{"SML":{"Total_in":%s}}' % (b"9" * 5000),
    b'{"SML":{"Total_in":1,"Total_in":2}}',
    b'{"SML":{"Total_in":1e30}}',
    b'{"SML":' * 2000 + b"1" + b"}" * 2000,
    b"[" * 16_000,
    b'{"SML":{"Total_in":1,"x":"' + b"x" * 20_000 + b'"}}',
]


@both_kinds
async def test_hostile_payloads_are_refused_in_one_line_and_cost_nothing_else(tmp_path: Path, kind: str) -> None:
    async with house(tmp_path, kind) as world:
        await world.fleet.set_registers([10, 20], [0, 0])
        assert (await world.boundary()).absent == {}
        with capture_logs() as lines:
            for payload in HOSTILE:
                await say(world.broker, TELE, payload)
            observed = await world.boundary()
        assert (observed.absent, values(observed, EM)["1.8.0"]) == ({SML: "refused"}, 10_000)
        refused = [line for line in lines if line["event"] == "payload_refused"]
        assert [(line["device"], line["topic"]) for line in refused] == [("SML-2", TELE)]
        await world.fleet.speak()
        assert values(await world.boundary(), SML)["1.8.0"] == 20_000


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (DeviceFault(silent=True), "no_answer"),
        (DeviceFault(error=True), "refused"),
        (DeviceFault(wrong_id=True), "no_answer"),
        (DeviceFault(payload=b"{]"), "no_answer"),
        (DeviceFault(payload=b'{"id":1,"src":"shellypro3em-1","result":{"total_act":1}}'), "no_answer"),
    ],
)
async def test_device_that_answers_badly_is_absent_with_its_reason_and_comes_back(
    tmp_path: Path, fault: DeviceFault, reason: str
) -> None:
    async with house(tmp_path, "amqtt", rows=ROWS[:1]) as world:
        await world.fleet.set_registers([10, 20], [0, 0])
        world.fleet.set_fault("EM-1", fault)
        assert (await world.boundary()).absent == {EM: reason}
        world.fleet.set_fault("EM-1", None)
        assert values(await world.boundary(late=True), EM)["1.8.0"] == 10_000


async def test_answer_of_another_device_under_our_question_s_id_is_nobody_s(tmp_path: Path) -> None:
    async with house(tmp_path, "amqtt", rows=ROWS[:1]) as world:
        world.fleet.set_fault("EM-1", DeviceFault(silent=True))
        with capture_logs() as lines:
            forging = asyncio.create_task(_forge(world, lambda: "answer_refused" in {line["event"] for line in lines}))
            assert (await world.boundary()).absent == {EM: "no_answer"}
            await forging


async def _forge(world: House, is_refused: Callable[[], bool]) -> None:
    """Answer the first question that comes in the name of another device, and wait until that is refused."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    forger = BrokerLink(BrokerConfig("house", world.broker.host, world.broker.port), "forger")
    forger.subscribe("shellypro3em-1/rpc", lambda arrival: heard.put_nowait(arrival.payload))
    forger.start()
    assert await forger.wait_usable(5)
    question = await heard.get()
    number = question.split(b'"id":')[1].split(b",")[0]
    forger.publish(
        "gw-1/rpc", b'{"id":' + number + b',"src":"shellypro3em-9","result":{"total_act":1,"total_act_ret":1}}'
    )
    await until(is_refused)
    await forger.close()


async def test_broker_that_takes_the_connection_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    accepted: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = BrokerLink(BrokerConfig("mute", "127.0.0.1", port, connect_timeout_ms=100, retry_ms_max=200), "gw-1")
    link.start()
    assert not await link.wait_usable(5)
    assert link.trouble == "the broker does not answer"
    await until(lambda: len(accepted) >= 3)
    await link.close()
    await _end(server, accepted)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x02\x00\x05", b"\x20\x02\x00\x00\x30\x00" * 9]
)
async def test_server_that_speaks_no_mqtt_or_refuses_us_is_tried_again(tmp_path: Path, answer: bytes) -> None:
    accepted: list[asyncio.StreamWriter] = []

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        writer.write(answer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = BrokerLink(BrokerConfig("odd", "127.0.0.1", port, connect_timeout_ms=200, retry_ms_max=200), "gw-1")
    link.start()
    await until(lambda: len(accepted) >= 3)
    await link.close()
    await _end(server, accepted)


async def _down(link: BrokerLink) -> None:
    await until(lambda: not link.is_up)


async def _speaks_again(world: House) -> None:
    """The devices find their broker again too, and go on counting."""
    await until(lambda: world.fleet.is_listening)
    await world.fleet.set_registers([30, 40], [0, 0])


async def _end(server: asyncio.Server, accepted: list[asyncio.StreamWriter]) -> None:
    """Close a server and its connections."""
    server.close()
    for writer in accepted:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _spy(link: BrokerLink) -> list[Arrival]:
    """Every arrival of the push topic, before it is judged."""
    arrivals: list[Arrival] = []
    taker = link._takers[TELE]

    def take(arrival: Arrival) -> None:
        arrivals.append(arrival)
        taker(arrival)

    link._takers[TELE] = take
    return arrivals
