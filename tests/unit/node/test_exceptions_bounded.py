"""Rows that were not used, whoever sends them: what they leave in the state is bounded, and they can be asked for page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore import cbor
from gridcore.codes import Code
from ledger.http.queries import answers
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, feeder
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.transactions import Sender

WORLD = Consortium(meters=[feeder(1)], roles={"reg": ["regulator"]})
ROWS = 4_096
"""As many as a batch may have."""


def strangers(count: int) -> list[tuple[int, int, int]]:
    """Rows of meters that nobody knows."""
    return [(number, 0, 0) for number in range(10**6, 10**6 + count)]


def test_small_batches_leave_no_leaves_without_end() -> None:
    sender, ledger = Sender(WORLD.chain, WORLD.start_s, sign_cheaply), MemoryLedger(WORLD.genesis)
    for step in sender.clocks(FIRST_S + SLOT_S):
        ledger.apply([step])
    ledger.apply([sender.batch("gw-1", FIRST_S + SLOT_S, strangers(1))])
    batches = [sender.batch("gw-1", FIRST_S, strangers(1)) for _ in range(20)]
    codes = [result.code for result in ledger.apply(batches).results]
    assert codes == [Code.ACCEPTED] * 8 + [Code.BATCHES_AT_BOUNDARY] + [Code.COUNTER_GAP] * 11
    assert len(list(ledger.state.leaf_keys("exception/"))) == 9


def test_a_batch_of_wrong_rows_leaves_as_much_state_as_one_of_a_single_wrong_row() -> None:
    sizes = []
    for rows in (1, ROWS):
        sender, ledger = Sender(WORLD.chain, WORLD.start_s, sign_cheaply), MemoryLedger(WORLD.genesis)
        ledger.apply([sender.clock(FIRST_S)])
        ledger.apply([sender.batch("gw-1", FIRST_S, strangers(rows))])
        sizes.append(len(cbor.encode(dict(ledger.state.get("exception/gw-1/1/1") or {}))))
    assert max(sizes) - min(sizes) <= 2
    assert max(sizes) < 100


async def test_exceptions_of_many_large_batches_are_answered_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 2 * ROWS)
    async with running_node(tmp_path / "ledger", WORLD) as node:
        client, sender = node.client("reg"), node.sender()
        await submit_all(client, [[sender.clock(FIRST_S)]])
        for _ in range(5):
            await submit_all(client, [[sender.batch("gw-1", FIRST_S, strangers(ROWS))]])
        start: int | None = 0
        sizes, counters = [], []
        while start is not None:
            page = await client.query("exceptions", start=start)
            sizes.append(sum(len(entry["rows"]) for entry in page["exceptions"]))
            counters += [entry["counter"] for entry in page["exceptions"]]
            start = page["next"]
        assert sizes == [2 * ROWS, 2 * ROWS, ROWS]
        assert sorted(counters) == [1, 2, 3, 4, 5]
        first = page["exceptions"][0]["rows"][0]
        assert first == {"row": 0, "meter": 10**6, "code": 82, "name": "ROW_UNKNOWN_METER"}


async def test_copies_of_an_overheard_refused_batch_with_other_attachments_are_not_stored(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        client, sender = node.client("reg"), node.sender()
        await submit_all(client, [[sender.clock(FIRST_S)], [sender.batch("gw-1", FIRST_S, [(1, 5, 0)])]])
        overheard = sender.batch("gw-1", FIRST_S, [(1, 6, 0)], counter=1)
        (refused,) = await client.submit([overheard])
        assert (refused.code, refused.height is not None) == (Code.COUNTER_REUSED, True)
        height, stored = node.ledger.height, (tmp_path / "ledger" / "blocks.log").stat().st_size
        signed, signature, _ = cbor.decode(overheard)
        copies = [cbor.encode([signed, signature, bytes([copy]) * 100_000]) for copy in range(30)]
        told = [answer for copy in copies for answer in await client.submit([copy])]
        assert {(answer.code, answer.height) for answer in told} <= {(Code.ROWS_MISMATCH, None), (Code.NODE_BUSY, None)}
        assert node.ledger.height == height
        assert (tmp_path / "ledger" / "blocks.log").stat().st_size == stored
