"""Disputes: who may contest what, who answers, who decides, and that nothing is posted by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeStep, DisputeWithdrawal
from ledger.http.queries import disputes as queries
from ledger.http.roles import Scope
from ledger.http.view import LedgerView
from ledger.kinds.dispute_open import ANSWER_S, OF_DAY_MAX, OPEN_MAX
from ledger.leaves.balance import BALANCE
from ledger.leaves.dispute import DISPUTE, ContestedRow
from ledger.leaves.disputes import DISPUTES
from ledger.leaves.runs import RUNS
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot


@contextmanager
def settled(folder: Path) -> Iterator[tuple[Ledger, Sender]]:
    """A ledger with one settled slot, and who signs on it."""
    sender = TWO_AREAS.sender()
    with ledger_with(folder / "ledger", TWO_AREAS, one_settled_slot(sender)) as ledger:
        yield ledger, sender


def opened(ledger: Ledger, sender: Sender) -> bytes:
    """A dispute of p-1; its id."""
    wire = sender.dispute("p-1", "P-1", FIRST_S)
    assert decide(ledger, [wire]) == [Code.ACCEPTED]
    return decode_transaction(wire).id


def test_a_dispute_freezes_what_the_point_pays_and_posts_nothing(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        before = BALANCE.must(ledger, "z-1", 0)
        dispute = opened(ledger, sender)
        leaf = DISPUTE.must(ledger, dispute.hex())
        assert (leaf.party, leaf.outcome) == ("p-1", "")
        assert leaf.contested == ContestedRow("", "P-1", "initial", FIRST_S, "z-1")
        assert leaf.amount_nano != 0
        assert leaf.answer_by_s == leaf.opened_s + ANSWER_S
        assert DISPUTES.must(ledger, "p-1").open == [dispute]
        after = BALANCE.must(ledger, "z-1", 0)
        assert (before.units.tolist(), before.nano.tolist()) == (after.units.tolist(), after.nano.tolist())


@pytest.mark.parametrize(
    ("party", "point", "slot_s", "run", "code"),
    [
        ("p-1", "P-2", FIRST_S, "initial", Code.NOTHING_TO_DISPUTE),
        ("p-1", "P-9", FIRST_S, "initial", Code.NOTHING_TO_DISPUTE),
        ("p-1", "P-1", FIRST_S, "correction-1", Code.NOTHING_TO_DISPUTE),
        ("p-1", "P-1", FIRST_S + SLOT_S, "initial", Code.NOTHING_TO_DISPUTE),
        ("p-1", "P-1", FIRST_S + 1, "initial", Code.NOT_A_SLOT),
        ("util", "P-1", FIRST_S, "initial", Code.NOT_PERMITTED),
    ],
)
def test_what_is_not_the_party_s_to_contest_is_refused(
    tmp_path: Path, party: str, point: str, slot_s: int, run: str, code: Code
) -> None:
    with settled(tmp_path) as (ledger, sender):
        assert decide(ledger, [sender.dispute(party, point, slot_s, run=run)]) == [code]
        assert DISPUTES.load(ledger, party) is None


def test_a_point_and_slot_are_contested_once_at_a_time(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        dispute = opened(ledger, sender)
        again = sender.dispute("p-1", "P-1", FIRST_S, again=1)
        assert decide(ledger, [again]) == [Code.DISPUTED_ALREADY]
        assert decide(ledger, [sender.step(DisputeWithdrawal, dispute, "p-1", "withdrawn")]) == [Code.ACCEPTED]
        assert DISPUTES.must(ledger, "p-1").open == []
        assert decide(ledger, [sender.dispute("p-1", "P-1", FIRST_S, again=2)]) == [Code.ACCEPTED]


def test_an_organisation_answers_once_and_a_regulator_decides_what_it_rejected(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        dispute = opened(ledger, sender)
        assert decide(ledger, [sender.step(DisputeDecision, dispute, "reg", "upheld")]) == [Code.NOT_ANSWERED_YET]
        assert decide(ledger, [sender.step(DisputeAnswer, dispute, "util", "rejected")]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.step(DisputeAnswer, dispute, "util", "agreed")]) == [Code.DISPUTE_CLOSED]
        assert DISPUTES.must(ledger, "p-1").open == [dispute]
        assert decide(ledger, [sender.step(DisputeDecision, dispute, "reg", "upheld")]) == [Code.ACCEPTED]
        leaf = DISPUTE.must(ledger, dispute.hex())
        assert [step.outcome for step in leaf.steps] == ["rejected", "upheld"]
        assert leaf.is_closed
        assert decide(ledger, [sender.step(DisputeWithdrawal, dispute, "p-1", "withdrawn")]) == [Code.DISPUTE_CLOSED]


def test_a_dispute_that_nobody_answers_in_time_is_decided_by_a_regulator(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        dispute = opened(ledger, sender)
        answer_by_s = DISPUTE.must(ledger, dispute.hex()).answer_by_s
        for wire in sender.clocks(answer_by_s):
            assert decide(ledger, [wire]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.step(DisputeDecision, dispute, "reg", "dismissed")]) == [Code.NOT_ANSWERED_YET]
        assert decide(ledger, [sender.clock(answer_by_s + 1)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.step(DisputeDecision, dispute, "reg", "dismissed")]) == [Code.ACCEPTED]


@pytest.mark.parametrize(
    ("kind", "signer", "outcome", "code"),
    [
        (DisputeWithdrawal, "p-2", "withdrawn", Code.NOT_PERMITTED),
        (DisputeAnswer, "p-1", "agreed", Code.NOT_PERMITTED),
        (DisputeDecision, "util", "upheld", Code.NOT_PERMITTED),
        (DisputeAnswer, "util", "upheld", Code.NOT_CANONICAL),
    ],
)
def test_a_step_by_who_may_not_or_with_another_word_is_refused(
    tmp_path: Path, kind: type[DisputeStep], signer: str, outcome: str, code: Code
) -> None:
    with settled(tmp_path) as (ledger, sender):
        dispute = opened(ledger, sender)
        assert decide(ledger, [sender.step(kind, dispute, signer, outcome)]) == [code]
        assert DISPUTE.must(ledger, dispute.hex()).steps == []
        assert decide(ledger, [sender.step(DisputeAnswer, bytes(32), "util", "agreed")]) == [Code.NOTHING_TO_DISPUTE]


def test_an_upheld_dispute_ends_in_a_correction_run_and_both_runs_stay(tmp_path: Path) -> None:
    with settled(tmp_path) as (ledger, sender):
        dispute = opened(ledger, sender)
        assert decide(ledger, [sender.step(DisputeAnswer, dispute, "util", "agreed")]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.approve(1, FIRST_S + SLOT_S, (1_800, 0))]) == [Code.ACCEPTED]
        for number in range(1, 4):
            decide(ledger, [sender.clock(sender.now_s + number)])
        runs = RUNS.must(ledger, FIRST_S, "z-1").runs
        assert [name for name, _ in runs] == ["initial", "correction-1"]
        again = sender.dispute("p-1", "P-1", FIRST_S, run="correction-1")
        assert decide(ledger, [again]) == [Code.ACCEPTED]
        amounts = {DISPUTE.must(ledger, one.hex()).amount_nano for one in (dispute, decode_transaction(again).id)}
        assert len(amounts) == 2


def test_a_party_has_at_most_so_many_open_disputes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OPEN_MAX == 16
    monkeypatch.setattr("ledger.kinds.dispute_open.OPEN_MAX", 1)
    with settled(tmp_path) as (ledger, sender):
        opened(ledger, sender)
        second_s = FIRST_S + SLOT_S
        rows = [(1, 2_000, 0), (2, 500, 700), (3, 12, 0), (4, 90, 5)]
        assert decide(ledger, [sender.batch("gw-1", second_s + SLOT_S, rows)]) == [0]
        assert decide(ledger, [sender.clock(second_s + 3 * SLOT_S)]) == [0]
        assert decide(ledger, [sender.dispute("p-1", "P-1", second_s)]) == [Code.TOO_MANY_DISPUTES]


def test_a_party_that_opens_and_withdraws_all_day_leaves_at_most_so_many_disputes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stays in the state for ever: without a bound a household's key filled every node's disk."""
    assert OF_DAY_MAX == 64
    monkeypatch.setattr("ledger.kinds.dispute_open.OF_DAY_MAX", 2)
    with settled(tmp_path) as (ledger, sender):
        for again in range(2):
            wire = sender.dispute("p-1", "P-1", FIRST_S, again=again)
            withdrawal = sender.step(DisputeWithdrawal, decode_transaction(wire).id, "p-1", "withdrawn")
            assert decide(ledger, [wire, withdrawal]) == [Code.ACCEPTED, Code.ACCEPTED]
        assert decide(ledger, [sender.dispute("p-1", "P-1", FIRST_S, again=2)]) == [Code.TOO_MANY_DISPUTES]
        next_day_s = (sender.now_s // 86_400 + 1) * 86_400
        assert decide(ledger, [sender.clock(next_day_s - 1)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.dispute("p-1", "P-1", FIRST_S, again=3)]) == [Code.TOO_MANY_DISPUTES]
        assert decide(ledger, [sender.clock(next_day_s)]) == [Code.ACCEPTED]
        assert decide(ledger, [sender.dispute("p-1", "P-1", FIRST_S, again=4)]) == [Code.ACCEPTED]
        assert (DISPUTES.must(ledger, "p-1").day, DISPUTES.must(ledger, "p-1").of_day) == (next_day_s // 86_400, 1)


def test_disputes_are_listed_page_by_page_with_the_runs_behind_the_contested_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction of the very block in which a dispute was opened was not among its later runs; a page is read while blocks wait."""
    assert queries.PAGE_DISPUTES_MAX == 1_000
    monkeypatch.setattr(queries, "PAGE_DISPUTES_MAX", 1)
    with settled(tmp_path) as (ledger, sender):
        first, second = sender.dispute("p-1", "P-1", FIRST_S), sender.dispute("p-2", "P-2", FIRST_S)
        correcting = sender.approve(1, FIRST_S + SLOT_S, (1_800, 0))
        assert decide(ledger, [correcting, first, second]) == [Code.ACCEPTED] * 3
        view, everybody = LedgerView(ledger, CONTRACTS, statements), Scope(None, reads_all=True)
        pages = [queries.disputes(view, everybody, start) for start in (0, 1)]
        assert [page["next"] for page in pages] == [1, None]
        assert {one["party"] for page in pages for one in page["disputes"]} == {"p-1", "p-2"}
        shown = queries.dispute(view, everybody, decode_transaction(first).id)
        assert (shown["run"], shown["later_runs"]) == ("initial", ["correction-1"])
