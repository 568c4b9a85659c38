from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from edge.alarms import alarms_of
from edge.config import SubmitPolicy
from edge.outbox import Outbox
from edge.submit import Outcome, Submitter
from gridcore.codes import Code
from gridcore.errors import GridError
from gridcore.header import Receipt, decode_receipt
from gridcore.sm import SigningKey
from ledger.client import Answer, NodeRefused, NodeUnreachable, NotCertified
from tests.unit.edge_agent.edge_world import FakeNode, append, new_outbox, trusted
from tests.waiting import until
from tests.worlds.keys import key

FAST = SubmitPolicy(retry_ms_min=1, retry_ms_max=5)


def submitter(node: FakeNode, outbox: Outbox, policy: SubmitPolicy = FAST) -> Submitter:
    return Submitter(node, outbox, trust=trusted(), policy=policy, jitter=Random(1))


async def test_batches_are_deleted_after_their_receipts_were_verified(tmp_path: Path) -> None:
    node, outbox = FakeNode(), new_outbox(tmp_path / "o", 5)
    assert await submitter(node, outbox).submit_once() is Outcome.ALL_DONE
    assert [transaction.identity["counter"] for transaction in node.accepted] == [1, 2, 3, 4, 5]
    assert (outbox.depth, node.submissions) == (0, 1)
    assert outbox.progress.receipt is not None
    assert outbox.progress.receipt[0] == 5
    append(outbox)  # the next one names the newest verified header
    assert await submitter(node, outbox).submit_once() is Outcome.ALL_DONE
    assert node.accepted[-1].body["receipt"][0] == 5


async def test_readings_that_the_ledger_did_not_use_are_logged_with_what_helps_and_kept(tmp_path: Path) -> None:
    node, outbox = FakeNode(), new_outbox(tmp_path / "o", 2)
    node.refused_rows = {1: [(0, 7, 83), (1, 8, 83)], 2: [(0, 7, 90)]}
    with capture_logs() as logs:
        assert await submitter(node, outbox).submit_once() is Outcome.ALL_DONE
    told = [(line["batch"], line["verdict"], line["rows"]) for line in logs if line["event"] == "readings_not_used"]
    assert told == [(1, "ROW_GOES_BACK", 2), (2, "ROW_FIRST_VALUE", 1)]
    assert all("register" in line["to_do"] for line in logs if line["event"] == "readings_not_used")
    kept = [(row.meter, row.code) for row in outbox.progress.refused]
    assert kept == [(7, 90), (7, 83), (8, 83)]


async def test_readings_that_the_ledger_did_not_use_are_known_although_its_first_answer_was_lost(
    tmp_path: Path,
) -> None:
    node, outbox = FakeNode(lose_answers=1, refused_rows={1: [(0, 7, 83)]}), new_outbox(tmp_path / "o", 1)
    with capture_logs() as logs:
        assert await submitter(node, outbox).submit_once() is Outcome.RETRY
        assert await submitter(node, outbox).submit_once() is Outcome.ALL_DONE
    assert [line["batch"] for line in logs if line["event"] == "readings_not_used"] == [1]
    assert [(row.meter, row.code) for row in outbox.progress.refused] == [(7, 83)]
    assert len(alarms_of(outbox.state, outbox.limits)) == 1


async def test_alarm_of_readings_that_are_not_used_lasts_until_a_newer_boundary_is_used(tmp_path: Path) -> None:
    node, outbox = FakeNode(refused_rows={1: [(0, 7, 83)]}), new_outbox(tmp_path / "o", 1)
    await submitter(node, outbox).submit_once()
    (alarm,) = alarms_of(outbox.state, outbox.limits)
    assert alarm.startswith("readings of installations 7 are not used: ROW_GOES_BACK: register")
    append(outbox)
    await submitter(node, outbox).submit_once()
    assert alarms_of(outbox.state, outbox.limits) == []
    assert [row.meter for row in outbox.progress.refused] == [7]


async def test_receipt_of_each_batch_is_kept_as_it_was_verified(tmp_path: Path) -> None:
    node, outbox = FakeNode(), new_outbox(tmp_path / "o", 3)
    ids = [item.id for item in outbox.oldest(9)]
    await submitter(node, outbox).submit_once()
    kept = [data for (data,) in outbox._connection.execute("SELECT receipt FROM receipts ORDER BY counter")]
    assert [decode_receipt(data) for data in kept] == [await node.receipt(id_) for id_ in ids]


async def test_oldest_go_first_when_there_are_more_than_one_request_takes(tmp_path: Path) -> None:
    node, outbox = FakeNode(), new_outbox(tmp_path / "o", 5)
    few = submitter(node, outbox, replace(FAST, batches_per_request=2))
    assert await few.submit_once() is Outcome.ALL_DONE
    assert [item.counter for item in outbox.oldest(9)] == [3, 4, 5]


@pytest.mark.parametrize("lost_answers", [0, 1])
async def test_what_is_decided_and_not_yet_certified_stays_until_its_receipt_comes(
    tmp_path: Path, lost_answers: int
) -> None:
    """Also where the answer is COUNTER_PASSED, because an earlier one was lost: that is no other batch under the counter."""
    node, outbox = _Uncertified(lose_answers=lost_answers), new_outbox(tmp_path / "o", 2)
    working = submitter(node, outbox)
    for _ in range(2):
        assert await working.submit_once() is Outcome.RETRY
        assert (outbox.depth, outbox.progress.alarm) == (2, "")
    assert working._said == "decided_not_yet_certified"
    node.is_certified = True
    assert await working.submit_once() is Outcome.ALL_DONE
    assert outbox.depth == 0


class _Uncertified(FakeNode):
    """Decides, and has no certificates until a test says so."""

    is_certified = False

    async def receipt(self, transaction_id: bytes) -> Receipt | None:
        if not self.is_certified:
            raise NotCertified("decided", 409, "decided, not yet certified")
        return await super().receipt(transaction_id)


async def test_dead_node_loses_nothing_and_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    node, outbox = FakeNode(dead=True), new_outbox(tmp_path / "o", 2)
    working = submitter(node, outbox)
    running = asyncio.create_task(working.run())
    await until(lambda: working._said == "node_does_not_answer")
    append(outbox)
    working.wake()
    assert outbox.depth == 3
    node.dead = False
    await until(lambda: outbox.depth == 0)
    running.cancel()
    assert node.counter == 3


async def test_lost_answer_is_made_good_by_exists_and_counter_passed(tmp_path: Path) -> None:
    """Of three applied batches the last is answered EXISTS, the others COUNTER_PASSED: receipts stand for all."""
    node, outbox = FakeNode(lose_answers=1), new_outbox(tmp_path / "o", 3)
    working = submitter(node, outbox)
    assert await working.submit_once() is Outcome.RETRY
    assert (outbox.depth, node.counter) == (3, 3)
    assert await working.submit_once() is Outcome.ALL_DONE
    assert (outbox.depth, len(node.accepted)) == (0, 3)


@pytest.mark.parametrize("code", [Code.COUNTER_PASSED, Code.COUNTER_REUSED])
async def test_counter_taken_by_another_batch_halts_and_keeps_all(tmp_path: Path, code: Code) -> None:
    node, other = FakeNode(), new_outbox(tmp_path / "copy", 1 if code is Code.COUNTER_REUSED else 2)
    await submitter(node, other).submit_once()
    outbox = new_outbox(tmp_path / "o", 1)
    assert await submitter(node, outbox).submit_once() is Outcome.HALTED
    assert outbox.depth == 1
    assert f"{int(code)} {code.name}" in outbox.progress.alarm
    assert "gridledger edge epoch" in outbox.progress.alarm


async def test_refusal_halts_behind_what_was_accepted_and_keeps_the_rest(tmp_path: Path) -> None:
    node, outbox = FakeNode(refuse={3: Code.ROWS_MISMATCH}), new_outbox(tmp_path / "o", 5)
    assert await submitter(node, outbox).submit_once() is Outcome.HALTED
    assert [item.counter for item in outbox.oldest(9)] == [3, 4, 5]
    assert outbox.progress.alarm == "batch 3 was refused: 47 ROWS_MISMATCH"
    node.refuse.clear()  # mended at the ledger: the alarm goes with the next receipt
    assert await submitter(node, outbox).submit_once() is Outcome.ALL_DONE
    assert (outbox.depth, outbox.progress.alarm) == (0, "")


async def test_key_that_is_not_kept_as_the_chain_asks_halts_with_what_to_do_and_keeps_all(tmp_path: Path) -> None:
    node, outbox = FakeNode(refuse={1: Code.KEY_PROTECTION}), new_outbox(tmp_path / "o", 2)
    assert await submitter(node, outbox).submit_once() is Outcome.HALTED
    assert outbox.progress.alarm.startswith("batch 1 was refused: 96 KEY_PROTECTION: ")
    assert "make one in a TPM, enrol it (gridledger edge enrol)" in outbox.progress.alarm
    assert outbox.depth == 2


@pytest.mark.parametrize("code", [Code.NODE_BUSY, Code.FUTURE_BOUNDARY, Code.COUNTER_GAP])
async def test_codes_that_allow_it_are_tried_again(tmp_path: Path, code: Code) -> None:
    node, outbox = FakeNode(refuse={2: code}), new_outbox(tmp_path / "o", 3)
    working = submitter(node, outbox)
    assert await working.submit_once() is Outcome.RETRY
    assert outbox.depth == 2
    node.refuse.clear()
    assert await working.submit_once() is Outcome.ALL_DONE
    assert outbox.progress.alarm == ""


async def test_node_of_another_history_than_that_of_the_receipts_halts_and_deletes_nothing(tmp_path: Path) -> None:
    node, outbox = FakeNode(), new_outbox(tmp_path / "o", 2)
    await submitter(node, outbox).submit_once()
    append(outbox)
    node.is_of_another_history = True
    assert await submitter(node, outbox).submit_once() is Outcome.HALTED
    assert "names a header of a verified receipt, and the node's history does not have it" in outbox.progress.alarm
    assert outbox.depth == 1


async def test_node_that_lost_acknowledged_batches_raises_the_alarm(tmp_path: Path) -> None:
    node, outbox = FakeNode(), new_outbox(tmp_path / "o", 2)
    working = submitter(node, outbox)
    await working.submit_once()
    append(outbox)
    assert await submitter(FakeNode(), outbox).submit_once() is Outcome.HALTED
    assert outbox.progress.alarm == "the node waits for batches 1 to 2, which it had acknowledged: it lost blocks"
    assert outbox.depth == 1


class _Forger(FakeNode):
    """Gives receipts that are wrong in one place."""

    fault = ""

    async def receipt(self, transaction_id: bytes) -> Receipt | None:
        receipt = await super().receipt(transaction_id)
        assert receipt is not None
        header, signature = receipt.header, receipt.certificate[0][1]
        forged = {
            "another transaction": replace(receipt, digest=bytes(32)),
            "another chain": replace(receipt, header=replace(header, chain="other")),
            "a header that nobody signed": replace(receipt, header=replace(header, height=header.height + 1)),
            "no certificate": replace(receipt, certificate=[]),
            "a path that leads elsewhere": replace(receipt, path=(bytes(33),)),
            "a path that is none": replace(receipt, path=(b"x",)),
            "a broken signature": replace(receipt, certificate=[(key("operator").public_key, signature[::-1])]),
        }
        return forged[self.fault]


@pytest.mark.parametrize(
    "fault",
    [
        "another transaction",
        "another chain",
        "a header that nobody signed",
        "no certificate",
        "a path that leads elsewhere",
        "a path that is none",
        "a broken signature",
    ],
)
async def test_forged_receipt_deletes_nothing_and_raises_the_alarm(tmp_path: Path, fault: str) -> None:
    node, outbox = _Forger(), new_outbox(tmp_path / "o", 2)
    node.fault = fault
    assert await submitter(node, outbox).submit_once() is Outcome.HALTED
    assert outbox.depth == 2
    assert outbox.progress.receipt is None
    assert outbox.progress.alarm.startswith("the receipt of batch 1 does not count: ")


async def test_receipt_by_a_key_outside_the_trust_file_deletes_nothing(tmp_path: Path) -> None:
    node, outbox = FakeNode(operator=SigningKey.generate()), new_outbox(tmp_path / "o", 1)
    assert await submitter(node, outbox).submit_once() is Outcome.HALTED
    assert outbox.depth == 1
    assert "outside the signer set" in outbox.progress.alarm


async def test_receipt_that_is_not_there_yet_is_asked_for_again(tmp_path: Path) -> None:
    node, outbox = FakeNode(hide_receipts=True), new_outbox(tmp_path / "o", 1)
    working = submitter(node, outbox)
    assert await working.submit_once() is Outcome.RETRY
    assert outbox.depth == 1
    node.hide_receipts = False
    assert await working.submit_once() is Outcome.ALL_DONE


@pytest.mark.parametrize(
    ("trouble", "event"),
    [
        (NodeUnreachable("no node answers there"), "node_does_not_answer"),
        (NodeRefused("no such thing", 404, "no such thing"), "node_refused"),
    ],
)
async def test_log_tells_a_silent_node_from_one_that_refuses(tmp_path: Path, trouble: GridError, event: str) -> None:
    class Troubled(FakeNode):
        async def submit(self, transactions: Sequence[bytes]) -> list[Answer]:
            raise trouble

    outbox = new_outbox(tmp_path / "o", 1)
    with capture_logs() as lines:
        assert await submitter(Troubled(), outbox).submit_once() is Outcome.RETRY
    assert [line["event"] for line in lines] == [event]
    assert outbox.depth == 1
