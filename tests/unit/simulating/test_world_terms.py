"""What a simulated world is settled by: rules of files with what stands beside them, and one line for what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gridcore.errors import UsageError
from gridcore.registry.row import decode_row
from gridcore.registry.zone import ZONE
from gridledger.cli import main
from gridledger.demo.prepare import prepare_for_agents
from gridledger.demo.scene import lay_out
from gridledger.simulating.settled import SUMS, SettledWorld
from gridledger.simulating.terms import FILES, terms_of
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from tests.demo.catalogue_rules import RULES_OF

PRICES = """
[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 150000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
"""
MID = f'[market]\ncontract = "mid_market_rate/1"\n{PRICES}'
KEYS = f'[market]\ncontract = "sharing_keys/1"\nmethod = "static"\ntrade_price_micro_per_kwh = 360000\n{PRICES}'
BALANCE = """
[balance]
loss_responsible = "grid"
loss_price_micro_per_kwh = 400000
gain_price_micro_per_kwh = 250000
surplus_price_micro_per_kwh = 200000
shortfall_price_micro_per_kwh = 600000
"""
MOVES, MOVED = "point,party,valid_from\n", "2026-04-15T00:30:00"
AUCTION = RULES_OF["pay_as_bid/1"]["rules.toml"]
RUNS = """
[timeline]
final_after_s = 5184000
[runs]
initial_measured_ppm = 990000
initial_last_after_s = 172800
final_run_after_s = 2592000
dispute_material_nano = 1000000
[[runs.corrections]]
due_after_s = 604800
"""


@pytest.fixture(scope="module")
def village() -> World:
    """The first slots of a day."""
    return build_world(find_scenario("village_day").scenario.sized(slots=4))


def under(world: World, folder: Path, **files: str) -> World:
    """The same world under a folder of rules. files: by their names without an ending, the table of rules as ``rules``."""
    for name, text in files.items():
        (folder / (f"{name}.toml" if name == "rules" else f"{name}.csv")).write_text(text)
    return replace(world, scenario=world.scenario.sized(rules=folder))


def test_points_have_what_their_file_says_and_keep_party_and_area(village: World, tmp_path: Path) -> None:
    points = "point,grid_place,energy_kind,voltage_level,supplier\nM-H003,7,solar,0.4kV,north\n"
    terms = terms_of(under(village, tmp_path, rules=MID, points=points))
    own = terms_of(village)
    place = next(place for place, point in enumerate(own.points) if point.point == "M-H003")
    said = terms.points[place]
    assert (said.party, said.area, said.limit_wh) == (own.points[place].party, "A1", own.points[place].limit_wh)
    assert (said.grid_place, said.energy_kind, said.voltage_level) == (7, "solar", "0.4kV")
    assert said.partners.supplier == "north"
    assert [point for at, point in enumerate(terms.points) if at != place] == [
        point for at, point in enumerate(own.points) if at != place
    ]
    assert [file.name for file in terms.inputs] == ["rules.toml", "points.csv"]


def test_points_of_an_area_have_equal_keys_where_no_file_has_them(village: World, tmp_path: Path) -> None:
    terms = terms_of(under(village, tmp_path, rules=KEYS))
    assert {key.share_ppm for key in terms.keys} == {1_000_000 // len(terms.points)}
    keyed = terms_of(under(village, tmp_path, rules=KEYS, keys="point,share_ppm\nM-H001,400000\n"))
    assert [(key.point, key.share_ppm) for key in keyed.keys] == [("M-H001", 400_000)]


def test_feeders_are_borders_where_areas_have_a_balance_and_share_in_nothing(village: World, tmp_path: Path) -> None:
    terms = terms_of(under(village, tmp_path, rules=KEYS + BALANCE))
    assert terms.balance is not None
    assert [point.point for point in terms.points if point.is_border] == ["M-F1"]
    assert "M-F1" not in {key.point for key in terms.keys}
    assert not any(point.is_border for point in terms_of(under(village, tmp_path, rules=KEYS)).points)


def test_gate_and_deadline_are_the_scenarios_where_rules_say_none(village: World, tmp_path: Path) -> None:
    own = village.scenario.timeline
    terms = terms_of(under(village, tmp_path, rules=MID))
    assert (terms.rules.gate_before_start_s, terms.rules.metering_deadline_s) == (
        own.gate_before_start_s,
        own.metering_deadline_s,
    )
    later = terms_of(under(village, tmp_path, rules=f"{MID}\n[timeline]\ngate_before_start_s = 60\n"))
    assert later.rules.gate_before_start_s == 60


def test_prices_with_dates_begin_on_local_days_of_the_scenario(village: World, tmp_path: Path) -> None:
    dated = MID.replace("[prices]", "[[prices]]\nvalid_until = 2026-04-15")
    both = dated + PRICES.replace("[prices]", "[[prices]]\nvalid_from = 2026-04-15").replace("460000", "500000")
    terms = terms_of(under(village, tmp_path, rules=both))
    assert terms.rules.prices["residual_price_micro_per_kwh"] == 500_000


def test_somebody_else_is_billed_from_a_slot_on_also_where_others_order(village: World, tmp_path: Path) -> None:
    rows = f"{MOVES}M-L001,T-2,2026-04-15T00:45:00\nM-L001,,\nM-L001,T-1,{MOVED}\n"
    terms = terms_of(under(village, tmp_path, rules=AUCTION, points=rows))
    (point,) = (point for point in terms.points if point.point == "M-L001")
    starts_s = village.slot_start_s.tolist()
    assert point.later == ((starts_s[2], "T-1"), (starts_s[3], "T-2"))
    settled = SettledWorld(village, points=terms.points)
    column = settled.column_of_meter["M-L001"]
    for slot in range(4):
        columns = {name: np.array([10**slot]) for name in SUMS}
        settled.add_positions(slot, np.array([column]), columns, np.zeros(1, dtype=np.uint8))
    sums = {row.party: row.import_wh for row in settled.parties() if row.import_wh}
    assert sums == {point.party: 11, "T-1": 100, "T-2": 1_000}
    assert settled.sums["import_wh"] == 1_111


def test_a_file_of_rules_has_nothing_beside_it(village: World, tmp_path: Path) -> None:
    world = under(village, tmp_path, rules=KEYS, keys="point,share_ppm\nM-H001,400000\n")
    alone = terms_of(replace(world, scenario=world.scenario.sized(rules=tmp_path / "rules.toml")))
    assert len(alone.keys) == len(alone.points)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"points": "point\nM-H999\n"},
            "points.csv, row 2, point: 'M-H999' is no known point of the scenario; did you mean",
        ),
        ({"points": "point\nM-H001\nM-H001\n"}, "points.csv, row 3, point: the point M-H001 stands in row 2 already"),
        ({"points": "point,party\nM-H001,x\n"}, "row 2, party: H001 is billed for M-H001 at first; leave it empty, or"),
        (
            {"points": f"{MOVES}M-H001,,{MOVED}\n"},
            "row 2, party: nobody is named who is billed for M-H001 from then on",
        ),
        ({"points": f"{MOVES}M-H001,T-1,2026-04-15T00:07:00\n"}, "points.csv, row 2, valid_from: "),
        ({"points": f"{MOVES}M-H001,levy,{MOVED}\n"}, "row 2, party: 'levy' is an account of mid_market_rate/1"),
        (
            {"points": f"{MOVES}M-H001,T-1,{MOVED}\nM-H001,T-2,{MOVED}\n"},
            "points.csv, row 3, valid_from: somebody is billed for M-H001 from 2026-04-14T16:30:00Z",
        ),
        (
            {"points": f"{MOVES[:-1]},supplier\nM-H001,T-1,{MOVED},other\n"},
            "row 2, valid_from: M-H001 has another supplier, offtaker or grid_operator in its first row; leave all three",
        ),
        (
            {"rules": AUCTION, "points": f"{MOVES}M-H001,T-1,{MOVED}\n"},
            "points.csv: H001 places orders, and under pay_as_bid/1 stays billed for M-H001; let points move at which",
        ),
        ({"points": "point,energy_kind\nM-H001,sunny\n"}, "'sunny' is no kind of energy"),
        ({"rules": KEYS, "keys": "point,share_ppm\nM-H001,1000000\nM-H002,1\n"}, "keys.csv, row 3, share_ppm: "),
        (
            {"rules": KEYS, "keys": "point,share_ppm\nM-H999,1\n"},
            "keys.csv, row 2, point: 'M-H999' is no known point of the scenario; did you mean",
        ),
        (
            {"prices": "start,key,price_micro_per_kwh,area\n2026-06-21,levy_micro_per_kwh,1,A9\n"},
            "prices.csv, row 2, area: 'A9' is no known area of the scenario; known: A1",
        ),
        ({"rules": f"{MID}\n[balance]\n"}, "rules.toml: [balance] "),
        ({"rules": MID.replace("levy", "lewy")}, "rules.toml: [prices] lewy_micro_per_kwh is no price of"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_its_file(
    files: dict[str, str], said: str, village: World, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as refused:
        terms_of(under(village, tmp_path, **{"rules": MID, **files}))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_calendar_is_that_of_the_zone_where_agents_settle(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(MID + RUNS)
    world, terms = prepare_for_agents(find_scenario("village_day").sized(slots=4, rules=tmp_path))
    assert terms.rules.runs is not None
    out = tmp_path / "out"
    out.mkdir()
    genesis = lay_out(out, world, terms, None).genesis
    rows = map(decode_row, genesis.registry)
    (zone,) = (ZONE.record_of(row.value) for row in rows if row.key.startswith(f"{ZONE.kind}/"))
    assert zone.run_calendar == terms.rules.runs.calendar.encode()
    assert (zone.final_after_s, zone.correction_after_s) == (5_184_000, None)


def test_a_scenario_without_a_market_is_checked_by_whether_its_contract_takes_orders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = find_scenario("village_day")
    text = found.data.decode()
    head, _, rest = text.replace("days = 1", "slots = 4").partition("[market]")
    (tmp_path / "village.csv").write_bytes((found.path.parent / "village.csv").read_bytes())
    (tmp_path / "quiet.toml").write_text(head + "[tariff.prices]" + rest.partition("[tariff.prices]")[2])
    (tmp_path / "mid.toml").write_text(MID)
    path = str(tmp_path / "quiet.toml")
    assert main(["simulate", "check", path]) == 2
    assert capsys.readouterr().err.endswith(
        "buy_micro_per_kwh_min, buy_micro_per_kwh_max, sell_micro_per_kwh_min, sell_micro_per_kwh_max,"
        " price_step_micro_per_kwh, forecast_error_per_mille\n"
    )
    assert main(["simulate", "check", path, "--rules", str(tmp_path / "mid.toml")]) == 0
    assert "mid_market_rate/1; it can be run" in capsys.readouterr().out


def test_a_wrong_name_in_a_folder_of_rules_is_told_and_names_of_a_results_folder_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("key.csv", "keys.csv", "truth.csv", "orders.csv", "grid.csv"):
        (tmp_path / name).write_text("point,share_ppm\nM-H001,400000\n")
    (tmp_path / "rules.toml").write_text(KEYS)
    assert main(["simulate", "check", "village_day", "--rules", str(tmp_path)]) == 0
    said = "key.csv is not read: it is none of rules.toml, points.csv, prices.csv, keys.csv, agreements.csv\n"
    assert capsys.readouterr().err == said


def test_the_files_of_a_folder_are_those_of_settle_files() -> None:
    from gridledger.settling.files.folder import FILES as FILES_OF_FOLDER

    assert set(FILES) < set(FILES_OF_FOLDER)
