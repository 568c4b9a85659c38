"""Bilateral agreements, as files: what each basis comes to, what is wrong in one line, and newer data of the same agreements."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gridcore import verify
from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.settling.files import agreements
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import RULES, make_folder

HEADER = "agreement,seller_point,buyer_point,basis,price_micro_per_kwh,quantity_kwh,share_ppm,series,valid_from,valid_until\n"
AGREEMENTS = (
    HEADER
    + "a-fixed,A,B,fixed_quantity,300000,0.3,,,,\n"
    + "b-share,A,C,pay_as_produced,250000,,500000,,2025-06-01T00:15:00Z,\n"
    + "hedge,A,C,difference,280000,1,,spot,,2025-06-01T00:15:00Z\n"
)
PRICES = (
    "start,key,price_micro_per_kwh\n2025-06-01T00:00:00Z,spot,310000\n2025-06-01T00:00:00Z,levy_micro_per_kwh,50000\n"
)
READINGS = "start,point,import_kwh,export_kwh\n" + "".join(
    f"2025-06-01T00:{minute}:00Z,{row}\n" for minute in ("00", "15") for row in ("A,0,1", "B,0.4,0", "C,0.8,0")
)


def folder(path: Path, **changes: str | None) -> Path:
    """A feeds in 1 kWh in each of two slots, B takes 0.4 kWh, C 0.8 kWh."""
    files = {
        "rules.toml": RULES.replace("mid_market_rate/1", "bilateral_agreements/1"),
        "points.csv": "point,party,area\nA,MA,X\nB,MB,X\nC,MC,X\n",
        "readings.csv": READINGS,
        "agreements.csv": AGREEMENTS,
        "prices.csv": PRICES,
    }
    return make_folder(path, {**files, **{name.replace("_csv", ".csv"): content for name, content in changes.items()}})


def settled(path: Path, out: Path) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Energy and amount of each line by slot, party and kind; settled into ``out``."""
    assert main(["settle", "files", str(path), "--out", str(out)]) == 0
    return lines_of(out, "initial")


def lines_of(out: Path, run: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Energy and amount of each line of a run by slot, party and kind."""
    with (out / "statements.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["run"] == run]
    first_s = min((int(row["slot_start_s"]) for row in rows), default=0)
    return {
        (str((int(row["slot_start_s"]) - first_s) // 900), row["party"], row["line_kind"]): (
            int(row["energy_wh"]),
            int(row["amount_nano"]),
        )
        for row in rows
    }


def test_as_schedules_the_same_agreements_are_settled_in_full_and_the_sample_is_verified(tmp_path: Path) -> None:
    balance = "[timeline]\n"
    more = "surplus_price_micro_per_kwh = 280000\nshortfall_price_micro_per_kwh = 470000\n"
    rules = RULES.replace("mid_market_rate/1", "schedules_and_deviations/1").replace(balance, more + balance)
    path = folder(
        tmp_path / "in",
        agreements_csv=AGREEMENTS.replace(
            "a-fixed,A,B,fixed_quantity,300000,0.3", "a-fixed,A,B,fixed_quantity,300000,1.2"
        ),
    )
    (path / "rules.toml").write_text(rules)
    lines = settled(path, out := tmp_path / "out")
    assert {key: value for key, value in lines.items() if key[:2] in (("0", "MA"), ("0", "MB"))} == {
        ("0", "MA", "schedule_sell"): (1_200, -360_000_000),
        ("0", "MA", "schedule_difference"): (1_000, 30_000_000),
        ("0", "MA", "shortfall"): (200, 94_000_000),
        ("0", "MB", "schedule_buy"): (1_200, 360_000_000),
        ("0", "MB", "surplus"): (800, -224_000_000),
        ("0", "MB", "network_traded"): (400, 72_000_000),
        ("0", "MB", "levy"): (400, 20_000_000),
    }
    trust = verify.decode_trust((out / "trust.json").read_bytes())
    assert verify.verify_bundle((out / "sample.evd").read_bytes(), trust).answer == verify.VERIFIED


def test_each_basis_is_settled_while_it_holds_and_the_sample_is_verified(tmp_path: Path) -> None:
    lines = settled(folder(tmp_path / "in"), out := tmp_path / "out")
    assert {key: value for key, value in lines.items() if "agreement" in key[2]} == {
        ("0", "MA", "agreement_sell"): (300, -90_000_000),
        ("0", "MB", "agreement_buy"): (300, 90_000_000),
        ("0", "MA", "agreement_difference"): (1_000, 30_000_000),
        ("0", "MC", "agreement_difference"): (1_000, -30_000_000),
        ("1", "MA", "agreement_sell"): (800, -90_000_000 - 125_000_000),
        ("1", "MB", "agreement_buy"): (300, 90_000_000),
        ("1", "MC", "agreement_buy"): (500, 125_000_000),
    }
    assert lines["0", "MC", "residual_import"] == (800, 800 * 460_000)
    assert lines["1", "MC", "residual_import"] == (300, 300 * 460_000)
    assert lines["1", "MA", "residual_export"] == (200, -200 * 280_000)
    assert lines["1", "MB", "levy"] == (400, 400 * 50_000)
    trust = verify.decode_trust((out / "trust.json").read_bytes())
    verdict = verify.verify_bundle((out / "sample.evd").read_bytes(), trust)
    assert verdict.answer == verify.VERIFIED, verdict.reason


def test_newer_readings_correct_what_agreements_came_to(tmp_path: Path) -> None:
    settled(folder(tmp_path / "in"), out := tmp_path / "out")
    newer = READINGS.replace("00:00Z,B,0.4,0", "00:00Z,B,0.1,0", 1)
    assert main(["settle", "files", str(folder(tmp_path / "newer", readings_csv=newer)), "--onto", str(out)]) == 0
    corrected = lines_of(out, "correction-1")
    assert corrected["0", "MB", "agreement_buy"] == (-200, -60_000_000)
    assert corrected["0", "MA", "agreement_sell"] == (-200, 60_000_000)
    assert corrected["0", "MA", "residual_export"] == (200, -56_000_000)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("0.3,", "0.2,", "agreements.csv: agreement a-fixed: the ledger has another one, or none"),
        (
            "2025-06-01T00:15:00Z\n",
            "2025-06-01T00:30:00Z\n",
            "agreements.csv: agreement hedge: valid_until is another one",
        ),
    ],
)
def test_newer_data_under_other_agreements_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: str
) -> None:
    settled(folder(tmp_path / "in"), out := tmp_path / "out")
    capsys.readouterr()
    other = folder(tmp_path / "newer", agreements_csv=AGREEMENTS.replace(old, new, 1))
    assert main(["settle", "files", str(other), "--onto", str(out)]) != 0
    assert line in capsys.readouterr().err


def test_newer_data_with_another_reference_price_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(folder(tmp_path / "in"), out := tmp_path / "out")
    capsys.readouterr()
    other = folder(tmp_path / "newer", prices_csv=PRICES.replace("310000", "320000"))
    assert main(["settle", "files", str(other), "--onto", str(out)]) != 0
    assert "prices.csv: spot: the ledger has other prices" in capsys.readouterr().err


FAULTS = {
    "no such point": ("a,Z,B,fixed_quantity,1,1,,,,", "row 2, seller_point: 'Z' is no known point of points.csv"),
    "no name": ("a b,A,B,fixed_quantity,1,1,,,,", "row 2, agreement: 'a b' is no name"),
    "no basis": ("a,A,B,swap,1,1,,,,", "row 2, basis: 'swap' is no basis of an agreement; give one of difference,"),
    "with itself": ("a,A,A,fixed_quantity,1,1,,,,", "row 2, basis: buyer_point is another point than seller_point"),
    "in two areas": ("a,A,D,fixed_quantity,1,1,,,,", "row 2, buyer_point: D is in the area Y, the seller in X"),
    "neither quantity nor share": (
        "a,A,B,fixed_quantity,1,,,,,",
        "row 2, basis: it has either quantity_kwh or share_ppm",
    ),
    "quantity and share": ("a,A,B,fixed_quantity,1,1,5,,,", "row 2, basis: it has either quantity_kwh or share_ppm"),
    "a share as a fixed quantity": ("a,A,B,fixed_quantity,1,,5,,,", "row 2, basis: fixed_quantity has quantity_kwh"),
    "a quantity of what is produced": ("a,A,B,pay_as_produced,1,1,,,,", "row 2, basis: pay_as_produced has share_ppm"),
    "a quantity of 0": (
        "a,A,B,fixed_quantity,1,0,,,,",
        "row 2, basis: quantity_kwh is a whole number, 1 to 1000000000",
    ),
    "more than a Wh can say": (
        "a,A,B,fixed_quantity,1,0.0001,,,,",
        "row 2, quantity_kwh: '0.0001' has 4 decimal places",
    ),
    "a share above all": (
        "a,A,B,pay_as_produced,1,,1000001,,,",
        "row 2, share_ppm: '1000001' is none; give a whole number, 1 to",
    ),
    "a price that none has": (
        "a,A,B,fixed_quantity,1000000001,1,,,,",
        "row 2, price_micro_per_kwh: '1000000001' is none",
    ),
    "a difference without a reference": ("a,A,B,difference,1,1,,,,", "row 2, basis: series is missing"),
    "a series without prices": (
        "a,A,B,difference,1,1,,other,,",
        ": the agreement a names the series 'other', which has no price from the first slot on; give prices.csv rows with the key other",
    ),
    "an end before the begin": (
        "a,A,B,fixed_quantity,1,1,,,2025-06-01T00:00:00Z,2025-05-01T00:00:00Z",
        "row 2, valid_until: ends at 2025-05-01T00:00:00Z, not after it begins",
    ),
    "a name twice": (
        "a,A,B,fixed_quantity,1,1,,,,\na,A,C,fixed_quantity,1,1,,,,",
        "row 3, agreement: the agreement a stands in row 2 already; give each a name of its own",
    ),
    "a ninth agreement": (
        "\n".join(f"a{number},A,B,fixed_quantity,1,1,,,," for number in range(9)),
        "row 10, agreement: A has more than 8 agreements at a time",
    ),
    "another column": (None, "row 1: has no column 'basis'; its header is agreement,seller_point,buyer_point,basis"),
}


@pytest.mark.parametrize(("rows", "line"), FAULTS.values(), ids=FAULTS)
def test_an_agreement_that_is_none_is_one_line(tmp_path: Path, rows: str | None, line: str) -> None:
    content = HEADER.replace("basis", "kind") if rows is None else f"{HEADER}{rows}\n"
    path = folder(
        tmp_path,
        agreements_csv=content,
        prices_csv=None,
        points_csv="point,party,area\nA,MA,X\nB,MB,X\nC,MC,X\nD,MD,Y\n",
        readings_csv=READINGS + "2025-06-01T00:00:00Z,D,0,0\n2025-06-01T00:15:00Z,D,0,0\n",
    )
    with pytest.raises(UsageError) as raised:
        read_folder(path)
    assert str(raised.value).startswith(f"agreements.csv{', ' if line.startswith('row') else ''}{line}")
    assert "\n" not in str(raised.value)


def test_eight_agreements_and_a_ninth_behind_the_end_of_one_are_read(tmp_path: Path) -> None:
    rows = [f"a{number},A,B,fixed_quantity,1,1,,,,2025-06-01T00:15:00Z" for number in range(8)]
    rows.append("b,A,B,fixed_quantity,1,1,,,2025-06-01T00:15:00Z,")
    read = read_folder(folder(tmp_path, prices_csv=None, agreements_csv=HEADER + "".join(f"{row}\n" for row in rows)))
    assert len(read.agreements) == 9


def test_a_folder_whose_contract_takes_no_agreements_says_that_the_file_is_not_read(tmp_path: Path) -> None:
    path = folder(tmp_path, prices_csv=None)
    (path / "rules.toml").write_text(RULES)
    assert read_folder(path).notes == ["agreements.csv is not read: mid_market_rate/1 does not use it"]


def test_a_folder_has_so_many_agreements_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreements, "AGREEMENTS_MAX", 3)
    assert len(read_folder(folder(tmp_path / "three")).agreements) == 3
    four = AGREEMENTS + "z,B,C,fixed_quantity,1,1,,,,\n"
    with pytest.raises(UsageError, match=r"agreements\.csv: holds more than 3 agreements; settle fewer at once"):
        read_folder(folder(tmp_path / "four", agreements_csv=four))


def test_a_line_is_explained_by_its_agreements_in_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(folder(tmp_path / "in"), out := tmp_path / "out")
    capsys.readouterr()
    command = ["settle", "explain", "--line", "MC/1748736000/agreement_difference", "--data", str(out / "ledger")]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "Agreement hedge: buys 1000 Wh, strike less reference price\n    -30000 1e-6 CNY/kWh" in shown
    assert "Amount: what these agreements come to\n    -30000000 1e-9 CNY" in shown
    assert main([*command, "--language", "zh_CN"]) == 0
    assert "协议 hedge：购电 1000 Wh，合约价减参考价" in capsys.readouterr().out
