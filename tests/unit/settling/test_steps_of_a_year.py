"""Steps of the year's energy: months go on where the ones before stopped, whoever makes their documents, and corrections of earlier months are in them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from gridledger.cli import main
from gridledger.settling.area_month import AreaDocuments
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.month_derivation import DocumentName, derive_document
from ledger.http.documents import AreaMonth
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_month_documents import make, rows
from tests.unit.settling.test_registered_tariffs import DAYS, POINTS, component, readings

STEPS: Final = "steps = [{until_kwh = 250, price_micro_per_kwh = 100000}, {price_micro_per_kwh = 200000}]"
"""In kWh of the year: June's 70 hours have 280, of which the correction takes 96."""
YEARLY: Final = component("home", "import", 0, STEPS, 'steps_per = "year"').replace("price_micro_per_kwh = 0\n", "")
LOWER: Final = "start,point,import_kwh,export_kwh\n" + "".join(
    f"2025-06-29T{at // 4:02}:{at % 4 * 15:02}:00Z,P1,0.000,0.000\n" for at in range(96)
)
"""A correction of June: 96 kWh less for M1."""


def amounts(out: Path) -> dict[tuple[str, str], int]:
    """Exact nano of the lines ``home`` by party and month, all runs together."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows(out, "invoice_lines.csv"):
        if row["line_kind"] == "home":
            found[row["party"], row["month"]] += int(row["amount_nano"])
    return found


def july_of(documents: AreaDocuments, settled: Path) -> AreaMonth:
    """What a node answers of M1."""
    with reading(settled / "ledger", CONTRACTS) as reader:
        return documents(reader, "A1", "2025-07", party="M1", start=0)


def by_steps(wh: int) -> int:
    return min(wh, 250_000) * 100_000 + max(0, wh - 250_000) * 200_000


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """28 June to 1 July, 02:00, in Berlin: 280 kWh in June and 8 kWh in July for each party."""
    path = tmp_path_factory.mktemp("year")
    files = {"points.csv": POINTS, "readings.csv": readings(DAYS), "rules.toml": RULES + YEARLY}
    out = path / "out"
    assert main(["settle", "files", str(make_folder(path / "in", files)), "--out", str(out)]) == 0
    return out


def test_july_goes_on_where_june_stopped_and_a_correction_of_june_is_in_both(
    settled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert amounts(settled) == {
        (party, month): nano
        for party in ("M1", "M2")
        for month, nano in (("2025-06", by_steps(280_000)), ("2025-07", by_steps(288_000) - by_steps(280_000)))
    }
    kept = AreaDocuments()
    before = july_of(kept, settled)
    files = {"points.csv": POINTS, "readings.csv": LOWER, "rules.toml": RULES + YEARLY}
    assert main(["settle", "files", str(make_folder(tmp_path / "newer", files)), "--onto", str(settled)]) == 0
    found = amounts(settled)
    assert found["M1", "2025-06"] == by_steps(184_000)
    assert found["M1", "2025-07"] == by_steps(192_000) - by_steps(184_000)
    assert found["M2", "2025-06"] == by_steps(280_000)
    after = july_of(kept, settled)
    assert (after.documents != before.documents, after) == (True, july_of(AreaDocuments(), settled))
    july = tmp_path / "july"
    assert make(settled / "ledger", july, "2025-07") == 0
    expected = [row for row in rows(settled, "invoice_lines.csv") if row["month"] == "2025-07"]
    assert rows(july, "invoice_lines.csv") == expected
    for row in rows(settled, "invoice_lines.csv"):
        name = DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
        assert derive_document(DocumentFolder(settled), name).holds, name
    capsys.readouterr()
    assert main(["settle", "explain", "--settled", str(settled), "--line", "M1/2025-07/home", "--language", "en"]) == 0
    told = capsys.readouterr().out
    assert "184000 + 0 = 184000 Wh" in told
    assert "8000 × 100000 + 0 × 200000 = 800000000 1e-9 CNY" in told
    assert main(["settle", "replay", "--settled", str(settled)]) == 0
    assert (
        main(
            [
                "settle",
                "documents",
                "--data",
                str(settled / "ledger"),
                "--year",
                "2025",
                "--out",
                str(tmp_path / "year"),
            ]
        )
        == 0
    )
    gross = sum(int(row["gross"]) for row in rows(settled, "invoices.csv")) * 10_000_000
    assert sum(int(row["invoiced_nano"]) for row in rows(tmp_path / "year", "balances.csv")) == gross


def test_an_issue_of_a_corrected_june_says_that_july_may_differ_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"points.csv": POINTS, "readings.csv": readings(DAYS), "rules.toml": RULES + YEARLY}
    out = tmp_path / "out"
    assert main(["settle", "files", str(make_folder(tmp_path / "in", files)), "--out", str(out)]) == 0
    command = ["settle", "issue", "--data", str(out / "ledger"), "--book", str(tmp_path / "book")]
    command += ["--issuer", "operator", "--date", "2025-08-03", "--so-far", "--month"]
    capsys.readouterr()
    assert [main([*command, month]) for month in ("2025-06", "2025-07")] == [0, 0]
    assert "issued before" not in capsys.readouterr().err
    newer = {**files, "readings.csv": LOWER}
    assert main(["settle", "files", str(make_folder(tmp_path / "newer", newer)), "--onto", str(out)]) == 0
    capsys.readouterr()
    assert main([*command, "2025-06"]) == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "issued before" in line]
    assert told == (
        "2025-07: issued before, and may differ now, as steps of a year go by 2025-06 too; issue them again"
    )
    assert main([*command, "2025-07"]) == 0
    (july,) = rows(tmp_path / "book" / "0004", "documents.csv")
    assert (july["party"], july["month"], july["sort"]) == ("M1", "2025-07", "credit")
