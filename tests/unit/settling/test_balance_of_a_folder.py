"""Borders and terms of balances in a folder of files: losses and imbalances of each area, by the function that ledgers of meters have."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.settling.balance import FILES
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import RULES, make_folder

POINTS = (
    "point,party,area,role,exchange_area,balance_responsible_import,balance_responsible_export\n"
    "P1,anna,north,,,east,east\n"
    "P2,ben,south,household,,west,west\n"
    "F1,,north,feeder,,,\n"
    "F2,,south,feeder,,,\n"
    "B1,,north,exchange,south,,\n"
)
BALANCE = """
[balance]
loss_responsible = "grid"
loss_price_micro_per_kwh = 400000
gain_price_micro_per_kwh = 250000
surplus_price_micro_per_kwh = 200000
shortfall_price_micro_per_kwh = 600000
series = {loss_price_micro_per_kwh = "spot"}
"""
PRICES = (
    "start,key,price_micro_per_kwh,area,point\n2025-06-30T21:00:00Z,spot,410000,,\n2025-06-30T21:15:00Z,spot,-20000,,\n"
)
PENALTY = """
[balance.penalty]
tolerance_ppm = 30000
price_micro_per_kwh = 800000
penalty_ppm = 250000
sides = "both"
"""
STARTS = ("2025-06-30T21:00:00Z", "2025-06-30T21:15:00Z")


def readings(*slots: dict[str, tuple[str, str] | None]) -> str:
    lines = ["start,point,import_kwh,export_kwh\n"]
    for start, slot in zip(STARTS, slots, strict=False):
        lines += [f"{start},{point},{','.join(wh)}\n" for point, wh in slot.items() if wh is not None]
    return "".join(lines)


FIRST: dict[str, tuple[str, str] | None] = {
    "P1": ("0.9", "0"),
    "P2": ("0", "0.5"),
    "F1": ("0.7", "0"),
    "F2": ("0.02", "0.25"),
    "B1": ("0.3", "0.06"),
}
"""North takes 900 Wh and gets 700 + 300 - 60: 40 are lost. South gives 500 and gets 20 + 60 - 250 - 300: 30 are lost."""
SECOND = {**FIRST, "B1": None}
FOLDER: dict[str, str | bytes | None] = {
    "points.csv": POINTS,
    "readings.csv": readings(FIRST, SECOND),
    "rules.toml": RULES + BALANCE,
    "prices.csv": PRICES,
}


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


def settled(folder: Path, **changes: str | bytes | None) -> Path:
    files = {**FOLDER, **{name.replace("_", "."): text for name, text in changes.items()}}
    make_folder(folder / "in", files)
    assert main(["settle", "files", str(folder / "in"), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_each_area_has_its_loss_and_a_border_that_is_missing_leaves_both_open(tmp_path: Path) -> None:
    out = settled(tmp_path)
    lines = rows_of(out, "balance.csv")
    assert [(line["area"], line["in_wh"], line["out_wh"], line["loss_wh"]) for line in lines] == [
        ("north", "1000", "60", "40"),
        ("north", "", "", ""),
        ("south", "80", "550", "30"),
        ("south", "", "", ""),
    ]
    assert [(row["area"], row["other_area"], row["net_wh"]) for row in rows_of(out, "borders.csv")] == [
        ("north", "south", "240"),
        ("north", "south", ""),
        ("south", "north", "-240"),
        ("south", "north", ""),
    ]


def test_losses_and_imbalances_are_posted_at_the_prices_of_their_slots(tmp_path: Path) -> None:
    out = settled(tmp_path)
    posted = [
        (row["area"], row["kind"], row["party"], row["energy_wh"], row["amount_nano"])
        for row in rows_of(out, "balance_entries.csv")
    ]
    assert ("north", "loss", "grid", "40", str(40 * 410_000)) in posted
    assert ("north", "shortfall", "east", "900", str(900 * 600_000)) in posted
    assert ("south", "surplus", "west", "500", str(500 * 200_000)) in posted
    assert sum(int(row["balance_nano"]) for row in rows_of(out, "balance_accounts.csv")) == 0


def penalties_of(out: Path) -> list[tuple[str, ...]]:
    return [
        (row["area"], row["run"], row["debit_account"], row["credit_account"], row["energy_wh"], row["amount_nano"])
        for row in rows_of(out, "balance_entries.csv")
        if row["kind"] == "penalty"
    ]


def test_a_penalty_is_posted_to_its_own_account_and_leaves_all_other_entries_as_they_are(tmp_path: Path) -> None:
    """Nothing is traded in this folder: the whole imbalance is beyond the tolerance."""
    out, plain = settled(tmp_path / "one", rules_toml=RULES + BALANCE + PENALTY), settled(tmp_path / "other")
    of_slot = [
        ("north", "initial", "east", "north/penalties", "900", str(900 * 200_000)),
        ("south", "initial", "west", "south/penalties", "500", str(500 * 200_000)),
    ]
    assert sorted(penalties_of(out)) == sorted(of_slot * 2)
    assert penalties_of(plain) == []
    others = [row for row in rows_of(out, "balance_entries.csv") if row["kind"] != "penalty"]
    assert [{**row, "height": ""} for row in others] == [
        {**row, "height": ""} for row in rows_of(plain, "balance_entries.csv")
    ]
    assert (out / "balance.csv").read_bytes() == (plain / "balance.csv").read_bytes()
    assert sum(int(row["balance_nano"]) for row in rows_of(out, "balance_accounts.csv")) == 0


def test_terms_of_newer_files_without_the_penalty_take_it_back(tmp_path: Path) -> None:
    out = settled(tmp_path, rules_toml=RULES + BALANCE + PENALTY)
    make_folder(tmp_path / "newer", {**FOLDER})
    assert main(["settle", "files", str(tmp_path / "newer"), "--onto", str(out)]) == 0
    owed = {(row["area"], row["account"]): int(row["balance_nano"]) for row in rows_of(out, "balance_accounts.csv")}
    assert (owed["north", "north/penalties"], owed["south", "south/penalties"]) == (0, 0)
    assert owed["north", "east"] == 2 * 900 * 600_000


def test_a_border_that_comes_with_newer_files_is_posted_then(tmp_path: Path) -> None:
    out = settled(tmp_path)
    newer = {**FOLDER, "readings.csv": readings(FIRST, FIRST)}
    make_folder(tmp_path / "newer", newer)
    assert main(["settle", "files", str(tmp_path / "newer"), "--onto", str(out)]) == 0
    losses = [row for row in rows_of(out, "balance_entries.csv") if row["kind"] == "loss" and row["area"] == "north"]
    assert [(row["run"], row["energy_wh"], row["debit_account"], row["amount_nano"]) for row in losses] == [
        ("initial", "40", "grid", str(40 * 410_000)),
        ("correction-1", "40", "north/losses", str(40 * 20_000)),
    ]


def test_other_terms_of_newer_files_take_back_what_was_posted_by_the_old_ones(tmp_path: Path) -> None:
    out = settled(tmp_path)
    terms = BALANCE.replace('"grid"', '"new-grid"')
    make_folder(tmp_path / "newer", {**FOLDER, "rules.toml": RULES + terms})
    assert main(["settle", "files", str(tmp_path / "newer"), "--onto", str(out)]) == 0
    owed = {(row["area"], row["account"]): int(row["balance_nano"]) for row in rows_of(out, "balance_accounts.csv")}
    assert (owed["north", "grid"], owed["north", "new-grid"]) == (0, 40 * 410_000)


def test_borders_bill_nobody_and_leave_every_other_file_as_it_is(tmp_path: Path) -> None:
    """What a folder settles without borders and terms is what it settles with them, line by line."""
    with_all = settled(tmp_path / "one")
    points = "".join(",".join(line.split(",")[:3]) + "\n" for line in POINTS.splitlines() if line[0] in "pP")
    billed = {name: wh for name, wh in FIRST.items() if name[0] == "P"}
    without = settled(
        tmp_path / "other", points_csv=points, readings_csv=readings(billed, billed), rules_toml=RULES, prices_csv=None
    )
    assert all((with_all / name).exists() for name in FILES)
    assert not any((without / name).exists() for name in FILES)
    for name in ("statements.csv", "postings.csv", "invoices.csv", "invoice_lines.csv", "participants.csv"):
        assert (with_all / name).read_bytes() == (without / name).read_bytes(), name
    others = [
        row
        for row in rows_of(with_all, "general_ledger.csv")
        if "/" not in row["debit_account"] + row["credit_account"]
    ]
    documents = [row for row in others if row["entry"].split("/")[3] not in ("north", "south")]
    assert documents == rows_of(without, "general_ledger.csv")


FAULTS = {
    "an unknown role": (("F1,,north,feeder", "F1,,north,cellar"), "points.csv, row 4, role:"),
    "a border that is billed": (("F1,,north", "F1,carl,north"), "points.csv, row 4, party:"),
    "an exchange without an area": (("exchange,south", "exchange,"), "points.csv, row 6, exchange_area:"),
    "an exchange with itself": (("exchange,south", "exchange,north"), "points.csv, row 6, exchange_area:"),
    "an exchange with an unknown area": (
        ("exchange,south", "exchange,west"),
        "points.csv, row 6, exchange_area:",
    ),
    "a point without a party": (("P2,ben", "P2,"), "points.csv, row 3, party:"),
    "a feeder with an area": (
        ("F1,,north,feeder,", "F1,,north,feeder,south"),
        "points.csv, row 4, exchange_area:",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_border_that_is_none_is_one_line_with_row_and_column(tmp_path: Path, name: str) -> None:
    (old, new), place = FAULTS[name]
    make_folder(tmp_path / "in", {**FOLDER, "points.csv": POINTS.replace(old, new)})
    with pytest.raises(UsageError) as raised:
        read_folder(tmp_path / "in")
    assert str(raised.value).startswith(place), str(raised.value)
    assert "\n" not in str(raised.value)


TERMS_FAULTS = {
    "a price is missing": (("loss_price_micro_per_kwh = 400000\n", ""), "rules.toml: [balance] prices is a map"),
    "an unknown key": (("loss_responsible", "loss_party"), "rules.toml: [balance] "),
    "a penalty on one side that is none": (
        ('"both"', '"long"'),
        "rules.toml: [balance] penalty: sides is one of both, short_only, not 'long'; docs/settle-files.md",
    ),
}


@pytest.mark.parametrize("name", TERMS_FAULTS)
def test_terms_that_are_none_are_one_line(tmp_path: Path, name: str) -> None:
    (old, new), place = TERMS_FAULTS[name]
    make_folder(tmp_path / "in", {**FOLDER, "rules.toml": RULES + (BALANCE + PENALTY).replace(old, new)})
    with pytest.raises(UsageError) as raised:
        read_folder(tmp_path / "in")
    assert str(raised.value).startswith(place), str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_series_without_prices_is_one_line(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", {**FOLDER, "prices.csv": None})
    with pytest.raises(UsageError, match=r"^rules.toml: \[balance\] names the series 'spot', which has no price from"):
        read_folder(tmp_path / "in")
