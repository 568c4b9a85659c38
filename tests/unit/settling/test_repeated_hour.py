"""Local times of the hour that the clock shows twice: told apart by the order of rows, and only where that order is sure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.settling.dataset import Dataset
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import RULES, make_folder

QUARTERS = tuple(f"2025-10-26T{hour}:{minute:02}:00" for hour in ("01", "02", "02", "03") for minute in (0, 15, 30, 45))
"""Starts of the day on which the clock in Berlin shows 02:00 to 03:00 twice."""
HOURS = tuple(f"2025-10-26T0{hour}:00:00" for hour in (0, 1, 2, 2, 3, 4))
ORDERS = ("in_order", "in_reverse")


def rows_of(starts: Sequence[str], order: Iterable[int], point: str = "P1") -> list[str]:
    """A row for each start in this order; its energy is 1 Wh more than its place in time."""
    return [f"{starts[place]},{point},0.{place + 1:03},0" for place in order]


def read(folder: Path, rows: Sequence[str], order: str, slot_s: int = 900) -> Dataset:
    rules = RULES.replace("slot_s = 900", f'slot_s = {slot_s}\nrepeated_hour = "{order}"')
    readings = "\n".join(("start,point,import_kwh,export_kwh", *rows, ""))
    return read_folder(make_folder(folder, {"rules.toml": rules, "readings.csv": readings}))


def in_(order: str, count: int) -> list[int]:
    """Places in time in the order that rules name."""
    return list(range(count)) if order == "in_order" else list(reversed(range(count)))


@pytest.mark.parametrize("order", ORDERS)
def test_rows_in_the_order_that_rules_name_have_their_own_hour(tmp_path: Path, order: str) -> None:
    dataset = read(tmp_path, rows_of(QUARTERS, in_(order, 16)), order)
    assert dataset.import_wh[:, 0].tolist() == list(range(1, 17))


@pytest.mark.parametrize("order", ORDERS)
def test_two_rows_of_the_repeated_hour_that_changed_places_are_refused(tmp_path: Path, order: str) -> None:
    places = in_(order, 16)
    places[5], places[6] = places[6], places[5]
    with pytest.raises(UsageError) as raised:
        read(tmp_path, rows_of(QUARTERS, places), order)
    wrong, right = ("a later", "oldest first") if order == "in_order" else ("an earlier", "newest first")
    assert str(raised.value) == (
        f"readings.csv, row 8, start: '{QUARTERS[places[6]]}' stands behind {wrong} time of a day on which the clock shows an "
        f"hour twice in Europe/Berlin; put the point's rows of that day {right}, or write it with its offset, such as +01:00, "
        "or as UTC with Z"
    )


@pytest.mark.parametrize("order", ORDERS)
def test_rows_in_the_other_order_are_refused(tmp_path: Path, order: str) -> None:
    for starts, slot_s in ((QUARTERS, 900), (HOURS, 3600)):
        other = list(reversed(in_(order, len(starts))))
        with pytest.raises(UsageError, match=r"readings\.csv, row \d+, start: .* stands behind"):
            read(tmp_path, rows_of(starts, other), order, slot_s)


def test_quarter_hours_of_both_hours_in_turn_are_refused(tmp_path: Path) -> None:
    places = [0, 1, 2, 3, 4, 8, 5, 9, 6, 10, 7, 11, 12, 13, 14, 15]
    with pytest.raises(UsageError, match=r"row 8, start: '2025-10-26T02:15:00' stands behind a later time"):
        read(tmp_path, rows_of(QUARTERS, places), "in_order")


def test_shuffled_hours_are_refused_by_the_other_hours_of_the_day(tmp_path: Path) -> None:
    """Of hourly rows the repeated hour itself has two, and any two of them are in some order."""
    with pytest.raises(UsageError, match=r"row 5, start: '2025-10-26T01:00:00' stands behind a later time"):
        read(tmp_path, rows_of(HOURS, (0, 2, 4, 1, 3, 5)), "in_order", 3600)


def test_rows_of_other_days_and_points_stand_in_any_order(tmp_path: Path) -> None:
    first = rows_of(QUARTERS, range(16))
    second = rows_of(QUARTERS, range(16), "P2")
    others = [f"2025-10-25T{hour:02}:15:00,P1,1,0" for hour in (23, 7, 12)] + ["2025-10-27T00:00:00,P1,1,0"]
    both = [row for pair in zip(first, second, strict=True) for row in pair]
    dataset = read(tmp_path, [*others[2:], *both, *others[:2]], "in_order")
    assert dataset.import_wh[71:87].tolist() == [[wh, wh] for wh in range(1, 17)]


def test_a_slot_of_the_repeated_hour_three_times_is_one_too_many(tmp_path: Path) -> None:
    places = [*range(9), 8, *range(9, 16)]
    with pytest.raises(
        UsageError, match=r"row 11, start: the slot 2025-10-26T01:00:00Z of P1 stands in row 10 already"
    ):
        read(tmp_path, rows_of(QUARTERS, places), "in_order")


def read_registers(folder: Path, places: Iterable[int]) -> Dataset:
    """Hourly registers of P1 at these places in time, each 0.1 kWh more than the one before it in time."""
    rules = RULES.replace("slot_s = 900", 'slot_s = 3600\nrepeated_hour = "in_order"')
    rows = "".join(f"{HOURS[place]},P1,10.{place + 1},0\n" for place in places)
    registers = f"time,point,import_kwh,export_kwh\n{rows}"
    return read_folder(make_folder(folder, {"rules.toml": rules, "readings.csv": None, "registers.csv": registers}))


def test_registers_of_the_repeated_hour_are_told_apart_by_order_too(tmp_path: Path) -> None:
    dataset = read_registers(tmp_path, range(6))
    assert dataset.slot_start_s.tolist() == list(range(1_761_429_600, 1_761_429_600 + 5 * 3600, 3600))
    assert dataset.import_wh[:, 0].tolist() == [100] * 5


def test_shuffled_registers_of_that_day_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"registers.csv, row 6, time: '2025-10-26T01:00:00' stands behind a later time"
    ):
        read_registers(tmp_path, (0, 2, 3, 4, 1, 5))


def test_one_register_alone_of_a_repeated_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"registers.csv, row 4, time: '2025-10-26T02:00:00' is shown twice"):
        read_registers(tmp_path, (0, 1, 2, 4, 5))
