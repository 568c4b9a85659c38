"""The state machine that every engine drives: what a block does is known before anything changes, and is taken over once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gridcore import merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction, decode_transaction, encode_transaction
from gridcore.errors import InvariantError
from gridcore.transactions.reading_batch import ReadingBatch
from ledger.application import Application
from ledger.kinds.reading_batch import decode_attached
from ledger.replay import Replay, replay_in_memory
from ledger.signatures import SignatureChecker
from ledger.state.block import Block
from settlement.catalogue import CONTRACTS
from tests.worlds.feeders import FEEDERS, START_S, batches, clock_advance
from tests.worlds.keys import sign

GW1 = batches("gw-1", 4)
CLOCK = clock_advance(START_S + 5)


@pytest.fixture
def replay() -> Iterator[Replay]:
    checker = SignatureChecker(threads=1)
    yield replay_in_memory(FEEDERS.genesis, CONTRACTS, checker)
    checker.close()


def where(application: Application) -> tuple[object, ...]:
    return application.tip, application.state.root(), application.history.root, len(application.state)


def test_a_block_that_is_applied_and_dropped_changes_nothing(replay: Replay) -> None:
    application = replay.application
    before = where(application)
    first, second = (application.apply(Block(1, START_S, wires)) for wires in ((CLOCK,), (GW1[0], CLOCK)))
    assert where(application) == before
    assert first.digest != second.digest
    assert application.apply(Block(1, START_S, (CLOCK,))) == first


def test_what_is_committed_is_what_the_header_says(replay: Replay) -> None:
    application, digests = replay.application, [replay.application.tip.digest]
    for height, wires in enumerate(((CLOCK, GW1[0]), (GW1[1],), ()), 1):
        decided = replay.advance(Block(height, START_S, wires))
        assert where(application)[1:3] == (decided.header.state_root, decided.header.history_root)
        assert (application.tip.height, application.tip.digest) == (height, decided.digest)
        assert decided.header.previous == digests[-1]
        assert decided.header.history_root == merkle.root(digests)
        digests.append(decided.digest)


def test_a_block_of_another_height_is_a_broken_promise(replay: Replay) -> None:
    for height in (0, 2):
        with pytest.raises(InvariantError, match=f"block {height} follows block 0"):
            replay.application.apply(Block(height, START_S, ()))


def test_a_signature_that_was_checked_before_the_block_is_not_checked_again(replay: Replay) -> None:
    application = replay.application
    [examined] = application.examine([CLOCK], START_S)
    assert examined.code is Code.ACCEPTED
    wrong = dict.fromkeys(examined.verdicts, False)
    decided = application.apply(Block(1, START_S, (CLOCK,)), wrong)
    assert [result.code for result in decided.results] == [Code.WRONG_SIGNATURE], "the verdict that is handed in counts"


def test_an_attachment_that_was_examined_is_not_decoded_again_in_the_block(replay: Replay) -> None:
    application = replay.application
    entries = application.examine([GW1[0], CLOCK], START_S)
    block = application.next_block(entries, START_S)
    assert len(block.attached) == 1
    known = {key: verdict for entry in entries for key, verdict in entry.verdicts.items()}
    decided = application.apply(block, known)
    assert decided.digest == application.apply(Block(1, START_S, (GW1[0], CLOCK))).digest
    other = decode_attached(*_batch_of(GW1[1]))
    swapped = replace(block, attached=dict.fromkeys(block.attached, other))
    assert application.apply(swapped, known).digest != decided.digest, "the columns that are handed in count"


def test_an_attachment_that_is_not_what_was_signed_has_no_place_in_a_block(replay: Replay) -> None:
    signed, foreign = decode_transaction(GW1[0]), decode_transaction(GW1[1])
    wire = encode_transaction(signed.signed, signed.signature, foreign.attachment)
    [examined] = replay.application.examine([wire], START_S)
    assert (examined.code, examined.content, examined.attached) == (Code.ROWS_MISMATCH, None, None)
    decided = replay.advance(Block(1, START_S, (wire,)))
    assert [result.code for result in decided.results] == [Code.ROWS_MISMATCH]


def _batch_of(wire: bytes) -> tuple[Transaction, ReadingBatch]:
    transaction = decode_transaction(wire)
    return transaction, ReadingBatch.decode(transaction)


def test_examining_tells_what_may_enter_a_block_and_how_far_a_gateway_is(replay: Replay) -> None:
    application = replay.application
    forged = FEEDERS.sender()
    forged.sign = lambda _name, content: sign("gw-2", content)
    known, ahead, wrong, nothing = application.examine(
        [GW1[0], GW1[1], forged.clock(START_S + 9), b"no transaction"], START_S
    )
    assert [entry.code for entry in (known, ahead, wrong, nothing)] == [
        Code.ACCEPTED, Code.ACCEPTED, Code.WRONG_SIGNATURE, Code.NOT_CANONICAL,
    ]  # fmt: skip
    assert (known.progress, ahead.progress, wrong.progress) == ((1, 0), (1, 0), None)
    replay.advance(Block(1, START_S, (GW1[0],)))
    assert application.examine([GW1[1]], START_S)[0].progress == application.gateway_progress("gw-1") == (1, 1)
    assert application.gateway_progress("nobody") == (0, 0)
