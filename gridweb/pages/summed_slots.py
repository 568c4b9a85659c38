"""The slots of a day summed over all areas, for the charts of the overview while it shows more than one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridweb.access import READS_ALL
from gridweb.i18n import N_, _
from gridweb.pages.day_figures import AllDays, SlotFigures, read_day
from gridweb.points import day_of
from gridweb.source import Source
from gridweb.tables import Column, Table, serves_table

COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("areas", N_("Areas"), "count"),
    Column("volume_wh", N_("Traded"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price, mean by traded energy"), "price_micro"),
    Column("import_wh", N_("Import of the points"), "energy_wh"),
    Column("export_wh", N_("Export of the points"), "energy_wh"),
    Column("feeder_import_wh", N_("Feeder import"), "energy_wh"),
    Column("feeder_export_wh", N_("Feeder export"), "energy_wh"),
    Column("loss_wh", N_("Losses"), "energy_wh"),
    Column("voltage_milli_min", N_("Lowest voltage"), "voltage_milli"),
)
SUMMED: Final = ("import_wh", "export_wh", "feeder_import_wh", "feeder_export_wh", "loss_wh")


@serves_table("/slots", *READS_ALL)
async def summed_slots_table(source: Source, *, at_s: int | None = None) -> Table:
    """The slots of the day of the first area's date at ``at_s`` (the newest one without it), summed over all areas: market, energy, losses."""
    as_of, areas = await source.as_of(), await source.areas()
    date = day_of(areas[0], at_s).date if areas and at_s is not None else None
    return sum_of_slots(await read_day(source, areas, date, as_of), as_of.currency)


def sum_of_slots(days: AllDays, currency: str) -> Table:
    """A row for each slot of any area. A sum has no value where an area lacks its part that gives one in another slot of the day."""
    by_start: dict[int, dict[str, SlotFigures]] = {}
    for day in days.areas:
        for slot in day.slots:
            by_start.setdefault(slot.slot_start_s, {})[day.area.area] = slot
    givers = {
        key: {day.area.area for day in days.areas if any(getattr(slot, key) is not None for slot in day.slots)}
        for key in (*SUMMED, "volume_wh")
    }
    rows = [_row(start_s, of_areas, givers) for start_s, of_areas in sorted(by_start.items())]
    tz = days.areas[0].area.tz if days.areas else "UTC"
    title = _("Slots of all areas, summed")
    return Table("slots-summed", COLUMNS, rows, title=title, tz=tz, currency=currency)


def _row(start_s: int, of_areas: dict[str, SlotFigures], givers: dict[str, set[str]]) -> tuple[object, ...]:
    slots = list(of_areas.values())
    sums = {key: _sum(of_areas, key, names) for key, names in givers.items()}
    voltages = [slot.voltage_milli_min for slot in slots if slot.voltage_milli_min is not None]
    price = None if sums["volume_wh"] is None else _mean_price(slots)
    energies = (sums[key] for key in SUMMED)
    return (start_s, len(slots), sums["volume_wh"], price, *energies, min(voltages, default=None))


def _sum(of_areas: dict[str, SlotFigures], key: str, names: set[str]) -> int | None:
    """The sum over the areas of these names that have the slot; None where one of them lacks the value, or there is none."""
    parts = [getattr(slot, key) for area, slot in of_areas.items() if area in names]
    return sum(parts) if parts and None not in parts else None


def _mean_price(slots: Sequence[SlotFigures]) -> int | None:
    """The mean of the areas' prices by traded energy, rounded down; None where nothing was traded at one price."""
    traded = [(slot.volume_wh, slot.price_micro_per_kwh) for slot in slots if slot.volume_wh]
    known = [(volume_wh or 0, price) for volume_wh, price in traded if price is not None]
    volume_wh = sum(volume for volume, _price in known)
    return (
        sum(volume * price for volume, price in known) // volume_wh if volume_wh and len(known) == len(traded) else None
    )
