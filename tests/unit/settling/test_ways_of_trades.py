"""Network charges by what each trade covers (过网费): levels of both sides, and the place of the grid under which both lie."""

from __future__ import annotations

import csv
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.settling.chain import billed_in, frame_of_ledger, named_tariffs, tariffs, with_ways
from gridledger.settling.documents import DocumentFolder, slots_of_months
from gridledger.settling.files import terms
from gridledger.settling.files.folder import read_folder
from gridledger.settling.month_derivation import DocumentName, derive_document
from gridledger.settling.month_documents import scope_of
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from settlement.tariffs.charges import NoLevelError, Tariff, Usage, Way
from settlement.tariffs.holding import Calendar, Holding
from settlement.tariffs.reading import components_of
from tests.unit.settling.folders import AUCTION, make_folder

LEVELS = '[["10kV", 200000], ["35kV", 170000], ["110kV", 150000]]'
FOLLOWING = f"""
[[tariff.component]]
name = "grid_traded"
account = "grid"
base = "traded"
levels = {LEVELS}
covers = "trade"
"""
PLACES = 'place_levels = [[1, "110kV"], [2, "35kV"], [3, "35kV"]]\n'
GRID = (
    'grid_fee_path/1"\nprice_rule = "pay_as_bid"\ngrid_places = [{place = 1, fee_micro_per_kwh = 0}, '
    "{place = 2, parent = 1, fee_micro_per_kwh = 0}, {place = 3, parent = 1, fee_micro_per_kwh = 0}]"
)
MARKET = 'p2p_call_auction/1"\nreference_price_micro_per_kwh = 370000\nrationing = "pro_rata"'
RULES = AUCTION.replace(MARKET, GRID) + 'timezone = "UTC"\n'
POINTS = "point,party,area,grid_place,voltage_level\nP1,M1,A1,2,10kV\nP2,M2,A1,2,10kV\nP3,M3,A1,3,{}\n"
FIRST_S = 1_748_736_000
ORDERS = "slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh\n" + "".join(
    f"{start_s},{party}/{start_s}/1,{party},{side},{wh},{limit}\n"
    for start_s in (FIRST_S, FIRST_S + 900)
    for party, side, wh, limit in (
        ("M1", "buy", 300, 440_000),
        ("M2", "sell", 100, 300_000),
        ("M3", "sell", 250, 310_000),
    )
)
READINGS = "start,point,import_kwh,export_kwh\n" + "".join(
    f"2025-06-01T00:{minute}:00Z,{point},{wh}\n"
    for minute, took in (("00", "0.9"), ("15", "0.15"))
    for point, wh in (("P1", f"{took},0"), ("P2", "0,0.1"), ("P3", "0,0.25"))
)


def folder(path: Path, tariff: str, *, rules: str = RULES, level: str = "10kV") -> Path:
    files: dict[str, str | bytes | None] = {
        "rules.toml": rules + tariff,
        "points.csv": POINTS.format(level),
        "orders.csv": ORDERS,
        "readings.csv": READINGS,
    }
    return make_folder(path, files)


def charged(out: Path, kind: str = "grid_traded") -> dict[str, tuple[int, int]]:
    """Energy and nano of each party's lines of a kind."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    with (out / "statements.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["line_kind"] == kind:
                wh, nano = found[row["party"]]
                found[row["party"]] = wh + int(row["energy_wh"]), nano + int(row["amount_nano"])
    return dict(found)


def test_each_trade_is_charged_up_to_the_place_under_which_both_sides_lie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """M1 buys 100 Wh below its own 35 kV station and 200 Wh through 110 kV; of the second slot's 300 Wh it takes 150."""
    out = tmp_path / "out"
    assert main(["settle", "files", str(folder(tmp_path / "in", FOLLOWING + PLACES)), "--out", str(out)]) == 0
    nano = (100 + 50) * 30_000 + (200 + 100) * 50_000
    assert charged(out) == {"M1": (450, nano)}
    name = DocumentName("M1", "2025-06", "grid_traded", "initial")
    assert derive_document(DocumentFolder(out), name).holds
    assert main(["settle", "replay", "--settled", str(out)]) == 0
    capsys.readouterr()
    line = ["settle", "explain", "--settled", str(out), "--line", "M1/2025-06/grid_traded"]
    assert main([*line, "--language", "en"]) == 0
    told = capsys.readouterr().out
    assert "Of it at 10kV, by trades up to 35kV" in told
    assert "150 × 30000 + 300 × 50000 = 19500000 1e-9 CNY" in told
    data, again = str(out / "ledger"), str(tmp_path / "again")
    assert main(["settle", "extract", "--data", data, "--out", str(tmp_path / "extracted")]) == 0
    assert main(["settle", "files", str(tmp_path / "extracted"), "--out", again]) == 0
    assert charged(tmp_path / "again") == charged(out)


@pytest.mark.parametrize(("payer", "views"), [("M1", 2), ("M2", 0)])
def test_the_zone_is_viewed_in_slots_in_which_who_pays_bought_and_never_by_extract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payer: str, views: int
) -> None:
    """M2 sells alone; an extracted folder has the tariff and no charges."""
    out, data = tmp_path / "out", tmp_path / "out" / "ledger"
    made = folder(tmp_path / "in", FOLLOWING + f'parties = ["{payer}"]\n')
    assert main(["settle", "files", str(made), "--out", str(out)]) == 0
    with reading(data, CONTRACTS, None) as reader:
        scope = scope_of(reader, None)
        slots = slots_of_months(reader, scope)["2025-06"]
        frame = frame_of_ledger(reader, scope, slots, billed_in(reader, scope, slots))
        named = named_tariffs(reader, frame)
        viewed, zone_at = list[int](), reader.zone_at

        def noted(zone: Zone, at_s: int, height: int) -> ZoneInForce:
            viewed.append(at_s)
            return zone_at(zone, at_s, height)

        monkeypatch.setattr(reader, "zone_at", noted)
        found = with_ways(reader, frame, named)
    assert (len(viewed), [sum(map(sum, one.ways.values())) for one in named.values()]) == (views, [0, 0, 0])
    assert {party: sum(map(sum, one.ways.values())) for party, one in found.items()} == {
        "M1": 300 * views,
        "M2": 0,
        "M3": 0,
    }
    monkeypatch.setattr(tariffs, "ways_of_trades", None)
    assert main(["settle", "extract", "--data", str(data), "--out", str(tmp_path / "extracted")]) == 0
    assert 'covers = "trade"' in (tmp_path / "extracted" / "rules.toml").read_text()


def test_without_places_a_trade_goes_up_to_the_higher_level_of_its_sides(tmp_path: Path) -> None:
    """Within 10 kV nothing is charged, to a seller at 35 kV the difference."""
    out, rules = tmp_path / "out", RULES.replace(GRID, 'pay_as_bid/1"')
    made = folder(tmp_path / "in", FOLLOWING, rules=rules, level="35kV")
    assert main(["settle", "files", str(made), "--out", str(out)]) == 0
    assert charged(out)["M1"] == (450, (200 + 100) * 30_000)


def test_trades_of_a_pool_go_up_to_the_level_that_the_component_names(tmp_path: Path) -> None:
    rules = AUCTION + 'timezone = "UTC"\n'
    with pytest.raises(UsageError, match="grid_traded: covers, and trades of p2p_call_auction/1 name no sides; give"):
        read_folder(folder(tmp_path / "without", FOLLOWING, rules=rules))
    out, tariff = tmp_path / "out", FOLLOWING + 'highest_level = "35kV"\n'
    assert main(["settle", "files", str(folder(tmp_path / "in", tariff, rules=rules)), "--out", str(out)]) == 0
    energy_wh, nano = charged(out)["M1"]
    assert energy_wh > 0
    assert nano == energy_wh * 30_000


def test_what_was_bought_beyond_the_import_is_no_traded_import(tmp_path: Path) -> None:
    """In the second slot M1 takes 150 Wh and has bought 300: nothing of its import is left, and nothing is taken back for the rest."""
    component = '\n[[tariff.component]]\nname = "{0}"\naccount = "grid"\nbase = "{0}"\nprice_micro_per_kwh = 1\n'
    out, tariff = tmp_path / "out", component.format("traded") + component.format("residual")
    assert main(["settle", "files", str(folder(tmp_path / "in", tariff)), "--out", str(out)]) == 0
    assert (charged(out, "traded")["M1"], charged(out, "residual")["M1"]) == ((450, 450), (600, 600))


def one_slot(traded_wh: int, way: Way) -> Usage:
    column = np.array([traded_wh], dtype=np.int64)
    return Usage(column, column * 0, column, ways={way: column})


def charge(tariff: str, usage: Usage) -> int:
    slots = np.arange(len(usage.import_wh), dtype=np.int64)
    calendar = Calendar(900, slots * 0, slots * 0 + 6, slots * 0 + 739_000, slots * 900, [30])
    components = components_of(tomllib.loads(tariff)["tariff"]["component"], ())
    return sum(one.amount_nano for one in Tariff(components, Holding(calendar)).charges("M1", usage, [{}]))


@pytest.mark.parametrize(
    ("way", "energy_wh", "nano"),
    [
        (Way(("10kV",), 1), 1_234_567, 61_728_350_000),
        (Way(("10kV",), 2), 1_000, 30_000_000),
        (Way(("10kV",)), 1_000, 0),
        (Way(("10kV", "110kV")), 1_000, 50_000_000),
        (Way(("35kV",), 2), 1_000, 30_000_000),
    ],
)
def test_the_figures_of_the_pilot_rule(way: Way, energy_wh: int, nano: int) -> None:
    """C10 of the cases: 10 kV user, 10 kV 0.20, 35 kV 0.17, 110 kV 0.15 per kWh; nothing within the own level."""
    assert charge(FOLLOWING + PLACES + 'user_level = "10kV"\n', one_slot(energy_wh, way)) == nano


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (Way(("10kV",), 9), "place_levels do not say the level of grid place 9"),
        (Way(("6kV",), 1), "'6kV' is none of the voltage levels 10kV, 35kV, 110kV"),
    ],
)
def test_a_way_without_a_price_charges_nothing_at_zero(way: Way, words: str) -> None:
    with pytest.raises(NoLevelError, match=words):
        charge(FOLLOWING + PLACES + 'user_level = "10kV"\n', one_slot(1_000, way))


def test_a_way_on_which_nothing_is_charged_needs_no_price() -> None:
    """Place 9 has no level: nothing was taken in the first slot, and of 1 Wh in the second nothing is dealt to its way."""
    took, more, other = (np.array(column, dtype=np.int64) for column in ([0, 1], [0, 1_000], [500, 10]))
    usage = Usage(took, took * 0, took, ways={Way(("10kV",), 2): more, Way(("10kV",), 9): other})
    assert charge(FOLLOWING + PLACES + 'user_level = "10kV"\n', usage) == 30_000


BY_ALL: Final = AUCTION + 'timezone = "UTC"\n'
OF_M1: Final = 'parties = ["M1"]\n'


@pytest.mark.parametrize(
    ("rules", "tariff", "level", "words"),
    [
        (
            RULES, FOLLOWING + PLACES.replace('[1, "110kV"], ', ""), "10kV",
            "place_levels do not say the level of grid place 1; by it component grid_traded of M1 is charged: let its place_levels say the level of grid place 1",
        ),
        (
            RULES, FOLLOWING + OF_M1, "",
            "no voltage level of a seller is known; by it component grid_traded of M1 is charged: register grid_connection/P3 with one of 10kV, 35kV, 110kV",
        ),
        (
            RULES, FOLLOWING + OF_M1, "6kV",
            "of the level of a seller: '6kV' is none of the voltage levels 10kV, 35kV, 110kV; by it component grid_traded of M1 is charged: register grid_connection/P3 with one of 10kV, 35kV, 110kV",
        ),
        (
            BY_ALL, FOLLOWING, "10kV",
            "its trades name no sides, and the component has no highest_level; by it component grid_traded of M1 is charged: give it a highest_level, up to which they go",
        ),
        (
            BY_ALL, FOLLOWING.replace("110kV", "400kV").replace("10kV", "6kV").replace("400kV", "10kV") + 'highest_level = "6kV"\n', "10kV",
            "6kV lies below the user's level 10kV; by it component grid_traded of M1 is charged: let its highest_level be 10kV or one above it",
        ),
    ],
)  # fmt: skip
def test_what_has_no_price_is_told_with_the_slot_of_the_trade_and_what_is_to_be_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rules: str,
    tariff: str,
    level: str,
    words: str,
) -> None:
    """As of a ledger, whose tariff nobody held against orders. In the first slot M1 takes nothing."""
    monkeypatch.setattr(terms, "check_tariff", lambda *_: None)
    made = folder(tmp_path / "in", tariff, rules=rules, level=level)
    (made / "readings.csv").write_text(READINGS.replace("P1,0.9,", "P1,0,"))
    assert main(["settle", "files", str(made), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"point P1 in the slot that starts at 2025-06-01T00:15+00:00: {words}"


@pytest.mark.parametrize(
    ("rules", "tariff", "level", "words"),
    [
        (
            RULES, FOLLOWING + PLACES.replace('[1, "110kV"], ', ""), "10kV",
            'rules.toml: [[tariff.component]] grid_traded: place_levels do not say the level of grid place 1, through which 2 and 3 trade; add [1, "110kV"], or',
        ),
        (
            RULES, FOLLOWING + OF_M1, "",
            "points.csv: point P3 has no voltage_level, by which [[tariff.component]] grid_traded is charged where it sells; give it in the column voltage_level",
        ),
        (
            BY_ALL, FOLLOWING.replace("110kV", "400kV").replace("10kV", "6kV").replace("400kV", "10kV") + 'highest_level = "6kV"\n', "10kV",
            "points.csv: point P1 and [[tariff.component]] grid_traded of rules.toml: 6kV lies below the user's level 10kV; let highest_level be 10kV or one above it",
        ),
    ],
)  # fmt: skip
def test_a_tariff_that_cannot_charge_a_trade_of_the_files_is_one_line_before_a_ledger_is_made(
    tmp_path: Path, rules: str, tariff: str, level: str, words: str
) -> None:
    with pytest.raises(UsageError) as error:
        read_folder(folder(tmp_path, tariff, rules=rules, level=level))
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_levels_of_places_and_points_that_no_trade_of_a_payer_passes_are_not_asked_for(tmp_path: Path) -> None:
    """M1 buys of M2 alone, below the same place; M3 has no level, and buys too."""
    made = folder(tmp_path, FOLLOWING + OF_M1 + 'place_levels = [[2, "35kV"]]\n', level="")
    orders = (made / "orders.csv").read_text().replace("M3,sell", "M3,buy")
    (made / "orders.csv").write_text(orders)
    assert [point.voltage_level for point in read_folder(made).points] == ["10kV", "10kV", None]


@pytest.mark.parametrize(
    ("tariff", "words"),
    [
        (FOLLOWING.replace("traded", "import"), "covers: only of levels and base traded"),
        (FOLLOWING.replace('"trade"', '"all"'), "covers: 'all' is not trade"),
        (FOLLOWING.replace('covers = "trade"\n', "") + PLACES, "place_levels: only with covers"),
        (FOLLOWING + PLACES.replace("[2,", "[1,"), "place_levels: place 1 stands there twice"),
        (FOLLOWING + PLACES.replace('"35kV"', '"6kV"'), "place_levels: pairs of a grid place and one of the levels"),
    ],
)
def test_a_component_that_follows_trades_wrongly_is_one_line(tmp_path: Path, tariff: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_folder(folder(tmp_path, tariff))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
