"""Figures of a day, stakes, accounts, gateways and merit orders out of plain values, with their edges."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.errors import EncodingError
from gridseries.series import SLOTS, SlotRow
from gridweb import format as shown
from gridweb.contract_words import contract_words
from gridweb.pages.accounts import accounts_of
from gridweb.pages.day_figures import Balance, SlotState, all_days, area_day, choose_days, state_of
from gridweb.pages.devices import voltages_of
from gridweb.pages.gateways import gateways_of
from gridweb.pages.meters import Meter
from gridweb.pages.overview import grid_of, strip_of
from gridweb.pages.slot import decode_book, levels_of, sum_lines
from gridweb.pages.stakes import Basis, Trouble, TroubleKind, estimated_troubles, meter_stake, ranked, refused_rows
from gridweb.points import Day, day_of
from gridweb.source import AreaInfo
from tests.unit.web.web_world import CONTRACT, NOW_S, make_world

SLOT_S = 900
HOUR_S = 3_600
DAY_S = 86_400
START_S = 1_800_000_000 - 1_800_000_000 % DAY_S
RULES = {
    "gate_before_start_s": 300,
    "metering_deadline_s": 900,
    "open_before_start_s": DAY_S,
    "prices": {
        "residual_price_micro_per_kwh": 460_000,
        "network_residual_micro_per_kwh": 180_000,
        "levy_micro_per_kwh": 40_000,
    },
}
DAY = Day(START_S, START_S + DAY_S, "2027-01-15")


def area_of(name: str = "a", *, meters: int = 4, days: tuple[int, ...] = (), first_s: int = START_S) -> AreaInfo:
    """An area whose local days are UTC days."""
    calendar = days or (START_S, START_S + DAY_S, START_S + 2 * DAY_S)
    return AreaInfo(
        name, "UTC", calendar, first_s, SLOT_S, contract_words(CONTRACT), RULES, meters, meters - 1, meters - 1
    )


def slot_row(number: int, area: str = "a", /, **values: int | None) -> SlotRow:
    """A row of slot ``number`` of the day; what is not named is None."""
    return SLOTS.row((area,), START_S + number * SLOT_S, (values.get(name) for name in SLOTS.fields))


def settled_row(number: int, area: str = "a", /, **values: int | None) -> SlotRow:
    """A row of a settled slot in which everything is known."""
    known: dict[str, int | None] = {
        "expected": 4,
        "committed": 4,
        "orders": 2,
        "volume_wh": 300,
        "price_micro_per_kwh": 400_000,
        "settled": 1,
        "import_wh": 900,
        "export_wh": 400,
        "feeder_import_wh": 700,
        "feeder_export_wh": 100,
        "loss_wh": 100,
        "traders_pays_nano": 50,
        "traders_supplier_only_nano": 80,
        "traders_supplier_charge_nano": 120,
    }
    return slot_row(number, area, **(known | values))


@pytest.mark.parametrize(
    ("values", "ledger_time_s", "state"),
    [
        ({}, START_S - DAY_S - 1, SlotState.LATER),
        ({}, START_S - DAY_S, SlotState.OPEN),
        ({"orders": 0, "volume_wh": 0}, START_S, SlotState.CLEARED),
        ({"orders": 2, "volume_wh": 5}, START_S + 2 * SLOT_S - 1, SlotState.CLEARED),
        ({"orders": 2, "volume_wh": 5, "settled": 0}, START_S + 2 * SLOT_S, SlotState.CLEARED),
        ({"settled": 1, "estimated": 1}, START_S + 2 * SLOT_S, SlotState.ESTIMATED),
        ({"settled": 2, "estimated": 1}, START_S + 2 * SLOT_S, SlotState.ESTIMATED),
        ({"settled": 2, "estimated": 0}, START_S + 2 * SLOT_S, SlotState.CORRECTED),
        ({"orders": 2, "volume_wh": 5, "settled": 1}, START_S + 2 * SLOT_S, SlotState.INITIAL),
    ],
)
def test_a_slot_is_as_far_as_the_ledger_and_its_clock_say(
    values: dict[str, int], ledger_time_s: int, state: SlotState
) -> None:
    row = slot_row(0, **values).values if values else None
    assert state_of(START_S, row, area_of(), ledger_time_s) is state


def test_while_the_series_is_behind_what_it_has_not_read_is_neither_missing_nor_awaited_but_not_read_yet() -> None:
    told_s, now_s = START_S + 3 * SLOT_S, START_S + 96 * SLOT_S
    rows = [settled_row(0), slot_row(1, expected=4, committed=3, settled=0)]
    day = area_day(area_of(), DAY, rows, told_s, now_s)
    known, unread = day.coverage, 93 * 4 + 4 + 1  # behind what was read, at its last boundary, and before its deadline
    assert (known.expected, known.measured, known.missing, known.awaited) == (96 * 4, 4 + 3, 0, 0)
    assert known.unread == unread
    assert known.measured + known.unread == known.expected
    assert day.states[SlotState.INITIAL] == 1
    assert day.states[SlotState.UNREAD] == 95
    at_the_end = area_day(area_of(), DAY, rows, now_s).coverage
    assert (at_the_end.unread, at_the_end.missing) == (0, 1 + 93 * 4)


def test_a_series_of_which_nothing_was_read_yet_says_nothing_of_the_day() -> None:
    day = area_day(area_of(), DAY, [], 0, START_S + 96 * SLOT_S)
    assert day.states == {SlotState.UNREAD: 96}
    assert (day.coverage.missing, day.coverage.unread) == (0, 96 * 4)


def test_the_runs_of_one_instant_may_come_in_a_later_block_of_that_instant() -> None:
    due_s = START_S + SLOT_S + 900
    row = slot_row(0, expected=4, committed=3, settled=0).values
    assert state_of(START_S, row, area_of(), due_s, due_s) is SlotState.UNREAD
    assert state_of(START_S, row, area_of(), due_s) is SlotState.CLEARED
    assert area_day(area_of(), DAY, [], due_s, due_s).coverage.missing == 0


@pytest.mark.parametrize("told_s", [None, START_S])
async def test_up_to_when_the_series_tell_is_the_ledger_time_of_the_block_that_they_have_read(
    told_s: int | None, tmp_path: Path
) -> None:
    world = make_world(tmp_path)
    if told_s is not None:
        world.node.answers["blocks/3"] = {"ledger_time_s": told_s}
    before = await world.site.source.as_of()
    assert (before.told_s, before.now_s) == (NOW_S, None)
    world.progress.height = 3
    behind = await world.site.source.as_of()
    assert (behind.told_s, behind.now_s) == (told_s or 0, NOW_S)


def test_a_day_without_any_row_has_all_its_slots_and_nothing_in_them() -> None:
    day = area_day(area_of(), DAY, [], START_S - DAY_S)
    assert len(day.slots) == 96
    assert day.states[SlotState.OPEN] == 1
    assert day.states[SlotState.LATER] == 95
    assert (day.volume_wh, day.settled, day.lowest) == (0, 0, None)
    assert day.balance.loss_ppm is None


def test_readings_are_missing_only_past_the_deadline_and_awaited_before_it() -> None:
    rows = [slot_row(0, expected=4, committed=4), slot_row(1, expected=4, committed=1)]
    before = area_day(area_of(), DAY, rows, START_S + 2 * SLOT_S).coverage
    after = area_day(area_of(), DAY, rows, START_S + 3 * SLOT_S).coverage
    assert (before.expected, before.measured, before.missing, before.awaited) == (8, 5, 0, 3)
    assert (after.expected, after.measured, after.missing, after.awaited) == (12, 5, 3, 4)


def test_a_boundary_of_which_nothing_came_is_missing_although_the_series_has_no_row() -> None:
    coverage = area_day(area_of(meters=7), DAY, [], START_S + 2 * SLOT_S).coverage
    assert (coverage.expected, coverage.missing, coverage.awaited) == (14, 7, 7)


def test_losses_are_a_share_of_all_that_was_fed_in_and_leave_out_slots_with_a_missing_register() -> None:
    rows = [settled_row(0), settled_row(1, feeder_import_wh=None, loss_wh=None)]
    balance = area_day(area_of(), DAY, rows, START_S + DAY_S).balance
    assert balance.slots == 1
    assert balance.loss_wh == 100
    assert balance.fed_in_wh == 700 + 400
    assert balance.loss_ppm == 90_909  # 100 / 1100, rounded half up


def test_a_feeder_through_which_nothing_flowed_has_no_share_of_losses() -> None:
    assert Balance(slots=1, loss_wh=0).loss_ppm is None


def test_an_area_without_a_feeder_meter_has_its_points_and_neither_feeder_nor_losses() -> None:
    without = {"feeder_import_wh": None, "feeder_export_wh": None, "loss_wh": None}
    rows = [settled_row(0, "b", **without), settled_row(1, "b", **without), settled_row(0)]
    day = area_day(area_of("b"), DAY, rows[:2], START_S + DAY_S).balance
    assert (day.slots, day.points_slots, day.import_wh, day.export_wh) == (0, 2, 1_800, 800)
    assert (day.feeder_import_wh, day.feeder_export_wh, day.loss_wh, day.loss_ppm) == (None, None, None, None)
    both = all_days([area_of(), area_of("b")], [DAY] * 2, rows, START_S + DAY_S)
    assert (both.balance.slots, both.balance.loss_wh, both.balance.loss_ppm) == (1, 100, 90_909)
    assert (both.balance.import_wh, both.without_feeder) == (900 + 1_800, 1)


def test_a_day_of_which_no_register_is_known_has_no_sums() -> None:
    balance = area_day(area_of(), DAY, [slot_row(0, expected=4, committed=0)], START_S + DAY_S).balance
    assert balance == Balance()
    assert (balance.import_wh, balance.loss_wh) == (None, None)


def test_money_and_volume_of_the_day_are_those_of_its_settled_slots_alone() -> None:
    rows = [settled_row(0), slot_row(1, orders=2, volume_wh=9_000)]
    days = all_days([area_of()], [DAY], rows, START_S + SLOT_S)
    headline = days.headline(3)
    assert (headline.traded_wh, headline.pays_nano) == (300, 50)
    assert (headline.supplier_only_nano, headline.supplier_charge_nano) == (80, 120)


def test_a_day_with_negative_saving_says_dearer_and_a_day_without_volume_says_that_nothing_was_traded() -> None:
    dear = all_days([area_of()], [DAY], [settled_row(0, traders_pays_nano=90)], START_S + DAY_S)
    assert "dearer" in dear.headline(2).in_english("CNY")
    still = all_days([area_of()], [DAY], [settled_row(0, volume_wh=0, price_micro_per_kwh=None)], START_S + DAY_S)
    assert still.headline(2).in_english("CNY") == "No trade yet"


def test_a_hundred_areas_are_summed_and_the_ones_in_trouble_come_first() -> None:
    areas = [area_of(f"a{number:03}") for number in range(100)]
    rows = [settled_row(0, area.area) for area in areas if area.area != "a042"]
    rows.append(slot_row(0, "a042", orders=0, volume_wh=0, expected=4, committed=3, settled=1, estimated=1))
    days = all_days(areas, [DAY] * 100, rows, START_S + 2 * SLOT_S)
    assert days.areas[0].area.area == "a042"
    assert (days.settled, days.states[SlotState.ESTIMATED]) == (100, 1)
    assert days.balance.loss_wh == 99 * 100
    assert days.headline(1).traded_wh == 99 * 300


def test_rows_of_an_area_that_is_not_asked_for_change_nothing() -> None:
    days = all_days([area_of("a")], [DAY], [settled_row(0, "a"), settled_row(0, "b")], START_S + DAY_S)
    assert days.headline(1).traded_wh == 300


def test_the_lowest_voltage_is_named_with_its_area_and_slot() -> None:
    rows = [settled_row(0, voltage_milli_min=231_000), settled_row(3, voltage_milli_min=228_500)]
    lowest = all_days([area_of()], [DAY], rows, START_S + DAY_S).lowest
    assert lowest is not None
    assert (lowest.voltage_milli, lowest.area, lowest.slot_start_s) == (228_500, "a", START_S + 3 * SLOT_S)


def test_an_area_whose_calendar_has_not_the_day_is_left_out_and_not_shown_with_another_day() -> None:
    area, younger = area_of(), area_of("b", days=(START_S + DAY_S, START_S + 2 * DAY_S))
    assert choose_days([area], "2027-01-05", START_S) == []
    assert [(one.area, day.start_s) for one, day in choose_days([area, younger], "2027-01-15", START_S)] == [
        ("a", START_S)
    ]
    assert [day.start_s for _, day in choose_days([area, younger], "2027-01-16", START_S)] == [START_S + DAY_S] * 2
    assert [day.start_s for _, day in choose_days([area], None, START_S - DAY_S)] == [START_S]


def test_a_date_is_each_area_s_own_day_when_their_zones_differ() -> None:
    east = zoned("e", "Asia/Shanghai", ["2027-01-14", "2027-01-15", "2027-01-16", "2027-01-17"])
    west = zoned("w", "America/Los_Angeles", ["2027-01-14", "2027-01-15", "2027-01-16", "2027-01-17"])
    found = choose_days([east, west], "2027-01-15", START_S)
    assert [(area.area, day.date, day.start_s) for area, day in found] == [
        ("e", "2027-01-15", START_S - 8 * HOUR_S),
        ("w", "2027-01-15", START_S + 8 * HOUR_S),
    ]
    rows = [slot_at("w", START_S, volume_wh=999), slot_at("w", START_S + 8 * HOUR_S, volume_wh=5)]
    days = all_days([area for area, _ in found], [day for _, day in found], rows, START_S + 3 * DAY_S)
    assert days.headline(1).traded_wh == 5  # at START_S it is the day before in the west


def zoned(name: str, tz: str, dates: list[str], slot_s: int = SLOT_S) -> AreaInfo:
    """An area of a zone whose days begin at local midnight."""
    starts_s = [int(datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(tz)).timestamp()) for date in dates]
    return replace(area_of(name, days=tuple(starts_s), first_s=starts_s[0]), tz=tz, slot_s=slot_s)


def slot_at(area: str, start_s: int, **values: int) -> SlotRow:
    """The row of a settled slot."""
    return SLOTS.row((area,), start_s, ({"settled": 1, **values}.get(name) for name in SLOTS.fields))


CHANGES = [
    ("Europe/Berlin", "2026-10-25", "2026-10-26", 100, {"02": ["+02:00", "+01:00"]}),
    ("Europe/Berlin", "2026-03-29", "2026-03-30", 92, {"02": [], "01": ["+01:00"], "03": ["+02:00"]}),
    ("Australia/Lord_Howe", "2026-04-05", "2026-04-06", 98, {"01": ["+11:00", "+10:30"]}),
    ("Australia/Lord_Howe", "2026-10-04", "2026-10-05", 94, {"02": ["+11:00"]}),
]


@pytest.mark.parametrize(("tz", "date", "after", "slots", "columns"), CHANGES)
def test_the_grid_of_a_day_on_which_the_clock_changes_follows_the_local_clock_and_says_its_offset(
    tz: str, date: str, after: str, slots: int, columns: dict[str, list[str]]
) -> None:
    area = zoned("a", tz, [date, after])
    day = area_day(area, day_of(area, area.days[0]), [], START_S)
    grid = grid_of(day)
    cells = [cell for row in grid.rows for cell in row if cell is not None]
    assert len(cells) == len(day.slots) == slots
    assert len({cell.label for cell in cells}) == slots  # an hour that is repeated is told apart
    for hour, offsets in columns.items():
        assert [offset for name, offset in grid.hours if name == hour] == offsets
    for at, (hour, offset) in enumerate(grid.hours):
        for offset_s, row in zip(grid.offsets_s, grid.rows, strict=True):
            cell = row[at]
            if cell is not None:
                assert cell.label.startswith(f"{hour}:{offset_s // 60:02}{offset} ")


def test_labels_carry_their_offset_on_days_on_which_the_clock_changes_alone() -> None:
    berlin = "Europe/Berlin"
    first, second = 1_792_887_300, 1_792_890_900  # 2026-10-25 02:15, and an hour later
    assert (shown.clock(first, berlin), shown.clock(second, berlin)) == ("02:15+02:00", "02:15+01:00")
    assert shown.instant(first, berlin) == "2026-10-25 02:15+02:00"
    assert shown.slot(first, berlin) == "2026-10-25 02:15+02:00–02:30+02:00"
    assert shown.instant(first - DAY_S, berlin) == "2026-10-24 02:15"
    assert shown.instant(first, "UTC") == "2026-10-25 00:15"


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_the_grid_of_a_day_on_which_the_clock_changes_has_a_column_for_each_of_its_hours(hours: int) -> None:
    end_s = START_S + hours * 3600
    area = area_of(days=(START_S, end_s, end_s + DAY_S))
    grid = grid_of(area_day(area, Day(START_S, end_s, ""), [], START_S))
    assert len(grid.hours) == hours
    assert len(grid.rows) == 4
    assert sum(cell is not None for row in grid.rows for cell in row) == 4 * hours


def test_the_grid_is_empty_before_the_first_slot_of_an_area() -> None:
    area = area_of(first_s=START_S + 2 * 3600 + SLOT_S)
    grid = grid_of(area_day(area, DAY, [], START_S))
    assert [cell is None for cell in grid.rows[0][:4]] == [True, True, True, False]
    assert [hour for hour, _ in grid.hours[:2]] == ["00", "01"]
    assert grid.rows[1][2] is not None


def test_the_strip_of_an_area_covers_its_day_once() -> None:
    rows = [settled_row(0), settled_row(1), slot_row(2, orders=0, volume_wh=0)]
    strip = strip_of(area_day(area_of(), DAY, rows, START_S + 3 * SLOT_S))
    assert [(one.state, one.first, one.length) for one in strip[:3]] == [
        (SlotState.INITIAL, 0, 2),
        (SlotState.CLEARED, 2, 2),
        (SlotState.OPEN, 4, 92),
    ]
    assert sum(one.length for one in strip) == 96


# ---------------------------------------------------------------------------------------------------------------- stakes


def meter_of(name: str = "M-1", party: str | None = "p-1", limit_wh: int = 10_000) -> Meter:
    """A meter of area a."""
    return Meter(1, name, "a", "gw-1", party, "household" if party else "feeder", limit_wh, party is not None)


def test_a_stake_is_two_slots_of_the_mean_and_one_at_the_first_boundary() -> None:
    missing = Trouble(TroubleKind.MISSING_REGISTER, START_S + SLOT_S, "a", "M-1")
    stake = meter_stake(missing, meter_of(), area_of(), 500)
    assert (stake.stake_nano, stake.basis) == (2 * 500 * 680_000, Basis.MEAN)
    first = meter_stake(Trouble(TroubleKind.MISSING_REGISTER, START_S, "a", "M-1"), meter_of(), area_of(), 500)
    assert first.stake_nano == 500 * 680_000


def test_a_meter_of_which_nothing_is_settled_stakes_its_limit_and_a_feeder_nothing() -> None:
    missing = Trouble(TroubleKind.MISSING_REGISTER, START_S + SLOT_S, "a", "M-1")
    by_limit = meter_stake(missing, meter_of(), area_of(), None)
    assert (by_limit.stake_nano, by_limit.basis) == (2 * 10_000 * 680_000, Basis.LIMIT)
    feeder = meter_stake(missing, meter_of(party=None), area_of(), None)
    assert (feeder.stake_nano, feeder.basis) == (0, Basis.NOT_BILLED)


def test_a_slot_with_estimates_stakes_the_mean_of_the_whole_area_or_all_limits() -> None:
    estimated = slot_row(1, orders=0, volume_wh=0, expected=4, committed=3, settled=1, estimated=1)
    day = area_day(area_of(), DAY, [settled_row(0), estimated], START_S + 3 * SLOT_S)
    meters = [meter_of(), meter_of("M-2", "p-2", 5_000), meter_of("F", None)]
    (trouble,) = estimated_troubles(day, meters)
    assert (trouble.at_s, trouble.stake_nano) == (START_S + SLOT_S, (900 + 400) * 680_000)
    (unmeasured,) = estimated_troubles(area_day(area_of(), DAY, [estimated], START_S + 3 * SLOT_S), meters)
    assert (unmeasured.stake_nano, unmeasured.basis) == (15_000 * 680_000, Basis.LIMIT)


def test_the_same_refusal_of_several_batches_is_one_entry_that_counts_them() -> None:
    row = {"row": 0, "meter": 1, "code": 83, "name": "ROW_GOES_BACK"}
    batches = [
        {"gateway": "gw-1", "counter": 2, "boundary_s": START_S, "rows": [row, {**row, "meter": 9, "code": 82}]},
        {"gateway": "gw-1", "counter": 3, "boundary_s": START_S, "rows": [row, {**row, "code": 9_999}]},
    ]
    found = refused_rows(batches, {1: meter_of()})
    assert [(one.meter, one.rows, one.code and one.code.name) for one in found] == [
        ("M-1", 2, "ROW_GOES_BACK"),
        ("9", 1, "ROW_UNKNOWN_METER"),
        ("M-1", 1, None),
    ]


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**12)), max_size=20))
def test_the_largest_stake_comes_first_and_what_nobody_can_say_comes_last(stakes: list[int | None]) -> None:
    troubles = [Trouble(TroubleKind.REFUSED_ROW, at_s, stake_nano=stake) for at_s, stake in enumerate(stakes)]
    found = [one.stake_nano for one in ranked(troubles)]
    known = [stake for stake in found if stake is not None]
    assert known == sorted(known, reverse=True)
    assert found == [*known, *[None] * (len(found) - len(known))]


# -------------------------------------------------------------------------------------------- accounts, gateways, devices


def book_of(area: str, received: dict[str, int], owes_nano: int, parties: int = 1) -> dict[str, Any]:
    """An area's entry of ``accounts/sums``."""
    accounts = [{"account": name, "received_nano": nano} for name, nano in received.items()]
    return {"area": area, "accounts": accounts, "owes_nano": owes_nano, "parties": parties}


def test_errors_of_two_areas_that_cancel_out_are_still_seen() -> None:
    accounts = accounts_of([book_of("a", {"levy": 5}, 6), book_of("b", {"levy": 5}, 4)])
    assert accounts.control_nano == 0
    assert not accounts.is_balanced
    assert accounts.unbalanced == {"a": 1, "b": -1}


def test_the_books_of_all_areas_are_summed_up_account_by_account() -> None:
    accounts = accounts_of([book_of("a", {"levy": 9}, 9, parties=2), book_of("b", {"levy": 1, "network": 3}, 4)])
    assert (accounts.received_nano, accounts.owed_nano, accounts.parties) == ({"levy": 10, "network": 3}, 13, 3)
    assert accounts.is_balanced


def gateway_entry(name: str, last_boundary_s: int, meters: int = 3) -> dict[str, Any]:
    """An entry of ``gateways``."""
    known = {"organisation": "util", "protection": "software", "epoch": 1, "counter": 1, "areas": ["a"]}
    return {"gateway": name, "last_boundary_s": last_boundary_s, "meters": meters, **known}


def test_a_gateway_is_silent_when_a_boundary_past_its_deadline_is_newer_than_its_last_batch() -> None:
    due_s = START_S + 4 * SLOT_S
    entries = [gateway_entry("late", due_s - SLOT_S), gateway_entry("in-time", due_s), gateway_entry("never", -1)]
    found = gateways_of(entries, [area_of()], due_s + SLOT_S)
    assert [(one.gateway, one.is_silent, one.silent_since_s) for one in found] == [
        ("late", True, due_s - SLOT_S),
        ("never", True, None),
        ("in-time", False, None),
    ]


def test_no_gateway_is_silent_before_the_first_deadline_and_none_without_meters() -> None:
    early = gateways_of([gateway_entry("gw", -1)], [area_of()], START_S + SLOT_S - 1)
    idle = gateways_of([gateway_entry("spare", -1, meters=0)], [area_of()], START_S + DAY_S)
    assert not any(one.is_silent for one in (*early, *idle))


def test_voltages_stand_by_phase_with_the_lowest_device_first() -> None:
    def seen(device: int, obis: str, value: int, name: str | None = None) -> dict[str, Any]:
        return {"device": device, "name": name, "obis": obis, "value_milli": value, "offset_ms": 0}

    observed = [
        seen(1, "32.7.0", 231_000, "M-1"),
        seen(1, "52.7.0", 229_000, "M-1"),
        seen(2, "12.7.0", 228_000),
        seen(2, "16.7.0", 5),
    ]
    assert voltages_of({"observations": observed}) == [
        ("#2", 228_000, None, None, 228_000),
        ("M-1", 231_000, 229_000, None, 229_000),
    ]


# ------------------------------------------------------------------------------------------------------------ merit order

ORDERS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 1000), st.integers(-3, 3), st.integers(0, 0)), max_size=30
)


@given(ORDERS)
def test_curves_of_a_merit_order_are_without_holes_and_lose_no_energy(orders: list[tuple[int, int, int, int]]) -> None:
    levels = levels_of(orders)
    for side, name in enumerate(("buy", "sell")):
        own = [level for level in levels if level.side == name]
        prices = [level.price_micro_per_kwh for level in own]
        assert prices == sorted(prices, reverse=side == 0)
        edges = [0, *(level.to_wh for level in own)]
        assert [level.from_wh for level in own] == edges[:-1]
        assert edges[-1] == sum(order[1] for order in orders if order[0] == side)


def test_a_book_is_read_row_by_row_and_refused_when_it_is_none() -> None:
    row = struct.pack("<IBqqq", 0, 1, 500, -7, 20)
    book: dict[str, Any] = {"salts": [bytes(16)], "type": "gridledger-book", "version": 1}
    rows = [row, row + bytes(4), row + bytes(16)]
    assert decode_book(cbor.encode({**book, "book": rows})) == [(1, 500, -7, 20)] * 3
    for spoilt in ([row[:-1]], [struct.pack("<IBqqq", 0, 2, 500, -7, 20)], ["text"], 5):
        with pytest.raises(EncodingError):
            decode_book(cbor.encode({**book, "book": spoilt}))


def test_lines_are_summed_by_kind_account_and_price_in_the_contracts_order() -> None:
    def line(kind: str, energy_wh: int, price: int | None, nano: int) -> dict[str, Any]:
        return {
            "line_kind": kind,
            "account": "x",
            "energy_wh": energy_wh,
            "price_micro_per_kwh": price,
            "amount_nano": nano,
        }

    lines = [line("levy", 5, 4, 20), line("share", 3, None, 6), line("levy", 1, 4, 4), line("new", 1, 1, 1)]
    found = sum_lines(lines, ["share", "levy"])
    assert found == [("share", "x", 1, 3, None, 6), ("levy", "x", 2, 6, 4, 24), ("new", "x", 1, 1, 1, 1)]
