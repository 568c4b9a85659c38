"""Virtual MQTT devices: one that answers JSON-RPC and notifies (as Shelly does), one that only speaks (as Tasmota does).

    devices = [VirtualDevice("EM-1", "shellypro3em-1", load_profile("shelly_pro3em")), …]
    fleet = MqttFleet(devices)
    await fleet.start(broker.host, broker.port)
    await fleet.set_registers(import_wh, export_wh, power_w, voltage_v)     # columns in the order of the devices
    await fleet.close()

``set_registers`` is the counterpart of ``MeterFleet.set_registers`` and a coroutine: it returns when the broker has what the
devices had to say (or after PUBLISHED_S_MAX, when it is away), so that simulated time may move on. Values lie in the JSON where
the device's profile says, by the same profile by which the edge reads them. All devices of a fleet share one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_profiles.mqtt import MqttPoint, MqttProfile
from gridcore.errors import EncodingError, UsageError, require
from gridcore.strict_json import decode_json
from simulators.meters.models import FREQUENCY_HZ, POWER_FACTOR
from simulators.meters.station import Quantities

SLOTS_PER_HOUR = 4
PUBLISHED_S_MAX = 2.0
POLL_S = 0.005
QOS = 1
QUESTION_BYTES_MAX = 16_384
_FLEETS = "fleet"
_VOLTAGES = ("32.7.0", "52.7.0", "72.7.0")
_CURRENTS = ("31.7.0", "51.7.0", "71.7.0")
_POWERS = ("36.7.0", "56.7.0", "76.7.0")


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """One device of the fleet: its name, its place in topics, the profile by which it shows its values."""

    device: str
    address: str
    profile: MqttProfile


@dataclass(frozen=True, slots=True)
class DeviceFault:
    """What is wrong with a device."""

    silent: bool = False
    """It neither answers nor speaks."""
    error: bool = False
    """It answers every question with an error (rpc)."""
    payload: bytes | None = None
    """It says this instead of its values."""
    wrong_id: bool = False
    """Its answers carry another question's id (rpc)."""
    retain: bool = False
    """What it says is retained by the broker (push)."""


class MqttFleet:
    """The devices behind one connection to a broker; column arguments are in their order."""

    def __init__(self, devices: Sequence[VirtualDevice]) -> None:
        self.devices = tuple(devices)
        self._by_request = {
            device.profile.topic(device.profile.mqtt.request_topic, device=device.address, client=""): index
            for index, device in enumerate(self.devices)
            if device.profile.mqtt.mode == "rpc"
        }
        if len({(device.profile.mqtt.mode, device.address) for device in self.devices}) != len(self.devices):
            raise UsageError("virtual devices: two have the same address")
        self._index = {device.device: index for index, device in enumerate(self.devices)}
        self._quantities = [Quantities() for _ in self.devices]
        self._faults: dict[int, DeviceFault] = {}
        self._messages = 0
        self.requests = 0
        self._client: Client | None = None
        self._is_subscribed = False

    @property
    def is_listening(self) -> bool:
        """Whether the devices are connected and the broker passes questions on to them."""
        return self._client is not None and self._client.is_connected() and self._is_subscribed

    async def start(self, host: str, port: int) -> None:
        """Connect, and again whenever the connection is lost; returns when the devices are listening."""
        require(self._client is None, "a fleet starts once")
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"{_FLEETS}-{id(self):x}")
        client.reconnect_delay_set(1, 2)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_open = _send_at_once
        client.connect_async(host, port)
        client.loop_start()
        self._client = client
        with contextlib.suppress(TimeoutError):  # the broker is away: paho goes on trying
            async with asyncio.timeout(PUBLISHED_S_MAX):
                while not self.is_listening:  # noqa: ASYNC110 - paho's thread connects
                    await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        """Leave the broker."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def set_registers(
        self,
        import_wh: Sequence[int],
        export_wh: Sequence[int],
        power_w: Sequence[float] | None = None,
        voltage_v: Sequence[float] | None = None,
    ) -> None:
        """Show the state at one boundary: cumulative energy at each device (Wh).

        Push devices say it at once, answering ones notify and keep it for the question. Without ``power_w`` the power is the
        mean since the last call, one slot of 15 minutes earlier; without ``voltage_v`` 230 V.
        """
        require(len(import_wh) == len(export_wh) == len(self.devices), "one import and one export for each device")
        for index in range(len(self.devices)):
            before = self._quantities[index]
            imported, exported = int(import_wh[index]), int(export_wh[index])
            mean_w = float((imported - before.import_wh - exported + before.export_wh) * SLOTS_PER_HOUR)
            self._quantities[index] = Quantities(
                imported,
                exported,
                mean_w if power_w is None else float(power_w[index]),
                230.0 if voltage_v is None else float(voltage_v[index]),
            )
        await self.speak()

    def set_fault(self, device: str, fault: DeviceFault | None) -> None:
        """Give ``device`` a ``fault``, or take it away."""
        if fault is None:
            self._faults.pop(self._index[device], None)
        else:
            self._faults[self._index[device]] = fault

    async def speak(self) -> None:
        """Let every device say its present state once more; returns when the broker has it."""
        client = self._client
        if client is None or not client.is_connected():
            return
        sent = []
        for index, device in enumerate(self.devices):
            fault = self._faults.get(index, DeviceFault())
            if not fault.silent:
                topic, payload = self._spoken(index, device, fault)
                sent.append(client.publish(topic, payload, QOS, retain=fault.retain))
        kept = [info for info in sent if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS]  # else the connection has just gone
        await asyncio.to_thread(_wait_until_published, kept)

    def _spoken(self, index: int, device: VirtualDevice, fault: DeviceFault) -> tuple[str, bytes]:
        """Topic and payload of what a device says by itself."""
        self._messages += 1
        profile, address = device.profile, device.address
        if profile.mqtt.mode == "push":
            content = {"Time": _time_without_zone(self._messages), **self._content(index, "")}
            return profile.topic(profile.mqtt.push_topic, device=address, client=""), fault.payload or _json(content)
        params: dict[str, Any] = {"ts": float(self._messages)}
        for request in profile.mqtt.requests:
            component = request.method.partition(".")[0].lower()
            params[f"{component}:{request.params.get('id', 0)}"] = self._content(index, request.method)
        notice = {"src": address, "dst": f"{address}/events", "method": "NotifyStatus", "params": params}
        return f"{address}/events/rpc", _json(notice)

    def _content(self, index: int, method: str) -> dict[str, Any]:
        """The values of a device as its JSON has them, of one method's answer or of its message."""
        values = _values(self._quantities[index])
        content: dict[str, Any] = {}
        for point in self.devices[index].profile.points:
            if point.request == method and point.obis in values:
                _put(content, point, values[point.obis])
        return content

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            return
        if self._by_request:
            client.subscribe([(topic, QOS) for topic in self._by_request])
        else:
            self._is_subscribed = True

    def _on_subscribe(self, *_: object) -> None:
        self._is_subscribed = True

    def _on_disconnect(self, *_: object) -> None:
        self._is_subscribed = False

    def _on_message(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        """Answer a question (in paho's thread)."""
        index = self._by_request.get(message.topic)
        fault = self._faults.get(-1 if index is None else index, DeviceFault())
        if index is None or fault.silent:
            return
        with contextlib.suppress(EncodingError, KeyError, TypeError):  # a real device drops what it does not understand
            question = decode_json(bytes(message.payload), QUESTION_BYTES_MAX)
            reply, payload = self._answer(index, question, fault)
            client.publish(reply, payload, QOS)

    def _answer(self, index: int, question: Mapping[str, Any], fault: DeviceFault) -> tuple[str, bytes]:
        self.requests += 1
        device = self.devices[index]
        method, number = str(question["method"]), question["id"]
        reply = device.profile.topic(
            device.profile.mqtt.reply_topic, device=device.address, client=str(question["src"])
        )
        answer: dict[str, Any] = {"id": number, "src": device.address, "dst": question["src"]}
        if fault.wrong_id:
            answer["id"] = number + 1
        if fault.error or method not in {request.method for request in device.profile.mqtt.requests}:
            answer["error"] = {"code": 404, "message": f"No handler for {method}"}
        else:
            answer["result"] = {"id": 0, **self._content(index, method)}
        return reply, fault.payload or _json(answer)


def _wait_until_published(sent: Sequence[MQTTMessageInfo]) -> None:
    """Return when the broker has these messages, or after PUBLISHED_S_MAX: it is away, and a device says nothing to nobody."""
    give_up_s = time.monotonic() + PUBLISHED_S_MAX
    for info in sent:
        with contextlib.suppress(RuntimeError):  # the connection has gone
            info.wait_for_publish(max(0.0, give_up_s - time.monotonic()))


def _values(quantities: Quantities) -> dict[str, float]:
    """The value of every quantity by OBIS, in base units."""
    current_a = abs(quantities.power_w) / 3 / quantities.voltage_v / POWER_FACTOR if quantities.voltage_v else 0.0
    values: dict[str, float] = {
        "1.8.0": quantities.import_wh,
        "2.8.0": quantities.export_wh,
        "16.7.0": quantities.power_w,
        "14.7.0": FREQUENCY_HZ,
    }
    for voltage, current, power in zip(_VOLTAGES, _CURRENTS, _POWERS, strict=True):
        values |= {voltage: quantities.voltage_v, current: current_a, power: quantities.power_w / 3}
    return values


SHOWN: Final = frozenset(_values(Quantities()))
"""The quantities, by OBIS, that virtual devices show."""


def _put(content: dict[str, Any], point: MqttPoint, value: float) -> None:
    """Write ``value`` (base units) at the point's path, in the unit of the JSON, with three digits as such devices show."""
    *outer, last = point.steps
    for step in outer:
        content = content.setdefault(step, {})
    ratio = point.ratio
    content[last] = round(value * ratio.denominator / ratio.numerator, 3)


def _send_at_once(_client: Client, _userdata: Any, opened: Any) -> None:
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _time_without_zone(second: int) -> str:
    """A time as Tasmota writes it: one second later with each message, so that no two are the same."""
    return f"2026-01-01T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
