"""Who is billed for a point changes: rows of ``points.csv`` with ``valid_from``, and the same by newer files."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridcore.errors import GridError, UsageError
from gridledger.cli import main
from gridledger.settling.chain import settled_ledger
from gridledger.settling.files.folder import read_folder
from gridledger.settling.files.points import MOVES_MAX
from tests.unit.settling.folders import RULES, make_folder

SLOTS = 8
FIRST_S = 1_751_317_200
FIRST = "2025-06-30T21:00:00Z"
"""An hour before a local month ends."""
HEADER = "point,party,area,valid_from\n"
TARIFF = """
[[tariff.component]]
name = "standing"
account = "grid"
base = "day"
price_micro_per_day = 1000000
"""


def time_of(slot: int) -> str:
    minutes = 21 * 60 + 15 * slot
    return f"2025-{'06-30' if minutes < 1440 else '07-01'}T{minutes // 60 % 24:02}:{minutes % 60:02}:00Z"


class Reading(NamedTuple):
    slot: int
    point: str
    import_wh: int
    export_wh: int


def readings(rows: list[Reading]) -> str:
    lines = [f"{time_of(row.slot)},{row.point},{row.import_wh / 1000:.3f},{row.export_wh / 1000:.3f}\n" for row in rows]
    return "start,point,import_kwh,export_kwh\n" + "".join(lines)


def drawn(energies: list[tuple[int, int]]) -> list[Reading]:
    return [Reading(at % SLOTS, f"P{1 + at // SLOTS}", *energy) for at, energy in enumerate(energies)]


def settle(
    folder: Path, points: str, rows: list[Reading], rules: str = RULES
) -> dict[tuple[str, ...], tuple[int, int]]:
    """Of the settled folder: energy and amount by party, slot and kind."""
    files: dict[str, str | bytes | None] = {"points.csv": points, "readings.csv": readings(rows), "rules.toml": rules}
    make_folder(folder / "in", files)
    assert main(["settle", "files", str(folder / "in"), "--out", str(folder / "out")]) == 0
    return lines_of(folder / "out")


def test_a_move_inside_a_slot_is_two_points_each_with_its_part_and_both_pay_what_one_would_have_paid(
    tmp_path: Path,
) -> None:
    others = [Reading(slot, "P2", 0, 250) for slot in range(SLOTS)]
    whole = [Reading(slot, "P1", 600, 0) for slot in range(SLOTS)]
    leaves = [Reading(slot, "P1", 600 if slot < 3 else 0, 0) for slot in range(SLOTS)]
    comes = [Reading(slot, "P1-bo", 600 if slot > 3 else 0, 0) for slot in range(SLOTS)]
    leaves[3], comes[3] = Reading(3, "P1", 217, 0), Reading(3, "P1-bo", 383, 0)
    alone = settle(tmp_path / "alone", HEADER + "P1,anna,north,\nP2,carl,north,\n", others + whole)
    moved = settle(
        tmp_path / "moved", HEADER + "P1,anna,north,\nP1-bo,bo,north,\nP2,carl,north,\n", others + leaves + comes
    )
    in_slot = str(FIRST_S + 3 * 900)
    assert (moved["anna", in_slot, "levy"][0], moved["bo", in_slot, "levy"][0]) == (217, 383)
    assert by_kind(moved, {"anna", "bo"}) == by_kind(alone, {"anna"})


def by_kind(lines: dict[tuple[str, ...], tuple[int, int]], parties: set[str]) -> dict[tuple[str, str], int]:
    """Energy by slot and kind of line of some parties together."""
    found = Counter[tuple[str, str]]()
    for (party, slot, kind), (energy_wh, _) in lines.items():
        if party in parties:
            found[slot, kind] += energy_wh
    return dict(found)


def lines_of(out: Path) -> dict[tuple[str, ...], tuple[int, int]]:
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    with (out / "statements.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            key = row["party"], row["slot_start_s"], row["line_kind"]
            energy, amount = found.get(key, (0, 0))
            found[key] = energy + int(row["energy_wh"]), amount + int(row["amount_nano"])
    return {key: sums for key, sums in found.items() if any(sums)}


ENERGY = st.one_of(st.tuples(st.integers(0, 2_000), st.just(0)), st.tuples(st.just(0), st.integers(0, 2_000)))


@settings(max_examples=6, deadline=None)
@given(
    st.lists(ENERGY, min_size=3 * SLOTS, max_size=3 * SLOTS),
    st.lists(st.integers(1, SLOTS - 1), min_size=1, max_size=2, unique=True).map(sorted),
)
def test_each_tenant_has_the_lines_of_a_point_of_his_own_that_used_nothing_before_and_after(
    tmp_path_factory: pytest.TempPathFactory, energies: list[tuple[int, int]], moves: list[int]
) -> None:
    folder, rows = tmp_path_factory.mktemp("moves"), drawn(energies)
    tenants = "".join(f"P2,T{number},A1,{time_of(slot)}\n" for number, slot in enumerate(moves, 1))
    moved = settle(folder / "moved", f"{HEADER}P1,M1,A1,\nP2,T0,A1,\nP3,M3,A1,\n{tenants}", rows)
    own, ends = [row for row in rows if row.point != "P2"], [0, *moves, SLOTS]
    for row in rows:
        for number in range(len(ends) - 1):
            is_there = row.point == "P2" and ends[number] <= row.slot < ends[number + 1]
            used = (row.import_wh, row.export_wh) if is_there else (0, 0)
            if row.point == "P2":
                own.append(Reading(row.slot, f"P2-{number}", *used))
    split = "".join(f"P2-{number},T{number},A1\n" for number in range(len(ends) - 1))
    assert moved == settle(folder / "split", f"point,party,area\nP1,M1,A1\n{split}P3,M3,A1\n", own)


def test_a_tariff_by_days_counts_those_on_which_a_party_has_a_point(tmp_path: Path) -> None:
    rows = drawn([(1_000, 0)] * (2 * SLOTS))
    points = f"{HEADER}P1,M1,A1,\nP2,T0,A1,\nP2,T1,A1,{time_of(4)}\n"
    found = settle(tmp_path, points, rows, RULES + TARIFF)
    standing = {key[0]: 0 for key in found}
    for key, (_, amount) in found.items():
        standing[key[0]] += amount if key[2] == "standing" else 0
    assert standing == {"M1": 2 * 10**9, "T0": 10**9, "T1": 10**9}, "midnight is the move"
    with (tmp_path / "out" / "participants.csv").open(newline="") as file:
        assert [row["party"] for row in csv.DictReader(file)] == ["M1", "T0", "T1"]


def test_newer_files_let_somebody_move_in_where_nothing_is_settled_yet(tmp_path: Path) -> None:
    rows = drawn([(1_000, 0)] * (2 * SLOTS))
    early, late = ([row for row in rows if (row.slot < 4) is is_early] for is_early in (True, False))
    moved = f"{HEADER}P1,M1,A1,\nP2,T0,A1,\nP2,T1,A1,{time_of(5)}\n"
    settle(tmp_path / "part", f"{HEADER}P1,M1,A1,\nP2,T0,A1,\n", early)
    newer, out = tmp_path / "newer", tmp_path / "part" / "out"
    make_folder(newer, {"points.csv": moved, "readings.csv": readings(late)})
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    assert lines_of(out) == settle(tmp_path / "whole", moved, rows)


def test_who_was_billed_before_the_newer_readings_does_not_change(tmp_path: Path) -> None:
    rows = drawn([(1_000, 0)] * (2 * SLOTS))
    settle(tmp_path / "one", f"{HEADER}P1,M1,A1,\nP2,T0,A1,\n", rows)
    for number, points in enumerate(("P2,T9,A1,\n", f"P2,T0,A1,\nP2,T9,A1,{time_of(5)}\n")):
        late = [row for row in rows if row.slot >= 6]
        newer = make_folder(
            tmp_path / str(number), {"points.csv": f"{HEADER}P1,M1,A1,\n{points}", "readings.csv": readings(late)}
        )
        line = (
            r"points\.csv: point P2: from 2025-06-30T\S+Z on the ledger bills T0, not T9; who is billed may change from"
        )
        with pytest.raises(GridError, match=line), settled_ledger(read_folder(newer), tmp_path / "one" / "out"):
            pass


MOVES = st.lists(st.tuples(st.integers(1, SLOTS - 1), st.sampled_from(["T1", "T2"])), min_size=1, max_size=2)


@settings(max_examples=2, deadline=None)
@example([(1_000, 0)] * (2 * SLOTS), [(5, "T2"), (7, "T1")])
@given(st.lists(ENERGY, min_size=2 * SLOTS, max_size=2 * SLOTS), MOVES)
def test_a_move_that_becomes_known_when_its_slots_are_settled_comes_to_what_it_would_have_come_to_before(
    tmp_path_factory: pytest.TempPathFactory, energies: list[tuple[int, int]], moves: list[tuple[int, str]]
) -> None:
    """One after the other: a later one says who is billed anew, with another date or another tenant."""
    folder, rows = tmp_path_factory.mktemp("late"), drawn(energies)
    settle(folder / "late", f"{HEADER}P1,M1,A1,\nP2,T0,A1,\n", rows)
    points, out = "", folder / "late" / "out"
    for number, (slot, tenant) in enumerate(moves):
        points = f"{HEADER}P1,M1,A1,\nP2,T0,A1,\nP2,{tenant},A1,{time_of(slot)}\n"
        newer = make_folder(folder / str(number), {"points.csv": points, "readings.csv": readings(rows)})
        assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    assert lines_of(out) == settle(folder / "known", points, rows)
    assert main(["settle", "replay", "--settled", str(out)]) == 0


def test_a_move_that_becomes_known_late_is_a_credit_note_to_the_one_and_an_invoice_to_the_other_and_both_are_proved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = drawn([(1_000, 0)] * (2 * SLOTS))
    settle(tmp_path, f"{HEADER}P1,M1,A1,\nP2,T0,A1,\n", rows)
    moved = f"{HEADER}P1,M1,A1,\nP2,T0,A1,\nP2,T1,A1,{time_of(5)}\n"
    newer, out = (
        make_folder(tmp_path / "newer", {"points.csv": moved, "readings.csv": readings(rows)}),
        tmp_path / "out",
    )
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    with (out / "invoice_lines.csv").open(newline="") as file:
        levies: Counter[tuple[str, str]] = Counter()
        for row in csv.DictReader(file):
            if row["line_kind"] == "levy" and row["party"] != "M1":
                levies[row["party"], row["run"]] += int(row["energy_wh"])
    assert levies == {("T0", "initial"): 8_000, ("T0", "correction-1"): -3_000, ("T1", "correction-1"): 3_000}
    slot = str(FIRST_S + 5 * 900)
    for party, run in (("T0", "initial"), ("T1", "correction-1")):
        assert main(["settle", "explain", "--settled", str(out), "--line", f"{party}/{slot}/levy", "--run", run]) == 0
        proof = tmp_path / f"{party}.evd"
        words = ["--party", party, "--slot", slot, "--line", "levy", "--run", run, "--out", str(proof)]
        assert main(["evidence", "export", "--data", str(out / "ledger"), *words]) == 0
        assert main(["verify", str(proof), "--trust", str(out / "trust.json")]) == 0
    capsys.readouterr()
    assert main(["settle", "explain", "--settled", str(out), "--line", f"T0/{slot}/levy"]) == 1
    line = capsys.readouterr().err.strip()
    assert line == f"party 'T0': run correction-1 of slot {slot} bills it no point; initial did: name it as the run"


def test_a_move_that_newer_files_leave_out_is_one_line_and_the_row_that_it_asks_for_takes_the_move_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, out = drawn([(1_000, 0)] * (2 * SLOTS)), tmp_path / "out"
    stays = f"{HEADER}P1,M1,A1,\nP2,T0,A1,\n"
    settled = settle(tmp_path, f"{stays}P2,T1,A1,{time_of(4)}\n", rows)
    left_out = make_folder(tmp_path / "left-out", {"points.csv": stays, "readings.csv": readings(rows)})
    assert main(["settle", "files", str(left_out), "--onto", str(out)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "points.csv: point P2: from 2025-06-30T22:00:00Z on the ledger bills T1, not T0; give the row of T1 with that valid_from too; "
        "if T1 did not move in, one of T0 with it"
    )
    assert lines_of(out) == settled
    said = f"{stays}P2,T0,A1,{time_of(4)}\n"
    outright = make_folder(tmp_path / "outright", {"points.csv": said, "readings.csv": readings(rows)})
    assert main(["settle", "files", str(outright), "--onto", str(out)]) == 0
    note = "points.csv: billed as before, nobody moves in: T0 for P2 from 2025-06-30T22:00:00Z on"
    assert note in capsys.readouterr().err.splitlines()
    assert lines_of(out) == settle(tmp_path / "never", said, rows)
    assert {party for party, *_ in lines_of(out)} == {"M1", "T0"}
    assert main(["settle", "replay", "--settled", str(out)]) == 0


def test_newer_readings_of_early_slots_leave_a_move_behind_them_as_it_is(tmp_path: Path) -> None:
    """One whose points.csv is of that time, and one that has an earlier move."""
    rows, out = drawn([(1_000, 0)] * (2 * SLOTS)), tmp_path / "out"
    stays, moved = f"{HEADER}P1,M1,A1,\nP2,T0,A1,\n", f"P2,T1,A1,{time_of(5)}\n"
    settled = settle(tmp_path, stays + moved, rows)
    early = readings([row for row in rows if row.slot < 3])
    for name, points in (("early", stays), ("late", f"{stays}P2,T9,A1,{time_of(1)}\n")):
        newer = make_folder(tmp_path / name, {"points.csv": points, "readings.csv": early})
        assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
        if name == "early":
            assert lines_of(out) == settled
    assert lines_of(out) == settle(tmp_path / "known", f"{stays}P2,T9,A1,{time_of(1)}\n{moved}", rows)


def test_rows_that_name_who_is_billed_before_too_are_one_note(tmp_path: Path) -> None:
    points = f"{HEADER}P1,M1,A1,\nP1,M1,A1,{time_of(1)}\nP2,T0,A1,\nP2,T1,A1,{time_of(2)}\nP2,T1,A1,{time_of(3)}\n"
    notes = read_folder(make_folder(tmp_path, {"points.csv": points})).notes
    assert notes == [
        "points.csv: billed as before, nobody moves in: M1 for P1 from 2025-06-30T21:15:00Z on, and 1 more"
    ]


FAULTS = {
    "inside a slot": (
        "P2,T0,A1,\nP2,T1,A1,2025-06-30T21:07:00Z\n",
        (
            "points.csv, row 4, valid_from: 2025-06-30T21:07:00Z is inside a slot; who is billed changes for whole slots of 900 s: "
            "give 2025-06-30T21:00:00Z or 2025-06-30T21:15:00Z"
        ),
    ),
    "nobody before": (
        f"P2,T0,A1,{time_of(0)}\n",
        (
            "points.csv, row 3, valid_from: nobody is billed for P2 before; give one row of it without a valid_from: who is billed at "
            "first"
        ),
    ),
    "twice at a time": (
        f"P2,T0,A1,\nP2,T1,A1,{time_of(1)}\nP2,T2,A1,{time_of(1)}\n",
        (
            "points.csv, row 5, valid_from: somebody is billed for P2 from 2025-06-30T21:15:00Z on already; give one of the two rows "
            "another time"
        ),
    ),
    "another area": (
        f"P2,T0,A1,\nP2,T1,A2,{time_of(1)}\n",
        "points.csv, row 4, area: P2 is in the area A1; a point stays in its area",
    ),
    "two rows without a time": (
        "P2,T0,A1,\nP2,T1,A1,\n",
        (
            "points.csv, row 4, point: the point P2 stands in row 3 already; give each point once, in one area; a row of somebody else "
            "from a time on has a valid_from"
        ),
    ),
    "more than an entity keeps": (
        "P2,T0,A1,\n"
        + "".join(f"P2,T{1 + at % 2},A1,20{10 + at // 12}-{1 + at % 12:02}-01T00:00:00Z\n" for at in range(51)),
        f"points.csv, row 54, point: who is billed for P2 changes more than {MOVES_MAX} times; settle fewer slots at once",
    ),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_what_is_wrong_with_a_move_is_one_line(tmp_path: Path, name: str) -> None:
    rows, line = FAULTS[name]
    folder = make_folder(tmp_path, {"points.csv": f"{HEADER}P1,M1,A1,\n{rows}"})
    with pytest.raises(UsageError) as caught:
        read_folder(folder)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("keys.csv", "point,share_ppm,valid_from\nP1,1,2025-06-01T00:07:00Z\n"),
        (
            "agreements.csv",
            (
                "agreement,seller_point,buyer_point,basis,price_micro_per_kwh,quantity_kwh,valid_from\n"
                "a,P1,P2,fixed_quantity,1,1,2025-06-01T00:07:00Z\n"
            ),
        ),
    ],
)
def test_keys_and_agreements_hold_for_whole_slots(tmp_path: Path, name: str, content: str) -> None:
    market = {
        "keys.csv": '"sharing_keys/1"\nmethod = "static"\ntrade_price_micro_per_kwh = 200000',
        "agreements.csv": '"bilateral_agreements/1"',
    }
    folder = make_folder(tmp_path, {"rules.toml": RULES.replace('"mid_market_rate/1"', market[name]), name: content})
    line = rf"{name}, row 2, valid_from: 2025-06-01T00:07:00Z is inside a slot; .* give 2025-06-01T00:00:00Z or 2025-06-01T00:15:00Z"
    with pytest.raises(UsageError, match=line):
        read_folder(folder)
