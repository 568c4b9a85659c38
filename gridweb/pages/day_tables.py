"""The tables behind the utility's first screen that come from the time series: slots of an area, areas of a day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from gridcore.serving.problems import Problem
from gridseries.series import SLOTS
from gridweb import format as forms
from gridweb.access import READS_ALL
from gridweb.i18n import N_, _
from gridweb.pages.day_figures import (
    STATE_TITLES,
    AllDays,
    AreaDay,
    SlotFigures,
    SlotState,
    figures_of,
    read_day,
)
from gridweb.points import day_of
from gridweb.source import AreaInfo, AsOf, Source
from gridweb.tables import Column, Table, serves_table

SLOTS_MAX: Final = 40_000
"""Slots in one answer: a year of quarter hours has 35,136 at most."""

SLOT_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("state", N_("State"), words={state.value: title for state, title in STATE_TITLES.items()}),
    Column("expected", N_("Readings expected"), "count"),
    Column("committed", N_("Readings recorded"), "count"),
    Column("orders", N_("Orders"), "count"),
    Column("volume_wh", N_("Traded"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price"), "price_micro"),
    Column("import_wh", N_("Import of the points"), "energy_wh"),
    Column("export_wh", N_("Export of the points"), "energy_wh"),
    Column("feeder_import_wh", N_("Feeder import"), "energy_wh"),
    Column("feeder_export_wh", N_("Feeder export"), "energy_wh"),
    Column("loss_wh", N_("Losses"), "energy_wh"),
    Column("voltage_milli_min", N_("Lowest voltage"), "voltage_milli"),
    Column("traders_pays_nano", N_("Traders pay"), "amount_nano"),
    Column("traders_supplier_only_nano", N_("With the supplier alone"), "amount_nano"),
    Column("traders_supplier_charge_nano", N_("Supplier's charge for use"), "amount_nano"),
)

AREA_COLUMNS: Final = (
    Column("area", N_("Area")),
    Column("day_start_s", N_("Day"), "instant"),
    Column("slots", N_("Slots"), "count"),
    Column("settled", N_("Settled"), "count"),
    Column("estimated", N_("Estimated"), "count"),
    Column("expected", N_("Readings expected"), "count"),
    Column("measured", N_("Measured"), "count"),
    Column("missing", N_("Missing"), "count"),
    Column("volume_wh", N_("Traded"), "energy_wh"),
    Column("import_wh", N_("Import of the points"), "energy_wh"),
    Column("export_wh", N_("Export of the points"), "energy_wh"),
    Column("feeder_import_wh", N_("Feeder import"), "energy_wh"),
    Column("feeder_export_wh", N_("Feeder export"), "energy_wh"),
    Column("loss_wh", N_("Losses"), "energy_wh"),
    Column("loss_ppm", N_("Losses, share of energy fed in"), "share"),
    Column("voltage_milli_min", N_("Lowest voltage"), "voltage_milli"),
    Column("traders_pays_nano", N_("Traders pay"), "amount_nano"),
    Column("traders_supplier_only_nano", N_("With the supplier alone"), "amount_nano"),
    Column("traders_supplier_charge_nano", N_("Supplier's charge for use"), "amount_nano"),
)


@serves_table("/areas/<area>/slots", *READS_ALL)
async def slots_table(
    source: Source,
    area: str,
    *,
    start_s: int | None = None,
    end_s: int | None = None,
) -> Table:
    """Slots of an area from ``start_s`` to ``end_s`` (the newest day without them): state, readings, market, feeder, money."""
    as_of = await source.as_of()
    info = await source.area(area)
    if start_s is None and end_s is None:
        days = await read_day(source, [info], None, as_of)
        return slots_of_day(days.areas[0], as_of.currency)
    first_s = max(info.first_slot_start_s, start_s if start_s is not None else info.first_slot_start_s)
    last_s = min(info.days[-1], end_s if end_s is not None else info.days[-1])
    first_s += -first_s % info.slot_s
    slots = range(first_s, max(first_s, last_s), info.slot_s)
    if len(slots) > SLOTS_MAX:
        raise Problem("bad-request", f"at most {SLOTS_MAX} slots at a time, not {len(slots)}: narrow start_s and end_s")
    rows = await source.curves(SLOTS, slots.start, slots.stop, area=area) if slots else []
    return slot_table(info, figures_of(info, slots, rows, as_of.told_s, as_of.now_s), as_of.currency)


def slots_of_day(day: AreaDay, currency: str) -> Table:
    """The slots of one area's day as a table."""
    return slot_table(day.area, list(day.slots), currency)


def slot_table(area: AreaInfo, slots: list[SlotFigures], currency: str) -> Table:
    """Slots of an area as a table, each row leading to the slot's page."""
    return Table(
        "slots",
        SLOT_COLUMNS,
        [
            (
                slot.slot_start_s,
                slot.state.value,
                slot.expected,
                slot.committed,
                slot.orders,
                slot.volume_wh,
                slot.price_micro_per_kwh,
                slot.import_wh,
                slot.export_wh,
                slot.feeder_import_wh,
                slot.feeder_export_wh,
                slot.loss_wh,
                slot.voltage_milli_min,
                slot.traders_pays_nano,
                slot.traders_supplier_only_nano,
                slot.traders_supplier_charge_nano,
            )
            for slot in slots
        ],
        title=_("Slots of area %(area)s", area=area.area),
        links=[slot_path(area.area, slot.slot_start_s) for slot in slots],
        tz=area.tz,
        currency=currency,
    )


def slot_path(area: str, slot_start_s: int) -> str:
    """The address of a slot's page."""
    return f"/slots/{area}/{slot_start_s}"


def correction_path(meter: str, boundary_s: int) -> str:
    """The address of the page that shows a meter's registers at a boundary, and corrects them."""
    return f"/meters/{quote(meter)}/correction?boundary={boundary_s}"


def waits_for_run(due_s: int, as_of: AsOf, tz: str) -> str:
    """What is said of a slot of which something has changed: from when on it is settled again, ``due_s`` of the node's ``next_run``."""
    if due_s <= as_of.ledger_time_s:
        return _("What has changed waits for the next block: with it the slot is settled again.")
    due, now = forms.instant(due_s, tz), forms.instant(as_of.ledger_time_s, tz)
    waits = _(
        "What has changed waits: the slot is settled again when ledger time reaches %(due)s. It is %(now)s.",
        due=due,
        now=now,
    )
    if as_of.clock != "simulated":
        return waits
    return f"{waits} " + _("Ledger time is simulated here: it goes on in steps, not with the time of day.")


@serves_table("/areas", *READS_ALL)
async def areas_table(source: Source, *, at_s: int | None = None) -> Table:
    """Every area's own local day of the first area's date at ``at_s`` (the newest one without it): slots, readings, energy, losses, money."""
    as_of = await source.as_of()
    areas = await source.areas()
    date = day_of(areas[0], at_s).date if areas and at_s is not None else None
    days = await read_day(source, areas, date, as_of)
    return areas_of_day(days, as_of.currency)


def areas_of_day(days: AllDays, currency: str) -> Table:
    """The areas' days as a table: those in trouble first."""
    rows = [
        (
            one.area.area,
            one.day.start_s,
            len(one.slots),
            one.settled,
            one.states.get(SlotState.ESTIMATED, 0),
            one.coverage.expected,
            one.coverage.measured,
            one.coverage.missing,
            one.volume_wh if one.settled else None,
            one.balance.import_wh,
            one.balance.export_wh,
            one.balance.feeder_import_wh,
            one.balance.feeder_export_wh,
            one.balance.loss_wh,
            one.balance.loss_ppm,
            one.lowest.voltage_milli if one.lowest else None,
            *(money if one.settled else (None, None, None)),
        )
        for one in days.areas
        for money in [(one.pays_nano, one.supplier_only_nano, one.supplier_charge_nano)]
    ]
    lowest = days.lowest
    totals: list[object] = [_("all"), None, *(_sum(row[at] for row in rows) for at in range(2, 14))]
    totals += [days.balance.loss_ppm, lowest.voltage_milli if lowest else None]
    totals += [_sum(row[at] for row in rows) for at in (16, 17, 18)]
    return Table(
        "areas",
        AREA_COLUMNS,
        rows,
        title=_("Areas"),
        links=[f"/overview?area={one.area.area}&day={one.day.date}" for one in days.areas],
        totals=totals if len(rows) > 1 else None,
        tz=days.areas[0].area.tz if days.areas else "UTC",
        currency=currency,
    )


def _sum(values: Iterable[object]) -> int | None:
    """The sum of what is known; None where nothing is."""
    known = [value for value in values if isinstance(value, int)]
    return sum(known) if known else None
