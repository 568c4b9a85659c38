"""``settle documents --year``: accounts of a year come to its documents and payments, month by month, and what is wrong is one line."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.settling.chain import payments
from tests.unit.settling.test_month_documents import settled
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import TARIFFED, first_slots, late_reading

__all__ = ["settled"]
CENT = 10_000_000


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def make(data: Path, out: Path, year: str, *more: str) -> int:
    return main(["settle", "documents", "--data", str(data), "--year", year, "--out", str(out), *more])


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four settled slots of 2027, one of them twice; p-1 paid and got a part back; l-1, which names no tariff, paid too."""
    folder = tmp_path_factory.mktemp("paid") / "ledger"
    sender = TARIFFED.sender()
    blocks = [*first_slots(sender), *late_reading(sender, 700)]
    more = [
        sender.payment("P-1", "p-1", 70_000_000, reference="line 1"),
        sender.payment("P-3", "l-1", 5_000_000, reference="line 2"),
        sender.payment("P-1", "p-1", 20_000_000, ground="paid_out", reference="line 3"),
    ]
    with ledger_with(folder, TARIFFED, [*blocks, more]):
        return folder


def test_a_year_of_two_months_has_every_document_of_them_and_hands_balances_on(settled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert make(settled / "ledger", out, "2025") == 0
    gross: dict[tuple[str, str], int] = defaultdict(int)
    tax: dict[str, int] = defaultdict(int)
    for row in rows(settled, "invoices.csv"):
        gross[row["party"], row["month"]] += int(row["gross"]) * CENT
        tax[row["party"]] += int(row["tax"]) * CENT
    assert {month for _, month in gross} == {"2025-06", "2025-07"}
    balances = rows(out, "balances.csv")
    parties = sorted({party for party, _ in gross})
    assert [(row["party"], row["month"]) for row in balances] == [
        (party, f"2025-{number:02}") for party in parties for number in range(1, 13)
    ]
    assert {
        (row["party"], row["month"]): int(row["invoiced_nano"]) for row in balances if row["invoiced_nano"] != "0"
    } == {key: nano for key, nano in gross.items() if nano}
    for before, after in pairwise(balances):
        if before["party"] == after["party"]:
            assert before["closing_nano"] == after["opening_nano"]
    of_party: dict[str, int] = defaultdict(int)
    for row in rows(out, "accounts.csv"):
        of_party[row["party"]] += int(row["owed_nano"])
    assert dict(of_party) == {row["party"]: int(row["closing_nano"]) for row in balances if row["month"] == "2025-12"}
    by_rate: dict[str, int] = defaultdict(int)
    for row in rows(out, "taxes.csv"):
        assert int(row["net_nano"]) + int(row["tax_nano"]) == int(row["gross_nano"])
        by_rate[row["party"]] += int(row["tax_nano"])
    assert by_rate == tax
    (year,) = rows(out, "year.csv")
    assert (year["year"], year["parties"], year["without_tariff"]) == ("2025", str(len(parties)), "0")


def test_corrections_and_payments_are_entries_and_come_to_the_closing_balance(
    paid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert make(paid, out, "2027", "--json") == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    entries = [(row["party"], row["entry"], row["run"], row["date"]) for row in rows(out, "accounts.csv")]
    assert entries == [
        ("p-1", "opening", "", ""),
        ("p-1", "invoice", "initial", ""),
        ("p-1", "received", "", "2027-01-15"),
        ("p-1", "paid_out", "", "2027-01-15"),
        ("p-2", "opening", "", ""),
        ("p-2", "invoice", "initial", ""),
        ("p-2", "credit", "correction-1", ""),
    ]
    (january,) = [row for row in rows(out, "balances.csv") if (row["party"], row["month"]) == ("p-1", "2027-01")]
    assert int(january["paid_nano"]) == 50_000_000
    assert answer["closing_nano"] == sum(int(row["owed_nano"]) for row in rows(out, "accounts.csv"))
    assert (answer["without_tariff"], answer["complete"], answer["parties"]) == (["l-1"], False, 2)
    assert "2027 is not complete: 16 of its 1600 slots are settled; these are accounts of the year so far" in told.err
    assert "no documents of l-1" in told.err
    missing = [f"2027-{number:02}" for number in range(1, 13) if number != 1]
    assert answer["months_missing"] == missing
    assert f"no slot is settled of {', '.join(missing)}\n" in told.err


def test_a_year_that_is_none_is_one_clear_line_and_nothing_is_left(
    paid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for year, said in (
        ("27", "--year '27': write YYYY, as 2026"),
        ("2026", "--year 2026: the ledger has no settled slot of it; it has 2027"),
    ):
        assert make(paid, tmp_path / "out", year) == 2
        assert capsys.readouterr().err.strip().splitlines()[-1] == said
    monkeypatch.setattr(payments, "PAYMENTS_MAX", 2)
    assert make(paid, tmp_path / "out", "2027") == 2
    assert "zone z-1: more than 2 payments in 2027 and before" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    capsys.readouterr()
    assert make(paid, tmp_path / "out", "2027", "--month", "2027-01") == 2
    assert "argument --month: not allowed with argument --year" in capsys.readouterr().err
