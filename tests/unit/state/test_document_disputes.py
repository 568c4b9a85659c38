"""Disputes of a line of a month's documents: which lines a party may contest, of which months, and that the steps are those of any dispute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.master_data import Named
from gridcore.registry.row import Row
from gridcore.registry.tariff import TARIFF
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeWithdrawal
from ledger.http.queries import disputes as queries
from ledger.http.roles import Scope
from ledger.http.view import LedgerView
from ledger.kinds.dispute_open import ANSWER_S
from ledger.leaves.dispute import DISPUTE, ContestedDocument
from ledger.leaves.disputes import DISPUTES
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import DAY_S, START_S, Consortium, zone
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.tariffed import HOME, MONTH, TARIFFED, component, first_slots
from tests.worlds.transactions import Sender

FINAL_AFTER_S: Final = 5 * DAY_S
FINAL: Final = replace(TARIFFED, zones=[zone(final_after_s=FINAL_AFTER_S)])
FEBRUARY_S: Final = 1_801_440_000
"""2027-02-01T00:00:00Z."""


@contextmanager
def charged(folder: Path, world: Consortium = TARIFFED) -> Iterator[tuple[Ledger, Sender]]:
    """A ledger with four settled slots of parties that name a tariff, and who signs on it."""
    sender = world.sender()
    with ledger_with(folder / "ledger", world, first_slots(sender)) as ledger:
        yield ledger, sender


def test_a_line_of_a_month_is_contested_with_the_amount_that_the_party_names(tmp_path: Path) -> None:
    with charged(tmp_path) as (ledger, sender):
        wire = sender.dispute_document("p-1", MONTH, "demand", amount_nano=-7)
        assert decide(ledger, [wire]) == [Code.ACCEPTED]
        dispute = decode_transaction(wire).id
        leaf = DISPUTE.must(ledger, dispute.hex())
        assert leaf.contested == ContestedDocument("demand", MONTH, "line")
        assert (leaf.amount_nano, leaf.party, leaf.answer_by_s) == (-7, "p-1", leaf.opened_s + ANSWER_S)
        assert DISPUTES.must(ledger, "p-1").open == [dispute]
        stored = ledger.get(f"dispute/{dispute.hex()}")
        assert stored is not None
        assert {"line_kind", "month", "part"} <= stored.keys()
        assert "slot_start_s" not in stored
        shown = queries.dispute(LedgerView(ledger, CONTRACTS, statements), Scope(None, reads_all=True), dispute)
        assert (shown["month"], shown["part"], shown["line_kind"], shown["point"]) == (MONTH, "line", "demand", None)
        assert shown["later_runs"] == []


@pytest.mark.parametrize(
    ("party", "line_kind", "part", "code"),
    [
        ("p-1", "demand", "line", Code.ACCEPTED),
        ("p-1", "", "tax", Code.ACCEPTED),
        ("p-1", "", "total", Code.ACCEPTED),
        ("p-1", "levy", "line", Code.NOTHING_TO_DISPUTE),
        ("p-1", "dem", "line", Code.NOTHING_TO_DISPUTE),
        ("util", "demand", "line", Code.NOT_PERMITTED),
        ("p-1", "", "line", Code.NOT_CANONICAL),
        ("p-1", "demand", "tax", Code.NOT_CANONICAL),
    ],
)
def test_a_party_contests_lines_of_its_tariff_the_tax_and_the_total(
    tmp_path: Path, party: str, line_kind: str, part: str, code: Code
) -> None:
    with charged(tmp_path) as (ledger, sender):
        assert decide(ledger, [sender.dispute_document(party, MONTH, line_kind, part=part)]) == [code]


def test_a_party_that_never_named_a_tariff_has_no_documents_to_contest(tmp_path: Path) -> None:
    world = replace(TARIFFED, more=TARIFFED.more[:2])
    with charged(tmp_path, world) as (ledger, sender):
        assert decide(ledger, [sender.dispute_document("p-1", MONTH)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.dispute_document("p-2", MONTH)]) == [Code.NOTHING_TO_DISPUTE]


def test_a_component_that_the_tariff_no_longer_has_can_be_contested_and_one_of_this_block_not_yet(
    tmp_path: Path,
) -> None:
    with charged(tmp_path) as (ledger, sender):
        later = replace_components(component("meter", "day", 5))
        registered = sender.register(later)
        wires = [registered, sender.dispute_document("p-1", MONTH, "meter")]
        assert decide(ledger, wires) == [Code.ACCEPTED, Code.NOTHING_TO_DISPUTE]
        wires = [sender.dispute_document("p-1", MONTH, kind, again=1) for kind in ("meter", "demand")]
        assert decide(ledger, wires) == [Code.ACCEPTED, Code.ACCEPTED]


def replace_components(*components: dict[str, object]) -> list[Row]:
    """The tariff's row with other components from the start on."""
    return list(Named(TARIFF, "home", HOME._replace(components=list(components)), START_S).rows())


def test_a_month_is_contested_from_where_it_begins_until_its_slots_are_final(tmp_path: Path) -> None:
    with charged(tmp_path, FINAL) as (ledger, sender):
        assert decide(ledger, [sender.dispute_document("p-1", "2027-03")]) == [Code.NOTHING_TO_DISPUTE]
        assert decide(ledger, [sender.dispute_document("p-1", "9999-12")]) == [Code.NOTHING_TO_DISPUTE]
        for wire in sender.clocks(FEBRUARY_S - 14 * 3_600 - 1):
            assert decide(ledger, [wire]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.dispute_document("p-1", "2027-02")]) == [Code.NOTHING_TO_DISPUTE]
        assert decide(ledger, [sender.clock(FEBRUARY_S - 14 * 3_600)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.dispute_document("p-1", "2027-02", again=1)]) == [Code.ACCEPTED]
        last_s = FEBRUARY_S + 12 * 3_600 + FINAL_AFTER_S
        for wire in sender.clocks(last_s - 1):
            assert decide(ledger, [wire]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.dispute_document("p-1", MONTH)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.clock(last_s)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.dispute_document("p-1", MONTH, "demand")]) == [Code.NOTHING_TO_DISPUTE]


def test_one_line_of_a_month_is_contested_once_at_a_time_beside_another_one_and_a_slot(tmp_path: Path) -> None:
    with charged(tmp_path) as (ledger, sender):
        wires = [
            sender.dispute_document("p-1", MONTH, "demand"),
            sender.dispute_document("p-1", MONTH, "demand", amount_nano=6),
            sender.dispute_document("p-1", MONTH, "peak"),
            sender.dispute_document("p-1", MONTH, part="tax"),
        ]
        assert decide(ledger, wires) == [Code.ACCEPTED, Code.DISPUTED_ALREADY, Code.ACCEPTED, Code.ACCEPTED]
        dispute = decode_transaction(wires[0]).id
        assert decide(ledger, [sender.step(DisputeWithdrawal, dispute, "p-1", "withdrawn")]) == [Code.ACCEPTED]
        again = sender.dispute_document("p-1", MONTH, "demand", again=1)
        assert decide(ledger, [again]) == [Code.ACCEPTED]


def test_the_organisation_answers_and_a_regulator_decides_what_it_rejected(tmp_path: Path) -> None:
    with charged(tmp_path) as (ledger, sender):
        wire = sender.dispute_document("p-1", MONTH, "demand")
        assert decide(ledger, [wire]) == [Code.ACCEPTED]
        dispute = decode_transaction(wire).id
        steps = [
            sender.step(DisputeDecision, dispute, "reg", "upheld"),
            sender.step(DisputeAnswer, dispute, "util", "rejected"),
            sender.step(DisputeDecision, dispute, "reg", "dismissed"),
        ]
        assert decide(ledger, steps) == [Code.NOT_ANSWERED_YET, Code.ACCEPTED, Code.ACCEPTED]
        leaf = DISPUTE.must(ledger, dispute.hex())
        assert [step.outcome for step in leaf.steps] == ["rejected", "dismissed"]
        assert leaf.contested == ContestedDocument("demand", MONTH, "line")
        assert DISPUTES.must(ledger, "p-1").open == []


def test_a_party_has_so_many_disputes_of_slots_and_documents_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.kinds.dispute_open.OPEN_MAX", 2)
    with charged(tmp_path) as (ledger, sender):
        wires = [sender.dispute_document("p-1", MONTH, kind) for kind in ("demand", "peak", "stay")]
        assert decide(ledger, wires) == [Code.ACCEPTED, Code.ACCEPTED, Code.TOO_MANY_DISPUTES]
