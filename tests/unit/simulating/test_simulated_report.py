"""The report of a simulated world: one file in two languages that loads nothing, and whose sums are those of the tables beside it."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from gridcore.quality import ESTIMATED, MEASURED
from gridledger.settling.dataset import LaterPrices
from gridledger.simulating import event_report, report
from gridledger.simulating.direct import DirectPlan, run_direct
from gridledger.simulating.event_report import KINDS, effect_of
from gridledger.simulating.report import Money, write_report
from gridledger.simulating.settled import SettledWorld
from settlement.catalogue import CATALOGUE
from simulators.grid.world import build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import (
    AREA_KINDS,
    CLOCK_DRIFT,
    EXCHANGED,
    FORECAST,
    FRAUD_KINDS,
    GREEDY,
    METER_KINDS,
    VALIDATOR_KINDS,
    Event,
    MarketGroup,
)

SLOTS = 4
MONEY = Money("p2p_call_auction/1", "CNY", {"residual_price_micro_per_kwh": 460_000})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The begin of a day in the village, settled."""
    out = tmp_path_factory.mktemp("report") / "out"
    run_direct(DirectPlan(out, find_scenario("village_day").sized(slots=SLOTS), has_bills=False), lambda _: None)
    return out


def test_the_page_loads_nothing_and_has_no_script(out: Path) -> None:
    page = (out / "report.html").read_text("utf-8")
    assert not re.search(r"<(script|link|img|iframe|image|use)|https?:|@import|url\(", page)
    assert page.count("<h2>") == 11


def test_every_text_is_there_in_both_languages(out: Path) -> None:
    page = (out / "report.html").read_text("utf-8")
    pairs = re.findall(r'<span lang="en">([^<]*)</span><span lang="zh">([^<]*)</span>', page)
    assert len(pairs) == page.count('<span lang="en">') == page.count('<span lang="zh">')
    assert all(en and zh for en, zh in pairs)
    assert page.count('lang="en"') == page.count('lang="zh"')
    assert 'id="zh" checked' in page


def test_its_figures_are_sums_of_the_tables(out: Path) -> None:
    page = (out / "report.html").read_text("utf-8")
    with (out / "settlement.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    bought, taken = (sum(int(row[name]) for row in rows) for name in ("bought_wh", "import_wh"))
    saved = sum(int(row["supplier_only_nano"]) - int(row["pays_nano"]) for row in rows if row["party"].startswith("H"))
    assert f"<b>{bought / 1000:,.1f} kWh</b>" in page
    assert f"<b>{100 * bought / taken:.1f} %</b>" in page
    assert f"<b>{saved / 10**9:,.2f} CNY</b>" in page


def test_the_fullest_lines_are_drawn_first_and_the_pointer_says_how_full(tmp_path: Path) -> None:
    world = build_world(find_scenario("village_day").scenario.sized(slots=SLOTS))
    loading = world.loading_per_mille.copy()
    loading[2, 3] = 1_234
    write_report(tmp_path, SettledWorld(replace(world, loading_per_mille=loading)), MONEY)
    page = (tmp_path / "report.html").read_text("utf-8")
    drawn = page[page.index("Load of lines and transformers") :].partition("</section>")[0]
    (cells,) = re.findall(r'<rect class="over" x="0" y="12"[^>]*><title>([^<]*)</title>', drawn)
    assert cells == f"A1 {world.elements[3]}: 123.4 %"
    assert "fullest line: 123.4" in drawn
    assert 'class="l5"' in drawn


def test_an_event_says_how_far_settled_energies_were_from_the_truth(tmp_path: Path) -> None:
    scenario = find_scenario("village_day").scenario.sized(slots=SLOTS)
    event = Event(label="<b>lost</b>", kind="lost", target="M-H003", from_slot=1, until_slot=2)
    world = build_world(replace(scenario, events=(event,)))
    settled = SettledWorld(world)
    column = settled.column_of_meter["M-H003"]
    for slot in range(SLOTS):
        columns = {
            name: np.zeros(1, dtype=np.int64) for name in ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
        }
        columns["import_wh"] = world.import_wh[slot, [column]].astype(np.int64) + (1_500 if slot == 1 else 0)
        columns["export_wh"] = world.export_wh[slot, [column]].astype(np.int64)
        quality = np.array([ESTIMATED if slot == 1 else MEASURED], dtype=np.uint8)
        settled.add_positions(slot, np.array([column]), columns, quality)
    write_report(tmp_path, settled, MONEY)
    page = (tmp_path / "report.html").read_text("utf-8")
    row = page[page.rindex("&lt;b&gt;lost") :].partition("</tr>")[0]
    true_wh = int((world.import_wh + world.export_wh)[0:2, column].sum())
    assert [">1 / 2<" in row, f">{true_wh / 1000:,.3f}<" in row, ">1.500<" in row] == [True, True, True]
    assert "Nobody traded." in page
    assert '<path class="estimated"' in page


def test_an_event_is_drawn_with_its_window_the_truth_and_what_was_settled(tmp_path: Path) -> None:
    scenario = find_scenario("village_day").scenario.sized(slots=12)
    event = Event(label="silent", kind="lost", target="M-H003", from_slot=5, until_slot=7)
    world = build_world(replace(scenario, events=(event,)))
    settled = SettledWorld(world)
    settled.import_wh[:], settled.export_wh[:] = world.import_wh, world.export_wh
    column = settled.column_of_meter["M-H003"]
    settled.import_wh[5, column] += 2_000
    settled.quality[:] = MEASURED
    settled.quality[4:7, column] = ESTIMATED
    effect = effect_of(settled, event)
    assert (effect.unmeasured, effect.settled, effect.off_wh) == (3, 3, 2_000)
    assert effect.true_wh == int((world.import_wh + world.export_wh)[4:7, column].sum())
    write_report(tmp_path, settled, MONEY)
    page = (tmp_path / "report.html").read_text("utf-8")
    (figure,) = re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
    assert '<rect class="window" x="212.8" y="8" width="86.4"' in figure, "slots 5 and 6 of 1 to 11"
    assert len(re.findall(r"<title>", figure)) == 10
    assert re.findall(r'class="(estimated|measured|suspect|grid|stroke taken)"', figure) == [
        "grid",
        "stroke taken",
        "measured",
        "estimated",
    ]
    assert '<span lang="zh">无应答</span>' in figure
    assert "3 of 3 settled without a measurement" in figure
    assert "settled 2.00 kWh otherwise" in figure


def test_every_kind_of_event_has_words_in_both_languages() -> None:
    kinds = {*METER_KINDS, CLOCK_DRIFT, *AREA_KINDS, *VALIDATOR_KINDS, EXCHANGED, *FRAUD_KINDS}
    assert set(KINDS) == kinds
    assert all(words.en and words.zh for words in KINDS.values())


def test_so_many_events_are_drawn_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_report, "DRAWN_MAX", 2)
    scenario = find_scenario("village_day").scenario.sized(slots=SLOTS)
    events = [
        Event(label=f"E{at}", kind="lost", target="M-H003", from_slot=at, until_slot=at + 1) for at in range(1, 4)
    ]
    world = build_world(replace(scenario, events=tuple(events)))
    write_report(tmp_path, SettledWorld(world), MONEY)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<figure>") == 2
    assert page.count("<td>E") == 3
    assert "Drawn are the first 2; not drawn: 1 × never answers." in page
    assert "图示前 2 项；未图示：无应答 1 项。" in page


def test_a_key_that_was_stolen_concerns_all_homes_of_its_area(tmp_path: Path) -> None:
    scenario = find_scenario("village_day").scenario.sized(slots=SLOTS)
    event = Event(label="thief", kind="stolen_key", target="A1", from_slot=1, until_slot=2)
    world = build_world(replace(scenario, events=(event,)))
    write_report(tmp_path, SettledWorld(world), MONEY)
    row = (tmp_path / "report.html").read_text("utf-8")
    row = row[row.rindex("thief") :].partition("</tr>")[0]
    homes = sum(1 for meter in world.meters if meter.party and meter.area == "A1")
    assert f"/ {2 * homes:,}<" in row


def test_a_dip_of_one_slot_is_in_the_range_of_its_meter_and_in_the_lowest_line_of_a_longer_place_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "POINTS_MAX", 2)  # two slots for each place
    world = build_world(find_scenario("village_day").scenario.sized(slots=SLOTS))
    column, dark = (SettledWorld(world).column_of_meter[name] for name in ("M-H003", "M-H004"))
    voltage_pu, lowest_pu = world.voltage_pu.copy(), world.voltage_pu_min.copy()
    voltage_pu[1, column], voltage_pu[:, dark] = 0.9, 0
    lowest_pu[0], lowest_pu[1] = 0, 0.9
    write_report(tmp_path, SettledWorld(replace(world, voltage_pu=voltage_pu, voltage_pu_min=lowest_pu)), MONEY)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<title>M-H003: 207.8 – " in page
    assert "<title>M-H004</title>" in page
    assert "lowest: 207.8</title>" in page
    assert 'class="v0"' in page


def test_a_price_that_changes_meanwhile_is_drawn_as_it_changes_and_told_with_its_date(tmp_path: Path) -> None:
    world = build_world(find_scenario("village_day").scenario.sized(slots=SLOTS))
    settled = SettledWorld(world)
    for slot in range(SLOTS):
        settled.traded_wh[slot] = 1_000
        settled.add_line(slot, "trade_buy", "clearing", 1_000, 370_000_000, 0)
    prices = {"residual_price_micro_per_kwh": 460_000, "feed_in_price_micro_per_kwh": 280_000}
    changed = LaterPrices(int(world.slot_start_s[2]), {**prices, "residual_price_micro_per_kwh": 520_000})
    write_report(tmp_path, settled, Money("p2p_call_auction/1", "CNY", prices, later=[changed]))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert re.search(r"0\.460000 CNY/kWh; \d{4}-\d\d-\d\d 00:30: 0\.520000<", page)
    assert "0.280000 CNY/kWh<" in page
    drawn = page[page.index("Price among neighbours") :].partition("</section>")[0]
    assert "key high" in drawn
    assert "key low" not in drawn, "what does not change is a limit"


def test_the_command_that_makes_it_again_is_there_where_scenario_and_seed_say_it_all(out: Path) -> None:
    found, elsewhere = find_scenario("village_day"), Path("out")
    assert DirectPlan(elsewhere, found.sized(seed=9)).options == " --direct"
    assert DirectPlan(elsewhere, found.sized(slots=SLOTS)).options is None
    assert DirectPlan(elsewhere, found, orders=lambda world, slot: []).options is None
    assert "Made again by" not in (out / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("contract", "kinds", "said"),
    [
        ("mid_market_rate/1", ("community_buy", "community_sell"), "Price in the community"),
        ("trade_reduction/1", ("trade_buy", "trade_sell"), "Price among neighbours"),
    ],
)
def test_what_a_kwh_costs_and_brings_are_two_lines_where_they_differ(
    contract: str, kinds: tuple[str, str], said: str, tmp_path: Path
) -> None:
    world = build_world(find_scenario("village_day").scenario.sized(slots=SLOTS))
    settled = SettledWorld(world)
    account = CATALOGUE[contract].contract.line_kinds[0].account
    settled.traded_wh[:] = 1_000
    for slot in range(SLOTS):
        settled.add_line(slot, kinds[0], account, 1_000, 400_000_000, 0)
        settled.add_line(slot, kinds[1], account, 1_000, 0, 300_000_000)
    prices = {"residual_price_micro_per_kwh": 460_000, "feed_in_price_micro_per_kwh": 280_000}
    write_report(tmp_path, settled, Money(contract, "CNY", prices))
    page = (tmp_path / "report.html").read_text("utf-8")
    drawn = page[page.index(said) :].partition("</section>")[0]
    assert 'class="stroke price"' in drawn
    assert 'class="stroke variant"' in drawn
    css = (resources.files("gridcore.report") / "report.css").read_text("utf-8")
    assert "svg .variant, .key.variant { stroke:" in css, "a line without a stroke is not seen"
    assert ": 0.400" in drawn
    assert ": 0.300" in drawn


def test_what_each_strategy_saves_is_told_where_homes_have_several(tmp_path: Path) -> None:
    scenario = find_scenario("village_day").scenario.sized(slots=SLOTS)
    assert scenario.market is not None
    group = MarketGroup(name="early birds", strategy=GREEDY, homes=("H002",))
    mixed = replace(scenario, market=replace(scenario.market, strategies={FORECAST: 10}, groups=(group,)))
    for name, one, is_told in (("mixed", mixed, True), ("plain", scenario, False)):
        (tmp_path / name).mkdir()
        write_report(tmp_path / name, SettledWorld(build_world(one)), MONEY)
        page = (tmp_path / name / "report.html").read_text("utf-8")
        assert ("What each strategy saves" in page, "trades most surely: early birds" in page) == (is_told, is_told)
