"""Tax by component: a rate of its own or that of the tariff, on the line, by rate on the document, in the year, and step by step."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.tariff import TARIFF, Tariff
from gridledger.cli import main
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.month_derivation import DocumentName, derive_document
from settlement.tariffs.components import Component
from settlement.tariffs.taxes import RateFrom, rate_spans
from tests.slow import invoices
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_month_documents import make, rows
from tests.unit.settling.test_registered_tariffs import DAYS, POINTS, component, readings
from tests.worlds.consortium import START_S, UTILITY, Consortium
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import MONTH, TARIFFED, first_slots, late_reading
from tests.worlds.tariffed import component as row

OWN_PPM: Final = {"heat": 60_000, "relief": 0}
TERMS: Final = '\n[invoice]\ntax_ppm = 130000\nrounding = "half_even"\n'
TAXED: Final = (
    component("energy", "import", 100_003)
    + component("heat", "residual", 70_001, "tax_ppm = 60000")
    + component("relief", "import", -30_007, "tax_ppm = 0")
    + component("funds", "import", 29_000, "taxed = false")
    + TERMS
)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days over the end of June, with a correction."""
    path = tmp_path_factory.mktemp("taxed")
    files = {"points.csv": POINTS, "readings.csv": readings(DAYS), "rules.toml": RULES + TAXED}
    out = path / "out"
    assert main(["settle", "files", str(make_folder(path / "in", files)), "--out", str(out)]) == 0
    newer = "start,point,import_kwh,export_kwh\n2025-06-29T10:00:00Z,P1,1.777,0.000\n"
    onto = make_folder(path / "newer", {**files, "readings.csv": newer})
    assert main(["settle", "files", str(onto), "--onto", str(out)]) == 0
    return out


def test_each_document_is_taxed_by_rate_and_its_files_say_so(settled: Path) -> None:
    exact: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for line in rows(settled, "invoice_lines.csv"):
        exact[line["party"], line["month"]][line["line_kind"]] += int(line["amount_nano"])
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in rows(settled, "invoices.csv"):
        for key in ("net", "tax", "gross", "rounding"):
            found[one["party"], one["month"]][key] += int(one[key])
    by_rate: dict[tuple[str, str], int] = defaultdict(int)
    for tax in rows(settled, "invoice_taxes.csv"):
        by_rate[tax["party"], tax["month"]] += int(tax["tax"])
    expected = {
        key: invoices.invoice(lines, ["funds"], 130_000, 10_000_000, "half_even", OWN_PPM)
        for key, lines in exact.items()
    }
    assert {key: [*sums.values()] for key, sums in found.items()} == {
        key: [*sums.values()] for key, sums in expected.items()
    }
    assert dict(by_rate) == {key: sums["tax"] for key, sums in expected.items()}
    rate_of = {line["line_kind"]: line["tax_ppm"] for line in rows(settled, "invoice_lines.csv")}
    assert {
        "energy": "130000",
        "levy": "130000",
        "heat": "60000",
        "relief": "0",
        "funds": "",
    }.items() <= rate_of.items()
    assert {tax["tax_ppm"] for tax in rows(settled, "invoice_taxes.csv")} == {"130000", "60000", "0"}
    assert {one["run"] for one in rows(settled, "invoice_taxes.csv")} == {"initial", "correction-1"}


def test_the_totals_are_derived_rate_by_rate_and_computed_again(
    settled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in rows(settled, "invoice_lines.csv"):
        for kind in ("", one["line_kind"]):
            assert derive_document(
                DocumentFolder(settled), DocumentName(one["party"], one["month"], kind, one["run"])
            ).holds
    assert main(["settle", "explain", "--settled", str(settled), "--line", "M1/2025-06", "--language", "en"]) == 0
    told = capsys.readouterr().out
    assert "Tax at 13.00 %: the lines of this rate" in told
    assert "heat (taxed at 6.00 %)" in told
    assert "funds (no tax is paid on it)" in told
    assert main(["settle", "replay", "--settled", str(settled)]) == 0
    path = settled / "invoice_taxes.csv"
    text = path.read_text()
    first = text.splitlines()[1]
    path.write_text(text.replace(first, first + "0", 1))
    capsys.readouterr()
    assert main(["settle", "replay", "--settled", str(settled)]) == 1
    path.write_text(text)
    assert "NOT THE SAME: invoice_taxes.csv, row 2" in capsys.readouterr().out


def test_a_year_has_a_row_for_each_rate_and_their_sums_are_those_of_the_documents(
    settled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "year"
    year = ["settle", "documents", "--data", str(settled / "ledger"), "--year", "2025", "--out", str(out)]
    assert main(year) == 0
    taxes = [one for one in rows(out, "taxes.csv") if one["party"] == "M1"]
    assert [one["tax_ppm"] for one in taxes] == ["130000", "60000", "0"]
    documents = [one for one in rows(settled, "invoices.csv") if one["party"] == "M1"]
    for column, own in (("net_nano", "net"), ("tax_nano", "tax"), ("gross_nano", "gross")):
        assert sum(int(one[column]) for one in taxes) == sum(int(one[own]) for one in documents) * 10_000_000
    accounts = [one for one in rows(out, "accounts.csv") if one["party"] == "M1" and one["entry"] == "invoice"]
    assert {one["tax_ppm"] for one in accounts} == {""}


def world() -> Consortium:
    """p-1 and p-2 have tariffs of their own, in which components of one name are taxed otherwise."""
    tariffs = {
        "p-1": [row("energy", "import", 100_000), row("levy_own", "import", 50_000)],
        "p-2": [row("energy", "import", 100_000, tax_ppm=90_000), row("levy_own", "import", 50_000, taxed=False)],
    }
    more = [Named(TARIFF, party, Tariff(of, 10_000_000, "half_even", 130_000)) for party, of in tariffs.items()]
    parties = [Named(PARTY, name, Party("a-1", UTILITY, trades=True, tariff=name), START_S) for name in tariffs]
    return replace(TARIFFED, more=[*more, *parties])


def test_who_has_another_tariff_with_a_component_of_the_name_has_its_own_tax(tmp_path: Path) -> None:
    of, out = world(), tmp_path / "out"
    sender = of.sender()
    with ledger_with(tmp_path / "ledger", of, [*first_slots(sender), *late_reading(sender, 600)]):
        pass
    assert make(tmp_path / "ledger", out) == 0
    rates = {(line["party"], line["line_kind"]): line["tax_ppm"] for line in rows(out, "invoice_lines.csv")}
    own = [rates[party, kind] for party in ("p-1", "p-2") for kind in ("energy", "levy_own")]
    assert own == ["130000", "130000", "90000", ""]
    folder = DocumentFolder(out, tmp_path / "ledger")
    assert all(derive_document(folder, DocumentName(party, MONTH, "", "initial")).holds for party in ("p-1", "p-2"))


def test_an_entry_has_its_own_rate_else_that_of_the_tariff_day_by_day_and_neighbours_of_one_rate_are_one_span() -> None:
    own = [RateFrom(10, 160_000), RateFrom(20, 130_000), RateFrom(25, 130_000)]
    entry = Component("a", "grid", "import", 1)
    assert rate_spans(entry, own, 1, 31) == [(20, 160_000), (32, 130_000)]
    assert rate_spans(entry, own, 20, 31) == [(32, 130_000)]
    assert rate_spans(entry, own, 1, 19) == [(20, 160_000)]
    assert rate_spans(entry._replace(tax_ppm=0), own, 1, 31) == [(32, 0)]
    assert rate_spans(entry._replace(is_taxed=False), own, 1, 31) == [(32, None)]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("tax_ppm = 1000001", "tax_ppm: a whole number from 0 to 1000000 is needed, not 1000001"),
        ("tax_ppm = 60000\ntaxed = false", "tax_ppm: no tax is paid on it, taxed is false"),
    ],
)
def test_a_rate_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, words: str
) -> None:
    files = {
        "points.csv": POINTS,
        "readings.csv": readings(DAYS),
        "rules.toml": RULES + component("a", "import", 1, more),
    }
    assert main(["settle", "files", str(make_folder(tmp_path / "in", files)), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
