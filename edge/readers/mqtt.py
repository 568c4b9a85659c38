"""MQTT devices: what they say at a slot boundary, by their profile. They inform and bill nothing.

A device that answers (rpc) is asked at the boundary, and only an answer with the question's own id, of the device that was
asked, counts. A device that only speaks (push) is listened to all the time: its last message counts for a boundary if it came
since the last one that counted and is not older than the profile allows; if there is none yet, one is waited for a moment.
Whatever cannot be read is refused with one line in the log until the device makes sense again.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from edge.backoff import backoff_ms
from edge.links.broker import Arrival, BrokerConfig, BrokerLink, broker_tls, is_topic_level
from edge.meters import NUMBER_MAX
from firmware_profiles.mqtt import MqttPoint, MqttProfile, RpcRequest
from firmware_profiles.payloads import decode_payload, read_point
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError, GridError, UsageError
from gridcore.logs import get_logger
from gridcore.observations import Observation
from gridcore.secrets import SecretError, read_secret

RPC_PAUSE_MS = 100
RPC_PAUSE_MS_MAX = 1000
"""Pause before a device that is silent is asked again: first and, doubling, last. It is asked as long as there is time."""
TIME_KEYS = ("Time", "time", "ts", "timestamp", "last_seen")
"""Where devices write when a message was made (Tasmota, Shelly, zigbee2mqtt)."""
SEEN_MAX = 20
"""So many messages a broker may send again after a connection is lost (Mosquitto's window of unacknowledged messages)."""
OFFSET_MS_MAX = (1 << 31) - 1
QUESTION_ID_MAX = 1 << 31

_NOBODY: tuple[str, asyncio.Future[Any] | None] = ("", None)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One row of the table of devices. Field metadata as in ``gridcore.config``."""

    number: int = field(metadata={"min": 0, "max": NUMBER_MAX})
    """Its number in this gateway's observations: none that a meter or an installation has."""
    device: str = field(metadata={"min": 1, "max": 64})
    broker: str = field(metadata={"min": 1, "max": 64})
    address: str = field(metadata={"min": 1, "max": 128})
    """What stands for {device} in its profile's topics."""
    profile: str = field(metadata={"min": 1, "max": 64})

    def __post_init__(self) -> None:
        """UsageError for a name or an address that cannot be used."""
        if not self.device.isprintable():
            raise UsageError(f"devices: device {self.device!r} holds a control character; give a printable name")
        if not all(level and is_topic_level(level) for level in self.address.split("/")):
            raise UsageError(
                f"devices: device {self.device!r}: address {self.address!r} stands in topics: no +, #, empty level, or $ first"
            )


class AbsentError(GridError):
    """A device without observations at this boundary. ``reason``: broker_down, no_answer, refused or stale."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Moment:
    """A boundary as devices see it. ``boundary_ms``, ``until_ms``: the boundary, and when to give up, on the monotonic clock."""

    boundary_ms: float
    until_ms: float
    simulated: bool

    def offset_ms(self, at_ms: float) -> int:
        """``at_ms`` relative to the boundary; 0 on simulated time, which stands still."""
        return 0 if self.simulated else max(-OFFSET_MS_MAX, min(OFFSET_MS_MAX, round(at_ms - self.boundary_ms)))


class Device(Protocol):
    """One device, ready to be observed."""

    config: DeviceConfig
    profile: MqttProfile

    async def observe(self, moment: Moment) -> list[Observation]:
        """Its values at this boundary, ascending by the profile's points. AbsentError when there are none."""
        ...


@dataclass(frozen=True, slots=True)
class _Said:
    """What a device has said on one topic: when (monotonic ms), and its values in thousandths."""

    at_ms: float
    values: Mapping[MqttPoint, int]


class PushDevice:
    """A device that only speaks, on one topic or on several."""

    def __init__(
        self,
        config: DeviceConfig,
        profile: MqttProfile,
        link: BrokerLink,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        self.config, self.profile = config, profile
        self._link = link
        self._clock_ms = clock_ms
        self._last: dict[str, _Said] = {}  # by topic: what has not counted for a boundary yet
        self._is_new = asyncio.Event()
        self._refused, self._has_said = "", False
        self._seen: deque[int] = deque(maxlen=SEEN_MAX)
        self._points: dict[str, list[MqttPoint]] = {}
        for template in profile.push_topics:
            topic = profile.topic(template, device=config.address, client=link.client_id)
            self._points[topic] = [point for point in profile.points if point.topic == template]
            link.subscribe(topic, self._take)

    async def observe(self, moment: Moment) -> list[Observation]:
        """See ``Device``. A message counts for one boundary only; of several topics those that have come count."""
        await _usable(self._link, moment.until_ms - self._clock_ms())  # what the broker has kept comes first
        give_up_ms = min(moment.until_ms, self._clock_ms() + self.profile.timeout_ms)
        while len(fresh := self._fresh(moment)) < len(self._points):
            self._is_new.clear()
            try:
                async with asyncio.timeout(max(0.0, give_up_ms - self._clock_ms()) / 1000.0):
                    await self._is_new.wait()
            except TimeoutError:
                break
        if not fresh:
            raise self._absence()
        self._last = {}
        self._refused, self._has_said = "", False
        found = {point: (value, said.at_ms) for said in fresh for point, value in said.values.items()}
        return [
            Observation(self.config.number, point.obis, found[point][0], moment.offset_ms(found[point][1]))
            for point in self.profile.points
            if point in found
        ]

    def _fresh(self, moment: Moment) -> list[_Said]:
        oldest_ms = float("-inf") if moment.simulated else moment.boundary_ms - self.profile.mqtt.age_ms_max
        return [said for said in self._last.values() if said.at_ms >= oldest_ms]

    def _absence(self) -> AbsentError:
        self._has_said = False
        if self._refused:
            return AbsentError("refused", self._refused)
        if not self._last and not self._seen:
            return AbsentError("no_answer", "it has said nothing yet")
        return AbsentError("stale", "it has said nothing new")

    def _take(self, arrival: Arrival) -> None:
        print_of = hash(arrival.payload)
        is_known = print_of in self._seen
        if arrival.again and is_known:
            return
        try:
            content = decode_payload(arrival.payload)
            if is_known and _names_its_time(content):
                self._say("old_message_ignored", arrival, "it has said the very same before, time included")
                return
            self._seen.append(print_of)
            values, trouble = _values(content, self._points[arrival.topic])
        except EncodingError as error:
            self._seen.append(print_of)
            self._refused = str(error)
            self._say("payload_refused", arrival, str(error))
            return
        if trouble:
            self._say("value_refused", arrival, trouble)
        self._refused = ""
        self._last[arrival.topic] = _Said(arrival.at_ms, values)
        self._is_new.set()

    def _say(self, event: str, arrival: Arrival, reason: str) -> None:
        """One line between two boundaries, however much comes."""
        if not self._has_said:
            _log.warning(event, device=self.config.device, topic=arrival.topic, reason=reason)
        self._has_said = True


class RpcDesk:
    """Questions under way at one broker: answers come on one topic, whoever was asked."""

    def __init__(self, link: BrokerLink) -> None:
        self.link = link
        self._next_id = 1 + secrets.randbelow(QUESTION_ID_MAX)  # an answer to an earlier process is nobody's
        self._waiting: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._topics: set[str] = set()
        self._has_said = False

    def listen(self, reply_topic: str) -> None:
        """Take answers from ``reply_topic``."""
        if reply_topic not in self._topics:
            self._topics.add(reply_topic)
            self.link.subscribe(reply_topic, self._take)

    async def ask(self, topic: str, address: str, request: RpcRequest, timeout_ms: float) -> tuple[float, Any]:
        """Ask once; return when the answer came (monotonic ms) and its result. AbsentError without one."""
        self._has_said = False
        number = self._next_id
        self._next_id = 1 + number % QUESTION_ID_MAX
        question = {"id": number, "src": self.link.client_id, "method": request.method, "params": request.params}
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (address, answer)
        try:
            self.link.publish(topic, json.dumps(question, separators=(",", ":")).encode())
            async with asyncio.timeout(max(0.0, timeout_ms) / 1000.0):
                at_ms, content = await answer
        except TimeoutError:
            raise AbsentError("no_answer", f"no answer to {request.method} within {timeout_ms:.0f} ms") from None
        finally:
            del self._waiting[number]
        if "error" in content or not isinstance(content.get("result"), Mapping):
            raise AbsentError("refused", f"{request.method} is answered with an error")
        return at_ms, content["result"]

    def _take(self, arrival: Arrival) -> None:
        """Hand an answer to whoever waits for it; what answers no question is dropped."""
        try:
            content = decode_payload(arrival.payload)
            number = content.get("id") if isinstance(content, Mapping) else None
            is_ours = isinstance(number, Fraction) and number.denominator == 1
            address, answer = self._waiting.get(int(number), _NOBODY) if is_ours and number else _NOBODY
            if answer is None or content.get("src") != address:
                raise EncodingError("it answers no question that is open, or not as the device that was asked")
        except EncodingError as error:
            if not self._has_said:  # one line between two questions, however much comes
                _log.warning("answer_refused", broker=self.link.config.broker, topic=arrival.topic, reason=str(error))
            self._has_said = True
            return
        if not answer.done():
            answer.set_result((arrival.at_ms if not arrival.kept else monotonic_ms(), content))


class RpcDevice:
    """A device that answers questions."""

    def __init__(
        self, config: DeviceConfig, profile: MqttProfile, desk: RpcDesk, clock_ms: Callable[[], float] = monotonic_ms
    ) -> None:
        self.config, self.profile = config, profile
        self._desk = desk
        self._clock_ms = clock_ms
        self._jitter = random.SystemRandom()
        names = {"device": config.address, "client": desk.link.client_id}
        self._topic = profile.topic(profile.mqtt.request_topic, **names)
        desk.listen(profile.topic(profile.mqtt.reply_topic, **names))

    async def observe(self, moment: Moment) -> list[Observation]:
        """See ``Device``. Its questions are asked side by side, each again as long as there is time."""
        await _usable(self._desk.link, moment.until_ms - self._clock_ms())
        asked = [asyncio.ensure_future(self._ask(request, moment)) for request in self.profile.mqtt.requests]
        try:
            answers = await asyncio.gather(*asked)
        finally:
            for task in asked:
                task.cancel()
        found: list[Observation] = []
        for request, (at_ms, result) in zip(self.profile.mqtt.requests, answers, strict=True):
            points = [point for point in self.profile.points if point.request == request.method]
            try:
                values, trouble = _values(result, points)
            except EncodingError as error:
                raise AbsentError("refused", str(error)) from None
            if trouble:
                _log.warning("value_refused", device=self.config.device, method=request.method, reason=trouble)
            offset_ms = moment.offset_ms(at_ms)
            found += [Observation(self.config.number, point.obis, value, offset_ms) for point, value in values.items()]
        return found

    async def _ask(self, request: RpcRequest, moment: Moment) -> tuple[float, Any]:
        attempt = 0
        while True:
            attempt += 1
            left_ms = moment.until_ms - self._clock_ms()
            try:
                return await self._desk.ask(
                    self._topic, self.config.address, request, min(self.profile.timeout_ms, left_ms)
                )
            except AbsentError as error:
                pause_ms = backoff_ms(attempt, RPC_PAUSE_MS, RPC_PAUSE_MS_MAX, self._jitter)
                is_last = self._clock_ms() + pause_ms >= moment.until_ms
                if error.reason != "no_answer" or is_last or not self._desk.link.is_up:
                    raise
                await asyncio.sleep(pause_ms / 1000.0)


def build_devices(
    brokers: Sequence[BrokerConfig],
    devices: Sequence[DeviceConfig],
    profiles: Mapping[str, MqttProfile],
    *,
    client_id: str,
) -> tuple[tuple[BrokerLink, ...], tuple[Device, ...]]:
    """Join the tables of brokers and devices with the loaded ``profiles`` (by id). Connects to nothing.

    ``client_id``: under which a broker keeps our session unless its row says otherwise; every row's broker is in the table of
    brokers (``EdgeConfig``). Raises UsageError for a secret or a file of authorities that cannot be read.
    """
    desks: dict[str, RpcDesk] = {}
    for config in brokers:
        try:
            password = None if config.password is None else read_secret(config.password)
        except SecretError as error:
            raise UsageError(f"brokers: broker {config.broker!r}: password: {error}") from None
        link = BrokerLink(config, config.client_id or client_id, password=password, tls=broker_tls(config))
        desks[config.broker] = RpcDesk(link)
    built: list[Device] = []
    for row in devices:
        profile, desk = profiles[row.profile], desks[row.broker]
        built.append(
            RpcDevice(row, profile, desk) if profile.mqtt.mode == "rpc" else PushDevice(row, profile, desk.link)
        )
    return tuple(desk.link for desk in desks.values()), tuple(built)


async def _usable(link: BrokerLink, wait_ms: float) -> None:
    """Wait until the broker has accepted us and our topics; AbsentError when it is away."""
    if not await link.wait_usable(max(0.0, wait_ms) / 1000.0):
        raise AbsentError("broker_down", f"broker {link.config.broker}: {link.trouble}")


def _values(content: Any, points: Sequence[MqttPoint]) -> tuple[dict[MqttPoint, int], str]:
    """Thousandths by point, without those that the device does not have, and why others were left out ("": none was).

    One bad value costs that value alone. EncodingError when no point has one.
    """
    values: dict[MqttPoint, int] = {}
    trouble = ""
    for point in points:
        try:
            value = read_point(content, point)
        except EncodingError as error:
            trouble = trouble or str(error)
        else:
            if value is not None:
                values[point] = value
    if not values:
        raise EncodingError(trouble or "none of the profile's values is there")
    return values, trouble


def _names_its_time(content: Any) -> bool:
    """Whether a message says when it was made: then the very same one again is an old one."""
    if not isinstance(content, Mapping):
        return False
    inner = content.get("params")
    return any(key in part for part in (content, inner) if isinstance(part, Mapping) for key in TIME_KEYS)
