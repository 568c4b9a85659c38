"""Losses, imbalances and penalties in the books: documents of whoever answers, general ledger and receipts, of folders of files and of metered ledgers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.master_data import Named
from gridcore.registry.balance_terms import BALANCE_TERMS
from gridcore.registry.party import PARTY, Party
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.balance_month_derivation import derive_balance_line
from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.month_derivation import DocumentName
from gridledger.settling.results.balance_book import BalanceBook, BalanceDay
from settlement.area_balance import KINDS
from tests.unit.settlement.test_borders_of_areas import ENDS, TERMS, WORLD, blocks_of
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_balance_of_a_folder import BALANCE, FIRST, FOLDER, PENALTY, readings, rows_of
from tests.worlds.consortium import START_S, UTILITY, Consortium
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import HOME

TAX_PPM = 130_000
QUANTUM_NANO = 10_000_000
INVOICE = f"[invoice]\ntax_ppm = {TAX_PPM}\n"
BILLED = {**FOLDER, "rules.toml": RULES + INVOICE + BALANCE + PENALTY}
MORE = {**FIRST, "P1": ("1.4", "0"), "F1": ("1.5", "0")}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slots before midnight of 30 June, and a correction of both: a border's reading comes, a household took more."""
    path = tmp_path_factory.mktemp("balance")
    make_folder(path / "in", BILLED)
    assert main(["settle", "files", str(path / "in"), "--out", str(path / "out")]) == 0
    make_folder(path / "newer", {**BILLED, "readings.csv": readings(MORE, FIRST)})
    assert main(["settle", "files", str(path / "newer"), "--onto", str(path / "out")]) == 0
    return path / "out"


def owed_in_ledger(folder: Path) -> dict[tuple[str, str], int]:
    """What each party owes by entries of balances, their documents' tax and rounding included, by area and party."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows_of(folder, "general_ledger.csv"):
        account, kind = row["entry"].split("/")[-2:]
        area = row["entry"].split("/")[-3]
        if kind in KINDS or (account == kind and area in ("north", "south", "a-1")):
            party = row["entry"].split("/")[2]
            sign = 1 if row["debit_account"] == party else -1
            found[area, party] += sign * int(row["amount_nano"])
    return dict(found)


def invoiced(folder: Path) -> dict[tuple[str, str], int]:
    """The gross of all documents of balances."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows_of(folder, "balance_invoices.csv"):
        found[row["area"], row["party"]] += int(row["gross"]) * QUANTUM_NANO
    return dict(found)


def test_documents_of_a_balance_come_to_what_the_general_ledger_has_of_whoever_answers(out: Path) -> None:
    assert invoiced(out) == owed_in_ledger(out)
    assert invoiced(out).keys() == {("north", "east"), ("north", "grid"), ("south", "grid"), ("south", "west")}
    runs = [(row["party"], row["area"], row["run"]) for row in rows_of(out, "balance_invoices.csv")]
    assert ("east", "north", "initial") in runs
    assert ("east", "north", "correction-1") in runs
    assert all(row["month"] == "2025-06" for row in rows_of(out, "balance_invoices.csv"))


def test_a_correction_and_what_was_before_come_to_what_the_newer_readings_alone_come_to(
    out: Path, tmp_path: Path
) -> None:
    make_folder(tmp_path / "in", {**BILLED, "readings.csv": readings(MORE, FIRST)})
    assert main(["settle", "files", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    assert {row["run"] for row in rows_of(tmp_path / "out", "balance_invoices.csv")} == {"initial"}
    assert invoiced(out) == invoiced(tmp_path / "out")


def test_partners_of_an_account_of_a_balance_receive_what_the_account_pays(out: Path) -> None:
    received: dict[str, int] = defaultdict(int)
    for row in rows_of(out, "partner_months.csv"):
        if "/" in row["account"]:
            received[row["account"]] += int(row["received_nano"])
    accounts = {row["account"]: int(row["balance_nano"]) for row in rows_of(out, "balance_accounts.csv")}
    assert received == {name: nano for name, nano in accounts.items() if "/" in name}
    assert received["north/losses"] < 0 < received["south/imbalance"]


def test_each_line_of_a_balance_is_explained_and_a_changed_row_is_found(out: Path, tmp_path: Path) -> None:
    lines = rows_of(out, "balance_invoice_lines.csv")
    assert {row["line_kind"] for row in lines} == {"loss", "shortfall", "surplus", "penalty"}
    for row in lines:
        name = DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
        found = derive_balance_line(DocumentFolder(out), row["area"], name)
        assert found.holds, [step for step in found.steps if not step.holds]
        assert found.amounts == {"amount": int(row["amount"])}


def test_the_command_explains_a_line_and_computes_the_folder_again(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain = ["settle", "explain", "--settled", str(out), "--area", "north", "--line"]
    assert main([*explain, "east/2025-06/shortfall", "--language", "en"]) == 0
    assert "by local day; each slot: --area north --line east/SLOT/shortfall" in capsys.readouterr().out
    assert main([*explain, "east/2025-06/loss", "--run", "correction-9"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "--line east/2025-06/loss: east has no document for the balance of area north of run 'correction-9'; it has initial, correction-1"
    ]
    assert main(["settle", "replay", "--settled", str(out)]) == 0
    path = out / "balance_invoice_lines.csv"
    whole = path.read_text()
    try:
        path.write_text(whole.replace("shortfall,500", "shortfall,501"))
        assert path.read_text() != whole
        capsys.readouterr()
        assert main(["settle", "replay", "--settled", str(out)]) == 1
        assert "NOT THE SAME: balance_invoice_lines.csv, row " in capsys.readouterr().out
        assert main([*explain, "east/2025-06/shortfall", "--language", "en"]) == 1
    finally:
        path.write_text(whole)


# ------------------------------------------------------------------------------------------------- of a metered ledger


def world(*parties: str) -> Consortium:
    """The area a-1 of two: p-1 and whoever is named have a tariff."""
    tariff = HOME._replace(components=[])
    named = [
        Named(PARTY, name, Party("a-1", UTILITY, trades=False, tariff="plain"), START_S) for name in ("p-1", *parties)
    ]
    return replace(WORLD, more=[*WORLD.more, Named(TARIFF, "plain", tariff), *named])


def made(path: Path, of: Consortium) -> Path:
    with ledger_with(path / "ledger", of, blocks_of(of, late=[ENDS[0][2]])):
        pass
    command = ["settle", "documents", "--data", str(path / "ledger"), "--area", "a-1", "--month", "2027-01", "--json"]
    assert main([*command, "--out", str(path / "out")]) == 0
    return path / "out"


def test_who_answers_and_names_a_tariff_has_documents_of_a_metered_month(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """40 Wh are lost at 410,000; the border's reading comes late: the document is of the correction. east took 900 Wh that it had not bought."""
    out = made(tmp_path, world("grid", "east"))
    assert json.loads(capsys.readouterr().out)["balance_documents"] == 2
    assert invoiced(out) == owed_in_ledger(out)
    lines = {(row["party"], row["run"], row["line_kind"]): row for row in rows_of(out, "balance_invoice_lines.csv")}
    assert lines.keys() == {("grid", "correction-1", "loss"), ("east", "initial", "shortfall")}
    assert lines["grid", "correction-1", "loss"]["amount_nano"] == str(40 * 410_000)
    replay = ["settle", "replay", "--data", str(tmp_path / "ledger"), "--documents", str(out)]
    assert main(replay) == 0
    explain = ["settle", "explain", "--data", str(tmp_path / "ledger"), "--documents", str(out), "--area", "a-1"]
    assert main([*explain, "--line", "grid/2027-01/loss", "--language", "zh_CN"]) == 0


def test_who_answers_without_a_tariff_is_in_the_general_ledger_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = made(tmp_path, world("grid"))
    said = capsys.readouterr()
    assert json.loads(said.out)["balance_without_tariff"] == ["east"]
    assert "no documents of east: they answer for balances and name no tariff (docs/tariffs.md)" in said.err
    assert {row["party"] for row in rows_of(out, "balance_invoices.csv")} == {"grid"}
    owed = owed_in_ledger(out)
    assert owed["a-1", "east"] == 900 * 600_000
    assert owed["a-1", "grid"] == invoiced(out)["a-1", "grid"]


def test_an_area_without_terms_has_no_files_of_balances(tmp_path: Path) -> None:
    of = world("grid")
    plain = replace(of, more=[one for one in of.more if not (isinstance(one, Named) and one.entity is BALANCE_TERMS)])
    assert TERMS.loss_responsible == "grid"
    out = made(tmp_path, plain)
    assert not (out / "balance_invoices.csv").exists()
    assert owed_in_ledger(out) == {}
    assert main(["settle", "replay", "--data", str(tmp_path / "ledger"), "--documents", str(out)]) == 0


# -------------------------------------------------------------------------------------------------------------- law

NAMES = st.sampled_from(["east", "west", "north/unassigned"])
DAY = st.builds(
    BalanceDay,
    st.sampled_from(["north", "south"]),
    st.sampled_from(["initial", "correction-1", "correction-2", "final"]),
    st.sampled_from(["2025-06-29", "2025-06-30", "2025-07-01"]),
    NAMES,
    st.sampled_from(KINDS),
    st.integers(-(10**6), 10**6),
    st.integers(-(10**12), 10**12),
)


def terms_of(party: str, month: str) -> InvoiceTerms | None:
    return None if party == "west" and month == "2025-07" else InvoiceTerms(tax_ppm=TAX_PPM)


def sums(book: BalanceBook) -> Mapping[tuple[str, ...], list[int]]:
    """Net, tax, gross and rounding of all documents together; none where they are nothing."""
    found: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in book.rows(book.issued()):
        amounts = (row.net, row.tax, row.gross, row.rounding)
        found[row.party, row.month, row.area] = [a + b for a, b in zip(found[row.party, row.month, row.area], amounts, strict=True)]  # fmt: skip
    return {key: amounts for key, amounts in found.items() if any(amounts)}


@given(st.lists(DAY, max_size=12))
def test_the_documents_of_all_runs_together_are_the_invoice_of_the_last_one(days: Sequence[BalanceDay]) -> None:
    at_once = BalanceBook([day._replace(run="initial") for day in days], terms_of)
    assert sums(BalanceBook(days, terms_of)) == sums(at_once)
    assert "north/unassigned" not in {one.of.party for one in at_once.issued()}
    exact: dict[tuple[str, ...], int] = defaultdict(int)
    for day in days:
        exact[day.who, day.month, day.area] += day.owed_nano
    for key, (net, _, _, rounding) in sums(at_once).items():
        assert net * QUANTUM_NANO - rounding == exact[key]
