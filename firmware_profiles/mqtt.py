"""What a profile of an MQTT device may say: which topics it uses, and where in its JSON each quantity lies.

Such devices inform and bill nothing: relays and optical heads have no approval, no seal and no exact register. A device
either answers questions (``mode = "rpc"``) or speaks when it likes (``mode = "push"``). Topics hold ``{device}``, the place that
the configuration gives the device, and ``{client}``, the name under which the agent is connected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from firmware_profiles.formats import parse_scale
from firmware_profiles.loader import load_kind
from firmware_profiles.schema import BASE_UNITS, EVIDENCE, ID, OBIS, POINTS_MAX, ProfileError
from gridcore.errors import EncodingError

DEVICES_FOLDER = Path(__file__).parent / "devices"
MODES = ("rpc", "push")
TOPIC_BYTES_MAX = 256
PATH_STEPS_MAX = 8
REQUESTS_MAX = 8

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True, slots=True)
class JsonPoint:
    """One quantity of the device: where it lies in the JSON, in which unit, within which bounds."""

    obis: str
    """Group values C.D.E of IEC 62056-6-1, e.g. "32.7.0" (voltage of phase 1)."""
    path: str = field(metadata={"min": 1, "max": 128})
    """Keys from the outside in, with dots between: "SML.Power_curr". A whole number is a place in an array, from 0."""
    scale: str
    """Base units per JSON unit as an exact fraction, e.g. "1000/1" for a value in kWh."""
    unit: str = field(metadata={"choices": BASE_UNITS})
    request: str = field(default="", metadata={"max": 64})
    """The method whose answer holds it (mode rpc)."""
    min: int | None = None
    """Smallest plausible value in ``unit``; an answer with a value below it is refused."""
    max: int | None = None
    required: bool = True
    """Whether every variant of the device has it: without it the answer is refused."""

    @property
    def steps(self) -> tuple[str, ...]:
        """``path`` step by step."""
        return tuple(self.path.split("."))

    @property
    def ratio(self) -> Fraction:
        """``scale`` as a number."""
        return parse_scale(self.scale)


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One question of a device that answers: its method and the parameters that go with it."""

    method: str = field(metadata={"min": 1, "max": 64})
    params: dict[str, int] = field(default_factory=dict, metadata={"max": 16})


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One model of MQTT device. After loading, ``digest`` is set."""

    id: str
    vendor: str = field(metadata={"min": 1, "max": 64})
    models: tuple[str, ...] = field(metadata={"min": 1, "max": 64})
    source: tuple[str, ...] = field(metadata={"min": 1, "max": 16})
    """Where each fact comes from: document and page, or file of a public project."""
    evidence: str = field(metadata={"choices": EVIDENCE})
    mode: str = field(metadata={"choices": MODES})
    timeout_ms: int = field(metadata={"min": 10, "max": 60_000})
    """rpc: time for an answer. push: how long to wait for a message at a boundary that has none yet."""
    points: tuple[JsonPoint, ...] = field(metadata={"min": 1, "max": POINTS_MAX})
    request_topic: str = field(default="", metadata={"max": TOPIC_BYTES_MAX})
    """rpc: where questions go."""
    reply_topic: str = field(default="", metadata={"max": TOPIC_BYTES_MAX})
    """rpc: where answers come."""
    push_topic: str = field(default="", metadata={"max": TOPIC_BYTES_MAX})
    """push: where the device speaks."""
    age_ms_max: int = field(default=0, metadata={"min": 0, "max": 3_600_000})
    """push: a message older than this at the boundary says nothing about it any more."""
    requests: tuple[RpcRequest, ...] = field(default=(), metadata={"max": REQUESTS_MAX})
    firmware: str = "any"
    """Range of firmware versions for which the facts were seen to hold."""
    notes: str = ""
    digest: bytes = field(default=b"", init=False, compare=False)
    """SM3 of the file with LF line ends: what a reading batch names."""

    def __post_init__(self) -> None:
        """Rules over several fields. ProfileError names point or key and what would be right."""
        if not ID.fullmatch(self.id):
            raise ProfileError(f"id {self.id!r} is not of the form 'vendor_model' (a-z, 0-9, single underscores)")
        if self.mode == "rpc":
            self._check_rpc()
        else:
            self._check_push()
        seen: set[str] = set()
        for point in self.points:
            if point.obis in seen:
                raise ProfileError(f"point {point.obis} is given twice; each obis stands once")
            seen.add(point.obis)
            self._check_point(point)
        unused = {request.method for request in self.requests} - {point.request for point in self.points}
        if unused:
            raise ProfileError(f"requests: no point lies in the answer to {min(unused)!r}; leave it out")

    def _check_rpc(self) -> None:
        _check_topic("request_topic", self.request_topic, ("device", "client"), needed="device")
        _check_topic("reply_topic", self.reply_topic, ("client",), needed="client")
        if self.push_topic or self.age_ms_max:
            raise ProfileError("mode 'rpc' has no push_topic and no age_ms_max; its answers belong to their question")
        methods = [request.method for request in self.requests]
        if not methods or len(set(methods)) != len(methods):
            raise ProfileError("requests: mode 'rpc' needs at least one, and each method stands once")

    def _check_push(self) -> None:
        _check_topic("push_topic", self.push_topic, ("device",), needed="device")
        if self.request_topic or self.reply_topic or self.requests:
            raise ProfileError("mode 'push' has no request_topic, reply_topic or requests; the device is not asked")
        if not self.age_ms_max:
            raise ProfileError("age_ms_max is missing; say for how long a message of this device holds (ms)")

    def _check_point(self, point: JsonPoint) -> None:
        where = f"point {point.obis}"
        if not OBIS.fullmatch(point.obis):
            raise ProfileError(f"{where}: obis is not of the form C.D.E, such as '32.7.0'")
        if not 1 <= len(point.steps) <= PATH_STEPS_MAX or not all(point.steps):
            raise ProfileError(f"{where}: path {point.path!r} is not 1 to {PATH_STEPS_MAX} keys with dots between")
        try:
            scale = parse_scale(point.scale)
        except EncodingError as error:
            raise ProfileError(f"{where}: {error}") from None
        if scale == 0:
            raise ProfileError(f"{where}: scale is 0; give the unit's amount of one JSON unit")
        if point.min is not None and point.max is not None and point.min > point.max:
            raise ProfileError(f"{where}: min {point.min} is above max {point.max}")
        known = [request.method for request in self.requests]
        if self.mode == "rpc" and point.request not in known:
            raise ProfileError(f"{where}: request {point.request!r} is none of requests; choose {' or '.join(known)}")
        if self.mode == "push" and point.request:
            raise ProfileError(f"{where}: request {point.request!r} stands in a profile of mode 'push'; leave it out")

    def topic(self, template: str, *, device: str, client: str) -> str:
        """Return one of this profile's topics for the device at ``device``, asked by ``client``."""
        return template.replace("{device}", device).replace("{client}", client)


def load_device_profile(profile_id: str, folder: Path | None = None) -> DeviceProfile:
    """Load the profile ``profile_id`` of an MQTT device from ``folder`` (default: the shipped ones).

    Raises UsageErrors of one line (ProfileError, ConfigError) that name the file, the point or key, and what is right.
    """
    return load_kind(DeviceProfile, profile_id, folder or DEVICES_FOLDER)


def _check_topic(key: str, topic: str, allowed: tuple[str, ...], *, needed: str) -> None:
    names = _PLACEHOLDER.findall(topic)
    if needed not in names or not set(names) <= set(allowed):
        shown = " and ".join(f"{{{name}}}" for name in allowed)
        raise ProfileError(f"{key} {topic!r} must hold {{{needed}}}, and of placeholders only {shown}")
    plain = _PLACEHOLDER.sub("", topic)
    if any(sign in plain for sign in "+#{}\0") or topic.startswith(("$", "/")):
        raise ProfileError(f"{key} {topic!r} is no topic to publish to: no +, no #, no brace, no $ or / at its start")
