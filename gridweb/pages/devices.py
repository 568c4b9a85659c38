"""What gateways observed beside the billing registers: voltages, powers, devices that no bill is made of; and what was absent.

Nothing is billed by these values. They rode in the signed batches, and the ledger keeps them unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridcore.errors import require
from gridseries.series import OBSERVATIONS
from gridweb.access import READS_ALL
from gridweb.i18n import N_, _
from gridweb.pages.gateways import Gateway
from gridweb.source import Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table

DAY_S: Final = 86_400
LOOK_BACK_S: Final = 7 * DAY_S
"""How far back a device that is absent is looked for."""
ABSENT_SHOWN_MAX: Final = 50
"""Absent devices of a gateway whose last value is looked for."""
GATEWAYS_ASKED_MAX: Final = 8
"""Gateways that are asked for their absent devices where no single one is meant."""

PHASES: Final = ("32.7.0", "52.7.0", "72.7.0")
SINGLE_VOLTAGE: Final = "12.7.0"
VOLTAGES: Final = (*PHASES, SINGLE_VOLTAGE)
QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    "1.8.0": (N_("energy import"), "mWh"),
    "2.8.0": (N_("energy export"), "mWh"),
    "1.7.0": (N_("power import"), "mW"),
    "2.7.0": (N_("power export"), "mW"),
    "16.7.0": (N_("power, import positive"), "mW"),
    "36.7.0": (N_("power L1"), "mW"),
    "56.7.0": (N_("power L2"), "mW"),
    "76.7.0": (N_("power L3"), "mW"),
    "12.7.0": (N_("voltage"), "mV"),
    "32.7.0": (N_("voltage L1"), "mV"),
    "52.7.0": (N_("voltage L2"), "mV"),
    "72.7.0": (N_("voltage L3"), "mV"),
    "11.7.0": (N_("current"), "mA"),
    "31.7.0": (N_("current L1"), "mA"),
    "51.7.0": (N_("current L2"), "mA"),
    "71.7.0": (N_("current L3"), "mA"),
    "14.7.0": (N_("frequency"), "mHz"),
    "13.7.0": (N_("power factor"), "1e-3"),
}
"""OBIS code -> message id and unit of the thousandths."""
REASONS: Final[Mapping[str, str]] = {
    "broker_down": N_("broker down"),
    "no_answer": N_("no answer"),
    "refused": N_("refused"),
    "stale": N_("last value too old"),
}

OBSERVATION_COLUMNS: Final = (
    Column("device", N_("Device")),
    Column("obis", N_("OBIS code")),
    Column("quantity", N_("Quantity"), words={title: title for title, _unit in QUANTITIES.values()}),
    Column("value_milli", N_("Value, thousandths"), "count"),
    Column("unit", N_("Unit")),
    Column("offset_ms", N_("Offset from the boundary, ms"), "count"),
)
VOLTAGE_COLUMNS: Final = (
    Column("device", N_("Device")),
    Column("l1_milli", N_("L1"), "voltage_milli"),
    Column("l2_milli", N_("L2"), "voltage_milli"),
    Column("l3_milli", N_("L3"), "voltage_milli"),
    Column("lowest_milli", N_("Lowest"), "voltage_milli"),
)
ABSENT_COLUMNS: Final = (
    Column("device", N_("Device")),
    Column("reason", N_("Reason"), words=REASONS),
    Column("last_seen_s", N_("Last value at"), "instant"),
)


@dataclass(frozen=True)
class Absent:
    """A device without values at a boundary. ``last_seen_s``: its newest value before, None if none in LOOK_BACK_S."""

    device: str
    reason: str
    last_seen_s: int | None


def name_of(entry: Mapping[str, Any]) -> str:
    """The name of a device as the time series has it: its own, else its number."""
    return entry["name"] if entry["name"] is not None else f"#{entry['device']}"


def voltages_of(answer: Mapping[str, Any]) -> list[tuple[str, int | None, int | None, int | None, int]]:
    """(device, L1, L2, L3, lowest) in mV of the devices that gave a voltage, the lowest first."""
    found: dict[str, dict[str, int]] = {}
    for entry in answer["observations"]:
        if entry["obis"] in VOLTAGES:
            found.setdefault(name_of(entry), {}).setdefault(entry["obis"], entry["value_milli"])
    rows = []
    for device, values in found.items():
        first = values.get(PHASES[0], values.get(SINGLE_VOLTAGE))
        rows.append((device, first, values.get(PHASES[1]), values.get(PHASES[2]), min(values.values())))
    return sorted(rows, key=lambda row: (row[4], row[0]))


async def read_observations(source: Source, gateway: str, boundary_s: int) -> Mapping[str, Any]:
    """What a gateway observed at a boundary. SourceAway, SourceMissing for an unknown gateway."""
    answer: Mapping[str, Any] = await source.cached(f"gateways/{gateway}/observations", boundary_s=boundary_s)
    return answer


async def read_absent(source: Source, answer: Mapping[str, Any]) -> list[Absent]:
    """The devices that were absent at the boundary of an answer, with their last values. SourceAway."""
    found: list[Absent] = []
    for entry in answer["absent"]:
        device, last_s = name_of(entry), None
        if len(found) < ABSENT_SHOWN_MAX:
            end_s = answer["boundary_s"]
            rows = await source.curves(
                OBSERVATIONS, end_s - LOOK_BACK_S, end_s, gateway=answer["gateway"], device=device
            )
            last_s = rows[-1].time_s if rows else None
        found.append(Absent(device, entry["reason"], last_s))
    return found


async def read_absent_of(source: Source, gateways: Sequence[Gateway]) -> list[Absent]:
    """The devices that are absent at the newest boundaries of at most GATEWAYS_ASKED_MAX gateways. SourceAway, SourceBusy.

    While the series is away their last values are not known; that they are absent is.
    """
    found: list[Absent] = []
    require(len(gateways) <= GATEWAYS_ASKED_MAX, "a page asks few gateways for their devices")
    for gateway in gateways:
        try:
            answer = await read_observations(source, gateway.gateway, gateway.last_boundary_s or 0)
        except SourceMissing:
            continue
        known = await part_of(read_absent(source, answer))
        unknown = [Absent(name_of(entry), entry["reason"], None) for entry in answer["absent"]]
        found += unknown if known.value is None else known.value
    return found


@serves_table("/gateways/<gateway>/observations", *READS_ALL)
async def observations_table(source: Source, gateway: str, *, boundary_s: int) -> Table:
    """Everything that a gateway observed at a boundary, value by value."""
    return table_of_observations(await read_observations(source, gateway, boundary_s))


def table_of_observations(answer: Mapping[str, Any]) -> Table:
    """Observations as a table, by device and code."""
    rows = []
    for entry in sorted(answer["observations"], key=lambda one: (name_of(one), one["obis"])):
        title, unit = QUANTITIES.get(entry["obis"], ("", ""))
        row = (name_of(entry), entry["obis"], title or None, entry["value_milli"], unit or None, entry["offset_ms"])
        rows.append(row)
    return Table("observations", OBSERVATION_COLUMNS, rows, title=_("Observed values"))


@serves_table("/gateways/<gateway>/voltages", *READS_ALL)
async def voltages_table(source: Source, gateway: str, *, boundary_s: int) -> Table:
    """Voltages that a gateway observed at a boundary, by device, the lowest first."""
    return table_of_voltages(await read_observations(source, gateway, boundary_s))


def table_of_voltages(answer: Mapping[str, Any]) -> Table:
    """Voltages as a table, the lowest first."""
    return Table("voltages", VOLTAGE_COLUMNS, voltages_of(answer), title=_("Voltages"))


@serves_table("/gateways/<gateway>/absent", *READS_ALL)
async def absent_table(source: Source, gateway: str, *, boundary_s: int) -> Table:
    """Devices without values at a boundary, why, and when they gave one last."""
    answer = await read_observations(source, gateway, boundary_s)
    return table_of_absent(await read_absent(source, answer), "UTC")


def table_of_absent(absent: Iterable[Absent], tz: str) -> Table:
    """Absent devices as a table."""
    rows = [(one.device, one.reason, one.last_seen_s) for one in absent]
    return Table("absent", ABSENT_COLUMNS, rows, title=_("Absent devices"), tz=tz)
