"""``settle extract``: a ledger as a folder that settles to the same lines, and what no folder says in one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridcore.registry.zone import Zone
from gridledger.cli import main
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset
from gridledger.settling.extract import ledger as extract_ledger
from gridledger.settling.extract.changes import Change, Changes, RowChanges
from gridledger.settling.extract.writing import write_folder
from gridledger.settling.files.folder import read_folder
from gridledger.settling.participants import read_participants
from ledger.leaves.fills import load_fills
from tests.unit.settling import test_agreements_folder as agreed
from tests.unit.settling import test_balance_of_a_folder as balanced
from tests.unit.settling import test_order_forms as formed
from tests.unit.settling import test_orders_with_conditions as wanted
from tests.unit.settling.folders import READINGS, RULES, make_folder
from tests.unit.settling.tariffs_in_toml import BY_DAYS, GROUPS, SERIES_LEVELS_AND_STEPS
from tests.unit.settling.test_dated_prices import entry, rules_with
from tests.unit.settling.test_sharing_folder import HALVES, community
from tests.unit.settling.test_tax_changes import stepped_of
from tests.worlds.consortium import FIRST_S, PRICES, SLOT_S, TERMS, Consortium, area, feeder, household, rules, zone
from tests.worlds.ledgers import ledger_with
from tests.worlds.transactions import Sender

ROOT = Path(__file__).parents[3]
FIELDS = (
    "slot_start_s", "slot_s", "timezone", "import_wh", "export_wh", "keys", "counts",
)  # fmt: skip
TWO_AREAS = "point,party,area\nP1,M1,A1\nP2,M2,A2\n"
TWO_DAYS = "start,point,import_kwh,export_kwh\n" + "".join(
    f"2025-{day}T{hour:02}:{minute}:00,{row}\n"
    for day, hour in (("05-31", 23), ("06-01", 0))
    for minute in ("00", "15", "30", "45")
    for row in ("P1,1,0", "P2,0,2")
)
MOVED = "point,party,area,valid_from\nP1,M1,A1,\nP2,M2,A1,\nP1,M3,A1,2025-06-01T00:15:00Z\n"


def prices(*rows: str) -> str:
    return "start,key,price_micro_per_kwh,area,point\n" + "".join(f"{row}\n" for row in rows)


LEVY = "2025-06-01T00:15:00Z,levy_micro_per_kwh"
BY_SERIES: dict[str, str | bytes | None] = {
    "points.csv": "point,party,area,voltage_level\nP1,M1,A1,10kV\nP2,M2,A1,\n",
    "prices.csv": prices("2025-05-31T20:00:00Z,spot,31,,", "2025-05-31T21:30:00Z,spot,-9,,"),
    "readings.csv": TWO_DAYS,
    "rules.toml": RULES + SERIES_LEVELS_AND_STEPS,
}
MID_MONTH = TWO_DAYS.replace("2025-05-31", "2025-06-14").replace("2025-06-01", "2025-06-15")
REACTIVE = "start,end,point,reactive_kvarh,returned_kvarh\n" + "".join(
    f"2025-06-14T23:00:00,2025-06-15T01:00:00,{row}\n" for row in ("P1,9.125,0", "P2,0,0.001")
)
BY_DAY: dict[str, str | bytes | None] = {
    "readings.csv": MID_MONTH,
    "reactive.csv": REACTIVE,
    "rules.toml": RULES + BY_DAYS,
}
CALENDAR = """
[runs]
dispute_material_nano = 1000000000
final_run_after_s = 864000
initial_last_after_s = 172800
initial_measured_ppm = 0
as_of = 2025-06-05
"""
FOLDERS: dict[str, Callable[[Path], Path]] = {
    "readings": lambda path: make_folder(path, {}),
    "a gap": lambda path: make_folder(path, {"readings.csv": READINGS.replace("P1,1.125,0,", "P1,1.125,,")}),
    "prices for all": lambda path: make_folder(path, {"prices.csv": prices(f"{LEVY},7,,")}),
    "prices of an area": lambda path: make_folder(
        path, {"points.csv": TWO_AREAS, "prices.csv": prices(f"{LEVY},7,A1,")}
    ),
    "prices of a point": lambda path: make_folder(path, {"prices.csv": prices(f"{LEVY},7,,P1", f"{LEVY},9,,")}),
    "rules with dates": lambda path: make_folder(
        path,
        {
            **rules_with(entry(5, "valid_until = 2025-06-01"), entry(7, "valid_from = 2025-06-01")),
            "readings.csv": TWO_DAYS,
        },
    ),
    "another party from a slot on": lambda path: make_folder(path, {"points.csv": MOVED}),
    "shares": lambda path: community(path, "static", HALVES),
    "a share from a slot on": lambda path: community(
        path, "static", "point,share_ppm,valid_from\nB,500000,\nB,400000,2025-06-01T00:00:00Z\nC,500000,\n"
    ),
    "priorities": lambda path: community(path, "priority", "point,priority\nB,1\nC,2\n"),
    "agreements": agreed.folder,
    "bids with conditions": lambda path: wanted.folder(path, wanted.OFFERS + wanted.BID),
    "orders as they came": lambda path: formed.folder(path, formed.LATE, formed.CONTINUOUS),
    "an order as a whole": lambda path: formed.folder(path, formed.WHOLE + formed.row("M1/2", "buy", "50,440000")),
    "tariffs of two groups of parties": lambda path: make_folder(
        path, {"rules.toml": RULES + GROUPS, "readings.csv": TWO_DAYS}
    ),
    "a component whose own rate of tax changes": lambda path: make_folder(
        path,
        {
            "rules.toml": RULES
            + stepped_of("tax_ppm = 160000", "valid_until = 2025-06-01")
            + stepped_of("tax_ppm = 130000", "valid_from = 2025-06-01"),
            "readings.csv": TWO_DAYS,
        },
    ),
    "a rate of tax and kinds of days that change, and reactive energies": lambda path: make_folder(path, BY_DAY),
    "a calendar by which ledger time goes on behind the data": lambda path: make_folder(
        path, {"readings.csv": TWO_DAYS, "rules.toml": RULES + "final_after_s = 1728000\n" + CALENDAR}
    ),
    "components by a series, by level and by step": lambda path: make_folder(path, BY_SERIES),
    "borders and terms of a balance": lambda path: make_folder(path, balanced.FOLDER),
    "the example": lambda _: ROOT / "examples" / "settle-community",
}


def answered(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    assert main(["settle", *map(str, arguments), "--json"]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["settle", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def tables(out: Path) -> dict[str, list[dict[str, str]]]:
    """Every table of a settled folder: statements, postings, documents, balances. Blocks have other heights in another ledger."""
    without = ("height",)
    return {
        path.name: [{key: said for key, said in row.items() if key not in without} for row in rows_of(path)]
        for path in sorted(out.glob("*.csv"))
    }


@pytest.mark.parametrize("name", FOLDERS)
def test_the_ledger_of_a_folder_extracted_settles_to_the_same_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = FOLDERS[name](tmp_path / "in")
    first = answered(capsys, "files", folder, "--out", tmp_path / "first")
    answer = answered(capsys, "extract", "--data", tmp_path / "first" / "ledger", "--out", tmp_path / "extracted")
    assert answer["contract"] == read_folder(folder).rules.contract
    again = answered(capsys, "files", tmp_path / "extracted", "--out", tmp_path / "again")
    assert again["results_root"] == first["results_root"]
    assert tables(tmp_path / "again") == tables(tmp_path / "first")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_written_and_read_again_is_the_same_dataset(tmp_path: Path, name: str) -> None:
    dataset = read_folder(FOLDERS[name](tmp_path / "in"))
    (tmp_path / "written").mkdir()
    write_folder(dataset, tmp_path / "written")
    again = read_folder(tmp_path / "written")
    for field in FIELDS:
        assert np.array_equal(getattr(again, field), getattr(dataset, field)), field
    assert as_said(again) == as_said(dataset)


def as_said(dataset: Dataset) -> object:
    """What a dataset says beside energies, but for limits and moduli, which bound what files may say."""
    points = [point[:3] + tuple(point[5:]) for point in dataset.points]
    orders = [
        column if column is None or isinstance(column, list) else list(map(str, column))
        for column in dataset.all_orders
    ]
    series = [
        (*rows[:3], rows.start_s.tolist(), rows.price_micro_per_kwh.tolist())
        for rows in (*dataset.series, *dataset.references, *dataset.tariff_series)
    ]
    rules = dataset.rules
    return (
        dataset.agreements,
        points,
        str(orders),
        series,
        rules.prices,
        rules.later_prices,
        rules.contract,
        rules.terms,
        rules.invoice,
        [(one._replace(contracted_w={}), sorted(one.contracted_w.items())) for one in rules.tariff],
        None if dataset.balance is None else dataset.balance.terms,
    )


def test_of_a_corrected_slot_the_last_run_is_extracted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    answered(capsys, "files", make_folder(tmp_path / "in", {}), "--out", out)
    newer = READINGS.splitlines(keepends=True)[0] + "2025-06-01T00:00:00Z,P1,0.7,0,corrected\n"
    answered(capsys, "files", make_folder(tmp_path / "newer", {"readings.csv": newer}), "--onto", out)
    answered(capsys, "extract", "--data", out / "ledger", "--out", tmp_path / "extracted")
    assert "2025-06-01T00:00:00Z,P1,0.700,0.000,corrected" in (tmp_path / "extracted" / "readings.csv").read_text()
    answered(capsys, "files", tmp_path / "extracted", "--out", tmp_path / "again")
    before, after = read_participants(out), read_participants(tmp_path / "again")
    assert {name: one.net_nano for name, one in after.items()} == {name: one.net_nano for name, one in before.items()}


def test_a_span_takes_the_slots_that_start_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answered(capsys, "files", make_folder(tmp_path / "in", {"readings.csv": TWO_DAYS}), "--out", tmp_path / "out")
    span = ("--from", "2025-05-31T23:10:00+02:00", "--until", "2025-06-01T00:00:00+02:00")
    data = ("--data", tmp_path / "out" / "ledger")
    assert answered(capsys, "extract", *data, *span, "--out", tmp_path / "a")["slots"] == 3
    starts = {line[:20] for line in (tmp_path / "a" / "readings.csv").read_text().splitlines()[1:]}
    assert starts == {"2025-05-31T21:15:00Z", "2025-05-31T21:30:00Z", "2025-05-31T21:45:00Z"}


def test_an_area_is_extracted_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"points.csv": TWO_AREAS, "prices.csv": prices(f"{LEVY},7,A2,")}
    answered(capsys, "files", make_folder(tmp_path / "in", files), "--out", tmp_path / "out")
    answer = answered(capsys, "extract", "--data", tmp_path / "out" / "ledger", "--area", "A1", "--out", tmp_path / "a")
    assert (answer["points"], answer["areas"]) == (1, 1)
    assert not (tmp_path / "a" / "prices.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--area", "A9"), "--area 'A9': is no area of this ledger"),
        (("--from", "2025-06-01"), "is no time with an offset; write 2026-07-01T00:00:00+08:00"),
        (("--from", "tomorrow"), "'tomorrow' is no time with an offset"),
        (
            ("--from", "2030-06-01T00:00:00Z"),
            "has no settled slot in that span; its settled slots start from 2025-06-01",
        ),
    ],
)
def test_what_cannot_be_extracted_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    answered(capsys, "files", make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    out = tmp_path / "extracted"
    line = refused(capsys, "extract", "--data", tmp_path / "out" / "ledger", *arguments, "--out", out)
    assert words in line
    assert not out.exists()


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not empty" in refused(
        capsys, "extract", "--data", tmp_path / "none", "--out", make_folder(tmp_path / "in", {})
    )


def test_more_energies_than_a_folder_holds_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(capsys, "files", make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    data = ("extract", "--data", tmp_path / "out" / "ledger", "--out")
    monkeypatch.setattr(extract_ledger, "ENERGIES_MAX", 4)
    answered(capsys, *data, tmp_path / "a")
    monkeypatch.setattr(extract_ledger, "ENERGIES_MAX", 3)
    assert "2 slots of 2 points are above 3 energies; name fewer days" in refused(capsys, *data, tmp_path / "b")


def test_only_changes_of_what_is_noted_slot_by_slot_are_kept() -> None:
    changes: Changes[str] = Changes()
    rows = RowChanges()
    for from_s, value in ((0, 5), (900, 5), (1800, 6), (2700, 5)):
        changes.note("a", from_s, value)
        rows.note(from_s, np.array([value, 1], dtype=np.int64))
    assert changes.found == {"a": [Change(0, 5), Change(1800, 6), Change(2700, 5)]}
    assert list(rows.of(0)) == changes.found["a"]
    assert list(rows.of(1)) == [Change(0, 1)]


def test_the_zone_of_settled_files_is_the_only_one_and_needs_no_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(capsys, "files", make_folder(tmp_path / "in", {"points.csv": TWO_AREAS}), "--out", tmp_path / "out")
    answer = answered(capsys, "extract", "--data", tmp_path / "out" / "ledger", "--out", tmp_path / "a")
    assert (answer["areas"], ZONE_NAME) == (2, "files")


NEW_TENANT = "point,party,area,valid_from\nA,MA,X,\nB,MB,X,\nC,MC,X,\nB,MN,X,2025-06-01T00:15:00Z\n"
FOR_B = agreed.HEADER + "a-fixed,A,B,fixed_quantity,300000,0.3,,,,\n"


@pytest.mark.parametrize("span", [(), ("--from", "2025-06-01T00:15:00Z")])
def test_a_new_tenant_is_not_bound_by_what_the_one_before_agreed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], span: tuple[str, ...]
) -> None:
    folder = agreed.folder(tmp_path / "in", points_csv=NEW_TENANT, agreements_csv=FOR_B, prices_csv=None)
    answered(capsys, "files", folder, "--out", tmp_path / "first")
    data = ("--data", tmp_path / "first" / "ledger")
    answered(capsys, "extract", *data, *span, "--out", tmp_path / "extracted")
    answered(capsys, "files", tmp_path / "extracted", "--out", tmp_path / "again")
    first, again = (rows_of(tmp_path / name / "statements.csv") for name in ("first", "again"))
    assert again == [row for row in first if row["slot_start_s"] >= again[0]["slot_start_s"]]
    kinds = [row["line_kind"] for row in again if row["slot_start_s"] == again[-1]["slot_start_s"]]
    assert "residual_import" in kinds
    assert "agreement_buy" not in kinds


def billed_orders(sender: Sender, in_blocks: list[list[bytes]]) -> list[list[bytes]]:
    """Blocks with orders of the first slot, and what meters and settles it: p-1 takes 400 Wh, p-2 gives 500 Wh."""
    return [
        *in_blocks,
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 400, 0), (2, 0, 500)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]


def two_homes(*changes: Named[Zone], terms: Mapping[str, object]) -> Consortium:
    return Consortium(meters=[household(1, "p-1"), household(2, "p-2")], zones=changes, rules=[rules(terms=terms)])


def traded_wh(out: Path) -> list[tuple[str, str, str]]:
    return [
        (row["party"], row["energy_wh"], row["amount_nano"])
        for row in rows_of(out / "statements.csv")
        if row["line_kind"].startswith("trade")
    ]


def test_a_metered_ledger_brings_along_when_its_orders_came_and_went(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = two_homes(zone(contract="continuous_double_auction/1"), terms={})
    sender = world.sender()
    blocks = [
        [sender.order("p-2", "a-1", "sell", 100, 300_000, FIRST_S)],
        [sender.order("p-1", "a-1", "buy", 250, 450_000, FIRST_S)],
        [sender.order("p-2", "a-1", "sell", 80, 200_000, FIRST_S, counter=2)],
        [sender.cancel("p-1", "a-1", FIRST_S, 1)],
        [sender.order("p-2", "a-1", "sell", 90, 310_000, FIRST_S, counter=3)],
        [sender.order("p-1", "a-1", "buy", 20, 320_000, FIRST_S, counter=2)],
    ]
    with ledger_with(tmp_path / "ledger", world, billed_orders(sender, blocks)) as ledger:
        filled_wh = load_fills(ledger, FIRST_S, "z-1", 5).filled_wh.tolist()
    data, folder = ("extract", "--data", tmp_path / "ledger"), tmp_path / "folder"
    answered(capsys, *data, "--out", folder)
    told = [(row["order"], row["arrival"], row["cancelled_at"]) for row in rows_of(folder / "orders.csv")]
    assert told == [
        (f"p-1/{FIRST_S}/1", "1", "3"), (f"p-1/{FIRST_S}/2", "4", ""),
        (f"p-2/{FIRST_S}/1", "0", ""), (f"p-2/{FIRST_S}/2", "2", ""), (f"p-2/{FIRST_S}/3", "3", ""),
    ]  # fmt: skip
    answered(capsys, "files", folder, "--out", tmp_path / "again")
    nano = 100 * 300_000 + 80 * 450_000 + 20 * 310_000
    assert traded_wh(tmp_path / "again") == [("p-1", "200", str(nano)), ("p-2", "200", str(-nano))]
    assert filled_wh == [100, 180, 80, 20, 20], "as the ledger itself has cleared them, in the order in which they came"


def test_an_auctions_ledger_with_a_block_order_is_tried_as_a_continuous_market(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = two_homes(zone(), terms=TERMS)
    sender = world.sender()
    blocks = [
        [sender.order("p-1", "a-1", "buy", 300, 450_000, FIRST_S)],
        [sender.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S)],
    ]
    with ledger_with(tmp_path / "ledger", world, billed_orders(sender, blocks)):
        pass
    folder, tried = tmp_path / "folder", tmp_path / "tried"
    answered(capsys, "extract", "--data", tmp_path / "ledger", "--out", folder)
    market = (folder / "rules.toml").read_text("utf-8").split("[prices]")
    (tmp_path / "other.toml").write_text(
        '[market]\ncontract = "continuous_double_auction/1"\n[prices]' + market[1], "utf-8"
    )
    answered(capsys, "what-if", folder, "--rules", tmp_path / "other.toml", "--out", tried)
    assert traded_wh(tried / "base")[0] == ("p-1", "300", str(300 * 370_000))
    assert traded_wh(tried / "variants" / "other")[0] == ("p-1", "300", str(300 * 450_000))


def test_an_order_that_is_all_or_none_is_extracted_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = two_homes(zone(), terms=TERMS)
    sender = world.sender()
    blocks = [
        [sender.order("p-1", "a-1", "buy", 200, 450_000, FIRST_S)],
        [sender.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S, all_or_none=True)],
    ]
    with ledger_with(tmp_path / "ledger", world, billed_orders(sender, blocks)):
        pass
    folder = tmp_path / "folder"
    answered(capsys, "extract", "--data", tmp_path / "ledger", "--out", folder)
    assert [row["all_or_none"] for row in rows_of(folder / "orders.csv")] == ["", "yes"]
    answered(capsys, "files", folder, "--out", tmp_path / "again")
    assert traded_wh(tmp_path / "again") == []


def test_a_point_that_begins_within_the_span_has_its_kind_and_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = replace(two_homes(zone(), terms=TERMS), roles={"admin": ["administrator"]})
    sender = world.sender()
    begins_s = FIRST_S + SLOT_S
    new = household(3, "p-3", from_s=begins_s, installed_s=begins_s)
    point = Point("a-1", "household", "p-3", energy_kind="solar", grid_place=7)
    rows = [row for row in new.rows() if row.key != POINT.key("P-3")]
    blocks = [
        [sender.clock(FIRST_S)],
        [sender.register([*rows, *Named(POINT, "P-3", point, begins_s).rows()])],
        [sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 400, 0), (2, 0, 500), (3, 0, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.batch("gw-1", FIRST_S + 2 * SLOT_S, [(1, 700, 0), (2, 0, 900), (3, 0, 200)])],
        [sender.clock(FIRST_S + 3 * SLOT_S)],
    ]
    with ledger_with(tmp_path / "ledger", world, blocks):
        pass
    answered(capsys, "extract", "--data", tmp_path / "ledger", "--out", tmp_path / "folder")
    points = {
        row["point"]: (row["energy_kind"], row["grid_place"]) for row in rows_of(tmp_path / "folder" / "points.csv")
    }
    assert points == {"P-1": ("", ""), "P-2": ("", ""), "P-3": ("solar", "7")}


def test_an_area_that_was_registered_behind_the_settled_slots_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = Consortium(meters=[household(1, "p-1", trades=False), feeder(2)], roles={"admin": ["administrator"]})
    sender = world.sender()
    blocks = [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 500, 0), (2, 600, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.register([*area("a-9").rows()])],
    ]
    with ledger_with(tmp_path / "ledger", world, blocks):
        pass
    data = ("extract", "--data", tmp_path / "ledger")
    assert answered(capsys, *data, "--out", tmp_path / "all")["points"] == 2, "and the border"
    assert "P-1,0.500,0.000" in (tmp_path / "all" / "readings.csv").read_text()
    line = refused(capsys, *data, "--area", "a-9", "--out", tmp_path / "new")
    assert "no run of these slots knows a-9, registered after them; name later days" in line


def test_prices_of_an_area_without_points_are_left_out_and_it_alone_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = rules("other", prices={**PRICES, "levy_micro_per_kwh": 50_000})
    world = Consortium(
        rules=[rules(), other],
        areas=[area("a-1"), area("a-2", rules="other")],
        meters=[household(1, "p-1", trades=False)],
    )
    sender = world.sender()
    blocks = [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 0, 0)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 500, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]
    with ledger_with(tmp_path / "ledger", world, blocks):
        pass
    data = ("extract", "--data", tmp_path / "ledger")
    answered(capsys, *data, "--out", tmp_path / "all")
    assert {row["area"] for row in rows_of(tmp_path / "all" / "prices.csv")} == {"a-1"}
    answered(capsys, "files", tmp_path / "all", "--out", tmp_path / "again")
    line = refused(capsys, *data, "--area", "a-2", "--out", tmp_path / "none")
    assert (
        "nobody is billed in a-2 from 2027-01-15T08:00:00Z to 2027-01-15T08:00:00Z; name other slots or areas" in line
    )
