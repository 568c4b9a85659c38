"""Payments of a month for a bookkeeper: in which month and of whom each is, that it is there once, and that the books still balance."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.sm3 import sm3
from gridledger.cli import main
from gridledger.settling.chain import Scope, payments, payments_of_month
from gridledger.settling.results.payments import PaymentRow
from ledger.leaves.payments import PAYMENTS, Paid, PaymentsLeaf
from ledger.paid import may_have_before
from ledger.store.ledger import Ledger
from ledger.store.offline import reading
from ledger.store.pruning import prune
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from tests.unit.store.test_pruning import NEW_KEY, SLOTS, WORLD, slots
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, START_S, UTILITY, area, household
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.ledgers import decide, ledger_with, open_ledger
from tests.worlds.tariffed import MONTH, TARIFFED, first_slots, moved, with_more

DAY_S = 86_400
SHANGHAI_S = 8 * 3_600
FEBRUARY_S = 1_801_411_200
"""1 February 2027, 00:00 in Shanghai, where it is 16:00 of the day before in UTC."""


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def make(data: Path, out: Path, *more: str) -> int:
    return main(["settle", "documents", "--data", str(data), "--month", MONTH, "--out", str(out), *more])


def paid(ledger: Ledger, *wires: bytes) -> None:
    assert decide(ledger, wires) == [Code.ACCEPTED] * len(wires)


def by_leaves(ledger: LedgerReader, points: Sequence[str]) -> list[tuple[str | int, ...]]:
    """What the leaves of some points say that was paid, as rows without transaction, month and date: the slow reference."""
    leaves = [(point, leaf) for point in points if (leaf := PAYMENTS.load(ledger, point)) is not None]
    found = [
        (one.party, one.time_s, one.height, point, one.ground, one.amount_nano, one.reference.hex(), one.signer)
        for point, leaf in leaves
        for one in leaf.newest
    ]
    return sorted(found)


def as_of_leaves(found: Sequence[PaymentRow]) -> list[tuple[str | int, ...]]:
    kept = ("party", "time_s", "height", "point", "ground", "amount_nano", "reference", "signer")
    return sorted(tuple(getattr(row, name) for name in kept) for row in found)


# ------------------------------------------------------------------------------------------------------ the folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four settled slots; p-1 paid, and got a part back; l-1, which names no tariff, paid, and the rest was given up. One payment was sent twice."""
    folder = tmp_path_factory.mktemp("paid") / "ledger"
    sender = TARIFFED.sender()
    with ledger_with(folder, TARIFFED, first_slots(sender)) as ledger:
        paid(ledger, sender.payment("P-1", "p-1", 70_000_000, reference="line 1"))
        paid(
            ledger,
            sender.payment("P-3", "l-1", 5_000_000, reference="line 2"),
            sender.payment("P-1", "p-1", 20_000_000, ground="paid_out", reference="line 3"),
            sender.payment("P-3", "l-1", 1, ground="written_off", reference="line 4"),
        )
        sender.now_s += 1
        again = sender.payment("P-1", "p-1", 70_000_000, reference="line 1")
        assert decide(ledger, [again]) == [Code.PAID_ALREADY]
        sender.now_s -= 1
    return folder


def test_every_payment_of_the_month_is_one_balanced_entry_and_the_books_still_balance(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert make(data, out) == 0
    of_payments = [row for row in rows(out, "general_ledger.csv") if row["kind"] == "payment"]
    told = {(row["debit_account"], row["credit_account"], int(row["amount_nano"]), row["run"]) for row in of_payments}
    assert len(of_payments) == 4
    assert told == {
        ("payments", "p-1", 70_000_000, ""),
        ("p-1", "payments", 20_000_000, ""),
        ("payments", "l-1", 5_000_000, ""),
        ("written_off", "l-1", 1, ""),
    }
    owed: dict[str, int] = defaultdict(int)
    for row in rows(out, "general_ledger.csv"):
        for account, sign in ((row["debit_account"], 1), (row["credit_account"], -1)):
            owed[account] += sign * int(row["amount_nano"])
    assert sum(owed.values()) == 0
    gross = sum(int(row["gross"]) for row in rows(out, "invoices.csv") if row["party"] == "p-1")
    assert owed["p-1"] == gross * 10_000_000 - 50_000_000
    assert owed["payments"] == 70_000_000 - 20_000_000 + 5_000_000


def test_a_payment_is_told_with_its_point_time_and_reference_and_what_a_party_paid_by_ground(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert make(data, out) == 0
    listed = rows(out, "payments.csv")
    assert [(row["party"], row["point"], row["ground"], row["account"]) for row in listed] == [
        ("l-1", "P-3", "received", "payments"),
        ("l-1", "P-3", "written_off", "written_off"),
        ("p-1", "P-1", "received", "payments"),
        ("p-1", "P-1", "paid_out", "payments"),
    ]
    assert [row["reference"] for row in listed] == [sm3(f"line {at}".encode()).hex() for at in (2, 4, 1, 3)]
    entries = {row["entry"] for row in rows(out, "general_ledger.csv") if row["kind"] == "payment"}
    assert entries == {f"payment/{row['transaction']}" for row in listed}
    assert [tuple(row.values()) for row in rows(out, "paid.csv")] == [
        ("l-1", MONTH, "5000000", "0", "1", "0", "-5000001"),
        ("p-1", MONTH, "70000000", "20000000", "0", "0", "-50000000"),
    ]
    with reading(data, CONTRACTS) as reader:
        found = payments_of_month(reader, Scope("z-1", reader.height), MONTH)
        assert as_of_leaves(found) == by_leaves(reader, ["P-1", "P-3"])
        for row in found:
            assert reader.transaction(bytes.fromhex(row.transaction)) is not None


def test_a_second_call_has_each_payment_once_under_the_same_id_and_later_ones_beside_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(data, tmp_path / "first") == make(data, tmp_path / "second") == 0
    for name in ("payments.csv", "paid.csv", "general_ledger.csv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    capsys.readouterr()
    assert make(data, tmp_path / "third", "--json") == 0
    assert json.loads(capsys.readouterr().out)["payments"] == 4


def test_payments_are_computed_again_by_the_blocks_that_they_were_read_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, sender = tmp_path / "ledger", TARIFFED.sender()
    with ledger_with(folder, TARIFFED, first_slots(sender)) as ledger:
        paid(ledger, sender.payment("P-1", "p-1", 7))
    assert make(folder, tmp_path / "before") == 0
    with closing(open_ledger(folder, TARIFFED)) as ledger:
        paid(ledger, sender.payment("P-1", "p-1", 8))
    assert make(folder, tmp_path / "after") == 0
    before, after = (rows(tmp_path / name, "payments.csv") for name in ("before", "after"))
    assert [row["amount_nano"] for row in after] == ["7", "8"]
    assert before == after[:1]
    for name in ("before", "after"):
        assert main(["settle", "replay", "--data", str(folder), "--documents", str(tmp_path / name)]) == 0
    path = tmp_path / "before" / "payments.csv"
    path.write_text(path.read_text().replace(",received,payments,7,", ",received,payments,9,"))
    capsys.readouterr()
    assert main(["settle", "replay", "--data", str(folder), "--documents", str(tmp_path / "before")]) == 1
    assert "NOT THE SAME: payments.csv, row 2" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------- whose, and of which month


def test_what_a_former_tenant_pays_after_he_moved_out_is_his(tmp_path: Path) -> None:
    """P-5 is p-2's for two slots, then p-1's; both pay for it afterwards."""
    row = moved("P-5", "p-1", FIRST_S + 2 * SLOT_S)
    folder, sender = tmp_path / "ledger", TARIFFED.sender()
    with ledger_with(folder, TARIFFED, [[sender.register([row])], *first_slots(sender)]) as ledger:
        paid(ledger, sender.payment("P-5", "p-2", 30), sender.payment("P-5", "p-1", 40))
    assert make(folder, tmp_path / "out") == 0
    assert [(one["party"], one["received_nano"]) for one in rows(tmp_path / "out", "paid.csv")] == [
        ("p-1", "40"),
        ("p-2", "30"),
    ]


def test_a_payment_is_of_the_month_of_its_local_time_to_the_second(tmp_path: Path) -> None:
    """The last second of 31 January in Shanghai and the one after it: a block's payments have the time to which its clock steps."""
    calendar = TARIFFED.calendar._replace(days=[day - SHANGHAI_S for day in DAYS], tz="Asia/Shanghai")
    world = replace(TARIFFED, calendar=calendar)
    folder, sender = tmp_path / "ledger", world.sender()
    with ledger_with(folder, world, first_slots(sender)) as ledger:
        for wire in sender.clocks(FEBRUARY_S - 2):
            assert decide(ledger, [wire]) == [Code.ACCEPTED]
        paid(ledger, sender.payment("P-1", "p-1", 1))
        paid(ledger, sender.payment("P-2", "p-2", 2), sender.clock(FEBRUARY_S - 1), sender.payment("P-1", "p-1", 3))
        paid(ledger, sender.payment("P-1", "p-1", 4), sender.clock(FEBRUARY_S))
        paid(ledger, sender.payment("P-2", "p-2", 5))
    assert make(folder, tmp_path / "out") == 0
    listed = rows(tmp_path / "out", "payments.csv")
    assert [(row["amount_nano"], row["date"]) for row in listed] == [
        ("1", "2027-01-31"), ("3", "2027-01-31"), ("2", "2027-01-31"),
    ]  # fmt: skip
    with reading(folder, CONTRACTS) as reader:
        scope = Scope("z-1", reader.height)
        months = {month: payments_of_month(reader, scope, month) for month in ("2026-12", MONTH, "2027-02", "2027-03")}
        assert {month: [row.amount_nano for row in found] for month, found in months.items()} == {
            "2026-12": [], MONTH: [1, 3, 2], "2027-02": [4, 5], "2027-03": [],
        }  # fmt: skip
        assert as_of_leaves([*months[MONTH], *months["2027-02"]]) == by_leaves(reader, ["P-1", "P-2"])


def test_a_payment_is_of_the_area_that_its_point_is_in(tmp_path: Path) -> None:
    world = replace(
        TARIFFED,
        areas=[*TARIFFED.areas, area("a-2")],
        meters=[*TARIFFED.meters, household(6, "p-6", area="a-2")],
    )
    folder, sender = tmp_path / "ledger", world.sender()
    with ledger_with(folder, world, first_slots(sender)) as ledger:
        paid(ledger, sender.payment("P-1", "p-1", 6), sender.payment("P-6", "p-6", 7))
        with_area = {name: Scope("z-1", ledger.height, name) for name in (None, "a-1", "a-2")}
        found = {name: payments_of_month(ledger, scope, MONTH) for name, scope in with_area.items()}
    assert {name: [row.amount_nano for row in listed] for name, listed in found.items()} == {
        None: [6, 7], "a-1": [6], "a-2": [7],
    }  # fmt: skip


def test_on_a_chain_whose_clock_is_block_time_a_payment_has_the_time_of_its_block(tmp_path: Path) -> None:
    world = replace(TARIFFED, clock="block", start_s=FIRST_S - 3_600)
    clock, sender = ManualClock(FIRST_S - 600), world.sender()
    with closing(open_ledger(tmp_path / "ledger", world, clock=clock)) as ledger:
        for step in range(1, 6):
            clock.advance_to(FIRST_S - 600 + 300 * step)
            sender.now_s = clock.now_s()
            assert decide(ledger, [sender.payment("P-1", "p-1", step)]) == [Code.ACCEPTED]
        found = payments_of_month(ledger, Scope("z-1", ledger.height), MONTH)
        assert [row.amount_nano for row in found] == [1, 2, 3, 4, 5]
        assert as_of_leaves(found) == by_leaves(ledger, ["P-1"])


# --------------------------------------------------------------------------------------------------- limits and faults


def test_as_many_payments_as_the_limit_are_listed_and_one_more_is_one_clear_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(payments, "PAYMENTS_MAX", 4)
    assert make(data, tmp_path / "out") == 0
    monkeypatch.setattr(payments, "PAYMENTS_MAX", 3)
    capsys.readouterr()
    assert make(data, tmp_path / "other") == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1] == f"zone z-1: more than 3 payments in {MONTH}; name one of its areas with --area"
    assert not (tmp_path / "other").exists()


def test_a_payer_of_the_name_of_an_account_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    payer = Named(PARTY, "payments", Party("a-1", UTILITY, trades=False), from_s=START_S)
    world = with_more(payer, Named(POINT, "P-5", Point("a-1", "load", party="payments"), FIRST_S + SLOT_S))
    folder, sender = tmp_path / "ledger", world.sender()
    with ledger_with(folder, world, first_slots(sender)) as ledger:
        paid(ledger, sender.payment("P-5", "payments", 6))
    assert make(folder, tmp_path / "out") == 1
    assert "payments is both a party and an account" in capsys.readouterr().err


def test_a_ledger_that_began_with_a_snapshot_behind_payments_of_the_month_is_one_clear_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(data, CONTRACTS) as reader:
        heights = sorted({row.height for row in payments_of_month(reader, Scope("z-1", reader.height), MONTH)})
    monkeypatch.setattr(LedgerReader, "joined_height", heights[0] - 1)
    assert make(data, tmp_path / "out") == 0
    assert len(rows(tmp_path / "out", "payments.csv")) == 4
    monkeypatch.setattr(LedgerReader, "joined_height", heights[0])
    capsys.readouterr()
    assert make(data, tmp_path / "other") == 2
    begins = f"this ledger began with the snapshot of height {heights[0]}, and payments of {MONTH} are in blocks before"
    assert capsys.readouterr().err.strip().startswith(begins)
    assert not (tmp_path / "other").exists()


def test_a_pruned_ledger_has_the_payments_of_its_pruned_blocks(tmp_path: Path) -> None:
    sender = WORLD.sender()
    blocks = [[sender.register(list(NEW_KEY.rows()))], *slots(sender, 0, 2)]
    with ledger_with(tmp_path / "ledger", WORLD, blocks) as ledger:
        paid(ledger, sender.payment("P-1", "p-1", 6), sender.payment("P-2", "p-2", 7))
        for wires in slots(sender, 2, SLOTS):
            paid(ledger, *wires)
        before = payments_of_month(ledger, Scope("z-1", ledger.height), MONTH)
    report = prune(tmp_path / "ledger", tmp_path / "archive", files=UnsyncedFiles())
    assert [row.amount_nano for row in before] == [6, 7]
    assert report.pruned.height >= before[0].height
    with reading(tmp_path / "ledger", CONTRACTS) as reader:
        assert payments_of_month(reader, Scope("z-1", reader.height), MONTH) == before


def leaf(recorded: int, *newest: tuple[int, int]) -> PaymentsLeaf:
    """newest: height and time of each."""
    listed = [Paid(1, "received", height, "p-1", bytes(32), "util", time_s) for height, time_s in newest]
    return PaymentsLeaf(0, listed, 0, recorded)


@pytest.mark.parametrize(
    ("of_point", "is_lacking"),
    [
        (leaf(1, (5, 150)), True),
        (leaf(1, (5, 99)), False),
        (leaf(1, (5, 200)), False),
        (leaf(1, (6, 150)), False),
        (leaf(3, (6, 150), (7, 160)), True),
        (leaf(3, (6, 100), (7, 160)), True),
        (leaf(3, (6, 99), (7, 160)), False),
    ],
)
def test_a_ledger_that_began_with_a_snapshot_knows_whether_payments_of_the_month_are_in_blocks_before(
    of_point: PaymentsLeaf, is_lacking: bool
) -> None:
    """The snapshot is of height 5, the month from 100 until 200."""
    assert may_have_before(of_point, 5, range(100, 200)) is is_lacking
