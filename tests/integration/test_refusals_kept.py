"""What refused transactions can make the chain keep: nothing twice, and of one signer no more than its share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.envelope import decode_transaction, encode_transaction
from ledger.engines.embedded import EmbeddedEngine
from ledger.engines.pool import Limits
from ledger.engines.refusals import WINDOW_S, RefusalLimits, RefusalShares
from ledger.engines.shares import Author
from ledger.store.ledger import Ledger
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S
from tests.worlds.ledgers import open_ledger
from tests.worlds.two_areas import TWO_AREAS


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_ledger(tmp_path, TWO_AREAS)) as opened:
        yield opened


async def submit(engine: EmbeddedEngine, *wires: bytes) -> list[tuple[Code, int | None]]:
    """Code and height of each answer."""
    return [(answer.code, answer.height) for answer in await engine.submit(wires)]


async def test_refused_bytes_that_are_sent_again_are_stored_once_and_accepted_when_their_time_has_come(
    ledger: Ledger,
) -> None:
    sender = TWO_AREAS.sender()
    early = sender.batch("gw-1", FIRST_S, [(1, 1, 1)])
    async with EmbeddedEngine(ledger) as engine:
        assert await submit(engine, early) == [(Code.FUTURE_BOUNDARY, 1)]
        for _ in range(5):
            assert await submit(engine, early) == [(Code.FUTURE_BOUNDARY, 1)]
        assert ledger.height == 1
        assert await submit(engine, sender.clock(FIRST_S), early) == [(Code.ACCEPTED, 2), (Code.ACCEPTED, 2)]


async def test_whoever_sends_a_batch_again_learns_once_more_which_of_its_rows_were_not_used(ledger: Ledger) -> None:
    """The answer to the first sending may have been lost on its way."""
    sender = TWO_AREAS.sender()
    batch = sender.batch("gw-1", FIRST_S, [(1, 1, 1), (4_000_000_000, 1, 1)])
    async with EmbeddedEngine(ledger) as engine:
        _, first = await engine.submit([sender.clock(FIRST_S), batch])
        assert (first.code, list(first.rows)) == (Code.ACCEPTED, [(1, 4_000_000_000, Code.ROW_UNKNOWN_METER)])
        for _ in range(2):
            (again,) = await engine.submit([batch])
            assert (again.code, again.height, again.rows) == (Code.EXISTS, first.height, first.rows)


async def test_other_attachments_under_one_signature_never_reach_a_block(ledger: Ledger) -> None:
    sender = TWO_AREAS.sender()
    batch = decode_transaction(sender.batch("gw-1", FIRST_S, [(1, 1, 1)]))
    attachments = (b"", b"\x00", cbor.encode([1, 2]), batch.attachment + b"\x00", batch.attachment[:-1])
    forged = [encode_transaction(batch.signed, batch.signature, attachment) for attachment in attachments]
    own = encode_transaction(batch.signed, batch.signature, batch.attachment)
    async with EmbeddedEngine(ledger) as engine:
        assert await submit(engine, *forged) == [(Code.ROWS_MISMATCH, None)] * len(forged)
        assert ledger.height == 0
        assert await submit(engine, sender.clock(FIRST_S), own) == [(Code.ACCEPTED, 1), (Code.ACCEPTED, 1)]


async def test_a_household_whose_share_of_refusals_is_used_up_is_answered_and_its_good_orders_are_accepted(
    ledger: Ledger,
) -> None:
    sender = TWO_AREAS.sender()
    late = [sender.order("p-1", "a-1", "buy", n + 1, 1, START_S - SLOT_S) for n in range(20)]
    other = sender.order("p-2", "a-1", "sell", 1, 1, START_S - SLOT_S)
    good = sender.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S)
    share = 3 * len(late[0])
    async with EmbeddedEngine(ledger, Limits(refused=RefusalLimits(of_signer=share))) as engine:
        answers = await submit(engine, *late[:10])
        assert [height for _, height in answers] == [1] * 3 + [None] * 7
        assert await submit(engine, *late[10:], good, other) == [
            *[(Code.NOT_A_SLOT, None)] * 10,
            (Code.ACCEPTED, 2),
            (Code.NOT_A_SLOT, 2),
        ]
        assert len(ledger.block(1).transactions) == 3


async def test_orders_that_spoil_one_another_in_one_block_are_within_the_share_too(ledger: Ledger) -> None:
    sender = TWO_AREAS.sender()
    rivals = [sender.order("p-1", "a-1", "buy", n + 1, 450_000, FIRST_S) for n in range(20)]
    async with EmbeddedEngine(ledger, Limits(refused=RefusalLimits(of_signer=2 * len(rivals[0])))) as engine:
        answers = await submit(engine, *rivals)
        assert [code for code, _ in answers] == [Code.ACCEPTED] + [Code.ORDER_REUSED] * 19
        assert [height for _, height in answers] == [1] * 3 + [None] * 17


async def test_all_signers_together_have_a_share(ledger: Ledger) -> None:
    sender = TWO_AREAS.sender()
    late = [sender.order(party, "a-1", "buy", 1, 1, START_S - SLOT_S) for party in ("p-1", "p-2")]
    async with EmbeddedEngine(ledger, Limits(refused=RefusalLimits(of_all=len(late[0])))) as engine:
        assert [height for _, height in await submit(engine, *late)] == [1, None]


def test_a_share_is_whole_again_after_its_window() -> None:
    now = [0.0]
    shares = RefusalShares(RefusalLimits(of_signer=10, of_organisation=15, of_all=20), lambda: now[0])
    assert shares.take(Author("a", "o"), 10)
    assert not shares.take(Author("a", "o"), 1), "beyond the signer's"
    assert shares.take(Author("b", "o"), 5)
    assert not shares.take(Author("c", "o"), 1), "beyond the organisation's"
    assert shares.take(Author("d", "p"), 5)
    assert not shares.take(Author("e", "q"), 1), "beyond that of all"
    now[0] = WINDOW_S
    assert shares.take(Author("a", "o"), 10)
