"""力调电费 out of a folder: the share of a component follows from the reactive energy of a party's points, and nothing is charged without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.reactive_energy import REACTIVE_ENERGY, ReactiveEnergy
from gridcore.registry.row import Row
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.chain import files_scope, settled_slots
from gridledger.settling.chain.reactive import Said, standing
from gridledger.settling.dataset import ReactiveRow
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.files.folder import read_folder
from gridledger.settling.month_derivation import DocumentName, derive_document
from gridledger.settling.uncharged_components import PARTIAL, REASONS
from ledger.registry.bodies import open_entity
from ledger.registry.entries import ENTRIES_MAX
from tests.slow.power_factor import hundredths_of, table
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_month_documents import make, rows
from tests.unit.settling.test_registered_tariffs import DAYS, charges, component, readings
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.tariffed import COMPONENTS, HOME, MONTH, TARIFFED, first_slots

POINTS: Final = "point,party,area\nP1,M1,A1\nP2,M2,A1\n"
STANDARD: Final = (
    component("energy", "import", 100_000)
    + '\n[[tariff.component]]\nname = "factor"\naccount = "grid"\nbase = "percent"\npower_factor_standard = 90\nof = ["energy"]\n'
)
UTC_RULES: Final = RULES.replace("Europe/Berlin", "UTC")
HEAD: Final = "start,end,point,reactive_kvarh,returned_kvarh\n"
ENERGY_NANO: Final = 96_000 * 100_000


def span(point: str, reactive_kvarh: str, returned_kvarh: str = "0", days: tuple[str, str] = DAYS[:2]) -> str:
    return f"{days[0]}T00:00:00Z,{days[1]}T00:00:00Z,{point},{reactive_kvarh},{returned_kvarh}\n"


def folder(path: Path, reactive: str | None, more: Mapping[str, str] | None = None) -> Path:
    """Two points that take 96 kWh each in one day."""
    files = {"points.csv": POINTS, "readings.csv": readings(DAYS[:1]), "rules.toml": UTC_RULES + STANDARD}
    return make_folder(path, {**files, "reactive.csv": None if reactive is None else HEAD + reactive, **(more or {})})


def test_the_share_follows_from_the_power_factor_and_is_explained_replayed_and_corrected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, source = tmp_path / "out", folder(tmp_path / "in", span("P1", "50.000", "4.750"))
    assert main(["settle", "files", str(source), "--out", str(out), "--json"]) == 0
    answer = capsys.readouterr()
    left_out = "factor of M2 is not charged in 2025-06: point P2: no reactive energy of it is known"
    assert (json.loads(answer.out)["notes"], left_out in answer.err) == ([left_out], True)
    assert left_out.rpartition(": ")[2] in (out / "report.html").read_text()
    found = charges(out)
    assert (found["M1", "factor"], found["M2", "factor"]) == (ENERGY_NANO * 15_000 // 10**6, 0)
    line = ["settle", "explain", "--settled", str(out), "--line", "M1/2025-06/factor", "--language"]
    assert main([*line, "en"]) == 0
    told = capsys.readouterr().out
    assert "(50000 + 4750) = 54750 varh" in told
    assert "100 × 96000 ÷ √(96000² + 54750²) = 87 1e-2" in told
    assert "by the table of the standard 0.90: tariff/files, in force on 2025-06-28\n    3 × 5000 = 15000 ppm" in told
    assert main([*line, "zh_CN"]) == 0
    assert "功率因数 cos φ × 100，四舍五入（0.87）" in capsys.readouterr().out
    assert main(["settle", "explain", "--settled", str(out), "--line", "M2/2025-06/factor"]) == 2
    assert capsys.readouterr().err == f"--line M2/2025-06/factor: {left_out}\n"
    assert main(["settle", "replay", "--settled", str(out)]) == 0
    halves = f"{DAYS[0]}T00:00:00Z,{DAYS[0]}T12:00:00Z,P1,20,0\n{DAYS[0]}T12:00:00Z,{DAYS[1]}T00:00:00Z,P1,12,0\n"
    newer = folder(tmp_path / "newer", halves + span("P2", "0"))
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    found = charges(out)
    assert (found["M1", "factor"], found["M2", "factor"]) == (-ENERGY_NANO * 7_500 // 10**6,) * 2
    assert main(["settle", "files", str(source), "--onto", str(out)]) == 0
    assert charges(out)["M1", "factor"] == ENERGY_NANO * 15_000 // 10**6
    what_if = ["settle", "what-if", "--from", str(out), "--rules"]
    standard = tmp_path / "lower.toml"
    standard.write_text((UTC_RULES + STANDARD).replace("standard = 90", "standard = 85"))
    capsys.readouterr()
    assert main([*what_if, str(standard), "--json"]) == 0
    (variant,) = json.loads(capsys.readouterr().out)["variants"]
    shares = {
        row["party"]: row["b"]["amount_nano"]
        for row in variant["lines"]
        if row["line_kind"] == "factor" and row["party"]
    }
    assert shares["M1"] == -ENERGY_NANO * 2_000 // 10**6


def test_a_span_that_was_replaced_does_not_come_back_when_the_one_in_its_place_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day is said as two halves, then whole, then its second half anew: nothing stands for the first half."""
    noon, out = f"{DAYS[0]}T12:00:00Z", tmp_path / "out"
    first, second = (f"{DAYS[0]}T00:00:00Z,{noon},P1,20,0\n", f"{noon},{DAYS[1]}T00:00:00Z,P1,12,0\n")
    assert main(["settle", "files", str(folder(tmp_path / "halves", first + second)), "--out", str(out)]) == 0
    assert main(["settle", "files", str(folder(tmp_path / "whole", span("P1", "50"))), "--onto", str(out)]) == 0
    assert charges(out)["M1", "factor"] != 0
    assert main(["settle", "files", str(folder(tmp_path / "half", second)), "--onto", str(out)]) == 0
    assert charges(out)["M1", "factor"] == 0
    assert f"factor of M1 is not charged in 2025-06: point P1: {REASONS[PARTIAL]}" in capsys.readouterr().err


SPANS: Final = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6), st.integers(1, 4)), max_size=9)


@given(SPANS)
def test_spans_stand_that_no_later_block_overlaps_whether_its_own_stand_or_not(
    spans: list[tuple[int, int, int]],
) -> None:
    said = [Said(ReactiveRow("P1", at, at + long, place, 0), height) for place, (at, long, height) in enumerate(spans)]
    by_the_text = [
        row
        for row, height in said
        if not any(
            later > height and other.from_s < row.until_s and row.from_s < other.until_s for other, later in said
        )
    ]
    assert standing(said) == sorted(by_the_text, key=lambda row: row.from_s)


def test_a_span_that_is_not_exactly_the_partys_slots_of_the_month_charges_nothing(tmp_path: Path) -> None:
    month = "2025-06-01T00:00:00Z,2025-07-01T00:00:00Z,P1,50,0\n"
    moved = POINTS.replace("area\n", "area,valid_from\n").replace("A1\n", "A1,\n") + f"P2,M1,A1,{DAYS[0]}T06:00:00Z\n"
    halves = span("P1", "50") + f"{DAYS[0]}T00:00:00Z,{DAYS[0]}T06:00:00Z,P2,5,0\n"
    rest = f"{DAYS[0]}T06:00:00Z,{DAYS[1]}T00:00:00Z,P2,5,0\n"
    notes = {}
    for name, reactive, points in (
        ("month", month + span("P2", "1"), POINTS), ("moved", halves, moved), ("whole", halves + rest, moved),
    ):  # fmt: skip
        source, out = folder(tmp_path / name, reactive, {"points.csv": points}), tmp_path / f"{name}-out"
        assert main(["settle", "files", str(source), "--out", str(out)]) == 0
        notes[name] = {party for (party, kind), nano in charges(out).items() if kind == "factor" and nano}
    assert notes == {"month": {"M2"}, "moved": {"M2"}, "whole": {"M1", "M2"}}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (span("P9", "1"), "reactive.csv, row 2, point: 'P9' is no known point of points.csv; known: P1, P2"),
        (span("P1", "-1"), "row 2, reactive_kvarh: '-1' is negative"),
        (span("P1", ""), "row 2, reactive_kvarh: is empty; give the energy, 0 where none was metered, or leave the row out"),
        (span("P1", "1", ""), "row 2, returned_kvarh: is empty"),
        (span("P1", "1.0005"), "row 2, reactive_kvarh: '1.0005' has 4 decimal places; give at most 3"),
        (span("P1", "10000000000.001"), "row 2, reactive_kvarh: 10000000000.001 is too large; give at most 10000000000 kvarh in a span"),
        (span("P1", "1" * 20), "is too large"),
        (span("P1", "1") + span("P2", "1") + span("P1", "2"), "row 4, start: the span of P1 overlaps that of row 2; give each time of a point one row"),
        (span("P1", "1", days=("2025-06-28", "2025-07-02")), "row 2, end: the span goes from 2025-06 into 2025-07; give each month a row of its own"),
        (span("P1", "1", days=("2025-06-28", "2025-06-28")), "row 2, end: 2025-06-28T00:00:00Z is not behind its start; give a later end"),
        ("2025-06-28T00:10:00Z,2025-06-29T00:00:00Z,P1,1,0\n", "row 2, start: 2025-06-28T00:10:00Z is inside a slot; a span begins and ends for whole slots"),
    ],
)  # fmt: skip
def test_a_row_of_reactive_energy_that_cannot_be_is_one_line(tmp_path: Path, rows: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_folder(folder(tmp_path, rows))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_point_has_as_many_spans_as_a_ledger_takes_at_once_and_no_more(tmp_path: Path) -> None:
    def spans(count: int) -> str:
        times = [f"{DAYS[0]}T{slot // 4:02}:{slot % 4 * 15:02}:00Z" for slot in range(count + 1)]
        return "".join(f"{times[at]},{times[at + 1]},P1,9999999.999,0\n" for at in range(count))

    dataset = read_folder(folder(tmp_path / "most", spans(ENTRIES_MAX)))
    assert [row.reactive_varh for row in dataset.reactive] == [9_999_999_999] * ENTRIES_MAX
    with pytest.raises(UsageError, match="row 66, point: P1 has more than 64 spans; settle fewer months at once"):
        read_folder(folder(tmp_path / "more", spans(ENTRIES_MAX + 1)))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("standard = 90", "standard = 95", "power_factor_standard: in hundredths one of 90, 85, 80 is needed, not 95"),
        ("standard = 90", "standard = 0.9", "in hundredths one of 90, 85, 80 is needed, not 0.9"),
        ("standard = 90", "standard = 90\nshare_ppm = 1", "power_factor_standard: it says the share alone, of a component of base percent"),
        ('"percent"\npower_factor_standard = 90\nof = ["energy"]', '"day"\npower_factor_standard = 90', "power_factor_standard: it says the share alone, of a component of base percent"),
    ],
)  # fmt: skip
def test_a_standard_that_no_table_has_is_one_line(tmp_path: Path, before: str, after: str, words: str) -> None:
    rules = (UTC_RULES + STANDARD).replace(before, after)
    with pytest.raises(UsageError) as error:
        read_folder(folder(tmp_path, None, {"rules.toml": rules}))
    assert words in str(error.value)


# -------------------------------------------------------------------------------------------------------- on a ledger


def spans_of(point: str, *spans: tuple[int, int, int]) -> list[Row]:
    """Registry rows of some spans: begin, end, varh taken."""
    return [
        row
        for from_s, until_s, varh in spans
        for row in Named(REACTIVE_ENERGY, point, ReactiveEnergy(varh, 0, until_s), from_s).rows()
    ]


def test_documents_of_a_ledger_follow_what_is_registered_though_the_state_has_folded_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """p-1 has a span of each slot, more than the state keeps; p-2's points are two, and one of them lacks its span. One span more than are gone by is one line."""
    factor = {key: said for key, said in COMPONENTS[5].items() if key != "price"} | {"power_factor_standard": 85}
    home = Named(TARIFF, "home", HOME._replace(components=[*COMPONENTS[:5], COMPONENTS[6], factor]))
    of = replace(TARIFFED, more=[home, *list(TARIFFED.more)[1:]])
    data, out, sender = tmp_path / "ledger", tmp_path / "out", of.sender()
    with ledger_with(data, of, first_slots(sender)) as ledger:
        for wire in sender.clocks(FIRST_S + (ENTRIES_MAX + 6) * SLOT_S):
            assert decide(ledger, [wire]) == [0]
        slots = settled_slots(ledger, files_scope(ledger)._replace(zone="z-1")).tolist()
        spans = [(from_s, from_s + SLOT_S, 75 * at) for at, from_s in enumerate(slots)]
        assert len(spans) > ENTRIES_MAX
        sender.now_s = ledger.ledger_time_s
        whole = spans_of("P-2", (slots[0], slots[-1] + SLOT_S, 10**6))
        for part in (spans_of("P-1", *spans[:ENTRIES_MAX]) + whole, spans_of("P-1", *spans[ENTRIES_MAX:])):
            assert decide(ledger, [sender.register(part)]) == [0]
        opened = open_entity(ledger, REACTIVE_ENERGY, "P-1")
        assert opened is not None
        assert opened.leaf.folded_to_s == slots[len(slots) - ENTRIES_MAX - 1]
    monkeypatch.setattr("gridledger.settling.chain.reactive.SPANS_MAX", len(spans) - 1)
    assert make(data, out) == 2
    fault = f"point P-1: {len(spans)} spans of reactive energy were registered by block "
    told = capsys.readouterr().err
    assert (fault in told, f"documents go by at most {len(spans) - 1} of a point" in told) == (True, True)
    monkeypatch.setattr("gridledger.settling.chain.reactive.SPANS_MAX", len(spans))
    assert make(data, out) == 0
    left_out = f"factor of p-2 is not charged in {MONTH}: point P-5: no reactive energy of it is known"
    assert left_out in capsys.readouterr().err
    found = {(row["party"], row["line_kind"]): row for row in rows(out, "invoice_lines.csv")}
    nano = {key: int(row["amount_nano"]) for key, row in found.items()}
    reactive_varh, active_wh = sum(varh for *_, varh in spans), int(found["p-1", "funds"]["energy_wh"])
    share_ppm = 100 * table(85)[hundredths_of(active_wh, reactive_varh)]
    assert share_ppm > 0
    base_nano = sum(nano["p-1", kind] for kind in ("energy", "demand", "levy"))
    assert nano["p-1", "factor"] == base_nano * share_ppm // 10**6
    assert ("p-2", "factor") not in found
    assert derive_document(DocumentFolder(out, data), DocumentName("p-1", MONTH, "factor", "initial")).holds
    assert main(["settle", "replay", "--data", str(data), "--documents", str(out)]) == 0
    capsys.readouterr()
    year = ["settle", "documents", "--data", str(data), "--year", MONTH[:4], "--out", str(tmp_path / "year"), "--json"]
    assert main(year) == 0
    of_year = capsys.readouterr()
    assert (left_out in of_year.err, [one["point"] for one in json.loads(of_year.out)["uncharged"]]) == (True, ["P-5"])
