"""What an MQTT profile may say: ``[mqtt]``, which topics the device uses, and where in its payload each quantity lies.

A device either answers questions (``mode = "rpc"``) or speaks when it likes (``mode = "push"``), on one topic or on several. Topics
hold ``{device}``, the place that the configuration gives the device, and ``{client}``, the name under which the agent is connected.
Relays and optical heads have no approval, no seal and no exact register: they inform, unless they can be asked at the boundary
and net their phases as a billing meter does.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field

from firmware_profiles.schema import (
    POINTS_MAX,
    Point,
    Profile,
    ProfileError,
    check_profile,
    checked_resolution_wh,
    fill,
)

MODES = ("rpc", "push")
TOPIC_BYTES_MAX = 256
PATH_STEPS_MAX = 8
REQUESTS_MAX = 8

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttPoint(Point):
    """One quantity of the device. After loading, ``topic`` is filled in where the device speaks."""

    path: str = field(default="", metadata={"max": 128})
    """Keys from the outside in, with dots between: "SML.Power_curr". A whole number is a place in an array, from 0. Empty: the
    payload is the number itself."""
    topic: str = field(default="", metadata={"max": TOPIC_BYTES_MAX})
    """push: where the device says it; left out: ``push_topic``."""
    request: str = field(default="", metadata={"max": 64})
    """rpc: the method whose answer holds it."""

    @property
    def steps(self) -> tuple[str, ...]:
        """``path`` step by step."""
        return tuple(self.path.split(".")) if self.path else ()


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One question of a device that answers: its method and the parameters that go with it."""

    method: str = field(metadata={"min": 1, "max": 64})
    params: dict[str, int] = field(default_factory=dict, metadata={"max": 16})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqtt:
    """The table ``[mqtt]``: how the device speaks."""

    mode: str = field(metadata={"choices": MODES})
    request_topic: str = field(default="", metadata={"max": TOPIC_BYTES_MAX})
    """rpc: where questions go."""
    reply_topic: str = field(default="", metadata={"max": TOPIC_BYTES_MAX})
    """rpc: where answers come."""
    requests: tuple[RpcRequest, ...] = field(default=(), metadata={"max": REQUESTS_MAX})
    """rpc: what is asked."""
    push_topic: str = field(default="", metadata={"max": TOPIC_BYTES_MAX})
    """push: where the device speaks, unless a point says otherwise."""
    age_ms_max: int = field(default=0, metadata={"min": 0, "max": 3_600_000})
    """push: a message older than this at the boundary says nothing about it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttProfile(Profile):
    """A device that is read at an MQTT broker."""

    mqtt: Mqtt
    points: tuple[MqttPoint, ...] = field(metadata={"min": 1, "max": POINTS_MAX})

    def __post_init__(self) -> None:
        check_profile(self)
        if self.mqtt.mode == "rpc":
            _check_rpc(self.mqtt)
        else:
            _check_push(self.mqtt)
        fill(self, "points", tuple(_completed_point(point, self) for point in self.points))
        unused = {request.method for request in self.mqtt.requests} - {point.request for point in self.points}
        if unused:
            raise ProfileError(f"requests: no point lies in the answer to {min(unused)!r}; leave it out")
        if self.billing and (self.mqtt.mode == "push" or self.netting == "unstated"):
            raise ProfileError(
                "billing needs mode 'rpc' (a register asked at the boundary) and a netting that a source states; leave billing out"
            )

    @property
    def push_topics(self) -> tuple[str, ...]:
        """The topics on which the device speaks, each once, in the order of the points."""
        return tuple(dict.fromkeys(point.topic for point in self.points if point.topic))

    def topic(self, template: str, *, device: str, client: str) -> str:
        """Return one of this profile's topics for the device at ``device``, asked by ``client``."""
        return template.replace("{device}", device).replace("{client}", client)


def _check_rpc(table: Mqtt) -> None:
    _check_topic("request_topic", table.request_topic, ("device", "client"), needed="device")
    _check_topic("reply_topic", table.reply_topic, ("client",), needed="client")
    if table.push_topic or table.age_ms_max:
        raise ProfileError("mode 'rpc' has no push_topic and no age_ms_max; its answers belong to their question")
    methods = [request.method for request in table.requests]
    if not methods or len(set(methods)) != len(methods):
        raise ProfileError("requests: mode 'rpc' needs at least one, and each method stands once")


def _check_push(table: Mqtt) -> None:
    if table.push_topic:
        _check_topic("push_topic", table.push_topic, ("device",), needed="device")
    if table.request_topic or table.reply_topic or table.requests:
        raise ProfileError("mode 'push' has no request_topic, reply_topic or requests; the device is not asked")
    if not table.age_ms_max:
        raise ProfileError("age_ms_max is missing; say for how long a message of this device holds (ms)")


def _completed_point(point: MqttPoint, profile: MqttProfile) -> MqttPoint:
    where, table = f"point {point.obis}", profile.mqtt
    if len(point.steps) > PATH_STEPS_MAX or not all(point.steps):
        raise ProfileError(f"{where}: path {point.path!r} is not up to {PATH_STEPS_MAX} keys with dots between")
    known = [request.method for request in table.requests]
    topic = point.topic
    if table.mode == "rpc":
        if point.request not in known:
            raise ProfileError(f"{where}: request {point.request!r} is none of requests; choose {' or '.join(known)}")
        if topic:
            raise ProfileError(f"{where}: topic stands in a profile of mode 'rpc'; leave it out")
    else:
        if point.request:
            raise ProfileError(f"{where}: request {point.request!r} stands in a profile of mode 'push'; leave it out")
        topic = topic or table.push_topic
        if not topic:
            raise ProfileError(f"{where}: topic is missing; give it, or push_topic in [mqtt] for all points")
        _check_topic(f"{where}: topic", topic, ("device",), needed="device")
    resolution_wh = point.resolution_wh
    if point.obis in profile.billing:
        resolution_wh = checked_resolution_wh(point, None, "a billing register in JSON")
    return dataclasses.replace(point, topic=topic, resolution_wh=resolution_wh)


def _check_topic(key: str, topic: str, allowed: tuple[str, ...], *, needed: str) -> None:
    names = _PLACEHOLDER.findall(topic)
    if needed not in names or not set(names) <= set(allowed):
        shown = " and ".join(f"{{{name}}}" for name in allowed)
        raise ProfileError(f"{key} {topic!r} must hold {{{needed}}}, and of placeholders only {shown}")
    plain = _PLACEHOLDER.sub("", topic)
    if any(sign in plain for sign in "+#{}\0") or topic.startswith("$"):
        raise ProfileError(f"{key} {topic!r} is no topic to publish to: no +, no #, no brace, no $ at its start")
