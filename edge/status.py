"""How a running agent stands, as plain facts: what its status page, its metrics and its report to the node show. No secrets.

The newest read of each meter is kept in memory; everything else is asked of whoever knows it at the moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from edge.alarms import alarms_of
from edge.config import EdgeConfig
from edge.lacks import count_missing
from edge.meters import MeterLine
from edge.nodes import NodeState
from edge.outbox_file import OutboxState
from edge.progress import NO_BOUNDARY
from edge.raw_words import ProfileVersion
from edge.readers.dlt645 import Dlt645Line
from edge.readers.modbus import ModbusLine
from edge.samples import Sample
from gridcore.quality import SUSPECT
from gridcore.transactions.reading_batch import ClockState

DIGEST_SHOWN: Final = 8


@dataclass(slots=True)
class LastRead:
    """What a meter gave last: its newest reading, and why it has none at a later boundary ("" where it has)."""

    boundary_s: int = NO_BOUNDARY
    offset_ms: int = 0
    attempts: int = 0
    is_suspect: bool = False
    reason: str = ""
    detail: str = ""


@dataclass(slots=True)
class LastReads:
    """The newest reading of each meter since the start, by number."""

    meters: dict[int, LastRead] = field(default_factory=dict)

    def note(self, sample: Sample) -> None:
        """Take over what a sample has brought."""
        for reading in sample.meters:
            is_suspect = reading.quality == SUSPECT
            self.meters[reading.number] = LastRead(sample.boundary_s, reading.offset_ms, reading.attempts, is_suspect)
        for absence in sample.absent:
            last = self.meters.setdefault(absence.number, LastRead())
            last.reason, last.detail = absence.reason, absence.detail


@dataclass(frozen=True, slots=True)
class AgentState:
    """Everything that ``facts`` is made of, as it is at one moment."""

    config: EdgeConfig
    version: str
    time_s: int
    clock: ClockState
    outbox: OutboxState
    nodes: Sequence[NodeState]
    lines: Sequence[MeterLine]
    reads: LastReads
    versions: Mapping[int, ProfileVersion]
    profiles: bytes
    in_memory: int
    """Samples that the outbox has not taken yet."""


def facts(now: AgentState) -> dict[str, Any]:
    """The facts as plain values for JSON. Times in UTC seconds, None where there is none yet."""
    progress, outbox = now.outbox.progress, now.outbox
    return {
        "gateway": progress.gateway,
        "chain": progress.chain,
        "version": now.version,
        "time_s": now.time_s,
        "signer": now.config.key.partition(":")[0],
        "clock": {"state": now.clock.state, "offset_ms": now.clock.offset_ms, "source": now.config.clock},
        "outbox": {
            "batches": outbox.depth,
            "bytes": outbox.size,
            "fill_percent": outbox.fill_percent(now.config.outbox_limits),
            "age_s": outbox.age_s,
            "oldest_boundary_s": outbox.oldest_boundary_s,
            "last_boundary_s": _time(progress.last_boundary_s),
            "acknowledged_s": _time(progress.acknowledged_s),
            "epoch": progress.epoch,
            "counter": progress.counter,
            "in_memory": now.in_memory,
            "records_to_fetch": count_missing(progress.lacks, now.config.sampling.slot_s),
        },
        "alarms": alarms_of(outbox, now.config.outbox_limits),
        "nodes": [{"url": node.url, "is_asked": node.is_asked, "last": node.last} for node in now.nodes],
        "brokers": [{"broker": name, "last": last} for name, last in progress.seen.brokers],
        "lines": [_line(line, now) for line in now.lines],
        "profiles": {
            "digest": now.profiles.hex(),
            "versions": [
                {"profile": version.profile, "digest": version.digest.hex()}
                for version in sorted({*now.versions.values()})
            ],
        },
    }


def _line(line: MeterLine, now: AgentState) -> dict[str, Any]:
    bus = line.line
    shown: dict[str, Any] = {"line": "", "place": "", "requests": 0, "drains": 0}
    if isinstance(bus, ModbusLine | Dlt645Line):
        shown = {
            "line": bus.config.line,
            "place": bus.config.place,
            "requests": bus.line.requests,
            "drains": bus.line.drains,
        }
    return {**shown, "meters": [_meter(meter.config.number, meter.config.meter, line, now) for meter in line.meters]}


def _meter(number: int, name: str, line: MeterLine, now: AgentState) -> dict[str, Any]:
    last = now.reads.meters.get(number, LastRead())
    version = now.versions.get(number)
    return {
        "number": number,
        "meter": name,
        "profile": "" if version is None else version.profile,
        "profile_digest": "" if version is None else version.digest.hex()[:DIGEST_SHOWN],
        "last_boundary_s": _time(last.boundary_s),
        "offset_ms": last.offset_ms if last.boundary_s != NO_BOUNDARY else None,
        "attempts": last.attempts,
        "is_suspect": last.is_suspect,
        "failures": line.failures.of(number),
        "refused": sum(row.meter == number for row in now.outbox.progress.refused),
        "reason": last.reason,
        "detail": last.detail,
    }


def _time(boundary_s: int) -> int | None:
    return None if boundary_s == NO_BOUNDARY else boundary_s
