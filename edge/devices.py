"""MQTT devices: what they say at a slot boundary, by their profile. They inform and bill nothing.

A device that answers (rpc) is asked at the boundary, and only an answer with the question's own id, of the device that was
asked, counts. A device that only speaks (push) is listened to all the time: its last message counts for a boundary if it came
since the last one that counted and is not older than the profile allows; if there is none yet, one is waited for a moment.
Whatever cannot be read is refused with one line in the log until the device makes sense again.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from edge.drivers.mqtt import Arrival, BrokerConfig, BrokerLink, is_topic_level, open_tls
from edge.meters import NUMBER_MAX
from edge.payloads import decode_payload, read_point
from firmware_profiles.mqtt import DeviceProfile, JsonPoint, RpcRequest
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError, GridError, UsageError
from gridcore.logs import get_logger
from gridcore.observations import Observation
from gridcore.secrets import SecretError, read_secret

RPC_ATTEMPTS_MAX = 2
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
    profile: DeviceProfile

    async def observe(self, moment: Moment) -> list[Observation]:
        """Its values at this boundary, ascending by the profile's points. AbsentError when there are none."""
        ...


class PushDevice:
    """A device that only speaks."""

    def __init__(
        self,
        config: DeviceConfig,
        profile: DeviceProfile,
        link: BrokerLink,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        self.config, self.profile = config, profile
        self._link = link
        self._clock_ms = clock_ms
        self._last: tuple[float, Mapping[JsonPoint, int]] | None = None
        self._is_new = asyncio.Event()
        self._refused, self._has_said = "", False
        self._seen: deque[int] = deque(maxlen=SEEN_MAX)
        link.subscribe(profile.topic(profile.push_topic, device=config.address, client=link.client_id), self._take)

    async def observe(self, moment: Moment) -> list[Observation]:
        """See ``Device``. A message counts for one boundary only."""
        await _usable(self._link, moment.until_ms - self._clock_ms())  # what the broker has kept comes first
        give_up_ms = min(moment.until_ms, self._clock_ms() + self.profile.timeout_ms)
        while not self._is_fresh(moment):
            self._is_new.clear()
            try:
                async with asyncio.timeout(max(0.0, give_up_ms - self._clock_ms()) / 1000.0):
                    await self._is_new.wait()
            except TimeoutError:
                raise self._absence() from None
        (at_ms, values), self._last = self._last or (0.0, {}), None
        self._refused, self._has_said = "", False
        offset_ms = moment.offset_ms(at_ms)
        return [
            Observation(self.config.number, point.obis, value_milli, offset_ms) for point, value_milli in values.items()
        ]

    def _is_fresh(self, moment: Moment) -> bool:
        if self._last is None:
            return False
        return moment.simulated or self._last[0] >= moment.boundary_ms - self.profile.age_ms_max

    def _absence(self) -> AbsentError:
        self._has_said = False
        if self._refused:
            return AbsentError("refused", self._refused)
        if self._last is None and not self._seen:
            return AbsentError("no_answer", "it has said nothing yet")
        return AbsentError("stale", "it has said nothing new")

    def _take(self, arrival: Arrival) -> None:
        print_of = hash(arrival.payload)
        if arrival.again and print_of in self._seen:
            return
        self._seen.append(print_of)
        try:
            content = decode_payload(arrival.payload)
            values = _values(content, self.profile.points)
        except EncodingError as error:
            if not self._has_said:  # one line between two boundaries, however much comes
                _log.warning("payload_refused", device=self.config.device, topic=arrival.topic, reason=str(error))
            self._refused, self._has_said = str(error), True
            return
        self._refused = ""
        self._last = arrival.at_ms, values
        self._is_new.set()


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
        self, config: DeviceConfig, profile: DeviceProfile, desk: RpcDesk, clock_ms: Callable[[], float] = monotonic_ms
    ) -> None:
        self.config, self.profile = config, profile
        self._desk = desk
        self._clock_ms = clock_ms
        names = {"device": config.address, "client": desk.link.client_id}
        self._topic = profile.topic(profile.request_topic, **names)
        desk.listen(profile.topic(profile.reply_topic, **names))

    async def observe(self, moment: Moment) -> list[Observation]:
        """See ``Device``. Its questions are asked side by side, each a second time if it is not answered."""
        await _usable(self._desk.link, moment.until_ms - self._clock_ms())
        asked = [asyncio.ensure_future(self._ask(request, moment)) for request in self.profile.requests]
        try:
            answers = await asyncio.gather(*asked)
        finally:
            for task in asked:
                task.cancel()
        found: list[Observation] = []
        for request, (at_ms, result) in zip(self.profile.requests, answers, strict=True):
            points = [point for point in self.profile.points if point.request == request.method]
            try:
                values = _values(result, points)
            except EncodingError as error:
                raise AbsentError("refused", str(error)) from None
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
                is_last = attempt >= RPC_ATTEMPTS_MAX or moment.until_ms - self._clock_ms() <= 0
                if error.reason != "no_answer" or is_last or not self._desk.link.is_up:
                    raise


def build_devices(
    brokers: Sequence[BrokerConfig],
    devices: Sequence[DeviceConfig],
    profiles: Mapping[str, DeviceProfile],
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
        link = BrokerLink(config, config.client_id or client_id, password=password, tls=open_tls(config))
        desks[config.broker] = RpcDesk(link)
    built: list[Device] = []
    for row in devices:
        profile, desk = profiles[row.profile], desks[row.broker]
        built.append(RpcDevice(row, profile, desk) if profile.mode == "rpc" else PushDevice(row, profile, desk.link))
    return tuple(desk.link for desk in desks.values()), tuple(built)


async def _usable(link: BrokerLink, wait_ms: float) -> None:
    """Wait until the broker has accepted us and our topics; AbsentError when it is away."""
    if not await link.wait_usable(max(0.0, wait_ms) / 1000.0):
        raise AbsentError("broker_down", f"broker {link.config.broker}: {link.trouble}")


def _values(content: Any, points: Sequence[JsonPoint]) -> dict[JsonPoint, int]:
    """Thousandths by point, without the points that the device does not have. EncodingError as for ``read_point``."""
    found = {point: read_point(content, point) for point in points}
    values = {point: value for point, value in found.items() if value is not None}
    if not values:
        raise EncodingError("none of the profile's values is there")
    return values
