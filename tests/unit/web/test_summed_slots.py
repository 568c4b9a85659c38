"""The slots of several areas summed for the charts of the overview."""

from __future__ import annotations

from collections.abc import Sequence

from gridseries.series import SlotRow
from gridweb.i18n import speaking
from gridweb.pages.day_figures import all_days
from gridweb.pages.summed_slots import sum_of_slots
from tests.unit.web.test_utility_figures import DAY, SLOT_S, START_S, area_of, settled_row


def summed(*areas: tuple[str, Sequence[SlotRow]]) -> list[dict[str, object]]:
    """The rows of the first slots of areas with these rows of the series."""
    infos, found = [area_of(name) for name, _rows in areas], [row for _name, rows in areas for row in rows]
    days = all_days(infos, [DAY] * len(infos), found, START_S + 96 * SLOT_S)
    with speaking("en"):
        table = sum_of_slots(days, "CNY")
    return [dict(zip((column.key for column in table.columns), row, strict=True)) for row in table.rows]


def test_energies_are_added_voltages_are_the_lowest_and_prices_the_mean_by_traded_energy() -> None:
    first = [settled_row(0, "a", voltage_milli_min=230_000)]
    second = [settled_row(0, "b", volume_wh=100, price_micro_per_kwh=800_000, voltage_milli_min=228_000)]

    row = summed(("a", first), ("b", second))[0]

    assert (row["areas"], row["volume_wh"], row["import_wh"], row["loss_wh"]) == (2, 400, 1800, 200)
    assert row["price_micro_per_kwh"] == (300 * 400_000 + 100 * 800_000) // 400
    assert row["voltage_milli_min"] == 228_000


def test_a_slot_in_which_an_area_lacks_its_part_is_a_gap_but_an_area_without_a_feeder_is_none() -> None:
    whole = [settled_row(0, "a"), settled_row(1, "a")]
    late = [settled_row(0, "b"), settled_row(1, "b", import_wh=None)]
    no_feeder = [settled_row(at, "c", feeder_import_wh=None, feeder_export_wh=None, loss_wh=None) for at in (0, 1)]

    rows = summed(("a", whole), ("b", late), ("c", no_feeder))

    assert [row["import_wh"] for row in rows[:2]] == [2700, None]
    assert [row["feeder_import_wh"] for row in rows[:2]] == [1400, 1400]
    assert rows[2]["import_wh"] is None


def test_where_nothing_is_traded_there_is_no_price() -> None:
    rows = summed(("a", [settled_row(0, "a", volume_wh=0)]), ("b", [settled_row(0, "b", volume_wh=0)]))

    assert (rows[0]["volume_wh"], rows[0]["price_micro_per_kwh"]) == (0, None)
