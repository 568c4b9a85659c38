"""Gateways: what they have signed last, and which of them are silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridweb.access import READS_ALL
from gridweb.i18n import N_, _
from gridweb.source import AreaInfo, Source
from gridweb.tables import Column, Table, serves_table

NEVER_S: Final = -1
"""``last_boundary_s`` of a gateway that has not sent a batch yet."""

STATE_COLUMNS: Final = (
    Column("gateway", N_("Gateway")),
    Column(
        "state",
        N_("State"),
        words={
            "in_time": N_("in time"),
            "silent": N_("silent"),
            "never_heard": N_("never heard"),
            "not_due": N_("nothing due yet"),
        },
    ),
    Column("silent_since_s", N_("Silent since"), "instant"),
    Column("last_boundary_s", N_("Last boundary"), "instant"),
)
COLUMNS: Final = (
    *STATE_COLUMNS,
    Column("meters", N_("Meters"), "count"),
    Column("areas", N_("Areas")),
    Column("epoch", N_("Epoch"), "count"),
    Column("counter", N_("Counter"), "count"),
    Column("protection", N_("Key protection")),
    Column("organisation", N_("Organisation")),
)


@dataclass(frozen=True)
class Gateway:
    """A gateway as the ledger knows it. ``last_boundary_s``: of its newest batch, None before the first one."""

    gateway: str
    organisation: str
    protection: str
    epoch: int
    counter: int
    last_boundary_s: int | None
    meters: int
    areas: tuple[str, ...]
    is_silent: bool
    silent_since_s: int | None

    @property
    def state(self) -> str:
        """A key of the words of the column "state": of one that never sent anything nobody says that it is in time."""
        if self.last_boundary_s is None:
            return "never_heard" if self.is_silent else "not_due"
        return "silent" if self.is_silent else "in_time"


def due_boundary_s(area: AreaInfo, ledger_time_s: int) -> int | None:
    """The newest boundary of an area whose metering deadline has passed; None before there is one."""
    due_s = ledger_time_s - int(area.rules["metering_deadline_s"])
    due_s -= due_s % area.slot_s
    return due_s if due_s >= area.first_slot_start_s else None


def gateways_of(entries: Iterable[Mapping[str, Any]], areas: Iterable[AreaInfo], ledger_time_s: int) -> list[Gateway]:
    """The gateways of the node's entries, the silent ones first, then by id.

    Silent: a boundary of one of its areas is past its metering deadline, and the gateway's newest batch is older.
    """
    due = {area.area: due_boundary_s(area, ledger_time_s) for area in areas}
    found = []
    for entry in entries:
        last_s = None if entry["last_boundary_s"] == NEVER_S else entry["last_boundary_s"]
        waited_for = [due_s for name in entry["areas"] if (due_s := due.get(name)) is not None]
        is_silent = bool(entry["meters"]) and any(last_s is None or last_s < due_s for due_s in waited_for)
        found.append(
            Gateway(
                gateway=entry["gateway"],
                organisation=entry["organisation"],
                protection=entry["protection"],
                epoch=entry["epoch"],
                counter=entry["counter"],
                last_boundary_s=last_s,
                meters=entry["meters"],
                areas=tuple(entry["areas"]),
                is_silent=is_silent,
                silent_since_s=last_s if is_silent else None,
            )
        )
    return sorted(found, key=lambda one: (not one.is_silent, one.gateway))


async def read_gateways(source: Source, areas: Iterable[AreaInfo], ledger_time_s: int) -> list[Gateway]:
    """All gateways, the silent ones first. SourceAway."""
    entries = [entry for page in await source.pages("gateways") for entry in page["gateways"]]
    return gateways_of(entries, areas, ledger_time_s)


@serves_table("/gateways", *READS_ALL)
async def gateways_table(source: Source) -> Table:
    """Every gateway: whether it is silent, its newest boundary, epoch and counter, and how its key is protected."""
    as_of = await source.as_of()
    areas = await source.areas()
    return table_of_gateways(await read_gateways(source, areas, as_of.ledger_time_s), areas[0].tz if areas else "UTC")


def table_of_gateways(gateways: list[Gateway], tz: str) -> Table:
    """Gateways as a table."""
    rows = [
        (
            one.gateway,
            one.state,
            one.silent_since_s,
            one.last_boundary_s,
            one.meters,
            ", ".join(one.areas),
            one.epoch,
            one.counter,
            one.protection,
            one.organisation,
        )
        for one in gateways
    ]
    return Table("gateways", COLUMNS, rows, title=_("Gateways"), tz=tz)
