"""``settle documents``: a month's documents of any ledger are those of ``settle files`` on the same data, and what the text says."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.master_data import Named
from gridcore.registry.calendar import calendar_rows
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.chain import frame
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.month_derivation import DocumentName, derive_document
from settlement.tariffs.registered import component_of
from tests.slow import invoices, tariffs
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_documents_explained import NEWER
from tests.unit.settling.test_documents_explained import TARIFF as COMPONENTS_OF_FILES
from tests.unit.settling.test_registered_tariffs import DAYS, readings
from tests.worlds.consortium import DAYS as DAYS_OF_CALENDAR
from tests.worlds.consortium import FIRST_S, SLOT_S, UTILITY, Consortium, area
from tests.worlds.ledgers import decide, ledger_with, open_ledger
from tests.worlds.tariffed import (
    COMPONENTS,
    HOME,
    MONTH,
    TARIFFED,
    first_slots,
    late_reading,
    moved,
    with_more,
)
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

FILES = (
    "statements.csv", "postings.csv", "invoices.csv", "invoice_lines.csv", "invoice_taxes.csv", "general_ledger.csv", "partners.csv", "partner_months.csv", "month.csv",
    "payments.csv", "paid.csv", "disputed.csv",
)  # fmt: skip
PRICES = {"residual_import": 460_000, "network_residual": 180_000, "levy": 40_000, "residual_export": -280_000}


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def make(data: Path, out: Path, month: str = MONTH, *more: str) -> int:
    return main(["settle", "documents", "--data", str(data), "--month", month, "--out", str(out), *more])


# ------------------------------------------------------------------------------------- the same as of settled folders


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days at the end of June with every base of a tariff, a correction of two slots, and a new tenant at one of the points."""
    path = tmp_path_factory.mktemp("settled")
    points = "point,party,area,valid_from\nP1,M1,A1,\nP2,M2,A1,\nP2,M3,A1,2025-06-29T10:00:00Z\n"
    first = {"points.csv": points, "readings.csv": readings(DAYS), "rules.toml": RULES + COMPONENTS_OF_FILES}
    out = path / "out"
    assert main(["settle", "files", str(make_folder(path / "first", first)), "--out", str(out)]) == 0
    newer = make_folder(path / "newer", {**first, "readings.csv": NEWER})
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    return out


def test_the_documents_of_each_month_are_the_rows_that_settle_files_has_written(settled: Path, tmp_path: Path) -> None:
    july_s = 1_751_320_800  # 1 July 2025, 00:00 in Berlin
    is_in: Mapping[str, Callable[[Mapping[str, str]], str]] = {
        "statements.csv": lambda row: "2025-07" if int(row["slot_start_s"]) >= july_s else "2025-06",
        "postings.csv": lambda row: "2025-07" if int(row["slot_start_s"]) >= july_s else "2025-06",
        "invoices.csv": lambda row: row["month"],
        "invoice_lines.csv": lambda row: row["month"],
        "invoice_taxes.csv": lambda row: row["month"],
        "general_ledger.csv": lambda row: row["date"][:7],
        "partners.csv": lambda row: row["date"][:7],
        "partner_months.csv": lambda row: row["month"],
    }
    for month in ("2025-06", "2025-07"):
        out = tmp_path / month
        assert make(settled / "ledger", out, month) == 0
        assert {path.name for path in out.iterdir()} == set(FILES)
        for name, month_of in is_in.items():
            expected = [row for row in rows(settled, name) if month_of(row) == month]
            assert expected
            assert rows(out, name) == expected, name
    assert {row["run"] for row in rows(tmp_path / "2025-06", "invoice_lines.csv")} == {"initial", "correction-1"}
    assert [row["party"] for row in rows(tmp_path / "2025-06", "invoices.csv")] == ["M1", "M1", "M2", "M3", "M3"]


def test_a_folder_of_one_month_is_explained_and_computed_again_as_a_settled_one(
    settled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, data = tmp_path / "out", str(settled / "ledger")
    assert make(settled / "ledger", out, "2025-06") == 0
    own, whole = DocumentFolder(out, settled / "ledger"), DocumentFolder(settled)
    for row in rows(out, "invoice_lines.csv"):
        name = DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
        found = derive_document(own, name)
        assert found.holds
        assert found.amounts == derive_document(whole, name).amounts
    capsys.readouterr()
    replay = ["settle", "replay", "--data", data, "--documents", str(out)]
    assert main(replay) == 0
    assert "of 2025-06 computed again from the ledger" in capsys.readouterr().out
    explain = ["settle", "explain", "--data", data, "--documents", str(out), "--line", "M1/2025-06/demand"]
    assert main([*explain, "--run", "initial", "--language", "en"]) == 0
    assert "12000 × 32000000 × 3 ÷ 30 = 38400000000 1e-9 CNY  [recomputed]" in capsys.readouterr().out
    path = out / "invoice_lines.csv"
    path.write_text(path.read_text().replace("peak,0,12800000400,1280", "peak,0,12800000400,1281"))
    assert main(replay) == 1
    assert "NOT THE SAME: invoice_lines.csv, row 9" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------- a metered ledger


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of the metered world, its late reading settled again."""
    data = tmp_path_factory.mktemp("metered") / "ledger"
    sender = TARIFFED.sender()
    with ledger_with(data, TARIFFED, [*first_slots(sender), *late_reading(sender, 700)]):
        return data


def test_documents_of_a_metered_ledger_come_to_what_the_text_says(metered: Path, tmp_path: Path) -> None:
    assert make(metered, tmp_path / "out") == 0
    # meter 2 showed 700 Wh after the second slot: its slots gave 300, 400, 200 and 300 Wh
    energies = {"p-1": [(1_000, 0)] * 4, "p-2": [(200, 300), (200, 400), (200, 200), (200, 300)]}
    assert_is_by_the_text(tmp_path / "out", energies)


def by_the_text(of_slots: Sequence[tuple[int, int]], contracted_w: int, slots: int = 16) -> dict[str, int]:
    """net, tax and gross of 15 January 2027 from 08:00 on, with fractions; slots behind those that were metered have nothing."""
    quiet = [(0, 0)] * (slots - len(of_slots))
    at = [
        tariffs.Slot(0, 1, 739_996, 8 * 3_600 + place * SLOT_S, import_wh, export_wh, 0)
        for place, (import_wh, export_wh) in enumerate([*of_slots, *quiet])
    ]
    billed = {kind: price * sum(one[1] if price < 0 else one[0] for one in of_slots) for kind, price in PRICES.items()}
    components = [component_of(row, {"x": contracted_w}) for row in COMPONENTS]
    charged = tariffs.charges(components, "x", at, SLOT_S, [31], billed)
    lines = {**billed, **{name: nano for (_, name), nano in charged.items()}}
    found = invoices.invoice(lines, ("stay", "funds"), HOME.tax_ppm, HOME.quantum_nano, HOME.rounding)
    return {key: found[key] for key in ("net", "tax", "gross")}


def added_up(out: Path, party: str) -> dict[str, int]:
    """What a party's documents come to together."""
    own = [row for row in rows(out, "invoices.csv") if row["party"] == party]
    return {key: sum(int(row[key]) for row in own) for key in ("net", "tax", "gross")}


def test_a_correction_run_gives_a_credit_note_and_the_entries_of_a_day_follow_it(metered: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert make(metered, out) == 0
    first, credit = (row for row in rows(out, "invoices.csv") if row["party"] == "p-2")
    assert int(first["gross"]) > 0 > int(credit["gross"])
    entries = [row for row in rows(out, "general_ledger.csv") if row["run"] == "correction-1"]
    # one entry a day and counter-account: what the offtaker owes for 300 Wh more
    assert next((row["kind"], row["debit_account"], row["amount_nano"]) for row in entries) == (
        "day",
        "offtaker",
        "84000000",
    )
    owed: dict[str, int] = defaultdict(int)
    for row in rows(out, "general_ledger.csv"):
        for account, sign in ((row["debit_account"], 1), (row["credit_account"], -1)):
            owed[account] += sign * int(row["amount_nano"])
    for party in ("p-1", "p-2"):
        assert owed[party] == added_up(out, party)["gross"] * HOME.quantum_nano
    assert sum(owed.values()) == 0


def test_a_month_that_is_not_complete_and_parties_without_a_tariff_are_told(
    metered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(metered, tmp_path / "out", MONTH, "--json") == 0
    told = capsys.readouterr()
    assert (
        "2027-01 is not complete: 16 of its 1600 slots are settled; these are documents of the month so far" in told.err
    )
    assert "no documents of l-1: they are billed and name no tariff" in told.err
    answer = json.loads(told.out)
    assert (answer["complete"], answer["without_tariff"], answer["documents"]) == (False, ["l-1"], 3)
    (month,) = rows(tmp_path / "out", "month.csv")
    assert (month["slots"], month["slots_settled"], month["parties"], month["without_tariff"]) == (
        "1600",
        "16",
        "2",
        "1",
    )


def test_documents_are_computed_again_by_the_blocks_that_they_were_made_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, sender = tmp_path / "ledger", TARIFFED.sender()
    with ledger_with(data, TARIFFED, first_slots(sender)):
        pass
    assert make(data, tmp_path / "before") == 0
    (dearer,) = Named(TARIFF, "home", HOME._replace(tax_ppm=200_000)).rows()
    ledger = open_ledger(data, TARIFFED)
    for wires in [*late_reading(sender, 700), [sender.register([dearer])]]:
        assert decide(ledger, wires) == [0]
    ledger.close()
    assert make(data, tmp_path / "after") == 0
    before, after = (rows(tmp_path / name, "invoices.csv") for name in ("before", "after"))
    assert (len(before), len(after)) == (2, 3)
    assert before[0]["tax"] != after[0]["tax"]
    for name in ("before", "after"):
        assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / name)]) == 0
    capsys.readouterr()
    month = tmp_path / "after" / "month.csv"
    text = month.read_text()
    (row,) = rows(tmp_path / "after", "month.csv")
    for other, said in (
        (row["chain"], ("test-0000000000000000", "the documents of")),
        (row["digest"], ("0" * 64, "is another one than that of")),
        (f",{row['height']},", (",99999,", "the documents of")),
        (f"\n{MONTH}", ("\n2027-13", "month: is no month")),
        ("z-1", ("z 1", "zone: is no zone")),
        ("z-1", ("z-7", "has no zone z-7, of which")),
        ("z-1,", ("z-1,a-9", "has no area a-9 in zone z-1, of which")),
    ):
        month.write_text(text.replace(other, said[0]))
        assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / "after")]) == 2
        told = capsys.readouterr().err
        assert said[1] in told
        assert len(told.splitlines()) == 1


def test_documents_of_a_month_so_far_are_computed_again_when_further_days_of_it_are_settled(tmp_path: Path) -> None:
    """l-1 names a tariff from the third day on: documents that were made on the second one have none of it, then and later."""
    tenant = Party("a-1", UTILITY, trades=False, contracted_w={"demand": 5_000}, tariff="home")
    calendar = TARIFFED.calendar._replace(days=[*DAYS_OF_CALENDAR, DAYS_OF_CALENDAR[-1] + 86_400])
    world = replace(with_more(Named(PARTY, "l-1", tenant, from_s=DAYS_OF_CALENDAR[-1])), calendar=calendar)
    data, sender = tmp_path / "ledger", world.sender()
    with ledger_with(data, world, first_slots(sender)):
        pass
    assert make(data, tmp_path / "before") == 0
    ledger = open_ledger(data, world)
    for wire in sender.clocks(DAYS_OF_CALENDAR[-1] + 4 * SLOT_S):
        assert decide(ledger, [wire]) == [0]
    ledger.close()
    assert make(data, tmp_path / "after") == 0
    assert {row["party"] for row in rows(tmp_path / "before", "invoices.csv")} == {"p-1", "p-2"}
    assert {row["party"] for row in rows(tmp_path / "after", "invoices.csv")} == {"p-1", "p-2", "l-1"}
    for name in ("before", "after"):
        assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / name)]) == 0


def test_documents_go_by_the_time_zone_that_their_area_had_in_their_slots(tmp_path: Path) -> None:
    """Another calendar is registered for the days to come: of what is settled, night stays night."""
    data, sender = tmp_path / "ledger", TARIFFED.sender()
    with ledger_with(data, TARIFFED, first_slots(sender)):
        pass
    assert make(data, tmp_path / "before") == 0
    far_east = calendar_rows("c-2", TARIFFED.calendar._replace(tz="Pacific/Kiritimati"))
    moves = area("a-1", calendar="c-2")._replace(from_s=DAYS_OF_CALENDAR[-1]).rows()
    ledger = open_ledger(data, TARIFFED)
    assert decide(ledger, [sender.register([*far_east, *moves])]) == [0]
    ledger.close()
    assert make(data, tmp_path / "after") == 0
    assert rows(tmp_path / "before", "invoice_lines.csv") == rows(tmp_path / "after", "invoice_lines.csv")
    for name in ("before", "after"):
        assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / name)]) == 0


# ------------------------------------------------------------------------------------------------------- a new tenant


def test_a_point_that_changes_its_party_within_the_month_is_billed_to_each_in_its_own_slots(tmp_path: Path) -> None:
    data, row = tmp_path / "ledger", moved("P-5", "p-1", FIRST_S + 2 * SLOT_S)
    world = with_moved(row)
    sender = world.sender()
    with ledger_with(data, world, [*first_slots(sender), *late_reading(sender, 600)]):
        pass
    assert make(data, tmp_path / "out") == 0
    energies = {"p-1": [(1_000, 0)] * 2 + [(1_200, 0)] * 2, "p-2": [(200, 300)] * 2 + [(0, 300)] * 2}
    assert_is_by_the_text(tmp_path / "out", energies)
    assert {one["run"] for one in rows(tmp_path / "out", "statements.csv") if one["party"] == "p-1"} == {"initial"}
    assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / "out")]) == 0


def test_a_correction_that_bills_a_point_to_somebody_else_takes_back_what_was_billed_before(tmp_path: Path) -> None:
    """The late reading has the second and the third slot settled again; of the fourth a run would say the same, and none is written."""
    data, sender = tmp_path / "ledger", TARIFFED.sender()
    with ledger_with(data, TARIFFED, first_slots(sender)) as ledger:
        registered = sender.register([moved("P-5", "p-1", FIRST_S + SLOT_S)])
        for wires in [[registered], *late_reading(sender, 700)]:
            assert decide(ledger, wires) == [0]
    assert make(data, tmp_path / "out") == 0
    energies = {
        "p-1": [(1_000, 0), (1_200, 0), (1_200, 0), (1_000, 0)],
        "p-2": [(200, 300), (0, 400), (0, 200), (200, 300)],
    }
    assert_is_by_the_text(tmp_path / "out", energies)
    assert runs_of(tmp_path / "out", "p-1") == ["initial", "correction-1"]
    assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / "out")]) == 0


def test_a_party_from_which_its_point_is_taken_for_all_slots_is_charged_nothing_in_the_end(tmp_path: Path) -> None:
    """Neither days nor its contracted power: a run that bills it nothing any more counts no day of it."""
    tenant = Named(PARTY, "t-1", Party("a-1", UTILITY, trades=False, contracted_w={"demand": 5_000}, tariff="home"))
    stay = [("t-1", FIRST_S + SLOT_S), ("p-2", FIRST_S + 3 * SLOT_S)]
    data = tmp_path / "ledger"
    world = with_more(tenant, *(Named(POINT, "P-5", Point("a-1", "load", party), from_s) for party, from_s in stay))
    sender = world.sender()
    with ledger_with(data, world, first_slots(sender)) as ledger:
        registered = sender.register([moved("P-5", "p-2", FIRST_S + SLOT_S)])
        for wires in [[registered], *late_reading(sender, 700)]:
            assert decide(ledger, wires) == [0]
    assert make(data, tmp_path / "out") == 0
    first, credit = (row for row in rows(tmp_path / "out", "invoices.csv") if row["party"] == "t-1")
    assert int(first["gross"]) == -int(credit["gross"]) > 0
    assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / "out")]) == 0
    for row in rows(tmp_path / "out", "invoice_lines.csv"):
        name = DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
        assert derive_document(DocumentFolder(tmp_path / "out", data), name).holds


def test_a_party_that_a_correction_bills_in_slots_that_it_never_had_is_explained_by_itself(tmp_path: Path) -> None:
    """t-1 has the last slot of P-5 at first; the slots that are settled again say that it was there earlier, and none of them was its own before."""
    tenant = Named(PARTY, "t-1", Party("a-1", UTILITY, trades=False, contracted_w={"demand": 5_000}, tariff="home"))
    world = with_more(tenant, Named(POINT, "P-5", Point("a-1", "load", "t-1"), FIRST_S + 3 * SLOT_S))
    data, out, sender = tmp_path / "ledger", tmp_path / "out", world.sender()
    with ledger_with(data, world, first_slots(sender)) as ledger:
        registered = sender.register([moved("P-5", "t-1", FIRST_S + SLOT_S)])
        for wires in [[registered], *late_reading(sender, 700)]:
            assert decide(ledger, wires) == [0]
    assert make(data, out) == 0
    assert runs_of(out, "t-1") == ["initial", "correction-1"]
    for row in rows(out, "invoice_lines.csv"):
        name = DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
        assert derive_document(DocumentFolder(out, data), name).holds


def with_moved(row: Row) -> Consortium:
    return with_more(Named(POINT, "P-5", POINT.record_of(row.value), from_s=row.from_s))


def runs_of(out: Path, party: str) -> list[str]:
    """The runs of a party's documents."""
    return list(dict.fromkeys(row["run"] for row in rows(out, "invoice_lines.csv") if row["party"] == party))


def assert_is_by_the_text(out: Path, energies: Mapping[str, Sequence[tuple[int, int]]]) -> None:
    """What each party's documents come to is what the text says of its energies, import and export by slot."""
    for party, contracted_w in (("p-1", 12_000), ("p-2", 30_000)):
        assert added_up(out, party) == by_the_text(energies[party], contracted_w)


# ------------------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["2027-1"], "--month '2027-1': write YYYY-MM, as 2026-07"),
        (["2027-02"], "--month 2027-02: the ledger has no settled slot of it; it has 2027-01"),
        ([MONTH, "--area", "a-9"], "--area 'a-9': is no area of this chain"),
    ],
)
def test_a_month_or_area_that_the_ledger_has_not_is_one_clear_line_and_nothing_is_made(
    metered: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(metered, tmp_path / "out", *arguments) == 2
    assert capsys.readouterr().err.strip() == said
    assert not list(tmp_path.iterdir())


def test_a_ledger_of_which_nobody_names_a_tariff_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ledger_with(tmp_path / "ledger", TWO_AREAS, one_settled_slot(TWO_AREAS.sender())):
        pass
    for more, said in (
        ([], "--area is missing: this ledger has a-1 (zone z-1), a-2 (zone z-2); name one"),
        (["--area", "a-1"], "nobody who is billed names a tariff in these slots"),
    ):
        assert make(tmp_path / "ledger", tmp_path / "out", MONTH, *more) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_more_slots_and_points_than_fit_are_refused_and_as_many_as_fit_are_not(
    metered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = 16 * 4  # four points are billed, the feeder is not
    monkeypatch.setattr(frame, "CELLS_MAX", cells)
    assert make(metered, tmp_path / "out") == 0
    monkeypatch.setattr(frame, "CELLS_MAX", cells - 1)
    assert make(metered, tmp_path / "other") == 2
    assert "zone z-1: 16 slots of 4 points; at most 63 at once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "--documents", "OUT", "--bundle", "x", "--line", "p-1/2027-01"], "--documents OUT: is of a ledger; name its data directory"),
        (["replay", "--settled", "x", "--documents", "OUT"], "--documents: is of --data; --settled holds its ledger itself"),
        (["replay", "--data", "DATA", "--documents", "OUT", "--area", "a-1"], "--area: is of a run, with --data alone"),
        (["replay", "--data", "DATA", "--guard", "x", "--area", "a-1", "--slot", "0"], "--guard: is of the node behind --documents"),
        (["replay", "--data", "DATA", "--documents", "DATA"], "holds no month.csv; name a folder that settle documents has made"),
        (["replay", "--data", "DATA", "--documents", "OUT", "--month", "2027-02"], "month '2027-02': the documents are of 2027-01"),
        (["explain", "--data", "DATA", "--documents", "OUT", "--line", "l-1/2027-01"], "party l-1 names no tariff in these slots"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_one_clear_line(
    metered: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert make(metered, out) == 0
    capsys.readouterr()
    named: Mapping[str, str] = {"DATA": str(metered), "OUT": str(out)}
    assert main(["settle", *(named.get(word, word) for word in arguments)]) == 2
    told = capsys.readouterr().err
    assert said.replace("OUT", str(out)) in told
    assert len(told.splitlines()) == 1
