"""Documents, accounts of a year and issues of a ledger on which parties contest something: what is disputed is not due while it stands."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridcore.envelope import decode_transaction
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision
from gridledger.cli import main
from ledger.leaves.dispute import DISPUTE
from settlement.invoicing.total import HALF_EVEN, invoice_total
from tests.worlds.consortium import FIRST_S, UTILITY
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import MONTH, TARIFFED, first_slots, late_reading
from tests.worlds.transactions import Sender

CENT = 10_000_000
TAX_PPM = 130_000
SIGNED_NANO = 10**15
"""What p-1 signs of its demand charge: more than its documents have."""


def rows(out: Path, name: str, party: str = "p-1") -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["party"] == party]


@pytest.fixture(scope="module")
def contested(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A ledger with the first slots, and one that goes on: p-1 contests a slot and its demand charge, p-2 a slot that it is paid for; then all is dismissed."""
    folder = tmp_path_factory.mktemp("contested")
    return {name: make_ledger(folder / name, is_over=name == "over") for name in ("open", "over")}


def make_ledger(folder: Path, *, is_over: bool) -> Path:
    sender = TARIFFED.sender()
    blocks = [*first_slots(sender), *late_reading(sender, 700)]
    disputes = [
        sender.dispute("p-1", "P-1", FIRST_S),
        sender.dispute_document("p-1", MONTH, "demand", amount_nano=SIGNED_NANO),
        sender.dispute("p-2", "P-2", FIRST_S),
    ]
    blocks.append(disputes)
    if is_over:
        blocks += end_of(sender, [decode_transaction(wire).id for wire in disputes])
    with ledger_with(folder, TARIFFED, blocks) as ledger:
        assert DISPUTE.must(ledger, decode_transaction(disputes[0]).id.hex()).amount_nano > 0
        assert DISPUTE.must(ledger, decode_transaction(disputes[2]).id.hex()).amount_nano < 0
    return folder


def end_of(sender: Sender, disputes: Sequence[bytes]) -> list[list[bytes]]:
    """Rejected, then dismissed."""
    steps = ((DisputeAnswer, UTILITY, "rejected"), (DisputeDecision, "reg", "dismissed"))
    return [[sender.step(kind, one, signer, word) for one in disputes] for kind, signer, word in steps]


def make(data: Path, out: Path, *span: str) -> int:
    return main(["settle", "documents", "--data", str(data), *span, "--out", str(out), "--json"])


def test_the_slot_and_the_line_of_a_party_are_not_due_with_their_tax_and_a_credit_is(
    contested: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(contested["open"], tmp_path / "out", "--month", MONTH) == 0
    answer = json.loads(capsys.readouterr().out)
    (own,), (other,) = (rows(tmp_path / "out", "disputed.csv", party) for party in ("p-1", "p-2"))
    slot_nano = sum(
        int(row["amount_nano"])
        for row in rows(tmp_path / "out", "statements.csv")
        if row["slot_start_s"] == str(FIRST_S) and row["line_kind"] in CONTRACT_LINES
    )
    assert slot_nano > 0
    gross_nano = sum(int(row["gross"]) for row in rows(tmp_path / "out", "invoices.csv")) * CENT
    assert int(own["gross_nano"]) == gross_nano
    lines = rows(tmp_path / "out", "invoice_lines.csv")
    demand_nano = sum(int(row["amount"]) * CENT for row in lines if row["line_kind"] == "demand")
    assert demand_nano > 0
    expected = invoice_total([slot_nano, demand_nano], TAX_PPM, CENT, HALF_EVEN).gross * CENT
    assert (int(own["disputes"]), int(own["disputed_nano"])) == (2, expected)
    assert int(own["due_nano"]) == gross_nano - expected
    assert (int(other["disputes"]), int(other["disputed_nano"])) == (1, 0)
    assert other["due_nano"] == other["gross_nano"]
    assert answer["disputed_nano"] == expected
    assert answer["disputed_nano"] + answer["due_nano"] == answer["gross_nano"]


def test_the_tax_on_a_contested_line_is_held_back_once_where_the_tax_is_contested_too(tmp_path: Path) -> None:
    sender = TARIFFED.sender()
    blocks = [*first_slots(sender), *late_reading(sender, 700)]
    signed = [
        sender.dispute_document("p-1", MONTH, "demand", amount_nano=SIGNED_NANO),
        sender.dispute_document("p-1", MONTH, part="tax", amount_nano=SIGNED_NANO),
    ]
    with ledger_with(tmp_path / "ledger", TARIFFED, [*blocks, signed]):
        pass
    assert make(tmp_path / "ledger", tmp_path / "out", "--month", MONTH) == 0
    (own,) = rows(tmp_path / "out", "disputed.csv")
    demand = sum(
        int(row["amount"]) for row in rows(tmp_path / "out", "invoice_lines.csv") if row["line_kind"] == "demand"
    )
    tax = sum(int(row["tax"]) for row in rows(tmp_path / "out", "invoices.csv"))
    assert min(demand, tax) > 0
    assert (int(own["disputes"]), int(own["disputed_nano"])) == (2, (demand + tax) * CENT)


CONTRACT_LINES = ("levy", "network_residual", "network_traded", "residual_import", "residual_export", "traded_buy", "traded_sell", "shortfall", "surplus")  # fmt: skip


def test_an_amount_is_due_again_when_its_dispute_is_dismissed(contested: dict[str, Path], tmp_path: Path) -> None:
    found = {}
    for name, data in contested.items():
        assert make(data, tmp_path / name, "--year", MONTH[:4]) == 0
        found[name] = rows(tmp_path / name, "balances.csv")[-1]
    assert found["open"]["closing_nano"] == found["over"]["closing_nano"]
    assert (found["over"]["disputed_nano"], found["over"]["due_nano"]) == ("0", found["over"]["closing_nano"])
    assert int(found["open"]["disputed_nano"]) > 0
    assert int(found["open"]["disputed_nano"]) + int(found["open"]["due_nano"]) == int(found["open"]["closing_nano"])


def test_who_issues_is_told_what_of_the_documents_is_not_due_and_the_book_stays_as_it_is(
    contested: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {}
    for name, data in contested.items():
        command = ["settle", "issue", "--data", str(data), "--book", str(tmp_path / name), "--month", MONTH]
        assert main([*command, "--issuer", UTILITY, "--date", "2027-02-03", "--so-far", "--json"]) == 0
        told[name] = capsys.readouterr()
    own, other = json.loads(told["open"].out)["disputed"]
    assert (own["party"], other["party"]) == ("p-1", "p-2")
    assert own["disputed_nano"] + own["due_nano"] == own["gross_nano"]
    assert (
        f"p-1: of the documents of {MONTH}, {own['gross_nano']} nano, {own['disputed_nano']} are disputed"
        in told["open"].err
    )
    assert json.loads(told["over"].out)["disputed"] == []
    assert "disputed" not in told["over"].err
    books = [(tmp_path / name / "0001" / "documents.csv").read_bytes() for name in contested]
    assert books[0] == books[1]
