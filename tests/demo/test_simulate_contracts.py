"""Scenarios under contracts of the catalogue: what agents, ledger and --direct make of the same rules, keys, prices and agreements."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gridledger.cli import main
from ledger.leaves.runs import RUNS
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.demo.demo_run import ABROAD, Finished, run_simulation
from tests.demo.test_simulate_direct import RULES
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
SLOTS = 4
FEEDER_STEP_WH, METER_STEP_WH = 1_200, 100
"""What a feeder's register counts in, and more than a home's or a shop's does."""
ARRIVAL = """
[market]
contract = "continuous_double_auction/1"

[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
surplus_price_micro_per_kwh = 280000
shortfall_price_micro_per_kwh = 460000
network_traded_micro_per_kwh = 180000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
"""
COMMUNITY = RULES.partition("[prices]")[2]
KEYS = f"""
[market]
contract = "sharing_keys/1"
method = "static"
trade_price_micro_per_kwh = 360000

[prices]{COMMUNITY}
[invoice]
tax_ppm = 130000

[[tariff.component]]
name = "grid"
account = "network"
base = "import"
levels = [["0.4kV", 20000], ["10kV", 10000]]
user_level = "0.4kV"

[[tariff.component]]
name = "spot"
account = "grid"
base = "residual"
price_series = "spot"
"""
DATES = """
[timeline]
final_after_s = 2592000

[runs]
initial_measured_ppm = 900000
initial_last_after_s = 86400
final_run_after_s = 864000
dispute_material_nano = 1000000000

[[runs.corrections]]
due_after_s = 172800
measured_ppm = 900000
"""
CORRECTED_AFTER_S = 172_800
LOST = '\n[[events]]\nlabel = "a"\nkind = "lost"\ntarget = "M-H003"\nfrom_slot = 1\nuntil_slot = 2\n'
KEYS_FOLDER = {
    "rules.toml": KEYS + DATES,
    "keys.csv": "point,share_ppm,valid_from\nM-H006,700000,\nM-H018,300000,2026-04-15T00:30:00\n",
    "prices.csv": (
        "start,key,price_micro_per_kwh,point\n"
        "2026-04-15T00:00:00,spot,30000,\n2026-04-15T00:30:00,spot,-10000,\n"
        "2026-04-15T00:30:00,residual_price_micro_per_kwh,430000,\n"
        "2026-04-15T00:00:00,feed_in_price_micro_per_kwh,300000,M-H013\n"
    ),
    "points.csv": "point,voltage_level,supplier\nM-L001,10kV,other\n",
}
BALANCE = """
[balance]
loss_responsible = "grid"
loss_price_micro_per_kwh = 400000
gain_price_micro_per_kwh = 250000
surplus_price_micro_per_kwh = 200000
shortfall_price_micro_per_kwh = 600000
"""
AGREED_FOLDER = {
    "rules.toml": RULES.replace("mid_market_rate/1", "bilateral_agreements/1") + BALANCE,
    "agreements.csv": (
        "agreement,seller_point,buyer_point,basis,price_micro_per_kwh,share_ppm,series\n"
        "roof,M-H013,M-H006,pay_as_produced,0,500000,deal\n"
    ),
    "prices.csv": "start,key,price_micro_per_kwh\n2026-04-15T00:00:00,deal,350000\n2026-04-15T00:30:00,deal,370000\n",
}
MONTHLY_FOLDER = {
    "rules.toml": RULES.replace("mid_market_rate/1", "bill_sharing/1"),
    "points.csv": (
        "point,party,valid_from\nM-H018,T-1,2026-04-15T00:30:00\n"
        "M-H006,H018,2026-04-15T00:15:00\nM-H018,T-2,2026-04-15T00:45:00\n"
    ),
}
"""Somebody else moves in, twice at one home, and at another one who is billed elsewhere too."""


def rules_folder(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder of rules."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def run_with(rules: Path, out: Path, *words: str) -> Finished:
    """The begin of a day in the village under some rules."""
    return run_simulation(out, short_copy("village_day", out.parent, SLOTS), "--rules", str(rules), *words)


@pytest.mark.parametrize("files", [AGREED_FOLDER, MONTHLY_FOLDER], ids=["agreements", "monthly"])
def test_without_orders_agents_and_columns_settle_the_same(files: dict[str, str], tmp_path: Path) -> None:
    rules = rules_folder(tmp_path / "rules", files)
    agents, direct = run_with(rules, tmp_path / "agents"), run_with(rules, tmp_path / "direct", "--direct")
    assert (agents.json["readings_missing"], agents.json["orders"]) == (0, 0)
    assert agents.json["energy_traded_wh"] == direct.json["traded_wh"] > 0
    for name in ("statements.csv", "postings.csv"):
        assert (agents.out / name).read_bytes() == (direct.out / "settlement" / name).read_bytes(), name
    assert (agents.out / "settlement.csv").read_bytes() == (direct.out / "settlement.csv").read_bytes()
    billed = {row["party"] for row in agents.rows("statements.csv")}
    assert {row["party"] for row in agents.rows("settlement.csv") if int(row["import_wh"])} <= billed
    assert ({"T-1", "T-2"} <= billed) == ("points.csv" in files)
    for name, text in files.items():
        assert (agents.out / name).read_text() == text, name
    assert "--seed 7 --rules . --out DIR" in (agents.out / "report.html").read_text("utf-8")


def test_keys_prices_levels_and_a_tariff_reach_the_ledger_and_the_folder_can_be_run_again(tmp_path: Path) -> None:
    rules = rules_folder(tmp_path / "rules", KEYS_FOLDER)
    agents, direct = run_with(rules, tmp_path / "agents"), run_with(rules, tmp_path / "direct", "--direct")
    assert agents.json["energy_traded_wh"] == direct.json["traded_wh"] > 0
    assert (agents.out / "settlement.csv").read_bytes() == (direct.out / "settlement.csv").read_bytes()
    for name in ("statements.csv", "postings.csv"):
        assert (agents.out / name).read_bytes() == (direct.out / "settlement" / name).read_bytes(), name
    assert {"grid", "spot", "trade_buy"} <= {row["line_kind"] for row in agents.rows("statements.csv")}
    assert agents.json["postings_sum_nano"] == 0
    assert {row["party"] for row in agents.rows("statements.csv") if row["line_kind"] == "trade_buy"} == {
        "H006",
        "H018",
    }
    bundle = [sys.executable, "-I", "-S", "verify.py", "sample.evd", "--trust", "trust.json"]
    assert subprocess.run(bundle, cwd=agents.out, capture_output=True, check=False).returncode == 0
    again = run_with(agents.out, tmp_path / "again")
    assert again.json["results_root"] == agents.json["results_root"]


def test_continuous_trading_is_the_same_in_other_surroundings_and_as_columns_and_its_fills_have_no_price_of_the_gate(
    tmp_path: Path,
) -> None:
    (tmp_path / "cda.toml").write_text(ARRIVAL)
    scenario, words = short_copy("village_day", tmp_path, SLOTS), ("--rules", str(tmp_path / "cda.toml"))
    here = run_simulation(tmp_path / "here", scenario, *words)
    abroad = run_simulation(tmp_path / "abroad", scenario, *words, surroundings=ABROAD)
    direct = run_simulation(tmp_path / "direct", scenario, *words, "--direct")
    assert abroad.json["results_root"] == here.json["results_root"]
    for name in ("statements.csv", "postings.csv"):
        assert (here.out / name).read_bytes() == (direct.out / "settlement" / name).read_bytes(), name
    assert here.json["energy_traded_wh"] > 0
    assert {row["price_micro_per_kwh"] for row in here.rows("fills.csv")} == {""}
    manifest = json.loads((here.out / "manifest.json").read_text())
    assert manifest["contract"] == "continuous_double_auction/1"
    prices = {row["price_micro_per_kwh"] for row in here.rows("statements.csv") if row["line_kind"] == "trade_buy"}
    assert prices == {""}


def test_losses_of_areas_are_the_same_in_the_ledger_of_agents_and_in_the_folder_of_columns(tmp_path: Path) -> None:
    rules = rules_folder(tmp_path / "rules", AGREED_FOLDER)
    agents, direct = run_with(rules, tmp_path / "agents"), run_with(rules, tmp_path / "direct", "--direct")
    starts = [int(row["slot_start_s"]) for row in direct.rows("losses.csv")]
    words = ["--area", "A1", "--from", str(starts[0]), "--until", str(starts[-1] + 900), "--out", str(tmp_path / "of")]
    assert main(["settle", "balance", "--data", str(agents.out / "ledger"), *words]) == 0
    for name in ("balance.csv", "balance_accounts.csv"):
        assert (tmp_path / "of" / name).read_bytes() == (direct.out / "settlement" / name).read_bytes(), name
    shown = {
        row["slot_start_s"]: int(row["loss_wh"]) - int(row["gain_wh"]) for row in direct.rows("settlement/balance.csv")
    }
    assert len(shown) == SLOTS
    true_wh = sum(int(row["loss_wh"]) for row in direct.rows("losses.csv"))
    assert abs(sum(shown.values()) - true_wh) < FEEDER_STEP_WH + 26 * METER_STEP_WH


@pytest.mark.soak
def test_what_a_lost_reading_changes_is_posted_at_the_date_of_a_correction_and_comes_to_the_same(
    tmp_path: Path,
) -> None:
    scenario, rules = Path(short_copy("village_day", tmp_path, SLOTS)), tmp_path / "dates.toml"
    scenario.write_text(scenario.read_text() + LOST)
    rules.write_text(RULES + DATES)
    dated = run_simulation(tmp_path / "dated", str(scenario), "--rules", str(rules))
    (tmp_path / "at-once.toml").write_text(RULES)
    at_once = run_simulation(tmp_path / "at-once", str(scenario), "--rules", str(tmp_path / "at-once.toml"))
    assert dated.json["corrections"] == at_once.json["corrections"] > 0
    assert dated.json["results_root"] == at_once.json["results_root"]
    made_after_s: dict[str, list[int]] = {"initial": [], "correction-1": []}
    with reading(dated.out / "ledger", CONTRACTS) as reader:
        for slot in {int(row["slot_start_s"]) for row in dated.rows("truth.csv")}:
            for run, height in RUNS.must(reader, slot, "demo").runs:
                made_after_s[run].append(reader.header(height).ledger_time_s - slot - 900)
    assert max(made_after_s["initial"]) <= 86_400 < CORRECTED_AFTER_S <= min(made_after_s["correction-1"])
