"""Documents that a node keeps: the same answer as long as nothing changes from which it follows, and the right one afterwards."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.master_data import Named
from gridcore.registry.calendar import CALENDAR as CALENDAR_ENTITY
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.tariff import TARIFF
from gridcore.transactions.dispute_step import DisputeWithdrawal
from gridledger.settling import answered_months, area_month
from gridledger.settling.area_month import AreaDocuments
from gridledger.settling.chain import Scope
from gridledger.settling.documents import slots_of_months
from ledger.http.documents import AreaMonth
from ledger.leaves.columns import Int64
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from tests.unit.settling.test_tariffs_by_level import connected
from tests.unit.settling.test_tariffs_by_level import world as charged_by_level
from tests.unit.settling.test_tariffs_by_series import dynamic
from tests.worlds.consortium import CALENDAR, DAYS, FIRST_S, SLOT_S, START_S
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.tariffed import HOME, MONTH, charged, first_slots, late_reading, moved
from tests.worlds.transactions import Sender

WORLD: Final = dynamic(16)
"""p-1 is charged the prices of a series, p-2 those of its tariff."""


@pytest.fixture
def sender() -> Sender:
    return WORLD.sender()


@pytest.fixture
def ledger(tmp_path: Path, sender: Sender) -> Iterator[Ledger]:
    """Four settled slots."""
    with ledger_with(tmp_path / "ledger", WORLD, first_slots(sender)) as ledger:
        yield ledger


def ask(documents: AreaDocuments, ledger: Ledger, party: str | None = None) -> AreaMonth:
    return documents(ledger, "a-1", MONTH, party=party, start=0)


def corrected(sender: Sender) -> list[Sequence[bytes]]:
    """A late reading, by which slots are settled again."""
    return late_reading(sender, 700)


def another_tariff(sender: Sender) -> list[Sequence[bytes]]:
    """Other terms of the same tariff from the beginning on."""
    entry = Named(TARIFF, "home", HOME._replace(tax_ppm=60_000), from_s=START_S)
    return [[sender.register(list(entry.rows()))]]


def another_price(sender: Sender) -> list[Sequence[bytes]]:
    """The series by which the tariff charges the night says another price."""
    entry = Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [7_000] * 16), from_s=FIRST_S)
    return [[sender.register(list(entry.rows()))]]


def another_party_row(sender: Sender) -> list[Sequence[bytes]]:
    """A party contracts for more."""
    return [[sender.register(list(charged("p-2", 20_000).rows()))]]


def another_clock(sender: Sender) -> list[Sequence[bytes]]:
    """The calendar of the area goes on in another time zone, by which none of the slots is in the night."""
    entry = Named(CALENDAR_ENTITY, "c", CALENDAR._replace(days=[DAYS[-1]], months=[], tz="Asia/Shanghai"), DAYS[-1])
    return [[sender.register(list(entry.rows()))]]


def another_payer(sender: Sender) -> list[Sequence[bytes]]:
    """A point counts for another party, and its slots are settled again."""
    return [[sender.register([moved("P-5", "p-1", FIRST_S + 2 * SLOT_S)])], *late_reading(sender, 700)]


def test_what_was_answered_is_kept_while_only_time_goes_on(ledger: Ledger, sender: Sender) -> None:
    documents = AreaDocuments()
    first = ask(documents, ledger)
    assert first.documents
    assert decide(ledger, [sender.payment("P-1", "p-1", 7)]) == [Code.ACCEPTED]
    assert ask(documents, ledger).documents is first.documents
    assert ask(documents, ledger, "p-2") == AreaDocuments()(ledger, "a-1", MONTH, party="p-2", start=0)


@pytest.mark.parametrize(
    "change", [corrected, another_tariff, another_price, another_party_row, another_clock, another_payer]
)
def test_what_changes_documents_changes_the_answer(
    ledger: Ledger, sender: Sender, change: Callable[[Sender], list[Sequence[bytes]]]
) -> None:
    documents = AreaDocuments()
    before = ask(documents, ledger)
    for wires in change(sender):
        assert decide(ledger, wires) == [Code.ACCEPTED] * len(wires)
    after = ask(documents, ledger)
    assert after == ask(AreaDocuments(), ledger)
    assert after != before


def test_a_point_at_another_voltage_level_changes_the_answer(tmp_path: Path) -> None:
    of = charged_by_level(*(connected(point, "10kV") for point in ("P-1", "P-2", "P-5")))
    own, documents = of.sender(), AreaDocuments()
    with ledger_with(tmp_path / "levels", of, first_slots(own)) as ledger:
        before = ask(documents, ledger)
        assert decide(ledger, [own.register(list(connected("P-1", "35kV", START_S).rows()))]) == [Code.ACCEPTED]
        after = ask(documents, ledger)
        assert after.documents != before.documents
        assert after == ask(AreaDocuments(), ledger)


def test_an_answer_says_the_block_as_of_which_it_is(ledger: Ledger, sender: Sender) -> None:
    documents, height = AreaDocuments(), ledger.height
    assert ask(documents, ledger).height == height
    assert decide(ledger, [sender.payment("P-1", "p-1", 7)]) == [Code.ACCEPTED]
    assert ask(documents, ledger).height == height + 1


def test_a_dispute_leaves_kept_documents_as_they_are_and_is_in_the_next_answer(ledger: Ledger, sender: Sender) -> None:
    documents = AreaDocuments()
    before = ask(documents, ledger)
    opened = contest(ledger, sender)
    during = ask(documents, ledger)
    withdraw(ledger, sender, opened)
    after = ask(documents, ledger)
    assert (before.disputed, after.disputed) == ([], [])
    assert [(one.party, one.disputes, one.disputed_nano > 0) for one in during.disputed] == [("p-1", 1, True)]
    assert during.documents is before.documents
    assert after.documents is before.documents


def test_an_answer_as_of_a_block_says_nothing_of_a_dispute_that_was_open_then_and_is_over(
    ledger: Ledger, sender: Sender
) -> None:
    documents, opened = AreaDocuments(), contest(ledger, sender)
    height = ledger.height
    then = documents(ledger, "a-1", MONTH, party="p-1", start=0, height=height)
    withdraw(ledger, sender, opened)
    now = documents(ledger, "a-1", MONTH, party="p-1", start=0, height=height)
    assert [one.party for one in then.disputed] == ["p-1"]
    assert now == then._replace(disputed=[])


def contest(ledger: Ledger, sender: Sender) -> bytes:
    """p-1 contests a slot; the id of the dispute."""
    wire = sender.dispute("p-1", "P-1", FIRST_S)
    assert decide(ledger, [wire]) == [Code.ACCEPTED]
    return decode_transaction(wire).id


def withdraw(ledger: Ledger, sender: Sender, dispute: bytes) -> None:
    wire = sender.step(DisputeWithdrawal, dispute, "p-1", "withdrawn")
    assert decide(ledger, [wire]) == [Code.ACCEPTED]


@pytest.mark.parametrize("change", [another_tariff, another_price, another_party_row])
def test_what_a_block_changes_while_documents_are_made_is_in_the_next_answer(
    ledger: Ledger, sender: Sender, change: Callable[[Sender], list[Sequence[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = change(sender)

    def meanwhile(reader: LedgerReader, scope: Scope) -> dict[str, Int64]:
        if wires:
            assert decide(ledger, wires.pop()) == [Code.ACCEPTED]
        return slots_of_months(reader, scope)

    documents = AreaDocuments()
    monkeypatch.setattr(f"{answered_months.__name__}.slots_of_months", meanwhile)
    ask(documents, ledger)
    assert not wires
    assert ask(documents, ledger) == ask(AreaDocuments(), ledger)


def test_nothing_is_kept_of_a_registry_that_is_no_more(ledger: Ledger, sender: Sender) -> None:
    documents = AreaDocuments()
    ask(documents, ledger, "p-1")
    earlier = weakref.ref(ledger.registry)
    for wires in another_party_row(sender):
        assert decide(ledger, wires) == [Code.ACCEPTED]
    ask(documents, ledger, "p-2")
    gc.collect()
    assert earlier() is None


def test_as_many_lines_are_kept_as_there_may_be_and_of_one_more_the_oldest_answer_goes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = AreaDocuments()
    first, second = ask(documents, ledger, "p-1"), ask(documents, ledger, "p-2")
    points_of_both = 3
    lines = points_of_both + sum(1 + sum(1 + len(one.lines) for one in answer.documents) for answer in (first, second))
    monkeypatch.setattr(area_month, "LINES_KEPT_MAX", lines)
    assert ask(documents, ledger, "p-1").documents is first.documents
    assert ask(documents, ledger, "p-2").documents is second.documents
    monkeypatch.setattr(area_month, "LINES_KEPT_MAX", lines - 1)
    assert ask(documents, ledger, "p-2").documents is second.documents
    assert ask(documents, ledger, "p-1").documents is not first.documents


def test_of_the_net_amount_that_is_said_to_be_taxed_the_tax_follows(ledger: Ledger) -> None:
    (document,) = ask(AreaDocuments(), ledger, "p-1").documents
    untaxed = sum(line.amount for line in document.lines if line.line_kind in ("stay", "funds"))
    assert untaxed
    assert document.taxed == document.net - untaxed
    assert abs(document.tax * 1_000_000 - document.taxed * document.tax_ppm) <= 500_000
