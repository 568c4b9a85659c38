"""Worlds fed to the ledger as columns: the same settlement as through agents, in any surroundings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridledger.cli import main
from simulators.scenarios.gallery import find_scenario
from tests.demo.demo_run import ABROAD, Finished, one_processor, run_simulation
from tests.demo.test_simulate_small import SLOTS, short_copy

WORLD = "truth voltages loadings losses violations events meters reported settlement".split()
BILLS = "statements postings participants invoices".split()
DEMO_TIMES = "open_before_start_s = 86400\ngate_before_start_s = 300\n"
RULES = """
[market]
contract = "mid_market_rate/1"

[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 150000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
"""


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The begin of a day in the village."""
    folder = tmp_path_factory.mktemp("direct")
    return run_simulation(folder / "out", short_copy("village_day", folder, SLOTS), "--direct")


def test_the_same_bytes_come_out_abroad_and_on_one_processor(direct: Finished, tmp_path: Path) -> None:
    with one_processor():
        abroad = run_simulation(
            tmp_path / "out", short_copy("village_day", tmp_path, SLOTS), "--direct", surroundings=ABROAD
        )
    assert (direct.status, abroad.status) == (0, 0), abroad.stderr
    names = [f"{name}.csv" for name in WORLD] + [f"settlement/{name}.csv" for name in BILLS]
    for name in names:
        assert (abroad.out / name).read_bytes() == (direct.out / name).read_bytes(), name
    manifests = [json.loads((run.out / "manifest.json").read_text()) for run in (direct, abroad)]
    assert manifests[0]["sm3"] == manifests[1]["sm3"]


@pytest.mark.slow
def test_direct_and_through_agents_settle_the_same_where_nothing_goes_wrong(direct: Finished, tmp_path: Path) -> None:
    agents = run_simulation(tmp_path / "out", short_copy("village_day", tmp_path, SLOTS))
    assert agents.json["fills"] > 0
    for name in WORLD:
        assert (agents.out / f"{name}.csv").read_bytes() == (direct.out / f"{name}.csv").read_bytes(), name
    for name in ("statements.csv", "postings.csv"):
        assert (agents.out / name).read_bytes() == (direct.out / "settlement" / name).read_bytes(), name


def test_other_rules_settle_the_same_world_and_without_bills_the_sums_are_the_same(
    direct: Finished, tmp_path: Path
) -> None:
    (tmp_path / "mid.toml").write_text(RULES)
    scenario = short_copy("village_day", tmp_path, SLOTS)
    words = ("--direct", "--rules", str(tmp_path / "mid.toml"))
    billed = run_simulation(tmp_path / "billed", scenario, *words)
    bare = run_simulation(tmp_path / "bare", scenario, *words, "--no-bills")
    assert billed.json["contract"] == "mid_market_rate/1"
    assert billed.json["traded_wh"] > 0
    assert billed.json["pays_nano"] != direct.json["pays_nano"]
    for name in ("truth.csv", "reported.csv"):
        assert (billed.out / name).read_bytes() == (direct.out / name).read_bytes(), name
    assert (bare.out / "settlement.csv").read_bytes() == (billed.out / "settlement.csv").read_bytes()
    assert not (bare.out / "settlement" / "statements.csv").exists()
    again = "simulate run scenario.toml --seed 7 --direct --rules rules.toml"
    assert f"{again} --out DIR" in (billed.out / "report.html").read_text("utf-8")
    assert f"{again} --no-bills --out DIR" in (bare.out / "report.html").read_text("utf-8")


def test_rules_over_energies_look_at_a_ledger_of_imported_ones_and_the_others_say_what_is_not_there(
    direct: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, rules = direct.out / "settlement" / "ledger", tmp_path / "rules.toml"
    rules.write_text("rules_version = 1\n[limits]\npercent_max = 1\n[keys]\nrefused_per_day_max = 0\n")
    assert main(["watch", "replay", "--data", str(ledger), "--rules", str(rules), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["without_data"] == {"keys": "no batches of gateways"}
    reported = direct.rows("reported.csv")
    limits = {row["meter"]: int(row["limit_wh"]) // 100 for row in direct.rows("meters.csv")}
    above = [row for row in reported if max(int(row["import_wh"]), int(row["export_wh"])) > limits[row["meter"]]]
    expected = {
        (row["meter"], int(row["slot_start_s"]), max(int(row["import_wh"]), int(row["export_wh"]))) for row in above
    }
    assert {(alert["subject"], alert["from_s"], alert["value"]) for alert in found["alerts"]} == expected
    assert len(expected) > 1
    assert all(alert["blocks"] for alert in found["alerts"])
    rules.write_text("rules_version = 1\n[monotone]\nback_wh_max = 0\n")
    assert main(["watch", "replay", "--data", str(ledger), "--rules", str(rules)]) == 2
    assert "no rule has anything to look at (monotone: energies of slots were imported" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scenario", "words", "said"),
    [
        (
            "blackout_and_restart",
            ["--direct"],
            "needs meters and agents, which --direct has none of; leave --direct out, or the event",
        ),
        ("crowd.toml", [], "households.trading 11301: through agents 11300 at most; give --direct"),
        ("far.toml", [], "timeline.gate_before_start_s 86400: through agents less than 86400, which is when ledger"),
        ("late.toml", [], "timeline.open_before_start_s 1100: at least 1200, a slot before the gate"),
        ("village_day", ["--no-bills"], "--no-bills is of --direct; give it too"),
        ("village_day", ["--direct", "--speed", "60"], "--speed is of agents, and --direct has none"),
        ("village_day", ["--direct", "--rules", "hourly.toml"], "slot_s is 3600; a simulated world has slots of 900 s"),
        ("village_day", ["--direct", "--rules", "away"], "away/rules.toml: cannot be read (No such file or directory)"),
        ("village_day", ["--direct", "--rules", "berlin.toml"], "timezone is Europe/Berlin, and Asia/Shanghai in"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(
    scenario: str, words: list[str], said: str, tmp_path: Path
) -> None:
    crowd = find_scenario("demonstration").data.decode().replace("trading = 113\n", "trading = 11301\n")
    (tmp_path / "crowd.toml").write_text(crowd)
    for name, opens_s, gate_s in (("far", 90_000, 86_400), ("late", 1_100, 300)):
        times = f"open_before_start_s = {opens_s}\ngate_before_start_s = {gate_s}\n"
        far = find_scenario("demonstration").data.decode()
        (tmp_path / f"{name}.toml").write_text(far.replace(DEMO_TIMES, times))
    (tmp_path / "hourly.toml").write_text(f"{RULES}\n[timeline]\nslot_s = 3600\n")
    (tmp_path / "berlin.toml").write_text(f'{RULES}\n[timeline]\ntimezone = "Europe/Berlin"\n')
    (tmp_path / "away").mkdir()
    refused = run_simulation(tmp_path / "out", scenario, *words)
    assert refused.status == 2
    assert said in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
