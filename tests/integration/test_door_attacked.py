"""Submissions of honest people while somebody attacks the node's door: answered as usual."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gridcore import cbor
from gridcore.envelope import decode_transaction, encode_transaction
from gridcore.serving.problems import Problem
from ledger.application import Examined
from ledger.client import API, SUBMISSION_BYTES_MAX
from ledger.http import bodies
from ledger.http.bodies import BodyRoom
from tests.waiting import until
from tests.worlds.consortium import FIRST_S
from tests.worlds.nodes import RunningNode, running_node
from tests.worlds.transactions import Sender

ROUNDS = 15
JITTER_S = 0.02
"""Differences below this are the machine's, not the attack's."""


def forgeries(node: RunningNode, count: int) -> bytes:
    """The body of a submission of orders in p-1's name that it never signed."""
    order = decode_transaction(node.sender().order("p-1", "a-1", "buy", 1, 1, FIRST_S))
    wires = [encode_transaction(order.signed, bytes([1 + n % 200]) * 60 + n.to_bytes(4, "big")) for n in range(count)]
    return cbor.encode(wires)


def head(length: int) -> bytes:
    """The head of a submission of ``length`` bytes."""
    return f"POST {API}/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


async def connect(node: RunningNode) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the node."""
    return await asyncio.open_connection("127.0.0.1", int(node.url.rpartition(":")[2]), limit=1 << 20)


async def answered_within(node: RunningNode, sender: Sender) -> float:
    """Median seconds of some honest submissions, one after the other."""
    took = []
    for _ in range(ROUNDS):
        wire, began_s = sender.clock(sender.now_s + 1), time.perf_counter()
        (answer,) = await node.client("clock").submit([wire])
        took.append(time.perf_counter() - began_s)
        assert answer.name == "ACCEPTED"
    return statistics.median(took)


@asynccontextmanager
async def forging(node: RunningNode, senders: int) -> AsyncIterator[None]:
    """Connections that send forgeries, one submission after the other, each on one of its own at times."""
    body = forgeries(node, 200)

    async def forge(number: int) -> None:
        while True:
            reader, writer = await connect(node)
            with closing(writer):
                for _ in range(1 + number % 3):
                    writer.write(head(len(body)) + body)
                    await reader.readuntil(b"}]}")

    tasks = [asyncio.create_task(forge(number)) for number in range(senders)]
    try:
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in tasks)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_forgeries_in_a_real_signers_name_do_not_starve_the_honest(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        sender = node.sender()
        usual_s = await answered_within(node, sender)
        async with forging(node, 20):
            attacked_s = await answered_within(node, sender)
    assert attacked_s <= 2 * usual_s + JITTER_S


async def test_who_hangs_up_is_not_examined_any_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_node(tmp_path / "ledger") as node:
        looked_at = 0
        examine = node.ledger.application.examine

        def count(wires: Iterable[bytes], time_s: int) -> list[Examined]:
            nonlocal looked_at
            listed = list(wires)
            looked_at += len(listed)
            return examine(listed, time_s)

        monkeypatch.setattr(node.ledger.application, "examine", count)
        sent, body = 20, forgeries(node, 1_000)
        senders = [writer for _, writer in [await connect(node) for _ in range(sent)]]
        for writer in senders:
            writer.write(head(len(body)) + body)
            await writer.drain()
        await until(lambda: looked_at > 0)
        for writer in senders:
            writer.close()
        sender = node.sender()
        await answered_within(node, sender)
        assert looked_at < sent * 1_000 / 10
        before = looked_at
        await answered_within(node, sender)
        assert looked_at == before + ROUNDS


async def test_eight_slow_submissions_of_the_largest_size_lock_nobody_out(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        slow = [await connect(node) for _ in range(8)]
        for _, writer in slow:
            writer.write(head(SUBMISSION_BYTES_MAX) + b"\x81\x59")
            await writer.drain()
        await answered_within(node, node.sender())
        for _, writer in slow:
            writer.close()


async def test_a_question_with_a_body_is_refused_before_the_body_is_kept(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        for way in (b"Content-Length: 33554432", b"Transfer-Encoding: chunked"):
            reader, writer = await connect(node)
            writer.write(
                f"GET {API}/clock?wait_s=20&after_s=9000000000 HTTP/1.1\r\nHost: x\r\n".encode() + way + b"\r\n\r\n"
            )
            assert b" 400 " in await reader.readline()
            writer.close()


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    """A body that comes in pieces."""
    for size in sizes:
        yield bytes(size)


async def test_the_last_quarter_of_the_room_is_for_small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SMALL_BYTES", 10)
    monkeypatch.setattr(bodies, "BODIES_BYTES_MAX", 100)
    monkeypatch.setattr(bodies, "OF_NETWORK_MAX", 80)
    room = BodyRoom()
    with room.body("a") as first, room.body("b") as second, room.body("c") as third:
        assert len(await first.read(pieces(30, 30), None)) == 60
        with pytest.raises(Problem, match="61 bytes are in hand"), room.body("a") as more:
            await more.read(pieces(1, 10), None)
        assert len(await second.read(pieces(15), None)) == 15
        with pytest.raises(Problem, match="75 bytes are in hand"):
            await third.read(pieces(11), None)
        assert len(await third.read(pieces(10), None)) == 10
        assert room.taken == 85
    assert room.taken == 0


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    monkeypatch.setattr(bodies, "BODY_S", 0.05)
    room = BodyRoom()
    with pytest.raises(Problem, match="did not come within"), room.body("a") as body:
        await body.read(never(), SUBMISSION_BYTES_MAX)
    assert room.taken == 0
