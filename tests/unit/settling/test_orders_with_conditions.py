"""``settle files`` with bids that have conditions: who buys from whom of what, and what is wrong with an orders.csv in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gridledger.cli import main
from tests.unit.settling.folders import AUCTION, READINGS, make_folder
from tests.unit.settling.test_from_files import refused, rows_of, settle

SLOT = 1_748_736_000
RULES = AUCTION.replace(
    'p2p_call_auction/1"\nreference_price_micro_per_kwh = 370000\nrationing = "pro_rata"',
    'conditional_bid/1"\nprice_rule = "pay_as_bid"',
)
POINTS = "point,party,area,energy_kind\nP1,M1,A1,\nP2,M2,A1,solar\nP3,M3,A1,gas\n"
MORE_READINGS = READINGS.replace("2025-06-01T02:15:00,", "2025-06-01T00:15:00Z,") + (
    "2025-06-01T00:00:00Z,P3,0,1,\n2025-06-01T00:15:00Z,P3,0,0,\n"
)
HEADER = "slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh,bid,seller,energy_kind\n"


def row(order: str, side: str, limits: str, asked: str = ",,") -> str:
    """A row of orders.csv; order: PARTY/COUNTER; limits, asked: the fields behind the side."""
    party, counter = order.split("/")
    return f"{SLOT},{party}/{SLOT}/{counter},{party},{side},{limits},{asked}\n"


def first(party: str = "M1", counter: int = 1) -> str:
    return f"{party}/{SLOT}/{counter}"


OFFERS = row("M2/1", "sell", "250,200000") + row("M3/1", "sell", "1000,100000")
BID = (
    row("M1/1", "buy", "100,450000", f"{first()},M2,")
    + row("M1/2", "buy", "400,420000", f"{first()},,renewable")
    + row("M1/3", "buy", "300,300000", f"{first()},,")
)
"""100 Wh of M2 at 0.45, 150 more of the sun at 0.42, and 150 of gas at 0.30: 400 Wh in all."""


def folder(path: Path, orders: str, rules: str = RULES) -> Path:
    """The folder with some orders."""
    files = {"rules.toml": rules, "points.csv": POINTS, "readings.csv": MORE_READINGS, "orders.csv": HEADER + orders}
    return make_folder(path, {**files, "rules.toml": rules + 'timezone = "UTC"\n'})


def test_a_bid_with_conditions_buys_of_its_partner_then_of_the_sun_then_of_anybody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    answer = settle(capsys, folder(tmp_path / "in", OFFERS + BID), "--out", out)
    assert answer["postings_sum_nano"] == 0
    bought = [
        (line["party"], int(line["energy_wh"]), int(line["amount_nano"]))
        for line in rows_of(out / "statements.csv")
        if line["line_kind"].startswith("trade_") and int(line["energy_wh"])
    ]
    of_sun, of_gas = 100 * 450_000 + 150 * 420_000, 150 * 300_000
    assert bought == [("M1", 400, of_sun + of_gas), ("M2", 250, -of_sun), ("M3", 150, -of_gas)]
    shown = subprocess.run(
        [sys.executable, "-I", "-S", out / "verify.py", out / "sample.evd", "--trust", out / "trust.json", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (shown.returncode, json.loads(shown.stdout)["answer"]) == (0, "verified"), shown.stdout
    settle(capsys, folder(tmp_path / "again", OFFERS + BID), "--onto", out)
    newer = folder(tmp_path / "newer", OFFERS + BID.replace("M2,\n", "M3,\n"))
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 1
    assert "the ledger has other orders of it" in capsys.readouterr().err


NO_ORDER = "give the id of the bid's first order"
FAULTS = {
    "a seller who is nobody": (BID.replace("M2,", "M4,"), "row 4, seller: 'M4' is no known party of points.csv"),
    "a kind that there is not": (BID.replace("renewable", "green"), "row 5, energy_kind: 'green' is no kind of energy"),
    "a sell with a condition": (
        row("M1/1", "sell", "1,1", ",,solar"),
        "row 4, energy_kind: a sell has no conditions; leave it empty, or buy",
    ),
    "a bid of nobody": (
        row("M1/2", "buy", "1,1", f"{first(counter=1)},,"),
        f"row 4, bid: 'M1/{SLOT}/1' is no order of the same party and slot; {NO_ORDER}",
    ),
    "a bid of another party": (
        row("M1/2", "buy", "1,1", f"{first('M2')},,"),
        f"row 4, bid: 'M2/{SLOT}/1' is no order of the same party and slot; {NO_ORDER}",
    ),
    "a condition of a condition": (
        BID.replace(f"{first()},,\n", f"{first(counter=2)},,\n"),
        f"row 6, bid: 'M1/{SLOT}/2' is a condition of another bid itself; give {first()}",
    ),
    "a gap between counters": (
        BID.replace("/3,", "/4,"),
        f"row 4, order: the conditions of {first()} have the counters 1, 2, 4",
    ),
    "five conditions": (
        "".join(row(f"M1/{at}", "buy", "9,9", f"{first()},,") for at in range(1, 6)),
        f"row 4, bid: {first()} has 5 conditions; a bid has at most 4",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_conditions_that_are_none_are_refused_with_row_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    orders, says = FAULTS[fault]
    words = refused(capsys, folder(tmp_path / "in", OFFERS + orders), "--out", tmp_path / "out")
    assert (len(words.splitlines()), f"orders.csv, {says}" in words) == (1, True), words
    assert not (tmp_path / "out").exists()


def test_conditions_under_a_contract_that_takes_none_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = refused(capsys, folder(tmp_path / "in", OFFERS + BID, AUCTION), "--out", tmp_path / "out")
    assert words.count("\n") <= 1
    assert "orders.csv: has conditions (bid, seller, energy_kind), and p2p_call_auction/1 takes none" in words
    columns_alone = row("M1/1", "buy", "400,450000") + OFFERS
    settle(capsys, folder(tmp_path / "plain", columns_alone, AUCTION), "--out", tmp_path / "out")
