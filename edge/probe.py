"""Ask meters everything their profiles say, and judge the answers: the check before a meter may produce billable readings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import NamedTuple

from edge.blocks import plan_reads
from edge.lines import LineConfig
from edge.meters import (
    Meter,
    MeterBus,
    MeterConfig,
    MeterLine,
    SamplePolicy,
    build_lines,
    close_lines,
    dlt645_meter,
    limits_of,
    line_of,
    modbus_meter,
)
from edge.probe_dlt645 import Dlt645Probe
from edge.probe_modbus import Answers, ModbusProbe
from edge.probe_trouble import UnreachedError, unreached
from edge.probed import ProbeReport
from edge.readers import LineError, MeterReader, QuarantinedError
from edge.readers.dlt645 import Dlt645Line
from edge.readers.modbus import ModbusLine
from edge.samples import MeterSample, confirmation_doubts, sample_of
from firmware_profiles.dlt645 import Dlt645Profile
from firmware_profiles.modbus import ModbusProfile
from firmware_profiles.schema import Profile
from gridcore.clock import monotonic_ms
from gridcore.errors import UsageError

PROBE_LIMIT_WH = 1_000_000
"""Of a meter that is in no table: nobody has said what it may count in a slot."""


class Probed(NamedTuple):
    """A meter of the table with its report; None where nothing answers: ``trouble`` says why."""

    meter: MeterConfig
    report: ProbeReport | None
    trouble: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether it may produce billable readings by its profile."""
        return self.report is not None and self.report.is_fine


async def read_twice(
    meter: Meter, *, boundary_ms: float, policy: SamplePolicy, until_ms: float = float("inf")
) -> MeterSample:
    """Read one meter twice, one request behind the other, and judge the first read by the second alone (``LineSampling`` takes readings that bill).

    ``boundary_ms``: the boundary on the monotonic clock. LineError when the meter does not answer properly, QuarantinedError when its two
    answers do not agree.
    """
    first = await meter.reader.read_billing(until_ms)
    second = await meter.reader.confirm_billing(until_ms)
    doubts = confirmation_doubts(meter, first, second, policy.slot_s)
    if doubts:
        raise QuarantinedError(f"{meter.config.meter}: {doubts[0].detail}")
    return sample_of(meter, first, boundary_ms, policy)


async def probe_meter(config: LineConfig, meter: MeterConfig, profile: Profile) -> ProbeReport:
    """Probe one meter over a line of its own, by a profile that informs only too. UnreachedError."""
    line = line_of(config)
    try:
        return await _probe(line, meter, profile)
    finally:
        await line.close()


async def probe_table(
    configs: Sequence[LineConfig], meters: Sequence[MeterConfig], profiles: Mapping[str, Profile]
) -> AsyncIterator[Probed]:
    """Probe the meters of a table, lines side by side, each meter as it is done. A line that is down costs one time-out."""
    lines = build_lines(configs, meters, profiles)
    done: asyncio.Queue[Probed] = asyncio.Queue()
    work = [asyncio.ensure_future(_probe_line(line, profiles, done)) for line in lines]
    try:
        for _ in meters:
            yield await done.get()
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await close_lines(lines)


async def _probe_line(line: MeterLine, profiles: Mapping[str, Profile], done: asyncio.Queue[Probed]) -> None:
    down = ""
    for meter in line.meters:
        if down:
            done.put_nowait(Probed(meter.config, None, down))
            continue
        try:
            report = await _probe(line.line, meter.config, profiles[meter.config.profile])
        except UnreachedError as error:
            down = str(error) if error.is_line_down else ""
            done.put_nowait(Probed(meter.config, None, str(error)))
        else:
            done.put_nowait(Probed(meter.config, report))


async def _probe(line: MeterBus, row: MeterConfig, profile: Profile) -> ProbeReport:
    reader: MeterReader
    probe: Awaitable[Answers]
    if isinstance(line, ModbusLine) and isinstance(profile, ModbusProfile):
        config, plan = line.config, plan_reads(profile)
        timeout_ms = row.timeout_ms or config.timeout_ms
        reader, limits = modbus_meter(line, row, profile, plan, timeout_ms), limits_of(row, profile)
        probe = ModbusProbe(line, row.unit_id or 0, profile, timeout_ms).ask(plan)
    elif isinstance(line, Dlt645Line) and isinstance(profile, Dlt645Profile):
        config = line.config
        timeout_ms = row.timeout_ms or config.timeout_ms
        reader, limits = dlt645_meter(line, row, profile, timeout_ms), limits_of(row, profile)
        probe = Dlt645Probe(line, row.address or "", profile, timeout_ms).ask()
    else:
        raise UsageError(f"profile {profile.id!r} is not one for this kind of line")
    try:
        answers = await probe
    except LineError as error:
        raise unreached(error, config) from None
    double_read = "ok"
    try:
        await read_twice(Meter(row, reader, limits), boundary_ms=monotonic_ms(), policy=SamplePolicy())
    except (LineError, QuarantinedError) as error:
        double_read = str(error)
    ordered = sorted(answers.points, key=lambda point: [int(part) for part in point.obis.split(".")])
    return ProbeReport(
        config.place, row.place, profile.id, answers.identity, tuple(ordered), double_read, answers.order_guess
    )
