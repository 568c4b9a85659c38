"""A zone whose first tenant comes late, and in which nobody is billed for a while: documents of its months come, of the slots that were settled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.calendar import Calendar
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.tariff import TARIFF
from gridledger.settling.area_month import AreaDocuments
from gridledger.settling.chain import Scope, settled_slots
from gridledger.settling.documents import slots_of_months
from gridledger.settling.files.stamps import to_iso
from ledger.leaves.runs import RUNS
from ledger.store.ledger import Ledger
from tests.unit.settling.test_extract import answered, refused
from tests.unit.settling.test_month_documents import make, rows
from tests.worlds.consortium import DAY_S, SLOT_S, UTILITY, Consortium, area, feeder, gateway, zone
from tests.worlds.ledgers import ledger_with, open_ledger
from tests.worlds.tariffed import COMPONENTS, HOME

FEBRUARY_S: Final = 1_801_440_000
BEGIN_S: Final = FEBRUARY_S - 4 * SLOT_S
"""The zone's first slot: nobody is billed in January, nor in the first two slots of February."""
BILLED: Final = [*range(6, 16), *range(40, 50)]
"""Slots of p-1 and of p-2, counted from the first one; nobody is billed between them, nor behind them."""
MOVES: Final = {6: "p-1", 16: None, 40: "p-2", 50: None}
DAYS: Final = [BEGIN_S - BEGIN_S % DAY_S + day * DAY_S for day in range(3)]


def tenant(party: str) -> Named[Party]:
    return Named(PARTY, party, Party("a-1", UTILITY, trades=False, contracted_w={"demand": 9_000}, tariff="home"))


WORLD: Final = Consortium(
    start_s=BEGIN_S - DAY_S,
    calendar=Calendar(days=DAYS, months=[0], tz="UTC", tz_version="1"),
    zones=[zone(first_slot_start_s=BEGIN_S)],
    areas=[area("a-1")],
    gateways=[gateway("gw-1")],
    meters=[replace(feeder(1), role="load")],
    more=[
        Named(TARIFF, "home", HOME),
        tenant("p-1"),
        tenant("p-2"),
        *(Named(POINT, "P-1", Point("a-1", "load", party=party), BEGIN_S + at * SLOT_S) for at, party in MOVES.items()),
    ],
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a ledger lies of a block a slot, up to where 14 slots have passed behind the last tenant."""
    path, sender = tmp_path_factory.mktemp("vacant") / "ledger", WORLD.sender()
    blocks = [[wire] for wire in sender.clocks(BEGIN_S)]
    blocks += [[sender.clock(BEGIN_S + at * SLOT_S)] for at in range(1, 66)]
    with ledger_with(path, WORLD, blocks):
        return path


@pytest.fixture
def ledger(data: Path) -> Iterator[Ledger]:
    with closing(open_ledger(data, WORLD)) as ledger:
        yield ledger


def initial_heights(ledger: Ledger) -> dict[int, int]:
    found = {at: RUNS.load(ledger, BEGIN_S + at * SLOT_S, "z-1") for at in range(64)}
    return {at: made.runs[0][1] for at, made in found.items() if made is not None}


def test_slots_count_up_to_the_last_settled_one_as_of_every_block_though_nobody_is_billed_in_others(
    ledger: Ledger,
) -> None:
    heights = initial_heights(ledger)
    assert list(heights) == BILLED
    found, expected = [], []
    for height in range(ledger.height + 1):
        found.append(settled_slots(ledger, Scope("z-1", height)).tolist())
        last = max((at for at, made in heights.items() if made <= height), default=-1)
        expected.append([BEGIN_S + at * SLOT_S for at in range(last + 1)])
    assert found == expected
    assert len(found[-1]) == BILLED[-1] + 1


def test_a_month_in_which_nobody_was_billed_is_not_there_and_the_next_one_has_documents_of_both_tenants(
    ledger: Ledger,
) -> None:
    assert list(slots_of_months(ledger, Scope("z-1", ledger.height))) == ["2027-02"]
    documents = AreaDocuments()
    answer = documents(ledger, "a-1", "2027-02", party=None, start=0)
    assert [one.party for one in answer.documents] == ["p-1", "p-2"]
    assert answer.slots_settled == BILLED[-1] + 1 - 4
    assert documents(ledger, "a-1", "2027-02", party=None, start=0) == answer
    with pytest.raises(UsageError, match="month 2027-01: area a-1 has no settled slot of it; it has 2027-02"):
        documents(ledger, "a-1", "2027-01", party=None, start=0)


def test_documents_on_a_disk_are_of_both_tenants_of_a_month_with_a_gap(data: Path, tmp_path: Path) -> None:
    assert make(data, tmp_path / "out", "2027-02") == 0
    stays = [row for row in rows(tmp_path / "out", "invoice_lines.csv") if row["line_kind"] == "stay"]
    a_day_nano = COMPONENTS[4]["price"] * 1_000
    assert [(row["party"], int(row["amount_nano"])) for row in stays] == [("p-1", a_day_nano), ("p-2", a_day_nano)]


def test_a_folder_of_such_slots_has_no_energy_in_them_and_says_so(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, span = tmp_path / "folder", ("extract", "--data", data)
    answer: dict[str, Any] = answered(capsys, *span, "--out", folder)
    assert (answer["slots"], answer["missing"]) == (BILLED[-1] + 1, BILLED[-1] + 1 - len(BILLED))
    assert [note.partition(":")[0] for note in answer["notes"]] == [
        "nothing was measured in these slots",
        "nobody is billed for 1 points in some slots (P-1 first)",
    ]
    billed = [(row["party"], row["valid_from"]) for row in rows(folder, "points.csv")]
    assert billed == [("p-1", ""), ("p-2", to_iso(BEGIN_S + 40 * SLOT_S))]
    assert answered(capsys, "files", folder, "--out", tmp_path / "again")["parties"] == 2
    line = refused(capsys, *span, "--until", to_iso(BEGIN_S + 4 * SLOT_S), "--out", tmp_path / "none")
    assert "nobody is billed from 2027-01-31T23:00:00Z to 2027-01-31T23:45:00Z; name other slots" in line
