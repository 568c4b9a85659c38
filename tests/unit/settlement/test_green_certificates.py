"""Green certificates of settled energy: whole MWh with carry, corrections take from the carry before they cancel."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridledger.cli import main
from gridledger.settling.certificates import GivenByParty, register_rows
from settlement.certificates import (
    CertificateLine,
    GivenEnergy,
    OnGridEnergy,
    Origin,
    certificate_lines,
    certificates_of,
)
from settlement.errors import SettlementError
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household, zone
from tests.worlds.ledgers import ledger_with

MWH = 1_000_000


def test_what_is_left_of_a_month_is_carried_into_the_next() -> None:
    """C11: 1,650, 1,349 and 1 kWh issue one certificate each."""
    energies = [OnGridEnergy(month, month, wh) for month, wh in ((1, 1_650_000), (2, 1_349_000), (3, 1_000))]
    assert [(line.issued, line.carry_wh) for line in certificate_lines(energies)] == [
        (1, 650_000),
        (1, 999_000),
        (1, 0),
    ]


def test_a_correction_adjusts_the_carry_first_and_then_cancels() -> None:
    month = OnGridEnergy(1, 1, 2_300_000)
    small = certificate_lines([month, OnGridEnergy(1, 2, -200_000)])
    assert small[1] == CertificateLine(2, 1, -200_000, 0, 0, 100_000)
    large = certificate_lines([month, OnGridEnergy(1, 2, -400_000)])
    assert large[1] == CertificateLine(2, 1, -400_000, 0, 1, 900_000)


ENERGIES = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 5 * MWH), st.integers(0, 5 * MWH)), max_size=30
)


@given(ENERGIES)
def test_certificates_outstanding_are_the_whole_mwh_of_what_was_given_at_any_time(
    slots: list[tuple[int, int, int, int]],
) -> None:
    """Each slot: its month, how much later it is corrected, what its first run says and what its last one."""
    energies = [OnGridEnergy(month, month, first_wh) for month, _, first_wh, _ in slots]
    energies += [OnGridEnergy(month, month + later, last - first) for month, later, first, last in slots]
    outstanding = given_wh = 0
    for line in certificate_lines(energies):
        given_wh += line.energy_wh
        outstanding += line.issued - line.cancelled
        assert (outstanding, line.carry_wh) == divmod(given_wh, MWH)
        assert 0 in (line.issued, line.cancelled)
    assert given_wh == sum(last_wh for _, _, _, last_wh in slots)


# --------------------------------------------------------------------------------------------- one certificate at a time


def given_of(*rows: tuple[int, int, int, str, int]) -> list[GivenEnergy]:
    return [GivenEnergy(*row) for row in rows]


def test_a_certificate_names_the_slots_and_points_that_its_energy_is_of() -> None:
    (one,) = certificates_of(given_of((1, 1, 900, "roof", 700_000), (1, 1, 1800, "barn", 500_000)))
    assert (one.number, one.month_s, one.issued_month_s, one.cancelled_month_s) == (1, 1, 1, None)
    assert list(one.origins) == [Origin(900, "roof", 700_000), Origin(1800, "barn", 300_000)]


def test_a_correction_that_the_carry_bears_puts_its_energy_in_place_of_what_was_taken() -> None:
    first = given_of((1, 1, 900, "roof", 1_000_000), (1, 1, 1800, "roof", 400_000))
    (one,) = certificates_of([*first, GivenEnergy(2, 1, 900, "roof", -300_000)])
    assert list(one.origins) == [Origin(900, "roof", 700_000), Origin(1800, "roof", 300_000)]
    assert one.cancelled_month_s is None


def test_a_correction_beyond_the_carry_cancels_the_newest_that_has_the_energy_and_its_number_never_comes_back() -> None:
    first = given_of((1, 1, 900, "roof", 2_000_000), (1, 1, 1800, "roof", 100_000))
    more = [GivenEnergy(2, 1, 900, "roof", -200_000), GivenEnergy(3, 3, 2700, "roof", 200_000)]
    found = certificates_of([*first, *more])
    assert [(one.number, one.cancelled_month_s) for one in found] == [(1, None), (2, 2), (3, None)]
    assert sum(origin.energy_wh for origin in found[2].origins) == MWH


def test_a_correction_of_what_was_never_given_is_refused() -> None:
    with pytest.raises(SettlementError, match="takes 1 Wh that roof never gave in the slot at 900"):
        certificates_of(given_of((1, 1, 900, "roof", 5), (2, 1, 900, "roof", -6)))


@given(ENERGIES)
def test_no_energy_stands_behind_two_certificates_and_none_is_cancelled_twice(
    slots: list[tuple[int, int, int, int]],
) -> None:
    """Each slot a place of its own: whatever is corrected, certificates that stand have whole MWh of energy that was given, each Wh once."""
    given = [GivenEnergy(month, month, at, f"P-{at % 3}", first) for at, (month, _, first, _) in enumerate(slots)]
    given += [
        GivenEnergy(month + later, month, at, f"P-{at % 3}", last - first)
        for at, (month, later, first, last) in enumerate(slots)
    ]
    found = certificates_of(given)
    standing = [one for one in found if one.cancelled_month_s is None]
    used: Counter[tuple[int, str]] = Counter()
    for one in standing:
        assert sum(origin.energy_wh for origin in one.origins) == MWH
        used.update({origin[:2]: origin.energy_wh for origin in one.origins})
    last_wh = {(at, f"P-{at % 3}"): last for at, (_, _, _, last) in enumerate(slots)}
    assert all(used[place] <= last_wh[place] for place in used)
    assert len(standing) == sum(last_wh.values()) // MWH
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    lines = certificate_lines(OnGridEnergy(one.month_s, one.known_month_s, one.energy_wh) for one in given)
    assert sum(line.issued for line in lines) == len(found)
    for line in lines:
        of_month = [one for one in found if one.cancelled_month_s == line.known_month_s]
        cancelled = sum(other.cancelled for other in lines if other.known_month_s == line.known_month_s)
        assert len(of_month) == cancelled


def kind_of(number: int, kind: str | None) -> Named[Point]:
    return Named(POINT, f"P-{number}", Point("a-1", "household", f"p-{number}", energy_kind=kind), 1)


VILLAGE = Consortium(
    zones=[zone(metering_deadline_s=0)],
    meters=[household(number, f"p-{number}", limit_wh=10**7, ratio=100) for number in (1, 2, 3)],
    more=[kind_of(1, "solar"), kind_of(2, "coal"), kind_of(3, None)],
)


def test_the_command_reads_first_runs_and_corrections_of_renewable_points_from_the_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = VILLAGE.sender()
    submissions = [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0), (3, 0, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.batch("gw-1", FIRST_S + 2 * SLOT_S, [(1, 0, 50_000), (2, 0, 50_000), (3, 0, 50_000)])],
        [sender.clock(FIRST_S + 3 * SLOT_S)],
    ]
    with ledger_with(tmp_path / "ledger", VILLAGE, submissions) as ledger:
        chain = ledger.chain
    words = ["settle", "certificates", "--data", str(tmp_path / "ledger"), "--area", "a-1"]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (line,) = said["certificates"]
    assert (line["party"], line["energy_wh"], line["issued"], line["carry_wh"]) == ("p-1", 5 * MWH, 5, 0)
    files = ["--out", str(tmp_path / "out.csv"), "--register", str(tmp_path / "register.csv")]
    assert main([*words, *files]) == 0
    assert "5 certificates of 1 MWh" in capsys.readouterr().out
    with (tmp_path / "register.csv").open() as file:
        rows = list(csv.DictReader(file))
    energies: Counter[str] = Counter()
    for row in rows:
        energies[row["certificate"]] += int(row["energy_wh"])
    assert energies == {f"{chain}/a-1/p-1/{number}": MWH for number in range(1, 6)}
    assert {(row["state"], row["point"]) for row in rows} == {("valid", "P-1")}
    assert {int(row["slot_start_s"]) for row in rows} == {FIRST_S, FIRST_S + SLOT_S}
    assert main([*words, *files]) == 2
    assert "is there already; name a file that is not" in capsys.readouterr().err


def test_a_certificate_ends_with_the_month_that_lies_two_years_behind_that_of_its_energy() -> None:
    """Delivered in January 2027, it holds through January 2029, and has expired in February."""
    january_s, last_s = 1_798_761_600, 1_861_920_000
    given = {"p": given_of((january_s, january_s, january_s, "roof", MWH))}
    months = [last_s, last_s + 31 * 86_400]
    rows = [next(iter(register_rows(GivenByParty(given, "chain", month_s), "a", "p"))) for month_s in months]
    assert [(row.month, row.valid_through, row.state) for row in rows] == [
        ("2027-01", "2029-01", "valid"),
        ("2027-01", "2029-01", "expired"),
    ]
