"""``[[invoice.later_rates]]``: the tax of a folder from a local day on, as many as a ledger takes, and out of newer files."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.settling.chain.tariffs import tariff_rows
from gridledger.settling.files.dated_rates import LATER_RATES_MAX
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_extract import MID_MONTH
from tests.unit.settling.test_month_documents import rows

INVOICE = "[invoice]\ntax_ppm = 130000\n"


def later(*rates: tuple[date, int]) -> str:
    return "".join(f"[[invoice.later_rates]]\nvalid_from = {day}\ntax_ppm = {tax_ppm}\n" for day, tax_ppm in rates)


CHANGED = RULES + INVOICE + later((date(2025, 6, 15), 90_000))


def taxes(out: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """What all documents say of each party and rate: the taxed net, and the tax."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows(out, "invoice_taxes.csv"):
        sums = found[row["party"], row["tax_ppm"]]
        sums[0], sums[1] = sums[0] + int(row["taxed"]), sums[1] + int(row["tax"])
    return {key: (taxed, tax) for key, (taxed, tax) in found.items()}


def settled(tmp_path: Path, name: str, rules: str, option: str, out: str) -> Path:
    folder = make_folder(tmp_path / name, {"readings.csv": MID_MONTH, "rules.toml": rules})
    assert main(["settle", "files", str(folder), option, str(tmp_path / out)]) == 0
    return tmp_path / out


def test_a_rate_of_newer_rules_comes_to_the_documents_of_a_folder_that_had_it_at_once(tmp_path: Path) -> None:
    """4 kWh an hour: of M1 the first four slots are of 14 June, the others of the 15th."""
    at_once = settled(tmp_path, "changed", CHANGED, "--out", "at_once")
    settled(tmp_path, "first", RULES + INVOICE, "--out", "amended")
    amended = settled(tmp_path, "changed", CHANGED, "--onto", "amended")
    assert taxes(amended) == taxes(at_once)
    assert {rate for _, rate in taxes(at_once)} == {"130000", "90000"}
    lines = [row for row in rows(at_once, "invoice_lines.csv") if (row["party"], row["line_kind"]) == ("M1", "levy")]
    assert [(row["tax_ppm"], row["energy_wh"]) for row in lines] == [("130000", "4000"), ("90000", "4000")]
    report = (at_once / "report.html").read_text()
    assert "Tax, from 2025-06-15 on" in report


def test_as_many_rates_as_a_ledger_takes_are_read_and_one_more_is_refused(tmp_path: Path) -> None:
    rates = [(date(2025, 6, 2) + timedelta(at), at) for at in range(LATER_RATES_MAX + 1)]
    most = read_folder(make_folder(tmp_path / "most", {"rules.toml": RULES + INVOICE + later(*rates[:-1])}))
    assert len([*tariff_rows(most)]) == LATER_RATES_MAX + 1
    assert most.rules.invoice.rate_on(rates[-1][0].toordinal()) == LATER_RATES_MAX - 1
    with pytest.raises(UsageError, match=rf"later_rates\]\]: {LATER_RATES_MAX + 1} entries; give at most"):
        read_folder(make_folder(tmp_path / "more", {"rules.toml": RULES + INVOICE + later(*rates)}))
