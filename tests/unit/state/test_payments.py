"""Payments: who records them, that both sides are posted, and that credit that was used up comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.transactions.payment import AMOUNT_NANO_MAX, GROUNDS
from ledger.http.queries.credit import payments
from ledger.http.view import LedgerView
from ledger.kinds.payment import KEPT, OF_DAY_MAX
from ledger.leaves.accounts import ACCOUNTS
from ledger.leaves.balance import BALANCE
from ledger.leaves.money import join_amount
from ledger.leaves.payments import PAYMENTS
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

DAY_S = 86_400


@contextmanager
def settled(folder: Path) -> Iterator[tuple[Ledger, Sender]]:
    """A ledger with one settled slot, and who signs on it."""
    sender = TWO_AREAS.sender()
    with ledger_with(folder / "ledger", TWO_AREAS, one_settled_slot(sender)) as ledger:
        yield ledger, sender


def owed(ledger: Ledger) -> list[int]:
    return BALANCE.must(ledger, "z-1", 0).owes_nano()


def received(ledger: Ledger) -> dict[str, list[int]]:
    leaf = ACCOUNTS.must(ledger, "z-1", 0)
    return {
        name: [join_amount(*both) for both in zip(units.tolist(), leaf.nano[name].tolist(), strict=True)]
        for name, units in leaf.units.items()
    }


def test_what_a_point_owes_becomes_less_by_what_was_received(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        before, accounts = owed(ledger), received(ledger)
        assert decide(ledger, [sender.payment("P-1", "p-1", 70_000_000)]) == [Code.ACCEPTED]
        assert owed(ledger) == [before[0] - 70_000_000, *before[1:]]
        assert received(ledger) == {**accounts, "payments": [-70_000_000, *([0] * (len(accounts["levy"]) - 1))]}
        leaf = PAYMENTS.must(ledger, "P-1")
        assert (leaf.recorded, leaf.of_day) == (1, 1)
        assert leaf.newest[0][:2] == (70_000_000, "received")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(GROUNDS)), st.integers(1, AMOUNT_NANO_MAX)), min_size=1, max_size=8))
def test_what_points_owe_stays_what_accounts_received(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, int]]
) -> None:
    with settled(tmp_path_factory.mktemp("paid")) as (ledger, sender):
        first = owed(ledger)[0]
        wires = [
            sender.payment("P-1", "p-1", amount_nano, ground=ground, reference=number)
            for number, (ground, amount_nano) in enumerate(said)
        ]
        assert decide(ledger, wires) == [Code.ACCEPTED] * len(wires)
        assert sum(owed(ledger)) == sum(sum(amounts) for amounts in received(ledger).values())
        assert owed(ledger)[0] == first - sum(GROUNDS[ground].sign * amount_nano for ground, amount_nano in said)


@pytest.mark.parametrize(
    ("point", "party", "signer", "code"),
    [
        ("P-1", "p-1", "reg", Code.NOT_PERMITTED),
        ("P-1", "p-1", "p-1", Code.NOT_PERMITTED),
        ("P-1", "p-9", "util", Code.NOT_PERMITTED),
        ("P-9", "p-1", "util", Code.NEVER_BILLED),
        ("P-2", "p-1", "util", Code.NEVER_BILLED),
    ],
)
def test_a_payment_by_somebody_else_or_for_a_point_that_the_party_never_had_is_refused(
    tmp_path: Path, point: str, party: str, signer: str, code: Code
) -> None:
    with settled(tmp_path) as (ledger, sender):
        before = owed(ledger)
        assert decide(ledger, [sender.payment(point, party, 5, signer=signer)]) == [code]
        assert owed(ledger) == before
        assert PAYMENTS.load(ledger, point) is None


def test_a_movement_is_recorded_once_and_may_go_back(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        before = owed(ledger)
        assert decide(ledger, [sender.payment("P-1", "p-1", 5, reference="line 7")]) == [Code.ACCEPTED]
        sender.now_s += 1  # another transaction about the same line of the bank
        again = sender.payment("P-1", "p-1", 5, reference="line 7")
        assert decide(ledger, [again]) == [Code.PAID_ALREADY]
        back = sender.payment("P-1", "p-1", 5, ground="paid_out", reference="line 7")
        assert decide(ledger, [back]) == [Code.ACCEPTED]
        assert owed(ledger) == before


def test_a_point_takes_sixteen_payments_a_day_and_keeps_the_newest(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        days = KEPT // OF_DAY_MAX + 1
        for day in range(days):
            wires = [sender.payment("P-1", "p-1", 1 + number, reference=(day, number)) for number in range(OF_DAY_MAX)]
            assert decide(ledger, wires) == [Code.ACCEPTED] * OF_DAY_MAX
            assert decide(ledger, [sender.payment("P-1", "p-1", 9, reference="more")]) == [Code.TOO_MANY_PAYMENTS]
            assert decide(ledger, [sender.clock(sender.now_s + DAY_S)]) == [Code.ACCEPTED]
        leaf = PAYMENTS.must(ledger, "P-1")
        assert (leaf.recorded, len(leaf.newest), leaf.of_day) == (days * OF_DAY_MAX, KEPT, OF_DAY_MAX)


def test_who_was_billed_by_a_row_that_was_corrected_since_gets_its_money_back(tmp_path: Path) -> None:
    """Somebody else was registered at a point by mistake, and paid; the right row begins at the same instant."""
    at_s = FIRST_S + 2 * SLOT_S
    with settled(tmp_path) as (ledger, sender):
        assert decide(ledger, [sender.register([moved("p-1", at_s)])]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.clock(at_s + SLOT_S)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.payment("P-3", "p-1", 70)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.register([moved("p-2", at_s)])]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.payment("P-3", "p-1", 70, ground="paid_out")]) == [Code.ACCEPTED]
        assert [paid.ground for paid in PAYMENTS.must(ledger, "P-3").newest] == ["received", "paid_out"]


def test_who_moves_in_reads_no_payment_of_whom_it_follows(tmp_path: Path) -> None:
    at_s = FIRST_S + 3 * SLOT_S
    with settled(tmp_path) as (ledger, sender):
        assert decide(ledger, [sender.register([moved("p-1", at_s)])]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.payment("P-3", "p-1", 6)]) == [Code.NEVER_BILLED], "it has not moved in yet"
        assert decide(ledger, [sender.clock(at_s + SLOT_S)]) == [Code.ACCEPTED]
        wires = [sender.payment("P-3", "l-1", 7, reference=7), sender.payment("P-3", "p-1", 8, reference=8)]
        assert decide(ledger, wires) == [Code.ACCEPTED] * 2
        view = LedgerView(ledger, CONTRACTS, statements)
        told = {party: [one["amount_nano"] for one in payments(view, party)["payments"]] for party in ("p-1", "l-1")}
        assert told == {"p-1": [8], "l-1": [7]}


def moved(party: str, from_s: int) -> Row:
    """The load P-3, billed to another party from a slot on."""
    (row,) = Named(POINT, "P-3", Point("a-1", "load", party=party), from_s).rows()
    return row


def test_a_party_reads_its_payments_with_their_heights(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        assert decide(ledger, [sender.payment("P-1", "p-1", 7), sender.payment("P-2", "p-2", 8)]) == [0, 0]
        view = LedgerView(ledger, CONTRACTS, statements)
        (paid,) = payments(view, "p-1")["payments"]
        assert (paid["point"], paid["amount_nano"], paid["ground"], paid["signer"]) == ("P-1", 7, "received", "util")
        assert paid["height"] == ledger.height
        assert set(paid) == {"point", "amount_nano", "ground", "height", "party", "reference", "signer", "time_s"}
