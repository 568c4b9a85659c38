"""Submissions of honest people while somebody attacks the node's door: answered as usual."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest

from gridcore import cbor
from gridcore.envelope import decode_transaction, encode_transaction
from gridcore.node_interface import API, SUBMISSION_BYTES_MAX
from gridcore.serving import asgi
from gridcore.serving.problems import Problem
from ledger.application import Examined
from ledger.engines.quotas import Quotas
from ledger.http import bodies
from ledger.http.bodies import BodyRoom
from tests.waiting import until
from tests.worlds.consortium import FIRST_S
from tests.worlds.nodes import RunningNode, running_node
from tests.worlds.transactions import Sender

Attack = Callable[[RunningNode, int], Awaitable[None]]
ROUNDS = 15
TRIES = 4
"""What starves the honest does so each time; what only the machine did does not."""
JITTER_S = 0.05
"""Differences below this are the machine's, not the attack's: attackers and node share one interpreter here."""


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
async def attacking(node: RunningNode, attack: Attack, count: int) -> AsyncIterator[None]:
    """``count`` tasks that attack; none of them may have ended at the end."""
    tasks = [asyncio.ensure_future(attack(node, number)) for number in range(count)]
    try:
        await asyncio.sleep(0.2)
        yield
        assert [task.exception() for task in tasks if task.done()] == []
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def check_answered_as_usual(node: RunningNode, attack: AbstractAsyncContextManager[None]) -> None:
    """Honest submissions take at most twice their usual time, before and after, under attack."""
    sender = node.sender()
    usual_s = [await answered_within(node, sender)]
    async with attack:
        attacked_s = [await answered_within(node, sender)]
        while attacked_s[-1] > 2 * usual_s[0] + JITTER_S and len(attacked_s) < TRIES:
            attacked_s.append(await answered_within(node, sender))
    usual_s.append(await answered_within(node, sender))
    assert min(attacked_s) <= 2 * max(usual_s) + JITTER_S, (attacked_s, usual_s)


async def send_for_ever(node: RunningNode, number: int, body: bytes) -> None:
    """One submission after the other, each connection used for a few of them."""
    while True:
        reader, writer = await connect(node)
        with closing(writer):
            for _ in range(1 + number % 3):
                writer.write(head(len(body)) + body)
                await reader.readuntil(b"}]}")


async def forge(node: RunningNode, number: int) -> None:
    """Orders in a real signer's name that it never signed."""
    await send_for_ever(node, number, forgeries(node, 200))


async def forge_and_hang_up(node: RunningNode, _number: int) -> None:
    """The same, and gone before the answer."""
    body = forgeries(node, 1_000)
    while True:
        _, writer = await connect(node)
        with closing(writer):
            writer.write(head(len(body)) + body)
            await writer.drain()
            await asyncio.sleep(0.1)


async def send_slowly(node: RunningNode, _number: int) -> None:
    """A body of the largest size that is announced and comes byte by byte."""
    _, writer = await connect(node)
    with closing(writer):
        writer.write(head(SUBMISSION_BYTES_MAX) + b"\x81\x59")
        while True:
            writer.write(b"\0")
            await asyncio.sleep(0.02)


async def send_headers_slowly(node: RunningNode, _number: int) -> None:
    """A question that never ends."""
    _, writer = await connect(node)
    with closing(writer):
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.02)


async def never_read(node: RunningNode, _number: int) -> None:
    """Many questions in one go, and no answer taken."""
    reader, writer = await connect(node)
    with closing(writer):
        writer.write(f"GET {API}/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 50)
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # of the stream; nothing public stops it
        await asyncio.Event().wait()


async def send_other_attachments(node: RunningNode, number: int) -> None:
    """One overheard batch, under its own signature, with attachments that its gateway never sent."""
    batch = decode_transaction(node.sender().batch("gw-1", FIRST_S, [(1, 1, 1)]))
    wires = [encode_transaction(batch.signed, batch.signature, bytes([number, n]) * 2_000) for n in range(50)]
    await send_for_ever(node, number, cbor.encode(wires))


async def replay_refused(node: RunningNode, number: int) -> None:
    """A batch that was refused once, again and again."""
    early = node.sender().batch("gw-1", 2 * FIRST_S, [(1, 1, 1)])
    await send_for_ever(node, number, cbor.encode([early] * 50))


async def flood_with_own_key(node: RunningNode, number: int) -> None:
    """A household's good orders without end."""
    sender = node.sender()
    orders = [sender.order("p-1", "a-1", "buy", 1, 450_000, FIRST_S, counter=100 * number + n + 1) for n in range(50)]
    await send_for_ever(node, number, cbor.encode(orders))


@pytest.mark.parametrize(
    ("attack", "count"),
    [
        (forge, 20),
        (forge_and_hang_up, 4),
        (send_slowly, 8),
        (send_headers_slowly, 50),
        (never_read, 5),
        (send_other_attachments, 10),
        (replay_refused, 10),
    ],
)
async def test_honest_submissions_are_answered_as_usual_under_attack(
    tmp_path: Path, attack: Attack, count: int
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await check_answered_as_usual(node, attacking(node, attack, count))
        kept = sum(
            len(wire) for height in range(1, node.ledger.height + 1) for wire in node.ledger.block(height).transactions
        )
        assert kept < 64 * 1024, "the attack stays outside of the chain"


async def test_honest_submissions_are_answered_as_usual_while_a_household_is_beyond_its_quota(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", quotas=Quotas(signer_transactions=100)) as node:
        await check_answered_as_usual(node, attacking(node, flood_with_own_key, 4))


@asynccontextmanager
async def crowded(node: RunningNode, count: int) -> AsyncIterator[None]:
    """So many connections that say nothing."""
    async with AsyncExitStack() as crowd:
        for _ in range(count):
            _, writer = await connect(node)
            crowd.callback(writer.close)
        yield


async def test_honest_submissions_are_answered_as_usual_beside_1074_idle_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "room_for_connections", lambda: 100)
    async with running_node(tmp_path / "ledger") as node:
        await check_answered_as_usual(node, crowded(node, 1_074))


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
