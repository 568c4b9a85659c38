"""What a gateway sees beside its readings: points of its meters that are not billed, and MQTT devices.

Called once the billing registers of a boundary have been read, never before, and given ``observe_ms`` at most: a dead device
or broker costs its own time-out and nobody's reading. What is seen rides in the batch of those readings; what only comes later
rides in the batch of the meters that were late, if there is one; whatever never comes is named with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from edge.backoff import Failures
from edge.links.broker import BrokerLink
from edge.meters import MeterConfig, MeterLine, SamplePolicy
from edge.progress import Seen
from edge.readers import LineDownError, LineError, NoAnswerError, Quantity, QuarantinedError
from edge.readers.mqtt import AbsentError, Device, DeviceConfig, Moment
from edge.samples import Sample
from firmware_profiles.mqtt import MqttProfile
from firmware_profiles.payloads import to_milli
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError, UsageError
from gridcore.logs import get_logger
from gridcore.observations import OBSERVATIONS_BYTES_MAX, Observation, Observations

SUSPECT_MS = 300
"""A device that gave nothing at SUSPECT_BOUNDARIES boundaries in a row is waited for no longer than this."""
ROW_BYTES_MAX = 20
"""Of one value in a batch: number, place of its code, value and offset at their widest, its code."""
DEVICE_BYTES_MAX = 60
"""Of one device in a batch beside its name: its number twice, and the longest reason."""

_log = get_logger(__name__)


class Observer:
    """Observes the meters of ``lines`` that have something to observe, and ``devices`` through ``links``."""

    def __init__(
        self,
        lines: Sequence[MeterLine],
        links: Sequence[BrokerLink],
        devices: Sequence[Device],
        policy: SamplePolicy,
        clock_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        self._lines = [
            MeterLine(line.line, meters)
            for line in lines
            if (meters := tuple(meter for meter in line.meters if meter.config.observe))
        ]
        self._links = tuple(links)
        self._devices = {device.config.number: device for device in devices}
        self._observe_ms = policy.observe_ms
        self._clock_ms = clock_ms
        self._names = {number: device.config.device for number, device in self._devices.items()}
        self._meters = {meter.config.number: meter.config.meter for line in self._lines for meter in line.meters}
        self._boundary_s = -1
        self._billed: set[int] = set()
        self._done: set[int] = set()
        self._absent: dict[int, str] = {}
        self._failures = Failures()

    def start(self) -> None:
        """Connect to the brokers."""
        for link in self._links:
            link.start()

    async def close(self) -> None:
        """Leave the brokers."""
        await asyncio.gather(*(link.close() for link in self._links))

    def over(self, lines: Sequence[MeterLine], policy: SamplePolicy) -> Observer:
        """The same devices, over the same connections, beside the meters of other lines."""
        return Observer(lines, self._links, tuple(self._devices.values()), policy, self._clock_ms)

    @property
    def has_work(self) -> bool:
        """Whether anything is configured to be observed."""
        return bool(self._meters or self._devices)

    def seen(self) -> Seen:
        """How the brokers are, and which meters and devices had nothing at the last boundary."""
        names = self._meters | self._names
        return Seen(
            tuple((link.config.broker, "up" if link.is_up else link.trouble) for link in self._links),
            tuple((names[number], reason) for number, reason in sorted(self._absent.items())),
        )

    async def observe(self, sample: Sample, *, boundary_ms: float, simulated: bool) -> Observations:
        """Observe what has not been observed at this boundary, now that ``sample`` has been read.

        ``boundary_ms``: the boundary on the monotonic clock. What was observed before at the same boundary is not asked again.
        """
        if sample.boundary_s != self._boundary_s:
            self._boundary_s = sample.boundary_s
            self._billed, self._done = set(), set()
            before, self._absent = self._absent, {}
            for number in before:
                self._failures.failed(number)
        self._billed |= {reading.number for reading in sample.meters}
        absent = {absence.number: absence.reason for absence in sample.absent if absence.number in self._meters}
        now_ms = self._clock_ms()
        moment = Moment(boundary_ms, now_ms + self._observe_ms, simulated)
        suspect = replace(moment, until_ms=now_ms + min(SUSPECT_MS, self._observe_ms))
        waiting = [device for number, device in self._devices.items() if number not in self._done]
        found = await asyncio.gather(
            *(self._observe_line(line, moment) for line in self._lines),
            *(self._observe_device(device, suspect if self._is_suspect(device) else moment) for device in waiting),
        )
        rows: list[Observation] = []
        for part in found:
            for number, outcome in part.items():
                if isinstance(outcome, str):
                    absent[number] = outcome
                else:
                    rows += outcome
                    self._done.add(number)
                    if self._failures.of(number):
                        self._failures.answered(number)
                        _log.info("observed_again", boundary_s=self._boundary_s, number=number)
        self._absent = absent
        named = {row.device for row in rows} | set(absent)
        names = {number: name for number, name in self._names.items() if number in named}
        return Observations(tuple(rows), names, absent)

    def _is_suspect(self, device: Device) -> bool:
        return self._failures.is_suspect(device.config.number)

    async def _observe_device(self, device: Device, moment: Moment) -> Mapping[int, list[Observation] | str]:
        number = device.config.number
        left_s = max(0.0, moment.until_ms - self._clock_ms()) / 1000.0
        try:
            async with asyncio.timeout(left_s + 0.1):  # it keeps the time itself; this is for the case that it does not
                rows = await device.observe(moment)
        except TimeoutError:
            return {number: self._say_absent(number, device.config.device, "no_answer", "it took too long")}
        except AbsentError as error:
            return {number: self._say_absent(number, device.config.device, error.reason, str(error))}
        return {number: rows}

    async def _observe_line(self, line: MeterLine, moment: Moment) -> Mapping[int, list[Observation] | str]:
        """The observed points of a line's meters that have been billed, one meter after the other."""
        found: dict[int, list[Observation] | str] = {}
        wanted = [meter for meter in line.meters if meter.config.number in self._billed - self._done]
        down = ""
        for meter in wanted:
            number, name = meter.config.number, meter.config.meter
            if down:
                found[number] = self._say_absent(number, name, "line_down", down)
                continue
            left_ms = moment.until_ms - self._clock_ms()
            try:
                async with asyncio.timeout(max(0.0, left_ms) / 1000.0):
                    found[number] = _rows_of(number, await meter.reader.read_observed(moment.until_ms), moment)
            except TimeoutError:
                found[number] = self._say_absent(number, name, "window", "no time was left for it")
            except LineDownError as error:
                down = str(error)
                found[number] = self._say_absent(number, name, "line_down", down)
            except (LineError, QuarantinedError, EncodingError) as error:
                reason = "no_answer" if isinstance(error, NoAnswerError) else "refused"
                found[number] = self._say_absent(number, name, reason, str(error))
        return found

    def _say_absent(self, number: int, name: str, reason: str, detail: str) -> str:
        """Give the reason back, after one line when the device falls silent: not one for each boundary."""
        if not self._failures.of(number) and number not in self._absent:
            _log.warning(
                "not_observed", boundary_s=self._boundary_s, device=name, number=number, reason=reason, detail=detail
            )
        return reason


def check_size(
    meters: Sequence[MeterConfig], devices: Sequence[DeviceConfig], profiles: Mapping[str, MqttProfile]
) -> None:
    """UsageError when all that is configured to be observed could be more than one batch holds."""
    rows = sum(len(meter.observe) for meter in meters) + sum(len(profiles[row.profile].points) for row in devices)
    names = sum(len(row.device.encode()) for row in devices)
    places = len(devices) + sum(1 for meter in meters if meter.observe)
    size = 256 + ROW_BYTES_MAX * rows + DEVICE_BYTES_MAX * places + names
    if size > OBSERVATIONS_BYTES_MAX:
        raise UsageError(
            f"observe: {rows} values of {places} meters and devices may take {size} bytes of a batch, "
            f"more than {OBSERVATIONS_BYTES_MAX}; observe fewer"
        )


def _rows_of(number: int, quantities: Sequence[Quantity], moment: Moment) -> list[Observation]:
    return [
        Observation(number, quantity.obis, to_milli(quantity.value), moment.offset_ms(quantity.arrived_ms))
        for quantity in quantities
    ]
