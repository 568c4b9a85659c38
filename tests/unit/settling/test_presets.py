"""Each preset reads its fixture, which is transcribed from the description that the preset names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.quality import ESTIMATED, MEASURED, MISSING
from gridledger.settling.dataset import Dataset
from gridledger.settling.files.folder import read_folder
from gridledger.settling.files.layout import load_preset, preset_names

FIXTURES = Path(__file__).parent / "presets"


def read(preset: str) -> Dataset:
    return read_folder(FIXTURES / preset, preset)


def test_every_preset_has_a_fixture_and_a_source() -> None:
    assert sorted(path.name for path in FIXTURES.iterdir()) == preset_names()
    assert all(load_preset(name).source.startswith("https://") for name in preset_names())


def test_datadis_counts_the_hours_of_the_day_with_25() -> None:
    dataset = read("datadis")
    assert dataset.slot_start_s.tolist() == list(range(1_761_429_600, 1_761_429_600 + 26 * 3600, 3600))
    assert dataset.import_wh[:, 0].tolist() == [*range(1, 26), 317]
    assert dataset.export_wh[:4, 0].tolist() == [100, 200, 0, 100]
    assert dataset.quality[:5, 0].tolist() == [MEASURED, MEASURED, MEASURED, ESTIMATED, MEASURED]


def test_e_distribucion_counts_the_hours_of_the_day_with_23() -> None:
    dataset = read("e-distribucion")
    assert dataset.import_wh[:, 0].tolist() == [*range(101, 124), 168]
    assert not dataset.export_wh.any()  # no column of it: nothing flows to the grid
    assert dataset.counts.missing == 0


def test_esb_is_average_power_stamped_at_the_end_newest_first() -> None:
    dataset = read("esb-hdf")
    # 0.101, 0.201, 0.3, ... kW over half an hour; what is no whole Wh is carried on
    assert dataset.import_wh[:, 0].tolist() == [51, 100, 150, 200, 250, 300]
    assert dataset.slot_start_s[0] == 1_761_433_200
    assert (dataset.export_wh[0, 1], dataset.import_wh[0, 1]) == (625, 0)
    assert dataset.quality[1, 1] == MISSING


def test_enedis_is_average_power_of_the_point_that_the_file_is_named_after() -> None:
    dataset = read("enedis")
    assert dataset.import_wh[:, 0].tolist() == [2015, 251, 250]
    assert dataset.inputs[-1].name == "readings/PRM1.csv"


def test_fluvius_adds_registers_up_and_keeps_the_order_of_the_repeated_hour() -> None:
    dataset = read("fluvius")
    assert dataset.import_wh[:, 0].tolist() == [66, 12, 13, 14, 15, 16, 17, 18, 19]
    assert dataset.export_wh[0, 0] == 7
    assert dataset.quality[0, 0] == MEASURED
    assert set(dataset.quality[1:, 0].tolist()) == {MISSING}  # of the injection nothing is said


def test_fluvius_volumes_in_another_unit_than_kwh_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "fluvius", tmp_path, dirs_exist_ok=True)
    readings = tmp_path / "readings.csv"
    readings.write_text(readings.read_text("utf-8").replace(";kWh;", ";MWh;"), "utf-8")
    with pytest.raises(UsageError, match=r"readings\.csv, row 2, Eenheid: 'MWh' is no known name of kWh here"):
        read_folder(tmp_path, "fluvius")


def test_nem12_puts_the_values_of_a_day_on_market_time_and_skips_reactive_channels() -> None:
    dataset = read("nem12")
    assert len(dataset.slot_start_s) == 96
    assert dataset.slot_start_s[0] == 1_078_063_200
    assert dataset.import_wh[:48, 0].tolist() == [1100 + 2 * n for n in range(48)]
    assert dataset.export_wh[:48, 0].tolist() == list(range(48))
    assert set(dataset.quality[48:, 0].tolist()) == {ESTIMATED}


def test_green_button_has_its_header_below_the_account_and_notes_that_may_be_left_out() -> None:
    dataset = read("peco-green-button")
    assert dataset.import_wh[:, 0].tolist() == [290, 340, 350, 320]
    assert dataset.slot_start_s[0] == 1_699_156_800


def test_a_preset_that_is_none_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'fluvius'"):
        read_folder(FIXTURES / "fluvius", "fluvios")


def test_intervals_of_another_length_than_the_slots_are_refused(tmp_path: Path) -> None:
    for path in (FIXTURES / "nem12").iterdir():
        text = path.read_text()
        (tmp_path / path.name).write_text(text.replace("slot_s = 1800", "slot_s = 900"))
    with pytest.raises(UsageError, match=r"readings.csv, row 3: the record 300 has 55 fields, not 98 to 103; check"):
        read_folder(tmp_path, "nem12")
