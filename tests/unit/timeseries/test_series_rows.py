"""Rows out of a node's answers: the arithmetic of energies, what is missing, what a change touches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.quality import ESTIMATED, FLAG_INTERPOLATED, FLAG_LATE, FLAG_ROLLOVER, MEASURED, MISSING
from gridseries.answers import (
    AnswerError,
    Changes,
    Coverage,
    Point,
    Position,
    Registers,
    read_changes,
    read_points,
    read_positions,
    read_registers,
)
from gridseries.rows import SlotRows, energy_wh, interval_energy, observation_rows, touched_slots, voltages
from gridseries.series import INTERVALS, OBSERVATIONS, SLOTS, AnyRow, IntervalRow, Row, SlotRow
from ledger.state.energy import advance_of

SLOT_S = 900
DIGESTS = {"digest": "11" * 32, "after_digest": "22" * 32}
INSTALLED = {"meter": "M-9", "party": "p", "trades": False, "role": "household", "modulus_wh": 0}
HOME, OTHER, LOAD, FEEDER = (
    Point("M-1", is_billed=True, trades=True, is_border=False, modulus_wh=0),
    Point("M-2", is_billed=True, trades=True, is_border=False, modulus_wh=1_000_000),
    Point("M-3", is_billed=True, trades=False, is_border=False, modulus_wh=0),
    Point("M-4", is_billed=False, trades=False, is_border=True, modulus_wh=0),
)
POINTS = (HOME, OTHER, LOAD, FEEDER)
STARTS = (Registers(1000, 0, 0), Registers(999_900, 100, 0), Registers(400, 0, 0), Registers(7000, 500, 0))
ENDS = (Registers(1900, 0, 0), Registers(50, 600, FLAG_ROLLOVER), Registers(480, 0, 0), Registers(7700, 520, 0))
CLEARING = {"orders": 3, "volume_wh": 300, "price_micro_per_kwh": 375_000}


def fields(row: AnyRow) -> Mapping[str, int | None]:
    series = SLOTS if len(row.tags) == 1 else INTERVALS
    return dict(zip(series.fields, row.values, strict=True))


def slot_rows(
    starts: tuple[Registers | None, ...] = STARTS,
    ends: tuple[Registers | None, ...] = ENDS,
    positions: Mapping[str, Position] | None = None,
    clearing: Any = CLEARING,
) -> tuple[list[IntervalRow], SlotRow | None]:
    """Interval rows and slot row of the four points, page by page of two."""
    rows = SlotRows("a", 900, Coverage(len(POINTS), sum(end is not None for end in ends), 0))
    found = []
    for first in (0, 2):
        last = first + 2
        found += rows.intervals(POINTS[first:last], starts[first:last], ends[first:last], positions or {})
    return found, rows.slot(clearing, runs=1 if positions else 0)


@given(
    start=st.integers(0, 10**13),
    end=st.integers(0, 10**13),
    modulus=st.sampled_from([0, 10**8, 10**13]),
    ratio=st.integers(1, 10_000),
)
def test_energy_is_what_the_ledger_settles(start: int, end: int, modulus: int, ratio: int) -> None:
    columns = (np.array([value], dtype=np.int64) for value in (start, end, modulus))
    assert energy_wh(start * ratio, end * ratio, modulus * ratio) == int(advance_of(*columns)[0]) * ratio


def test_a_complete_slot_has_energies_sums_and_losses() -> None:
    intervals, slot = slot_rows()
    assert [row.values[:2] for row in intervals] == [(900, 0), (150, 500), (80, 0), (700, 20)]
    assert [row.values[6] for row in intervals] == [MEASURED, FLAG_ROLLOVER, MEASURED, MEASURED]
    assert [row.tags for row in intervals] == [("a", point.meter) for point in POINTS]
    assert slot is not None
    expected = {"expected": 4, "committed": 4, "orders": 3, "volume_wh": 300, "price_micro_per_kwh": 375_000}
    expected |= {"settled": 0, "import_wh": 1130, "export_wh": 500, "feeder_import_wh": 700, "feeder_export_wh": 20}
    expected |= {"loss_wh": 700 - 20 - (1130 - 500)}
    assert {name: fields(slot)[name] for name in expected} == expected
    assert fields(slot)["traders_pays_nano"] is fields(slot)["voltage_milli_min"] is None


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("side", ["start", "end"])
def test_what_rests_on_a_missing_register_is_missing_and_never_zero(at: int, side: str) -> None:
    holed = tuple(None if place == at else value for place, value in enumerate(STARTS if side == "start" else ENDS))
    intervals, slot = slot_rows(starts=holed) if side == "start" else slot_rows(ends=holed)
    assert intervals[at].values[:2] == (None, None)
    assert intervals[at].values[6] == (MISSING if side == "end" else ENDS[at].quality)
    assert all(None not in row.values[:2] for place, row in enumerate(intervals) if place != at)
    assert slot is not None
    values = fields(slot)
    assert values["committed"] == (4 if side == "start" else 3)
    assert values["loss_wh"] is None
    assert (values["import_wh"] is None) == (values["export_wh"] is None) == (at < 3)
    assert (values["feeder_import_wh"] is None) == (at == 3)


def test_a_settled_slot_has_traded_energy_and_money_of_billed_points_and_sums_of_traders() -> None:
    positions = {
        "M-1": Position(300, 0, 411, 500, 900, 0, MEASURED),
        "M-2": Position(0, 300, -99, -84, 150, 500, FLAG_ROLLOVER),
        "M-3": Position(0, 0, 48, 48, 80, 0, MEASURED),
    }
    intervals, slot = slot_rows(positions=positions)
    assert [row.values[2:6] for row in intervals] == [*(said[:4] for said in positions.values()), (None,) * 4]
    assert slot is not None
    values = fields(slot)
    assert (values["settled"], values["traders_pays_nano"], values["traders_supplier_only_nano"]) == (1, 312, 416)
    assert values["traders_supplier_charge_nano"] == 500, "what a seller would be paid takes nothing from the charge"


def test_a_settled_point_without_registers_has_the_energy_that_was_estimated() -> None:
    estimated = Position(0, 0, 48, 48, 77, 5, ESTIMATED | FLAG_INTERPOLATED)
    intervals, slot = slot_rows(ends=(None, *ENDS[1:]), positions={"M-1": estimated})
    assert (intervals[0].values[:2], intervals[0].values[6]) == ((77, 5), ESTIMATED | FLAG_INTERPOLATED)
    assert slot is not None
    assert (fields(slot)["committed"], fields(slot)["import_wh"]) == (3, 77 + 150 + 80)


def test_a_slot_that_was_settled_without_any_register_has_a_row() -> None:
    _, slot = slot_rows(ends=(None,) * 4, positions={"M-1": Position(0, 0, 0, 0, 9, 0, ESTIMATED)}, clearing=None)
    assert slot is not None
    assert (fields(slot)["settled"], fields(slot)["estimated"], fields(slot)["committed"]) == (1, 1, 0)


def test_a_sum_beyond_64_bits_is_missing_and_not_cut() -> None:
    most = (1 << 63) - 1
    positions = {"M-1": Position(0, 0, most, most, 0, 0, 0), "M-2": Position(0, 0, 1, 0, 0, 0, 0)}
    intervals, slot = slot_rows(positions=positions)
    assert [row.values[4] for row in intervals] == [most, 1, None, None]
    assert slot is not None
    assert [fields(slot)[name] for name in ("traders_pays_nano", "traders_supplier_only_nano")] == [None, most]


def test_a_cleared_slot_before_its_end_has_a_market_and_no_energy() -> None:
    slot = SlotRows("a", 900, Coverage(4, 0, 0)).slot({**CLEARING, "volume_wh": 0, "price_micro_per_kwh": None}, 0)
    assert slot is not None
    assert slot.values == (4, 0, 3, 0, None, 0, *[None] * 10)


def test_a_slot_of_which_nothing_is_known_has_no_row() -> None:
    assert SlotRows("a", 900, Coverage(4, 0, 0)).slot(None, 0) is None


def test_an_area_without_a_feeder_meter_has_no_losses() -> None:
    rows = SlotRows("a", 900, Coverage(1, 1, 0))
    rows.intervals([HOME], STARTS[:1], ENDS[:1], {})
    slot = rows.slot(None, 0)
    assert slot is not None
    assert [fields(slot)[name] for name in ("import_wh", "feeder_import_wh", "loss_wh")] == [900, None, None]


def test_an_area_of_which_another_area_measures_a_border_has_no_losses() -> None:
    rows = SlotRows("a", 900, Coverage(len(POINTS), len(POINTS), 1))
    rows.intervals(POINTS, STARTS, ENDS, {})
    slot = rows.slot(None, 0)
    assert slot is not None
    assert [fields(slot)[name] for name in ("feeder_import_wh", "loss_wh")] == [700, None]


def test_a_border_of_the_area_s_own_counts_as_its_feeder_does() -> None:
    (point,) = read_points({"installations": [INSTALLED | {"role": "exchange", "party": None}]})
    assert (point.is_border, point.is_billed) == (True, False)


def test_a_register_touches_the_slot_it_ends_and_the_one_it_begins() -> None:
    changes = Changes(
        9,
        bytes(32),
        bytes(32),
        9,
        boundaries=(("a", 1800), ("b", 900)),
        slots=(("b", 2700),),
        batches=(("g", 4500), ("h", 900)),
    )
    touched = touched_slots(changes, {"a": 900, "b": 900}, {"g": ("a", "b")}, SLOT_S)
    assert touched == [("a", 900), ("a", 1800), ("a", 3600), ("b", 900), ("b", 2700), ("b", 3600)]


def test_changes_are_read_by_kind_and_unknown_kinds_are_none_of_ours() -> None:
    entries = [
        {"kind": "run", "area": "a", "at_s": 900, "run": "initial", "height": 3},
        {"kind": "clearing", "area": "a", "at_s": 900, "height": 3},
        {"kind": "registers", "area": "a", "at_s": 1800, "height": 4},
        {"kind": "batch", "gateway": "g", "at_s": 1800, "observations": True, "height": 4},
        {"kind": "batch", "gateway": "h", "at_s": 1800, "observations": False, "height": 4},
        {"kind": "exception", "gateway": "g", "at_s": 1800, "counter": 7, "height": 4},
        {"kind": "something new", "height": 4},
    ]
    changes = read_changes({"height": 4, **DIGESTS, "newest": 6, "changes": entries})
    assert changes == Changes(4, b"\x11" * 32, b"\x22" * 32, 6, (("a", 1800),), (("a", 900),), (("g", 1800),))


def test_an_absent_register_is_none_and_flags_are_bits() -> None:
    entries = [
        {"meter": "M-1", "import_wh": None, "export_wh": None, "quality": "missing", "flags": []},
        {"meter": "M-2", "import_wh": 5, "export_wh": 0, "quality": "measured", "flags": ["late", "rollover"]},
    ]
    found = read_registers({"registers": entries})
    assert found == {"M-1": None, "M-2": Registers(5, 0, (FLAG_LATE | FLAG_ROLLOVER))}
    assert interval_energy(OTHER, None, found["M-2"]) is None


def test_the_first_value_of_a_device_stands_and_a_nameless_one_has_its_number() -> None:
    entries = [
        {"device": 7, "name": None, "obis": "32.7.0", "value_milli": 229_900, "offset_ms": -5},
        {"device": 1, "name": "M-1", "obis": "32.7.0", "value_milli": 230_100, "offset_ms": 3},
        {"device": 2, "name": "M-1", "obis": "32.7.0", "value_milli": 1, "offset_ms": 4},
    ]
    rows = observation_rows("g", 900, {"observations": entries})
    assert rows == [Row(("g", "#7", "32.7.0"), 900, (229_900, -5)), Row(("g", "M-1", "32.7.0"), 900, (230_100, 3))]


def test_the_lowest_voltage_of_a_device_counts_in_the_areas_of_its_gateway() -> None:
    seen = [
        ("g", "plug", "32.7.0"),
        ("g", "plug", "52.7.0"),
        ("g", "plug", "16.7.0"),
        ("h", "M-1", "12.7.0"),
        ("x", "M-9", "32.7.0"),
    ]
    rows = [OBSERVATIONS.row(tags, 900, (value, 0)) for tags, value in zip(seen, (229, 228, 5, 227, 1), strict=True)]
    areas_of = {"g": ("a",), "h": ("a", "b"), "x": ("b",)}
    assert voltages(rows, areas_of, "a") == ({"plug": 228}, {"M-1": 227})
    assert voltages(rows, areas_of, "b") == ({"M-9": 1}, {"M-1": 227})


@pytest.mark.parametrize(
    "broken",
    [
        lambda: read_changes({"height": 1, "newest": 1, **DIGESTS, "changes": [{"kind": "run", "area": "a"}]}),
        lambda: read_changes({"height": 1, "newest": 1, "changes": []}),
        lambda: read_changes({"height": 1, "newest": 1, **DIGESTS, "digest": "11", "changes": []}),
        lambda: read_changes([]),  # type: ignore[arg-type] # what is tested
        lambda: read_points({"installations": [{"meter": "M-1"}]}),
        lambda: read_registers({}),
        lambda: read_registers({"registers": [{"import_wh": None}]}),
        lambda: read_positions(
            {"meters": ["M-1"], "bought_wh": [], "sold_wh": [], "pays_nano": [], "supplier_only_nano": []}
        ),
        lambda: observation_rows("g", 900, {"observations": [{"device": "x", "name": None, "obis": "1.8.0"}]}),
        lambda: SlotRows("a", 900, Coverage(1, 1, 0)).slot({}, 0),
    ],
)
def test_an_answer_of_another_shape_is_said_to_be_one(broken: Any) -> None:
    with pytest.raises(AnswerError, match=r"^[a-z]+: the node's answer is not of the form"):
        broken()
