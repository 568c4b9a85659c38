"""A rate of tax that changes inside a month: what was delivered under each rate is taxed with it, in files, books, and step by step."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest

from gridledger.cli import main
from gridledger.settling.chain.founding import OPERATOR
from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.disputed import Contestable, nets_of_line
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.month_derivation import DocumentName, derive_document
from gridledger.settling.outgoing.book import ISSUE, LINES, digest_of
from gridledger.settling.outgoing.explained import derive_issued_line
from gridledger.settling.results.balance_book import BalanceBook, BalanceDay
from gridledger.tables.files import write_rows
from settlement.invoicing.documents import LineOf
from settlement.tariffs.taxes import RateFrom
from tests.slow.invoices import rounded
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_month_documents import rows
from tests.unit.settling.test_registered_tariffs import DAYS, POINTS, component, readings

EARLIER, LATER = "130000", "90000"
"""Of the tariff: the later one from 30 June on, a Monday."""
QUANTUM_NANO: Final = 10_000_000
STEPS: Final = "[{until_kwh = 200, price_micro_per_kwh = 10000}, {price_micro_per_kwh = 30000}]"


def stepped_of(*more: str) -> str:
    """By steps of the month, at a rate of its own."""
    lines = ('name = "own_steps"', 'account = "grid"', 'base = "import"', f"steps = {STEPS}", *more)
    return "\n[[tariff.component]]\n" + "\n".join(lines) + "\n"


COMPONENTS: Final = (
    component("energy", "import", 100_003)
    + component("heat", "residual", 70_001, "tax_ppm = 160000", "valid_until = 2025-06-29")
    + component("heat", "residual", 70_001, "tax_ppm = 60000", "valid_from = 2025-06-29")
    + component("own_peak", "kw_peak", 20_000_001, "tax_ppm = 160000", "valid_until = 2025-06-29")
    + component("own_peak", "kw_peak", 20_000_001, "tax_ppm = 60000", "valid_from = 2025-06-29")
    + stepped_of("tax_ppm = 160000", "valid_until = 2025-06-29")
    + stepped_of("tax_ppm = 60000", "valid_from = 2025-06-29")
    + component("demand", "kw_contracted", 31_000_001, "contracted_kw = {M1 = 12}")
    + component("stay", "day", 300_000)
    + component("factor", "percent", -7_501, 'of = ["energy", "demand"]')
    + component("funds", "import", 29_000, "taxed = false")
    + """
[[tariff.component]]
name = "working_peak"
account = "supplier"
base = "kw_peak"
price_micro_per_kw_month = 20000001
weekdays = [1]

[[tariff.component]]
name = "stepped"
account = "grid"
base = "import"
steps = [{until_kwh = 200, price_micro_per_kwh = 10000}, {price_micro_per_kwh = 30000}]
"""
)


def terms(tax_ppm: str) -> str:
    return f'\n[invoice]\ntax_ppm = {tax_ppm}\nrounding = "half_even"\n'


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """28 to 30 June, a kWh in each quarter; then other rules, and another reading, from 29 June at 12:00 on."""
    path = tmp_path_factory.mktemp("changed")
    files = {"points.csv": POINTS, "readings.csv": readings(DAYS), "rules.toml": RULES + COMPONENTS + terms(EARLIER)}
    out = path / "out"
    assert main(["settle", "files", str(make_folder(path / "in", files)), "--out", str(out)]) == 0
    newer = "start,point,import_kwh,export_kwh\n2025-06-29T10:00:00Z,P1,1.777,0.000\n"
    changed = {**files, "readings.csv": newer, "rules.toml": RULES + COMPONENTS + terms(LATER)}
    assert main(["settle", "files", str(make_folder(path / "newer", changed)), "--onto", str(out)]) == 0
    return out


def nano_of_month(out: Path, party: str) -> dict[tuple[str, str], int]:
    """What all documents of June say of each line, exact."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows(out, "invoice_lines.csv"):
        if (row["party"], row["month"]) == (party, "2025-06"):
            found[row["line_kind"], row["tax_ppm"]] += int(row["amount_nano"])
    return dict(found)


def test_what_was_delivered_under_each_rate_is_a_line_of_its_own(settled: Path) -> None:
    """M1 took 88 kWh on 28 June (from 02:00 on), 96.777 on the 29th and 96 on the 30th; 3 of 30 days."""
    first_wh, later_wh = 184_777, 96_000
    found = nano_of_month(settled, "M1")
    energy = {EARLIER: first_wh * 100_003, LATER: later_wh * 100_003}
    demand = [12_000 * 31_000_001 * days // 30 for days in (2, 3)]
    shared = sum(energy.values()) + demand[1]
    factor = [shared * -7_501 * days // (1_000_000 * 3) for days in (2, 3)]
    peak = [4_000 * 20_000_001 * days // 30 for days in (2, 3)]
    own_peak = [7_108 * 20_000_001 * days // 30 for days in (1, 3)]
    expected = {
        ("energy", EARLIER): energy[EARLIER],
        ("energy", LATER): energy[LATER],
        ("heat", "160000"): 88_000 * 70_001,
        ("heat", "60000"): (96_777 + 96_000) * 70_001,
        ("own_peak", "160000"): own_peak[0],
        ("own_peak", "60000"): own_peak[1] - own_peak[0],
        ("own_steps", "160000"): 88_000 * 10_000,
        ("own_steps", "60000"): (200_000 - 88_000) * 10_000 + (first_wh + later_wh - 200_000) * 30_000,
        ("demand", EARLIER): demand[0],
        ("demand", LATER): demand[1] - demand[0],
        ("stay", EARLIER): 600_000_000,
        ("stay", LATER): 300_000_000,
        ("factor", EARLIER): factor[0],
        ("factor", LATER): factor[1] - factor[0],
        ("funds", ""): (first_wh + later_wh) * 29_000,
        ("working_peak", EARLIER): peak[0],
        ("working_peak", LATER): peak[1] - peak[0],
        ("stepped", EARLIER): first_wh * 10_000,
        ("stepped", LATER): (200_000 - first_wh) * 10_000 + (first_wh + later_wh - 200_000) * 30_000,
        ("levy", EARLIER): first_wh * 40_000,
        ("levy", LATER): later_wh * 40_000,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert {rate for kind, rate in found if kind not in ("heat", "funds", "own_peak", "own_steps")} == {EARLIER, LATER}


def test_the_tax_of_each_rate_is_that_of_its_lines_rounded_once_and_a_correction_moves_its_own_rate_alone(
    settled: Path,
) -> None:
    taxed: dict[str, int] = defaultdict(int)
    for (_, rate), nano in nano_of_month(settled, "M1").items():
        taxed[rate] += rounded(Fraction(nano, QUANTUM_NANO), "half_even")
    own = [one for one in rows(settled, "invoice_taxes.csv") if (one["party"], one["month"]) == ("M1", "2025-06")]
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in own:
        sums[one["tax_ppm"]][0] += int(one["taxed"])
        sums[one["tax_ppm"]][1] += int(one["tax"])
    assert {rate: both[0] for rate, both in sums.items()} == {rate: taxed[rate] for rate in taxed if rate}
    assert {rate: both[1] for rate, both in sums.items()} == {
        rate: rounded(Fraction(both[0] * int(rate), 1_000_000), "half_even") for rate, both in sums.items()
    }
    totals = [one for one in rows(settled, "invoices.csv") if (one["party"], one["month"]) == ("M1", "2025-06")]
    assert sum(int(one["tax"]) for one in totals) == sum(both[1] for both in sums.values())


def test_every_line_of_several_rates_is_derived_and_computed_again(
    settled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {
        (row["party"], row["month"], kind, row["run"])
        for row in rows(settled, "invoice_lines.csv")
        for kind in ("", row["line_kind"])
    }
    derived = [derive_document(DocumentFolder(settled), DocumentName(*name)) for name in sorted(named)]
    assert [one.name for one in derived if not one.holds] == []
    assert main(["settle", "explain", "--settled", str(settled), "--line", "M1/2025-06", "--language", "en"]) == 0
    told = capsys.readouterr().out
    assert "energy (taxed at 9.00 %)" in told or "energy (taxed at 13.00 %)" in told
    assert "Tax at 16.00 %: the lines of this rate" in told
    assert main(["settle", "replay", "--settled", str(settled)]) == 0
    path = settled / "invoice_lines.csv"
    text = path.read_text()
    path.write_text(text.replace(f",{LATER}\n", f",{EARLIER}\n", 1))
    assert main(["settle", "replay", "--settled", str(settled)]) == 1
    path.write_text(text)


def issue(settled: Path, book: Path) -> list[str]:
    """June issued into a book; what names ledger and book."""
    data = ["--data", str(settled / "ledger"), "--book", str(book)]
    command = ["settle", "issue", *data, "--month", "2025-06", "--issuer", OPERATOR, "--so-far", "--date", "2025-07-03"]
    assert main(command) == 0
    return data


def test_an_issue_of_such_a_month_has_the_taxes_of_each_rate_and_is_explained_and_computed_again(
    settled: Path, tmp_path: Path
) -> None:
    data = issue(settled, tmp_path / "book")
    folder = tmp_path / "book" / "0001"
    number = next(one["number"] for one in rows(folder, "documents.csv") if one["party"] == "M1")
    of_rate = {one["tax_ppm"]: int(one["tax"]) for one in rows(folder, "document_taxes.csv") if one["number"] == number}
    from_files: dict[str, int] = defaultdict(int)
    for one in rows(settled, "invoice_taxes.csv"):
        if (one["party"], one["month"]) == ("M1", "2025-06"):
            from_files[one["tax_ppm"]] += int(one["tax"])
    assert of_rate == dict(from_files)
    lines = [one for one in rows(folder, "document_lines.csv") if one["number"] == number]
    assert {(one["line_kind"], one["tax_ppm"]): int(one["amount_nano"]) for one in lines} == nano_of_month(
        settled, "M1"
    )
    taxed = {one["tax_ppm"]: one["taxed"] for one in rows(folder, "document_taxes.csv") if one["number"] == number}
    assert {rate: str(sum(int(one["amount"]) for one in lines if one["tax_ppm"] == rate)) for rate in taxed} == taxed
    kinds = dict.fromkeys(one["line_kind"] for one in lines)
    found = [derive_issued_line(settled / "ledger", tmp_path / "book", number, kind, None) for kind in kinds]
    assert [one.name for one in found if not one.holds] == []
    assert main(["settle", "replay", *data]) == 0


def test_a_book_whose_lines_have_no_rates_is_computed_again_and_goes_on(settled: Path, tmp_path: Path) -> None:
    """As releases made them before: a kind has one line, of all its rates."""
    data = issue(settled, tmp_path / "book")
    folder = tmp_path / "book" / "0001"
    of_kind: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in rows(folder, "document_lines.csv"):
        sums = of_kind[one["number"], one["line_kind"], one["account"]]
        sums[:] = (
            known + int(one[name]) for known, name in zip(sums, ("energy_wh", "amount_nano", "amount"), strict=True)
        )
    lines: list[tuple[str | int, ...]] = [(*key, *sums) for key, sums in of_kind.items()]
    (stated,) = rows(folder, ISSUE)
    for name in (LINES, ISSUE):
        (folder / name).unlink()
    write_rows(folder / LINES, ("number", "line_kind", "account", "energy_wh", "amount_nano", "amount"), lines)
    write_rows(folder / ISSUE, [*stated], [[*{**stated, "lines_sm3": digest_of(folder / LINES)}.values()]])
    assert main(["settle", "replay", *data]) == 0
    issue(settled, tmp_path / "book")
    assert [path.name for path in sorted((tmp_path / "book").glob("0*"))] == ["0001"], "nothing is owed otherwise"


def test_what_is_contested_of_a_line_of_several_rates_counts_at_the_highest_first() -> None:
    lines = {LineOf("heat", 60_000): 30, LineOf("heat", 160_000): 10, LineOf("stay", 130_000): 99}
    of = Contestable("M1", "2025-06", frozenset(), 0, 100, InvoiceTerms(tax_ppm=130_000), 0, 0, lines, [(50, 90_000)])
    found = [[tuple(one) for one in nets_of_line("heat", quanta * QUANTUM_NANO, of)] for quanta in (5, 25, 99)]
    nano = QUANTUM_NANO
    assert found == [
        [(5 * nano, 160_000), (0, 60_000)],
        [(10 * nano, 160_000), (15 * nano, 60_000)],
        [(10 * nano, 160_000), (30 * nano, 60_000)],
    ]
    assert [of.rate_at(slot_start_s) for slot_start_s in (0, 49, 50)] == [130_000, 130_000, 90_000]


def test_the_document_of_a_balance_is_taxed_by_the_rate_of_each_day() -> None:
    days = [
        BalanceDay("a-1", "initial", day, "grid", "loss", 1_000, nano)
        for day, nano in (("2025-06-14", 10**9), ("2025-06-15", 2 * 10**9))
    ]
    later = (RateFrom(date(2025, 6, 15).toordinal(), 90_000),)
    book = BalanceBook(days, lambda *_: InvoiceTerms(tax_ppm=130_000, later_rates=later))
    (issued,) = book.issued()
    assert [tuple(one) for one in issued.document.taxes] == [(130_000, 100, 13), (90_000, 200, 18)]
    assert [row.amount for row in book.line_rows([issued])] == [300]
