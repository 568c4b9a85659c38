"""A valid folder, and what each of its files may say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gridcore.quality import CORRECTED, ESTIMATED, MEASURED, MISSING
from gridcore.sm3 import sm3
from gridledger.settling.dataset import PointRow
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import AUCTION, POINTS, READINGS, RULES, make_folder


def test_each_kind_of_stamp_is_the_same_slot(tmp_path: Path) -> None:
    dataset = read_folder(make_folder(tmp_path, {}))
    assert dataset.slot_start_s.tolist() == [1_748_736_000, 1_748_736_900]
    assert dataset.import_wh.tolist() == [[500, 0], [1125, 1]]
    assert dataset.export_wh.tolist() == [[0, 250], [0, 12_000]]
    assert dataset.quality.tolist() == [[MEASURED, MEASURED], [ESTIMATED, CORRECTED]]
    assert dataset.points == [PointRow("P1", "M1", "A1"), PointRow("P2", "M2", "A1")]
    assert tuple(dataset.counts) == (4, 0, 1)


def test_inputs_are_named_with_the_digest_of_their_bytes(tmp_path: Path) -> None:
    dataset = read_folder(make_folder(tmp_path, {}))
    assert [(file.name, file.sm3, file.rows) for file in dataset.inputs] == [
        ("rules.toml", sm3(RULES.encode()), 0),
        ("points.csv", sm3(POINTS.encode()), 2),
        ("readings.csv", sm3(READINGS.encode()), 4),
    ]


@pytest.mark.parametrize(
    "readings",
    [
        b"\xef\xbb\xbf" + READINGS.encode(),
        READINGS.replace("\n", "\r\n").encode(),
        READINGS.encode() + b"\n\r\n\n",
        READINGS.rstrip("\n").encode(),
        READINGS.replace("P1", '"P1"').encode(),
        b"".join(READINGS.encode().splitlines(keepends=True)[line] for line in (0, 4, 2, 3, 1)),
        "\n".join(
            ",".join(line.split(",")[place] for place in (1, 4, 0, 3, 2)) for line in READINGS.splitlines()
        ).encode(),
    ],
    ids=["byte order mark", "CRLF", "empty lines at the end", "no last line end", "quotes", "shuffled rows", "columns"],
)
def test_harmless_differences_of_writing_change_nothing(tmp_path: Path, readings: bytes) -> None:
    dataset = read_folder(make_folder(tmp_path, {"readings.csv": readings}))
    assert dataset.import_wh.tolist() == [[500, 0], [1125, 1]]
    assert dataset.quality.tolist() == [[MEASURED, MEASURED], [ESTIMATED, CORRECTED]]


def test_what_is_not_known_is_missing_and_not_zero(tmp_path: Path) -> None:
    readings = READINGS.replace("0,0.25,measured", ",0.25,").replace("1.125,0,estimated", "1.125,0,suspect")
    dataset = read_folder(make_folder(tmp_path, {"readings.csv": readings}))
    assert dataset.quality.tolist() == [[MEASURED, MISSING], [MISSING, CORRECTED]]
    assert dataset.import_wh.tolist() == [[500, 0], [0, 1]]
    assert dataset.export_wh.tolist() == [[0, 250], [0, 12_000]]
    assert tuple(dataset.counts) == (4, 2, 0)


def test_a_slot_without_rows_between_others_is_missing(tmp_path: Path) -> None:
    readings = READINGS + "2025-06-01T00:45:00Z,P1,1,0,\n"
    dataset = read_folder(make_folder(tmp_path, {"readings.csv": readings}))
    assert len(dataset.slot_start_s) == 4
    assert dataset.quality[2:].tolist() == [[MISSING, MISSING], [MEASURED, MISSING]]


def test_the_repeated_hour_is_told_apart_by_offsets(tmp_path: Path) -> None:
    readings = "start,point,import_kwh,export_kwh\n" + "".join(
        f"2025-10-26T02:{minute:02}:00{offset},P1,1,0\n"
        for offset in ("+02:00", "+01:00")
        for minute in (0, 15, 30, 45)
    )
    dataset = read_folder(make_folder(tmp_path, {"readings.csv": readings}))
    assert len(dataset.slot_start_s) == 8
    assert dataset.import_wh[:, 0].tolist() == [1000] * 8


def test_the_repeated_hour_is_told_apart_by_order_where_rules_say_so(tmp_path: Path) -> None:
    readings = "start,point,import_kwh,export_kwh\n" + "".join(
        f"2025-10-26T02:{minute:02}:00,P1,0.00{hour},0\n" for hour in (1, 2) for minute in (0, 15, 30, 45)
    )
    rules = RULES + 'repeated_hour = "in_order"\n'
    dataset = read_folder(make_folder(tmp_path, {"readings.csv": readings, "rules.toml": rules}))
    assert dataset.import_wh[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_parts_of_a_wh_are_carried_on_where_rules_say_so(tmp_path: Path) -> None:
    readings = "start,point,import_kwh,export_kwh\n" + "".join(
        f"2025-06-01T00:{minute:02}:00Z,P1,0.0004,0\n" for minute in (0, 15, 30, 45)
    )
    rules = RULES + 'sub_wh = "carry"\n'
    dataset = read_folder(make_folder(tmp_path, {"readings.csv": readings, "rules.toml": rules}))
    assert dataset.import_wh[:, 0].tolist() == [0, 1, 0, 1]


def test_prices_hold_from_their_start_for_all_an_area_or_a_point(tmp_path: Path) -> None:
    prices = (
        "start,key,price_micro_per_kwh,area,point\n2025-06-01T00:15:00Z,levy_micro_per_kwh,-5,,\n"
        "2025-06-01,levy_micro_per_kwh,7,,\n2025-06-01,levy_micro_per_kwh,8,A1,\n2025-06-01,levy_micro_per_kwh,9,,P2\n"
    )
    rules = RULES.replace("levy_micro_per_kwh = 40000\n", "")
    dataset = read_folder(make_folder(tmp_path, {"prices.csv": prices, "rules.toml": rules}))
    found = [(s.key, s.area, s.point, s.start_s.tolist(), s.price_micro_per_kwh.tolist()) for s in dataset.series]
    midnight = 1_748_728_800
    assert found == [
        ("levy_micro_per_kwh", None, None, [midnight, 1_748_736_900], [7, -5]),
        ("levy_micro_per_kwh", None, "P2", [midnight], [9]),
        ("levy_micro_per_kwh", "A1", None, [midnight], [8]),
    ]
    assert dataset.rules.prices["levy_micro_per_kwh"] == 7


def test_orders_come_by_slot_and_the_bytes_of_their_ids(tmp_path: Path) -> None:
    orders = "slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh\n" + "".join(
        f"{slot},{party}/{slot}/{counter},{party},{side},{quantity},{price}\n"
        for slot, party, counter, side, quantity, price in [
            (1_748_736_900, "M1", 1, "buy", 5, 400_000),
            (1_748_736_000, "M2", 2, "sell", 7, -1),
            (1_748_736_000, "M2", 10, "sell", 8, 0),
        ]
    )
    dataset = read_folder(make_folder(tmp_path, {"orders.csv": orders, "rules.toml": AUCTION + 'timezone = "UTC"\n'}))
    assert dataset.all_orders.slot.tolist() == [0, 0, 1]
    assert list(dataset.all_orders.order) == ["M2/1748736000/10", "M2/1748736000/2", "M1/1748736900/1"]
    assert list(dataset.all_orders.party) == ["M2", "M2", "M1"]
    assert dataset.all_orders.side.tolist() == [1, 1, 0]
    assert dataset.all_orders.quantity_wh.tolist() == [8, 7, 5]
    assert dataset.rules.terms == {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"}


def test_registers_stand_in_place_of_readings_and_a_gap_keeps_its_energy(tmp_path: Path) -> None:
    registers = "time,point,import_kwh,export_kwh\n" + "".join(
        f"2025-06-01T00:{minute:02}:00Z,P1,{register},\n" for minute, register in ((0, 99.9), (15, 0.4), (45, 2.4))
    )
    points = "point,party,area,limit_kw,modulus_kwh\nP1,M1,A1,8,100\n"
    changes = {"readings.csv": None, "registers.csv": registers, "points.csv": points}
    dataset = read_folder(make_folder(tmp_path, changes))
    assert dataset.import_wh[:, 0].tolist() == [500, 1000, 1000]
    assert dataset.quality[:, 0].tolist() == [MISSING] * 3  # the export is not known
    assert dataset.counts.readings == 3


def test_estimates_take_the_mean_of_earlier_days_of_the_same_kind(tmp_path: Path) -> None:
    # Monday 2 June 2025 to Friday; each day's only slot that matters is its first
    readings = "start,point,import_kwh,export_kwh\n" + "".join(
        f"2025-06-{day:02}T{hour:02}:00:00,P1,{energy},0\n"
        for day, energy in ((2, 1), (3, 2), (4, 4), (5, ""), (6, 8))
        for hour in range(24)
    )
    rules = RULES.replace("900", "3600") + '[estimate]\nmethod = "open"\nreference_days = 2\n'
    points = "point,party,area\nP1,M1,A1\n"
    dataset = read_folder(make_folder(tmp_path, {"readings.csv": readings, "rules.toml": rules, "points.csv": points}))
    assert np.unique(dataset.import_wh[72:96]).tolist() == [3000]
    assert np.unique(dataset.quality[72:96]).tolist() == [ESTIMATED]
    assert tuple(dataset.counts) == (5 * 24, 24, 24)


def test_files_and_prices_that_the_contract_does_not_use_are_named(tmp_path: Path) -> None:
    rules = RULES.replace("[prices]\n", "[prices]\nsurplus_price_micro_per_kwh = 1\n")
    changes = {"keys.csv": "point,share_ppm\n", "old.csv": "x", "rules.toml": rules}
    dataset = read_folder(make_folder(tmp_path, changes))
    named = [note.split(" is not ")[0] for note in dataset.notes]
    assert named == ["keys.csv", "rules.toml: surplus_price_micro_per_kwh", "old.csv"]
    assert "surplus_price_micro_per_kwh" not in dataset.rules.prices
