"""``gridledger settle what-if`` and ``compare``: other rules on the same readings, and what they change for each party."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridledger.cli import main
from gridledger.settling import compared_lines
from gridledger.settling.participants import Participant, read_participants
from gridledger.settling.variants import VARIANTS_MAX
from tests.unit.settling.folders import AUCTION, READINGS, RULES, make_folder

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "settle-community"
RATIO = RULES.replace("mid_market_rate", "supply_demand_ratio")
DEARER = RULES.replace("residual_price_micro_per_kwh = 460000", "residual_price_micro_per_kwh = 560000")


def called(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    assert main(["settle", *map(str, arguments), "--json"]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["settle", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def file_of(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def settled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "settled"
    called(capsys, "files", make_folder(tmp_path / "in", {}), "--out", out)
    return out


def test_the_example_prints_the_table_of_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = EXAMPLE / "supply-demand.toml"
    assert main(["settle", "what-if", str(EXAMPLE), "--rules", str(rules), "--out", str(tmp_path / "out")]) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()[1:13]]
    page = [line.strip() for line in (ROOT / "docs" / "settle-files.md").read_text("utf-8").splitlines()]
    assert printed[0].startswith("party")
    assert all(line in page for line in printed)


def test_a_variant_is_what_the_folder_with_its_rules_would_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = make_folder(tmp_path / "in", {}), tmp_path / "out"
    ratio, dearer = file_of(tmp_path / "ratio.toml", RATIO), file_of(tmp_path / "dearer.toml", DEARER)
    answer = called(capsys, "what-if", folder, "--rules", ratio, "--rules", dearer, "--out", out)
    other = make_folder(tmp_path / "other", {"rules.toml": RATIO})
    alone = called(capsys, "files", other, "--out", tmp_path / "alone")
    variants = answer["variants"]
    assert isinstance(variants, list)
    assert [one["name"] for one in variants] == ["ratio", "dearer"]
    assert variants[0]["results_root"] == alone["results_root"]
    assert variants[0]["contract"] == "supply_demand_ratio/1"
    assert sorted(path.name for path in out.iterdir()) == ["base", "comparison.csv", "comparison_lines.csv", "variants"]
    assert {path.name for path in (out / "variants" / "ratio").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }
    rows = rows_of(out / "comparison.csv")
    assert [(row["variant"], row["party"]) for row in rows] == [
        (variant, party) for variant in ("ratio", "dearer") for party in ("M1", "M2")
    ]


def test_another_contract_moves_money_between_parties_alone_and_without_out_nothing_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ratio = make_folder(tmp_path / "in", {}), file_of(tmp_path / "ratio.toml", RATIO)
    answer = called(capsys, "what-if", folder, "--rules", ratio)
    variants = answer["variants"]
    assert isinstance(variants, list)
    assert variants[0]["sums"]["change"]["saving_nano"] == 0
    assert any(each["change"]["saving_nano"] for each in variants[0]["participants"])
    assert answer["out"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "ratio.toml"]


def test_a_settled_folder_under_other_rules_needs_its_ledger_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path
) -> None:
    rules = file_of(tmp_path / "ratio.toml", RATIO)
    before = sorted((path, path.stat().st_mtime_ns) for path in settled.glob("*.csv"))
    from_ledger = called(capsys, "what-if", "--from", settled, "--rules", rules, "--out", tmp_path / "a")
    from_files = called(capsys, "what-if", tmp_path / "in", "--rules", rules, "--out", tmp_path / "b")
    assert from_ledger["variants"] == from_files["variants"]
    assert from_ledger["base"] == str(settled)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "comparison.csv",
        "comparison_lines.csv",
        "variants",
    ]
    assert sorted((path, path.stat().st_mtime_ns) for path in settled.glob("*.csv")) == before


def test_corrected_readings_are_those_that_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path
) -> None:
    newer = "".join(READINGS.splitlines(keepends=True)[:2]).replace("0.5", "0.7")
    called(capsys, "files", make_folder(tmp_path / "newer", {"readings.csv": newer}), "--onto", settled)
    same = file_of(tmp_path / "same.toml", RULES)
    answer = called(capsys, "what-if", "--from", settled, "--rules", same, "--out", tmp_path / "out")
    variants = answer["variants"]
    assert isinstance(variants, list)
    assert set(variants[0]["sums"]["change"].values()) == {0}


def test_what_a_party_saves_is_what_the_supplier_alone_would_have_cost_less_what_it_pays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(capsys, "files", EXAMPLE, "--out", tmp_path / "out")
    parties = read_participants(tmp_path / "out")
    assert len(parties) == 9
    paid = dict.fromkeys(parties, 0)
    for row in rows_of(tmp_path / "out" / "statements.csv"):
        paid[row["party"]] += int(row["amount_nano"])
    for name, party in parties.items():
        alone_nano = party.import_wh * (310_000 + 90_000 + 25_000) - party.export_wh * 80_000
        assert party.saving_nano == alone_nano - paid[name]
    documents = rows_of(tmp_path / "out" / "invoices.csv")
    for name, party in parties.items():
        gross = sum(int(row["gross"]) for row in documents if row["party"] == name)
        assert party.gross_nano == gross * 10_000_000 == party.net_nano + party.tax_nano


def test_two_settled_folders_are_compared_exactly_as_csv_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path
) -> None:
    called(capsys, "files", make_folder(tmp_path / "b", {"rules.toml": DEARER}), "--out", tmp_path / "other")
    answer = called(capsys, "compare", settled, tmp_path / "other", "--out", tmp_path / "both.csv")
    a, b = read_participants(settled), read_participants(tmp_path / "other")
    rows = rows_of(tmp_path / "both.csv")
    assert [row["party"] for row in rows] == ["M1", "M2"]
    for row in rows:
        for name in ("bought_wh", "sold_wh", "net_nano", "tax_nano", "gross_nano", "saving_nano"):
            values = [getattr(side[row["party"]], name) for side in (a, b)]
            assert [int(row[f"{of}_{name}"]) for of in ("a", "b", "change")] == [*values, values[1] - values[0]]
    sums = answer["sums"]
    assert isinstance(sums, dict)
    assert sums["change"]["net_nano"] == sum(int(row["change_net_nano"]) for row in rows)
    again = refused(capsys, "compare", settled, tmp_path / "other", "--out", tmp_path / "both.csv")
    assert "is there already" in again


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one._replace(party="M9"), "has no party M2"),
        (lambda one: one._replace(points=3), "party M2 has 3 points, and 1 in"),
        (lambda one: one._replace(import_wh=7), "party M2 has 0.007 kWh imported, 12.250 exported, and 0.001 kWh"),
    ],
)
def test_settlements_of_other_points_or_readings_are_not_compared(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settled: Path,
    change: Callable[[Participant], Participant],
    words: str,
) -> None:
    other = with_participants(tmp_path, settled, lambda one: change(one) if one.party == "M2" else one)
    assert words in refused(capsys, "compare", settled, other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"end_s": 2_000_000_000}, "compare the same days"),
        ({"first_slot_start_s": 0}, "is from 1970-01-01T00:00:00Z to"),
        ({"currency": "EUR"}, "is in EUR, and"),
    ],
)
def test_settlements_of_other_days_or_currencies_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path, change: dict[str, Any], words: str
) -> None:
    other = with_participants(tmp_path, settled, lambda one: one._replace(**change))
    assert words in refused(capsys, "compare", settled, other)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("M1,", "M1;x,"), "row 2, party: is no party"),
        (("M2,", "M1,"), "row 3, party: the party M1 stands there twice"),
        (("saving_nano", "savings"), "row 1: has no column 'saving_nano'"),
        ((",CNY,", ",,"), "row 2, currency: is no currency"),
    ],
)
def test_a_file_of_participants_that_was_changed_by_hand_is_refused_by_row_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path, changed: tuple[str, str], words: str
) -> None:
    path = settled / "participants.csv"
    path.write_text(path.read_text().replace(*changed))
    assert f"{path}, {words}" in refused(capsys, "compare", settled, settled)


def test_a_folder_that_was_not_settled_is_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no participants.csv" in refused(capsys, "compare", tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (RULES.replace("mid_market_rate", "mid_market_rat"), "did you mean 'mid_market_rate/1'?"),
        (RULES.replace("slot_s = 900", "slot_s = 300"), "slot"),
        (RULES.replace("Europe/Berlin", "Asia/Shanghai"), "[timeline]"),
        (RULES + '[invoice]\ncurrency = "EUR"\n', "[invoice] currency is EUR, and CNY in the folder"),
        (RULES + "levy = 1\n", "levy"),
    ],
)
def test_rules_that_do_not_fit_the_folder_are_one_line_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rules: str, words: str
) -> None:
    folder, path = make_folder(tmp_path / "in", {}), file_of(tmp_path / "other.toml", rules)
    line = refused(capsys, "what-if", folder, "--rules", path, "--out", tmp_path / "out")
    assert f"--rules {path}: " in line
    assert words in line
    assert sorted(made.name for made in tmp_path.iterdir()) == ["in", "other.toml"]


def test_estimates_that_make_other_energies_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = [f"2025-06-{day:02}T{hour:02}:00:00Z,P1,0.{day + hour},0,\n" for day in range(1, 9) for hour in range(24)]
    rows = [*days, *(row.replace("P1", "P2") for row in days[:-1])]
    text = "start,point,import_kwh,export_kwh,quality\n" + "".join(rows)
    hourly = RULES.replace("slot_s = 900", "slot_s = 3600")
    folder = make_folder(tmp_path / "in", {"rules.toml": hourly, "readings.csv": text})
    path = file_of(tmp_path / "open.toml", hourly + '[estimate]\nmethod = "open"\n')
    line = refused(capsys, "what-if", folder, "--rules", path, "--out", tmp_path / "out")
    assert "makes other energies of the readings" in line


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (AUCTION.replace("slot_s", 'timezone = "Europe/Berlin"\nslot_s'), "needs orders, and the ledger has none"),
        (RULES.replace("slot_s = 900", "slot_s = 300"), "its rows are 900 s apart, [timeline] slot_s is 300"),
        (RULES + '[invoice]\ncurrency = "EUR"\n', "[invoice] currency is EUR, and CNY in the folder"),
    ],
)
def test_rules_that_do_not_fit_a_settled_folder_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path, rules: str, words: str
) -> None:
    path = file_of(tmp_path / "other.toml", rules)
    assert words in refused(capsys, "what-if", "--from", settled, "--rules", path, "--out", tmp_path / "out")


@pytest.mark.parametrize("scope", [",", "A1,", ",P1"])
def test_a_settled_folder_whose_prices_vary_is_tried_from_its_ledger_as_from_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scope: str
) -> None:
    prices = f"start,key,price_micro_per_kwh,area,point\n2025-06-01T00:15:00Z,levy_micro_per_kwh,7,{scope}\n"
    folder, settled = make_folder(tmp_path / "in", {"prices.csv": prices}), tmp_path / "settled"
    called(capsys, "files", folder, "--out", settled)
    rules = file_of(tmp_path / "dearer.toml", DEARER)
    from_ledger = called(capsys, "what-if", "--from", settled, "--rules", rules)
    assert from_ledger["variants"] == called(capsys, "what-if", folder, "--rules", rules)["variants"]


def test_arguments_that_do_not_go_together_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path
) -> None:
    folder, rules, out = tmp_path / "in", file_of(tmp_path / "r.toml", RULES), tmp_path / "out"
    (tmp_path / "again").mkdir()
    same = file_of(tmp_path / "again" / "r.toml", RULES)
    base, odd = file_of(tmp_path / "base.toml", RULES), file_of(tmp_path / "a b.toml", RULES)
    many = [argument for at in range(VARIANTS_MAX + 1) for argument in ("--rules", tmp_path / f"{at}.toml")]
    for arguments, words in (
        ([folder, "--from", settled, "--rules", rules], "name DIR or --from OUT, one of them"),
        (["--rules", rules], "name DIR or --from OUT, one of them"),
        (["--from", settled, "--preset", "nem12", "--rules", rules], "--preset is of DIR"),
        (["--from", folder, "--rules", rules], "holds no ledger"),
        ([folder, "--rules", rules, "--rules", same], "r names"),
        ([folder, "--rules", base], "cannot name a variant"),
        ([folder, "--rules", odd], "cannot name a variant"),
        ([folder, *many], "17 files; give 16 at most"),
        ([folder, "--rules", tmp_path / "none.toml"], "none.toml"),
    ):
        assert words in refused(capsys, "what-if", *arguments, "--out", out)
        assert not out.exists()
    assert "is not empty" in refused(capsys, "what-if", folder, "--rules", rules, "--out", tmp_path)


def with_participants(tmp_path: Path, settled: Path, change: Callable[[Participant], Participant]) -> Path:
    """A folder with nothing but changed participants."""
    other = tmp_path / "changed"
    other.mkdir()
    rows = [change(one) for one in read_participants(settled).values()]
    lines = [",".join(Participant._fields), *(",".join(map(str, row)) for row in rows)]
    (other / "participants.csv").write_text("\n".join(lines) + "\n")
    return other


TARIFF = """
[[tariff.component]]
name = "stay"
account = "grid"
base = "day"
price_micro_per_day = 70000
"""


def test_each_kind_of_line_of_each_party_is_compared_the_components_of_a_tariff_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, rules = make_folder(tmp_path / "in", {}), file_of(tmp_path / "stay.toml", RATIO + TARIFF)
    out, language = tmp_path / "out", ("--language", "zh_CN")
    assert main(["settle", "what-if", str(folder), "--rules", str(rules), "--out", str(out), *language]) == 0
    printed = capsys.readouterr().out
    assert "用户" in printed
    assert "各项金额不含税，且未舍入" in printed
    shown = [line.split() for line in printed.splitlines() if line.startswith(("M1", "M2", "合计"))]
    assert ["M1", "stay", "0.000", "(0.000)", "0.07", "(+0.07)"] in shown
    assert ["合计", "stay", "0.000", "(0.000)", "0.14", "(+0.14)"] in shown
    rows = rows_of(out / "comparison_lines.csv")
    assert {row["party"] for row in rows if row["line_kind"] == "stay"} == {"M1", "M2"}
    assert {row["change_amount_nano"] for row in rows if row["line_kind"] == "stay"} == {"70000000"}
    per_party = {row["party"]: 0 for row in rows}
    for row in rows_of(out / "variants" / "stay" / "invoice_lines.csv"):
        per_party[row["party"]] += int(row["amount_nano"])
    for row in rows:
        per_party[row["party"]] -= int(row["b_amount_nano"])
    assert set(per_party.values()) == {0}


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("community_buy", "network_traded", "stay"), "Network charge, community energy"),
        (("community_buy", "trade_buy", "network_traded"), "network_traded"),
    ],
)
def test_lines_have_the_words_of_the_contracts_that_have_all_of_their_kinds(kinds: tuple[str, ...], words: str) -> None:
    nothing = compared_lines.LineSum(0, 0)
    lines = [compared_lines.LineDifference("M1", kind, nothing, nothing) for kind in kinds]
    printed = compared_lines.text(lines, "en").splitlines()
    assert len(printed) == len(kinds) + 2
    assert sum(line.startswith(f"M1     {words} ") for line in printed) == 1


def test_compare_writes_the_lines_and_of_many_rows_prints_those_of_all_parties(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settled: Path
) -> None:
    other = tmp_path / "other"
    called(capsys, "files", make_folder(tmp_path / "b", {"rules.toml": RULES + TARIFF}), "--out", other)
    sides, file = (str(settled), str(other)), tmp_path / "lines.csv"
    answer = called(capsys, "compare", *sides, "--lines", file)
    lines = answer["lines"]
    assert isinstance(lines, list)
    stays = [(one["party"], one["change"]["amount_nano"]) for one in lines if one["line_kind"] == "stay"]
    assert stays == [("M1", 70_000_000), ("M2", 70_000_000), ("", 140_000_000)]
    assert "is there already" in refused(capsys, "compare", *sides, "--lines", file)
    assert len(rows_of(file)) == len([one for one in lines if one["party"]])
    monkeypatch.setattr(compared_lines, "SHOWN_MAX", len(lines) - 1)
    assert main(["settle", "compare", *sides, "--language", "en"]) == 0
    printed = capsys.readouterr().out
    assert f"{len(lines)} rows with those of each party: what-if --out and compare --lines write them" in printed
    (settled / "invoice_lines.csv").unlink()
    assert "holds no invoice_lines.csv; settle it again" in refused(capsys, "compare", *sides)
