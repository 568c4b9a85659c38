"""``settle explain`` and ``settle replay`` of a month's documents: every line derived and compared, each lie in a file found."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridledger.cli import main
from gridledger.settling.chain import settled_ledger
from gridledger.settling.chain.tariffs import Charged
from gridledger.settling.dataset import PartyTariff, PointRow, TariffFrom
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.files.folder import read_folder
from gridledger.settling.month_derivation import DocumentName, derive_document
from gridledger.settling.month_lines import MonthLine, month_lines
from gridledger.settling.results.billing import Billing
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from settlement.tariffs import holding
from settlement.tariffs.charges import SlotPrices
from settlement.tariffs.components import Component
from settlement.tariffs.holding import Calendar
from tests.slow import tariffs
from tests.unit.settlement.test_charges_by_the_text import FIRST, SERIES, components
from tests.unit.settling.folders import AUCTION, RULES, make_folder
from tests.unit.settling.settled_folder import SLOT_S, dataset_of, runs_of
from tests.unit.settling.test_from_files import PAIRED, UTC_READINGS, orders_of
from tests.unit.settling.test_registered_tariffs import DAYS, POINTS, component, readings

STEPS = "steps = [{until_kwh = 20, price_micro_per_kwh = 100000}, {price_micro_per_kwh = 200001}]"
YEAR_STEPS = "steps = [{until_kwh = 30, price_micro_per_kwh = 100000}, {price_micro_per_kwh = 200001}]"
TARIFF = (
    component("energy", "import", 100_000, "valid_until = 2025-06-30")
    + component("energy", "import", 200_000, "valid_from = 2025-06-30")
    + component("block", "residual", 0, STEPS).replace("price_micro_per_kwh = 0\n", "")
    + component("sharp", "traded", -7, 'windows = [["08:00", "12:00"]]')
    + component("window", "import", 10_000, 'windows = [["08:00", "12:00"]]')
    + component("peak", "kw_peak", 32_000_001).replace("per_kwh", "per_kw_month")
    + component(
        "workpeak",
        "kw_peak",
        12_000_007,
        'windows = [["08:00", "12:00"]]',
        "weekdays = [1, 2, 3, 4, 5, 7]",
        'peak_of = "point"',
    ).replace("per_kwh", "per_kw_month")
    + component("yearly", "residual", 0, YEAR_STEPS, 'steps_per = "year"').replace("price_micro_per_kwh = 0\n", "")
    + component("demand", "kw_contracted", 32_000_000, "contracted_kw = {M1 = 12}")
    + component("bonus", "day", -70_000, 'parties = ["M2"]', "taxed = false")
    + component("factor", "percent", -7_500, 'of = ["energy", "demand", "levy"]')
    + "\n[invoice]\ntax_ppm = 130000\n"
)
NEWER = "start,point,import_kwh,export_kwh\n2025-06-29T10:00:00Z,P1,1.777,0.000\n2025-06-29T10:15:00Z,P1,0.000,0.500\n"


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days at the end of June with every base of a tariff, and a correction of two slots."""
    path = tmp_path_factory.mktemp("documents")
    first = {"points.csv": POINTS, "readings.csv": readings(DAYS), "rules.toml": RULES + TARIFF}
    out = path / "out"
    assert main(["settle", "files", str(make_folder(path / "first", first)), "--out", str(out)]) == 0
    newer = make_folder(path / "newer", {**first, "readings.csv": NEWER})
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    return out


@pytest.fixture
def changed(settled: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    out = tmp_path / "out"
    shutil.copytree(settled, out)
    return out


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def edit(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def test_every_line_of_every_document_is_derived_to_what_its_file_says(settled: Path) -> None:
    lines = rows(settled, "invoice_lines.csv")
    assert {row["run"] for row in lines} == {"initial", "correction-1"}
    assert {"energy", "block", "peak", "demand", "bonus", "factor", "levy"} <= {row["line_kind"] for row in lines}
    for row in lines:
        found = derive_document(
            DocumentFolder(settled), DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
        )
        assert found.holds, (row, [step for step in found.steps if not step.holds])
        assert found.amounts == {"amount": int(row["amount"])}
        assert found.steps[-1].result == int(row["amount"])


def test_the_totals_of_every_document_are_derived_to_what_its_file_says(settled: Path) -> None:
    lines, runs = rows(settled, "invoice_lines.csv"), ("initial", "correction-1")
    names = [
        (party, month, run)
        for party, month, run in dict.fromkeys((row["party"], row["month"], row["run"]) for row in lines)
    ]
    documents = rows(settled, "invoices.csv")
    assert len(documents) == len(names)
    for row, name in zip(documents, sorted(names, key=lambda one: (*one[:2], runs.index(one[2]))), strict=True):
        found = derive_document(DocumentFolder(settled), DocumentName(name[0], name[1], "", name[2]))
        assert found.holds
        assert found.amounts == {key: int(row[key]) for key in ("net", "tax", "gross", "rounding")}


def amounts_nano(lines: Iterable[MonthLine], besides: Collection[str]) -> dict[str, int]:
    """Of kinds of lines besides some: a component whose own rate of tax changes inside the month has a line for each rate."""
    found: Counter[str] = Counter()
    for line in lines:
        if line.kind not in besides:
            found[line.kind] += line.amount_nano
    return {kind: nano for kind, nano in found.items() if nano}


@given(components(), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_the_steps_of_a_month_come_to_what_the_text_says_after_each_run(drawn: list[Component], seed: int) -> None:
    chance, slots = np.random.default_rng(seed), 4 * 96
    first, second = chance.integers(0, 10**6, (2, slots, 2))
    exports = chance.integers(0, 2 * 10**6, (slots, 2)) * np.array([0, 1])
    points = [PointRow("Z1", "P1", "A1"), PointRow("Z2", "P2", "A1")]
    dataset = dataset_of(first, exports, points)
    other = first.copy()
    other[7:200, 0] = second[7:200, 0]
    runs = [list(runs_of(dataset)), list(runs_of(dataset, "correction-1", range(7, 200), import_wh=other))]
    own = [one for one in drawn if not one.parties or "P1" in one.parties]
    days = sorted({FIRST - 2, *(one.from_day for one in own if one.from_day is not None)})
    spot = chance.integers(-(10**9), 10**9, slots)
    prices = {SERIES: SlotPrices(spot, np.ones(slots, dtype=np.bool_))}
    # from the hundredth slot on the point is at 10 kV, before at the level of those of which nothing is registered
    change_s = int(dataset.slot_start_s[100])
    levels = {"Z1": [(change_s, "10kV")]}
    tariff = PartyTariff(own, [TariffFrom(day, dataset.rules.invoice, "t") for day in days], prices, levels)
    billing = Billing(dataset, [*runs[0], *runs[1]], {"P1": tariff})
    calendar, bought = billing.months.calendar, np.zeros(slots, dtype=np.int64)
    for run, of_run, imports in zip(("initial", "correction-1"), runs, (first, other), strict=True):
        for one in of_run:
            bought[(one.slot_start_s - int(dataset.slot_start_s[0])) // SLOT_S] = one.columns["bought_wh"][0]
        lines = month_lines(billing, "P1", run)
        of_contract = {kind.kind for kind in billing.contract.line_kinds}
        begins = dataset.slot_start_s < change_s
        columns = (
            begins,
            calendar.month_of_year,
            calendar.day,
            calendar.second,
            imports[:, 0],
            exports[:, 0],
            bought,
            spot,
        )
        of_month = [
            tariffs.Slot(
                0,
                of_year,
                day,
                second,
                took,
                gave,
                traded,
                {SERIES: price},
                {"" if is_before else "10kV": (took, gave, traded)},
                {"Z1": took},
            )
            for is_before, of_year, day, second, took, gave, traded, price in np.column_stack(columns).tolist()
        ]
        billed = {line.kind: line.amount_nano for line in lines if line.kind in of_contract}
        expected = tariffs.charges(own, "P1", of_month, SLOT_S, [30], billed)
        assert amounts_nano(lines, besides=of_contract) == {kind: nano for (_, kind), nano in expected.items()}
        for line in lines:
            assert (
                sum(step.result for step in line.steps if step.what["en"].startswith(("Amount", "Lines")))
                == line.amount_nano
            )


def test_a_line_is_explained_on_the_command_line_in_both_languages(
    settled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain = ["settle", "explain", "--settled", str(settled)]
    assert main([*explain, "--line", "M1/2025-06/demand", "--run", "initial", "--language", "en"]) == 0
    told = capsys.readouterr().out
    assert "12000 × 32000000 × 3 ÷ 30 = 38400000000 1e-9 CNY  [recomputed]" in told
    assert "38400000000 ÷ 10000000 = 3840 1e-2 CNY  [recomputed]" in told
    assert main([*explain, "--line", "M1/2025-06", "--language", "zh_CN"]) == 0
    told = capsys.readouterr().out
    assert "重算一致" in told
    assert "不一致" not in told
    assert main([*explain, "--line", "M1/2025-06/energy", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    # 1.777 and 0 kWh in place of 1 and 1, at 0.1
    assert (answer["run"], answer["amount"]) == ("correction-1", -2)
    assert "recomputed" not in answer["title"]
    start_s = 1_751_187_600
    assert main([*explain, "--line", f"M1/{start_s}/levy"]) == 0, "a slot of the folder is explained as well"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--line", "M1/2025-06/enrgy"],
            "--line M1/2025-06: M1 has no line 'enrgy' in 2025-06; did you mean 'energy'?",
        ),
        (["--line", "M9/2025-06/energy"], "party 'M9': none of that name is billed"),
        (["--line", "P1\n1" * 99 + "/2025-06"], "...: none of that name is billed"),
        (["--line", "/2025-06/energy"], "--line '/2025-06/energy': write PARTY/SLOT/KIND"),
        (["--line", "M1/2025-06/"], "as P01/2026-06/levy, its totals PARTY/MONTH"),
        (["--line", "M1/2024-06/energy"], "month '2024-06': the ledger has no slot of it; it has 2025-06, 2025-07"),
        (
            ["--line", "M1/2025-06", "--run", "final"],
            "--run 'final': M1 has no document of that run in 2025-06; it has initial, corr",
        ),
        (
            ["--line", "M2/2025-07", "--run", "correction-1"],
            "M2 has no document of that run in 2025-07; it has initial",
        ),
        (["--line", "M1/2025-06", "--point", "P1"], "--point P1: a document is of all points of its party"),
        (["--line", "M1/2025-13/energy"], "a document's line is PARTY/MONTH/KIND, as P01/2026-06/levy"),
    ],
)
def test_a_line_that_is_none_is_one_clear_line(
    settled: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settle", "explain", "--settled", str(settled), *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_a_month_without_its_settled_folder_is_one_clear_line(
    settled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for where, said in (
        (
            ["--data", str(settled / "ledger")],
            "names a month; name the folder of its document: --settled OUT, or --data DIR --documents OUT",
        ),
        (["--settled", str(tmp_path)], "holds no ledger; name a folder that settle files has made"),
    ):
        assert main(["settle", "explain", *where, "--line", "M1/2025-06/energy"]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert len(told.splitlines()) == 1


def test_documents_computed_again_from_the_ledger_are_the_same(
    settled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay = ["settle", "replay", "--settled", str(settled), "--json"]
    assert main(replay) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["months"], answer["documents"]) == (["2025-06", "2025-07"], len(rows(settled, "invoices.csv")))
    assert answer["lines"] == len(rows(settled, "invoice_lines.csv"))
    assert main([*replay, "--month", "2025-07"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 2


def doubled(cell: str) -> Callable[[list[str]], list[str]]:
    """The last number of a row of M1 in June changed."""

    def change(lines: list[str]) -> list[str]:
        at = next(place for place, line in enumerate(lines) if re.match(cell, line))
        return [*lines[:at], lines[at] + "1", *lines[at + 1 :]]

    return change


@pytest.mark.parametrize(
    ("file", "change", "line", "said"),
    [
        ("invoice_lines.csv", doubled("M1,2025-06,initial,peak"), "M1/2025-06/peak", "invoice_lines.csv, row 9, says M1,2025-06,initial,peak,0,12800000400,1280,1300001"),
        ("invoices.csv", doubled("M1,2025-06"), "M1/2025-06", "invoices.csv, row 2, says M1,2025-06,CNY"),
        ("invoice_lines.csv", lambda lines: lines[:-1], None, "invoice_lines.csv, behind its end, says nothing; the ledger gives M2,2025-07"),
        ("invoices.csv", lambda lines: [*lines, lines[-1]], None, "says M2,2025-07,CNY"),
        ("invoice_lines.csv", lambda lines: [line for line in lines if ",initial,peak," not in line], "M1/2025-06/peak", "invoice_lines.csv, row 9, says"),
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_is_named_by_its_first_row_and_the_line_differs(
    changed: Path,
    file: str,
    change: Callable[[list[str]], list[str]],
    line: str | None,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit(changed / file, change)
    assert main(["settle", "replay", "--settled", str(changed)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("NOT THE SAME: ")
    assert said in told
    if line is not None:
        assert (
            main(
                ["settle", "explain", "--settled", str(changed), "--line", line, "--run", "initial", "--language", "en"]
            )
            == 1
        )
        assert "[DIFFERS]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "other", "run"),
    [
        (r"(M1,2025-06,initial,peak,0,12800000400),", r"\g<1>1,", "initial"),
        (r"(M1,2025-06,initial,levy,\d+)", r"\g<1>1", "initial"),
        (r"M1,2025-06,correction-1,factor,0,\d+,0,130000\n", "", "correction-1"),
    ],
    ids=["exact amount", "energy", "a row that rounding leaves nothing of"],
)
def test_a_row_of_which_an_exact_number_was_changed_differs_though_its_rounded_amount_does_not(
    changed: Path, row: str, other: str, run: str
) -> None:
    path = changed / "invoice_lines.csv"
    text, count = re.subn(row, other, path.read_text())
    assert count == 1
    path.write_text(text)
    kind = row.split(",")[3]
    assert not derive_document(DocumentFolder(changed), DocumentName("M1", "2025-06", kind, run)).holds


def test_columns_that_charge_a_slot_too_many_are_found_by_the_plain_sums(
    settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def longer(component: Component, calendar: Calendar) -> NDArray[np.bool_]:
        found = holds(component, calendar)
        return found | np.roll(found, 1) if component.windows else found

    holds = holding._holds
    monkeypatch.setattr(holding, "_holds", longer)
    windowed = derive_document(DocumentFolder(settled), DocumentName("M1", "2025-06", "window", "initial"))
    assert [step.holds for step in windowed.steps if step.what["en"].startswith("The month after run")] == [False]
    assert derive_document(DocumentFolder(settled), DocumentName("M1", "2025-06", "energy", "initial")).holds


def test_lines_that_cost_nothing_are_explained_as_their_files_have_them(tmp_path: Path) -> None:
    rules = RULES.replace("levy_micro_per_kwh = 40000", "levy_micro_per_kwh = 0") + component("free", "import", 0)
    files = {"points.csv": POINTS, "readings.csv": readings(DAYS[:1]), "rules.toml": rules}
    out = tmp_path / "out"
    assert main(["settle", "files", str(make_folder(tmp_path / "in", files)), "--out", str(out)]) == 0
    newer = make_folder(tmp_path / "newer", {**files, "readings.csv": NEWER.replace("06-29", "06-28")})
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    free = [row for row in rows(out, "invoice_lines.csv") if row["line_kind"] in ("levy", "free")]
    assert {(row["run"], row["amount_nano"], row["amount"]) for row in free} == {
        ("initial", "0", "0"),
        ("correction-1", "0", "0"),
    }
    for row in free:
        found = derive_document(
            DocumentFolder(out), DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
        )
        assert found.holds
        assert [step.result for step in found.steps if step.what["en"].startswith("energy_wh")] == [
            int(row["energy_wh"])
        ]
    totals = derive_document(DocumentFolder(out), DocumentName("M1", "2025-06", "", None))
    assert totals.holds
    assert not any(step.what["en"].startswith(("levy", "free")) for step in totals.steps)


def test_a_settled_folder_that_lost_its_state_says_how_it_comes_back(
    changed: Path, tmp_path: Path, settled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (changed / "ledger" / "state.db").unlink()
    assert main(["settle", "replay", "--settled", str(changed)]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith(f"gridledger settle files DIR --onto {changed}")
    assert main(["settle", "files", str(settled.parent / "newer"), "--onto", str(changed)]) == 0
    assert main(["settle", "replay", "--settled", str(changed)]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--settled", "OUT", "--area", "A1"],
            "--area: is of a run, with --data alone; --settled and --documents make documents again",
        ),
        (["--settled", "OUT", "--month", "2024-01"], "month '2024-01': the ledger has no slot of it"),
        (["--data", "OUT/ledger", "--month", "2025-06"], "--area is missing: name runs by --area and --slot"),
        (["--data", "OUT/ledger", "--area", "A1"], "--slot is missing: name runs by --area and --slot"),
    ],
)
def test_a_replay_that_is_none_is_one_clear_line(
    settled: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settle", "replay", *(one.replace("OUT", str(settled)) for one in arguments)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_a_folder_without_components_has_its_terms_of_invoices_on_its_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: dict[str, Any] = {"points.csv": POINTS, "readings.csv": readings(DAYS[:1])}
    first = make_folder(tmp_path / "in", {**files, "rules.toml": RULES + "\n[invoice]\ntax_ppm = 70000\n"})
    out = tmp_path / "out"
    assert main(["settle", "files", str(first), "--out", str(out)]) == 0
    assert main(["settle", "replay", "--settled", str(out)]) == 0
    assert main(["settle", "explain", "--settled", str(out), "--line", "M1/2025-06", "--language", "en"]) == 0
    assert " × 70000 ÷ 1000000 = " in capsys.readouterr().out


@pytest.mark.parametrize(
    "rules",
    [
        AUCTION + 'timezone = "UTC"\n',
        PAIRED + 'timezone = "UTC"\n',
        RULES.replace("mid_market_rate/1", "bill_sharing/1"),
    ],
    ids=["auction", "trades with prices of their own", "a bill shared with the month's last slot"],
)
def test_the_documents_of_every_kind_of_contract_are_derived_and_computed_again(tmp_path: Path, rules: str) -> None:
    changes: dict[str, str | bytes | None] = {
        "rules.toml": rules + component("fee", "day", 100_000),
        "readings.csv": UTC_READINGS,
    }
    if "bill_sharing" not in rules:
        changes["orders.csv"] = orders_of(range(2))
    out = tmp_path / "out"
    assert main(["settle", "files", str(make_folder(tmp_path / "in", changes)), "--out", str(out)]) == 0
    lines = rows(out, "invoice_lines.csv")
    assert len(lines) > 4
    for row in lines:
        assert derive_document(
            DocumentFolder(out), DocumentName(row["party"], row["month"], row["line_kind"], None)
        ).holds
        assert derive_document(DocumentFolder(out), DocumentName(row["party"], row["month"], "", None)).holds
    assert main(["settle", "replay", "--settled", str(out)]) == 0


def test_a_ledger_without_terms_of_invoices_is_one_clear_line_and_takes_no_newer_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"points.csv": POINTS, "readings.csv": readings(DAYS[:1]), "rules.toml": RULES}
    dataset = read_folder(make_folder(tmp_path / "in", files))
    out = tmp_path / "out"
    out.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("gridledger.settling.chain.points.charged_at", lambda *_: Charged(None, None))  # type: ignore[arg-type]
        with settled_ledger(dataset, out) as ledger:
            height = ledger.height
    for command in (["replay", "--settled", str(out)], ["files", str(tmp_path / "in"), "--onto", str(out)]):
        assert main(["settle", *command]) == 1
        told = capsys.readouterr().err.splitlines()[-1]
        assert told == "M1: the ledger does not say how it is invoiced; settle its files anew, into an empty folder"
    with reading(out / "ledger", CONTRACTS) as reader:
        assert reader.height == height


def test_a_point_that_moves_inside_a_month_is_explained_for_both_parties_by_their_own_slots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = "point,party,area,valid_from\nP1,M1,A1,\nP1,M3,A1,2025-06-29T10:00:00Z\nP2,M2,A1,\n"
    tariff = component("stay", "day", 1_000_000) + component("energy", "import", 100_000)
    files = {"points.csv": moved, "readings.csv": readings(DAYS), "rules.toml": RULES + tariff}
    out = tmp_path / "out"
    assert main(["settle", "files", str(make_folder(tmp_path / "in", files)), "--out", str(out)]) == 0
    found = {
        (row["party"], row["line_kind"]): derive_document(
            DocumentFolder(out), DocumentName(row["party"], "2025-06", row["line_kind"], None)
        )
        for row in rows(out, "invoice_lines.csv")
        if row["month"] == "2025-06"
    }
    assert all(derivation.holds for derivation in found.values())
    # M1 from 00:00 UTC of 28 June to 10:00 UTC of 29 June, M3 from then to the end of the local month
    assert [found[party, "energy"].steps[0].result for party in ("M1", "M3")] == [136_000, 144_000]
    assert [found[party, "stay"].steps[0].result for party in ("M1", "M3")] == [2, 2]
    assert main(["settle", "replay", "--settled", str(out)]) == 0
