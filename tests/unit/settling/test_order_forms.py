"""``orders.csv`` with ramps, orders of many slots, orders that are all or none, and the times at which orders came and went."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.settling.chain.importing import settled_ledger
from gridledger.settling.files import order_forms
from gridledger.settling.files.folder import read_folder
from ledger.leaves.book import load_all_orders
from tests.unit.settling.folders import AUCTION, READINGS, make_folder
from tests.unit.settling.test_from_files import PAIRED, UTC_READINGS, refused, rows_of, settle

SLOT = 1_748_736_000
CONTINUOUS = PAIRED.replace("pay_as_bid/1", "continuous_double_auction/1")
OWN = "slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh"
FORMS = ",steps,last_price_micro_per_kwh,end_s,all_or_none,arrival,cancelled_at\n"


def folder(path: Path, orders: str, rules: str = AUCTION, header: str = OWN + FORMS, readings: str = READINGS) -> Path:
    """Two slots of M1, who takes, and M2, who gives; rows of orders without their slot, which is the first."""
    rows = "".join(f"{SLOT},{row}\n" for row in orders.splitlines())
    files = {"rules.toml": rules + 'timezone = "UTC"\n', "orders.csv": header + rows}
    return make_folder(path, {**files, "readings.csv": readings.replace("T02:15:00,", "T00:15:00Z,")})


def row(order: str, side: str, limits: str, forms: str = ",,,,,") -> str:
    """order: PARTY/COUNTER; limits: Wh and limit; forms: steps, last limit, end, all or none, arrival, cancelled."""
    party, counter = order.split("/")
    return f"{party}/{SLOT}/{counter},{party},{side},{limits},{forms}\n"


def bought(out: Path) -> list[tuple[int, int, int]]:
    """Slot, energy and amount of each line ``trade_buy``."""
    return [
        (int(line["slot_start_s"]) - SLOT, int(line["energy_wh"]), int(line["amount_nano"]))
        for line in rows_of(out / "statements.csv")
        if line["line_kind"] == "trade_buy"
    ]


def test_a_ramp_over_two_slots_is_the_orders_that_it_stands_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sells = row("M2/1", "sell", "250,290000", f",,{SLOT + 1800},,,")
    short = sells + row("M1/2", "buy", "301,450000", f"3,300000,{SLOT + 1800},,,")
    written = "".join(
        f"{start},M1/{start}/{counter},M1,buy,{limits}\n"
        for start in (SLOT, SLOT + 900)
        for counter, limits in ((2, "100,450000"), (3, "100,375000"), (4, "101,300000"))
    ) + "".join(f"{start},M2/{start}/1,M2,sell,250,290000\n" for start in (SLOT, SLOT + 900))
    roots = [
        settle(capsys, path, "--out", tmp_path / f"{path.name}-out")["results_root"]
        for path in (
            folder(tmp_path / "short", short),
            make_folder(folder(tmp_path / "long", ""), {
                "rules.toml": AUCTION + 'timezone = "UTC"\n', "readings.csv": UTC_READINGS, "orders.csv": f"{OWN}\n{written}",
            }),
        )
    ]  # fmt: skip
    assert roots[0] == roots[1]
    assert bought(tmp_path / "short-out") == [(0, 250, 250 * 300_000), (900, 250, 250 * 300_000)]


WHOLE = row("M2/1", "sell", "250,300000", ",,,yes,,") + row("M1/1", "buy", "200,440000")


def test_an_order_that_is_all_or_none_is_filled_as_a_whole_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, folder(tmp_path / "short", WHOLE), "--out", out)
    assert bought(out) == []
    more = WHOLE + row("M1/2", "buy", "50,440000")
    settle(capsys, folder(tmp_path / "enough", more), "--out", tmp_path / "enough-out")
    assert bought(tmp_path / "enough-out") == [(0, 250, 250 * 370_000)]
    settle(capsys, folder(tmp_path / "again", more), "--onto", tmp_path / "enough-out")
    shown = subprocess.run(
        [sys.executable, "-I", "-S", out / "verify.py", out / "sample.evd", "--trust", out / "trust.json", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, json.loads(shown.stdout)["answer"]) == (0, "verified"), shown.stdout


def test_newer_data_bring_the_first_order_that_is_all_or_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, folder(tmp_path / "in", row("M1/1", "buy", "9,440000")), "--out", out)
    later = READINGS.replace("2025-06-01", "2025-06-03").replace("02:15:00+02:00", "00:15:00Z")
    quiet = "".join(
        f"2025-06-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00Z,{point},0,0,\n"
        for minute in range(30, 2880, 15)
        for point in ("P1", "P2")
    )
    header, rows = later.split("\n", 1)
    orders = (WHOLE + row("M1/2", "buy", "50,440000")).replace(str(SLOT), str(SLOT + 172_800))
    newer = folder(tmp_path / "newer", "", readings=f"{header}\n{quiet}{rows}")
    (newer / "orders.csv").write_text(
        OWN + FORMS + "".join(f"{SLOT + 172_800},{line}\n" for line in orders.splitlines()), "utf-8"
    )
    settle(capsys, newer, "--onto", out)
    assert bought(out) == [(172_800, 250, 250 * 370_000)]


LATE = row("M2/1", "sell", "250,300000", ",,,,2,") + row("M1/1", "buy", "200,440000", ",,,,1,3")


def test_orders_trade_as_they_came_and_newer_data_cannot_say_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, folder(tmp_path / "in", LATE, CONTINUOUS), "--out", out)
    assert bought(out) == [(0, 200, 200 * 440_000)]
    shown = subprocess.run(
        [sys.executable, "-I", "-S", out / "verify.py", out / "sample.evd", "--trust", out / "trust.json", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, json.loads(shown.stdout)["answer"]) == (0, "verified"), shown.stdout
    settle(
        capsys,
        folder(tmp_path / "same", LATE.replace(",,,,2,", ",,,,7,").replace("1,3", "4,9"), CONTINUOUS),
        "--onto",
        out,
    )
    for name, changed in {
        "earlier": LATE.replace(",,,,2,", ",,,,0,"),
        "gone before": LATE.replace(",,,,1,3", ",,,,1,2"),
        "never gone": LATE.replace(",,,,1,3", ",,,,1,"),
    }.items():
        assert main(["settle", "files", str(folder(tmp_path / name, changed, CONTINUOUS)), "--onto", str(out)]) == 1
        assert "the ledger has other orders of it" in capsys.readouterr().err


def test_an_order_that_is_withdrawn_before_the_other_side_comes_does_not_trade(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = LATE.replace(",,,,1,3", ",,,,1,2")
    settle(capsys, folder(tmp_path / "in", gone, CONTINUOUS), "--out", tmp_path / "out")
    assert bought(tmp_path / "out") == []


def test_the_orders_of_the_page_come_to_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "settle-files.md").read_text("utf-8")
    orders = page.split("<!-- orders.csv under continuous_double_auction/1 -->\n```csv\n")[1].split("```")[0]
    path = folder(tmp_path / "in", "", CONTINUOUS)
    (path / "orders.csv").write_text(orders, "utf-8")
    settle(capsys, path, "--out", tmp_path / "out")
    assert bought(tmp_path / "out") == [(0, 180, 180 * 300_000)]
    said = "then 30 Wh with the ramp's step at 0.40 and 30 Wh with that at 0.325, all at the resting price of 0.30"
    assert f"M1 buys 120 Wh, {said}" in " ".join(page.split())


class StopError(Exception):
    """In the middle of an import."""


def test_an_import_that_is_interrupted_between_two_rounds_goes_on_behind_the_first(tmp_path: Path) -> None:
    dataset, blocks = read_folder(folder(tmp_path / "in", LATE, CONTINUOUS)), []

    def stop(_done: int, _of: int) -> None:
        blocks.append(1)
        if len(blocks) == 2:
            raise StopError

    (tmp_path / "half").mkdir()
    with pytest.raises(StopError), settled_ledger(dataset, tmp_path / "half", stop):
        pass
    with settled_ledger(dataset, tmp_path / "half") as ledger:
        book = load_all_orders(ledger, SLOT, ledger.registry.zones[0].name)
        heights = dict(zip(book.party.tolist(), book.recorded_height.tolist(), strict=True))
    assert len(blocks) == 2
    assert [heights[0] < heights[1], sorted(heights), len(set(book.withdrawn_height.tolist()))] == [True, [0, 1], 2]


RIGHT = row("M2/1", "sell", "250,300000", ",,,,2,")
FAULTS = {
    "steps alone": ("3,,,,1,", "row 3, steps: makes a ramp alone; a ramp has steps and last_price_micro_per_kwh"),
    "a last price alone": (",300000,,,1,", "row 3, last_price_micro_per_kwh: makes a ramp alone"),
    "one step": ("1,300000,,,1,", "row 3, steps: '1' is none; give a whole number, 2 to 16"),
    "more steps than counters": ("16,300000,,,1,", "row 3, order: 'M1/1748736000/2' does not fit 16 steps"),
    "less than a Wh a step": ("10,300000,,,1,", "row 3, quantity_wh: '9' does not fit 10 steps"),
    "a ramp as a whole": ("3,300000,,yes,1,", "row 3, all_or_none: a ramp is not all or none"),
    "whole in another word": (",,,true,1,", "row 3, all_or_none: 'true' is none; write yes, or leave it empty"),
    "an end at its start": (f",,{SLOT},,1,", f"row 3, end_s: {SLOT} is none; give the end of a slot behind {SLOT}"),
    "an end within a slot": (f",,{SLOT + 901},,1,", f"row 3, end_s: {SLOT + 901} is none; give the end of a slot"),
    "an end behind all": (f",,{SLOT + 2700},,1,", f"row 3, end_s: '{SLOT + 2700}' is none; give a whole number, 0 to {SLOT + 1800}"),
    "no arrival": (",,,,,", "row 3, arrival: is empty, and other rows say when they came; give a whole number, 0 to 9007199254740992"),
    "gone as it came": (",,,,1,1", "row 3, cancelled_at: 1 is not behind 1, when the order came"),
    "an arrival before all time": (",,,,-1,", "row 3, arrival: '-1' is none; give a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_an_order_of_no_form_is_refused_with_row_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    forms, says = FAULTS[fault]
    orders = RIGHT + row("M1/2", "buy", "9,440000", forms)
    words = refused(capsys, folder(tmp_path / "in", orders, CONTINUOUS), "--out", tmp_path / "out")
    assert (len(words.splitlines()), f"orders.csv, {says}" in words) == (1, True), words
    assert not (tmp_path / "out").exists()


def test_when_orders_went_is_refused_without_when_they_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder(tmp_path / "in", f"M1/{SLOT}/1,M1,buy,9,440000,5\n", header=f"{OWN},cancelled_at\n")
    words = refused(capsys, path, "--out", tmp_path / "out")
    assert (
        "orders.csv, row 2, cancelled_at: says when the order went, and nothing when it came; give its arrival" in words
    )


def test_an_order_that_is_all_or_none_is_refused_where_trades_are_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = refused(capsys, folder(tmp_path / "in", WHOLE, PAIRED), "--out", tmp_path / "out")
    assert f"orders.csv: has an order that is all or none (M2/{SLOT}/1), and pay_as_bid/1 trades in pairs" in words


def test_rows_stand_for_as_many_orders_as_a_folder_holds_and_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = row("M2/1", "sell", "250,290000") + row("M1/2", "buy", "301,450000", f"3,300000,{SLOT + 1800},,,")
    path = folder(tmp_path / "in", orders)
    monkeypatch.setattr(order_forms, "ORDERS_MAX", 7)
    assert read_folder(path).orders.how_many == 7
    monkeypatch.setattr(order_forms, "ORDERS_MAX", 6)
    words = refused(capsys, path, "--out", tmp_path / "out")
    assert "orders.csv, row 3, order: with this row the file stands for 7 orders or more" in words


def test_orders_come_and_go_at_as_many_moments_as_a_day_has_and_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = LATE.replace(f"/{SLOT}/", f"/{SLOT + 900}/").splitlines()
    path = folder(tmp_path / "in", LATE + row("M1/2", "buy", "9,440000", ",,,,2,"), CONTINUOUS)
    with (path / "orders.csv").open("a", encoding="utf-8") as orders:
        orders.writelines(f"{SLOT + 900},{line}\n" for line in second)
    monkeypatch.setattr(order_forms, "MOMENTS_OF_DAY_MAX", 6)
    assert read_folder(path).orders.how_many == 5
    monkeypatch.setattr(order_forms, "MOMENTS_OF_DAY_MAX", 5)
    words = refused(capsys, path, "--out", tmp_path / "out")
    says = f"orders.csv, row 6, arrival: with 3 in slot {SLOT + 900} orders of a day come and go at more than 5 moments; each is"
    assert (len(words.splitlines()), says in words) == (1, True), words
    assert not (tmp_path / "out").exists()


def test_conditions_of_a_bid_come_together_and_are_no_ramp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = PAIRED.replace('"pay_as_bid/1"', '"conditional_bid/1"\nprice_rule = "pay_as_bid"')
    header = f"{OWN},bid,seller,energy_kind,arrival,all_or_none\n"
    first = f"M1/{SLOT}/1"
    apart = f"{first},M1,buy,9,440000,{first},M2,,1,\nM1/{SLOT}/2,M1,buy,9,430000,{first},,,2,\n"
    words = refused(capsys, folder(tmp_path / "apart", apart, rules, header), "--out", tmp_path / "out")
    assert f"row 3, arrival: the bid of {first} came at 1, not at 2; all conditions of a bid come at once" in words
    whole = f"{first},M1,buy,9,440000,{first},M2,,1,yes\n"
    words = refused(capsys, folder(tmp_path / "whole", whole, rules, header), "--out", tmp_path / "out")
    assert "row 2, order: a condition of a bid is neither a ramp nor all or none" in words
    both = apart.replace(",,,2,", ",,,1,") + f"M2/{SLOT}/1,M2,sell,15,300000,,,,2,\n"
    settle(capsys, folder(tmp_path / "both", both, rules, header), "--out", tmp_path / "out")
    assert bought(tmp_path / "out") == [(0, 9, 9 * 440_000)]
