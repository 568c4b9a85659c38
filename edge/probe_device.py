"""Ask one MQTT device what its profile says, or listen until it speaks, and judge every value: before it is configured."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from edge.links.broker import Arrival, BrokerConfig, BrokerLink
from edge.probed import exact_text
from edge.readers.mqtt import AbsentError, RpcDesk
from firmware_profiles.mqtt import MqttPoint, MqttProfile
from firmware_profiles.payloads import decode_payload, read_point
from gridcore.errors import EncodingError, GridError

CONNECT_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class ProbedValue:
    """One line of the report. ``value``: exact decimal in ``unit``, rounded to thousandths as a batch holds it; "-" without one."""

    obis: str
    path: str
    value: str
    unit: str
    verdict: str
    """ok, missing (not required), refused, no_answer."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What the device said."""

    host: str
    port: int
    address: str
    profile: str
    values: tuple[ProbedValue, ...]

    @property
    def is_fine(self) -> bool:
        """Whether the device can be observed by this profile."""
        verdicts = [value.verdict for value in self.values]
        return "ok" in verdicts and set(verdicts) <= {"ok", "missing"}

    def as_table(self) -> dict[str, object]:
        """Return the report as plain values for JSON."""
        rows = [
            {"obis": row.obis, "path": row.path, "value": row.value, "unit": row.unit, "verdict": row.verdict, "detail": row.detail}
            for row in self.values
        ]  # fmt: skip
        place = {"host": self.host, "port": self.port, "address": self.address, "profile": self.profile}
        return {**place, "fine": self.is_fine, "values": rows}


async def probe_device(
    config: BrokerConfig, address: str, profile: MqttProfile, wait_s: float, password: bytes | None = None
) -> DeviceReport:
    """Ask the device at ``address``; one that only speaks is listened to for ``wait_s``.

    Raises GridError when the broker does not let us in, or nothing at all is heard of the device.
    """
    link = BrokerLink(config, f"probe-{secrets.token_hex(4)}", password=password, clean=True)
    names = {"device": address, "client": link.client_id}
    heard: asyncio.Queue[Arrival] = asyncio.Queue(maxsize=1)
    desk = RpcDesk(link)
    if profile.mqtt.mode == "rpc":
        desk.listen(profile.topic(profile.mqtt.reply_topic, **names))
    else:
        link.subscribe(
            profile.topic(profile.mqtt.push_topic, **names),
            lambda arrival: None if heard.full() else heard.put_nowait(arrival),
        )
    link.start()
    try:
        if not await link.wait_usable(CONNECT_S_MAX):
            raise GridError(f"broker {config.host}:{config.port}: {link.trouble}")
        if profile.mqtt.mode == "push":
            async with asyncio.timeout(wait_s):
                values = _judged(decode_payload((await heard.get()).payload), profile.points)
        else:
            values = await _asked(desk, address, profile, profile.topic(profile.mqtt.request_topic, **names))
    except TimeoutError:
        raise GridError(f"{address}: has said nothing new for {wait_s:.0f} s; wait longer with --wait") from None
    except EncodingError as error:
        raise GridError(f"{address}: {error}") from None
    finally:
        await link.close()
    return DeviceReport(config.host, config.port, address, profile.id, tuple(values))


async def _asked(desk: RpcDesk, address: str, profile: MqttProfile, topic: str) -> list[ProbedValue]:
    """The values of every question. GridError when none of them is answered."""
    values: list[ProbedValue] = []
    for request in profile.mqtt.requests:
        points = [point for point in profile.points if point.request == request.method]
        try:
            _, result = await desk.ask(topic, address, request, profile.timeout_ms)
        except AbsentError as error:
            values += [
                ProbedValue(point.obis, point.path, "-", point.unit, error.reason, str(error)) for point in points
            ]
        else:
            values += _judged(result, points)
    if all(value.verdict == "no_answer" for value in values):
        raise GridError(f"{address}: {values[0].detail}")
    return values


def _judged(content: Any, points: Sequence[MqttPoint]) -> list[ProbedValue]:
    values = []
    for point in points:
        shown, verdict, detail = "-", "missing", ""
        try:
            value_milli = read_point(content, point)
        except EncodingError as error:
            verdict, detail = "refused", str(error)
        else:
            if value_milli is not None:
                shown, verdict = exact_text(Fraction(value_milli, 1000)), "ok"
        values.append(ProbedValue(point.obis, point.path, shown, point.unit, verdict, detail))
    return values
