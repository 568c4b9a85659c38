"""``[[invoice.later_rates]]``: the tax of a folder from a local day on, from before 1970 too, as many as a ledger takes, and out of newer files."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.chain.prices import ENTRIES_MAX
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


def levies(*days: date, until: date | None = None) -> str:
    """A component from each day on, by a name of its own; ``until``: where all of them end."""
    end = "" if until is None else f"valid_until = {until}\n"
    return "".join(
        f'[[tariff.component]]\nname = "of_{day}"\naccount = "funds"\nbase = "import"\n'
        f"price_micro_per_kwh = 1000\nvalid_from = {day}\n{end}"
        for day in days
    )


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


def test_rates_and_components_of_before_1970_hold_from_the_beginning_on(tmp_path: Path) -> None:
    """Germany has had its value added tax since 1968, at 10 %, then 11 %."""
    old = [(date(1968, 1, 1), 100_000), (date(1968, 7, 1), 110_000), (date(2025, 6, 15), 90_000)]
    ended, begun = levies(date(1, 1, 1), until=date(1970, 1, 1)), levies(date(1970, 1, 1))
    out = settled(tmp_path, "old", RULES + INVOICE + later(*old) + ended + begun, "--out", "out")
    assert {rate for _, rate in taxes(out)} == {"110000", "90000"}
    kinds = {row["line_kind"] for row in rows(out, "invoice_lines.csv")}
    assert ("of_0001-01-01" in kinds, "of_1970-01-01" in kinds) == (False, True)


@pytest.mark.parametrize(("timezone", "entries"), [("Europe/Berlin", 1), ("America/New_York", 2), ("UTC", 1)])
def test_a_day_that_begins_with_the_time_of_a_ledger_or_before_it_is_in_the_first_entry(
    tmp_path: Path, timezone: str, entries: int
) -> None:
    """1 January 1970 begins in New York five hours after it, in Berlin one hour before."""
    rules = RULES.replace("Europe/Berlin", timezone) + INVOICE + later((date(1970, 1, 1), 90_000))
    listed = tariff_rows(read_folder(make_folder(tmp_path, {"rules.toml": rules})))
    found = [row for row in listed if isinstance(row, Named)]
    assert [(row.entity, row.from_s) for row in found] == [(TARIFF, 0), (TARIFF, 5 * 3_600)][:entries]
    assert found[-1].record.tax_ppm == 90_000


def test_rates_and_components_that_change_on_more_days_than_a_ledger_takes_are_refused_by_a_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = [(date(2025, 6, 2) + timedelta(at), at) for at in range(LATER_RATES_MAX - 1)]
    days = [date(2026, 1, 1), date(2026, 1, 2)]
    most = make_folder(tmp_path / "most", {"rules.toml": RULES + INVOICE + later(*rates) + levies(*days[:1])})
    more = make_folder(tmp_path / "more", {"rules.toml": RULES + INVOICE + later(*rates) + levies(*days)})
    assert main(["settle", "files", str(most), "--check"]) == 0
    capsys.readouterr()
    assert main(["settle", "files", str(more), "--check"]) == 2
    words = f"they begin and end on {ENTRIES_MAX} days, a ledger takes {ENTRIES_MAX - 1}; settle fewer months at once"
    assert capsys.readouterr().err == f"rules.toml: [[tariff.component]] and [invoice] later_rates: {words}\n"
