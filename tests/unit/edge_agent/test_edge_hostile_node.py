"""A node that wants to hurt a gateway: it trickles, floods, lies about time, or asks to be left alone for ever."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from edge.config import EdgeConfig, SubmitPolicy
from edge.outbox import Outbox
from edge.progress import NO_BOUNDARY
from edge.standing import Standing, believed_boundary_s, open_standing
from edge.submit import Outcome, Submitter
from gridcore import node_interface
from gridcore.config import load_config
from gridcore.logs import TEXT_CHARACTERS_MAX, configure_logs, get_logger
from gridcore.transactions.reading_batch import FIRST_PREVIOUS
from ledger.client import AnswerMalformed, Client, NodeBusy, NodeUnreachable
from tests.unit.edge_agent.edge_world import CHAIN, FIRST_S, SLOT_S, FakeNode, append, new_outbox, trusted, write_config
from tests.waiting import until
from tests.worlds.clocks import ManualClock
from tests.worlds.false_node import STATUS, http

HUGE = "n" * (7 * 1024 * 1024)
"""What an answer has room for, and no field of it."""
LINE_CHARACTERS_MAX = 2 * TEXT_CHARACTERS_MAX
VERDICT = {
    "id": "ab" * 32,
    "code": 1,
    "name": "ACCEPTED",
    "retry": False,
    "height": 1,
    "waiting_for": None,
    "other_history": False,
    "rows": [],
}


@asynccontextmanager
async def serving(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that does to each connection, after the request's head, what ``talk`` says."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await talk(writer)
        writer.transport.abort() if task.cancelling() else writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


def answering(answer: bytes) -> AbstractAsyncContextManager[str]:
    """A server that gives each request this answer."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return serving(talk)


def trickling(head: bytes) -> AbstractAsyncContextManager[str]:
    """A server that sends ``head`` at once and then a byte now and then, for ever."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    return serving(talk)


def submitter(client: Client, outbox: Outbox, **policy: int) -> Submitter:
    return Submitter(client, outbox, trust=trusted(), policy=SubmitPolicy(retry_ms_min=1, **policy), jitter=Random(1))


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"]
)
async def test_answer_that_trickles_ends_by_its_deadline_with_a_line_in_the_log(tmp_path: Path, head: bytes) -> None:
    outbox = new_outbox(tmp_path / "o", 1)
    async with trickling(head) as url, Client(url, chain=CHAIN, timeout_s=0.3) as client:
        began_s = time.monotonic()
        with capture_logs() as logs:
            assert await submitter(client, outbox).submit_once() is Outcome.RETRY
        assert time.monotonic() - began_s < node_interface.WAIT_S_MAX
    assert [line["event"] for line in logs] == ["node_does_not_answer"]
    assert "no answer within 0.3 s" in logs[0]["reason"]
    assert outbox.depth == 1
    outbox.close()


async def test_long_answer_that_keeps_its_pace_is_read_to_its_end() -> None:
    """Longer than the time-out in all, and never silent: 16 KiB are what a second must bring."""
    body = json.dumps(STATUS | {"filler": "x" * 40_000}).encode()

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 8_000):
            writer.write(body[at : at + 8_000])
            await writer.drain()
            await asyncio.sleep(0.15)

    async with serving(talk) as url, Client(url, timeout_s=0.6) as client:
        assert (await client.status()).chain == "c"


def _floods() -> dict[str, bytes]:
    """Answers to a submission with megabytes where a few characters belong."""
    problem = {"type": "urn:gridledger:problem:busy", "detail": HUGE, "title": HUGE}
    floods = {name: http({"answers": [VERDICT | {name: HUGE}]}) for name in VERDICT}
    return floods | {
        "key": http({HUGE: 1}),
        "verdicts": http({"answers": HUGE}),
        "problem": http(problem, "400 Bad", "application/problem+json"),
        "reason": http(b"", f"500 {HUGE[:60_000]}"),
        "busy": http(b"", f"503 {HUGE[:60_000]}"),
    }


@pytest.mark.parametrize("place", ["id", "name", "rows", "key", "verdicts", "problem", "reason", "busy"])
async def test_megabytes_in_a_field_of_an_answer_are_a_short_line_of_the_log(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = new_outbox(tmp_path / "o", 1)
    answer = _floods()[place]
    configure_logs(json=True)
    async with answering(answer) as url, Client(url, chain=CHAIN, timeout_s=20) as client:
        assert await submitter(client, outbox).submit_once() is Outcome.RETRY
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert max(map(len, lines)) < LINE_CHARACTERS_MAX
    assert outbox.depth == 1
    outbox.close()


def test_line_of_the_log_is_short_whatever_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True)
    get_logger("edge.test").warning("flood", reason=HUGE, items=[1] * 100_000, facts=dict.fromkeys(range(100_000), "x"))
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < LINE_CHARACTERS_MAX
    assert json.loads(line)["reason"].endswith(f"... ({len(HUGE)} characters)")
    assert json.loads(line)["items"][-1] == "... (100000 items)"


async def test_answer_that_is_small_on_the_way_and_large_here_is_not_unpacked() -> None:
    packed = gzip.compress(b" " * (64 * 1024 * 1024))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with answering(head + packed) as url, Client(url) as client:
        with pytest.raises(AnswerMalformed):
            await client.status()


@pytest.mark.parametrize(
    ("path", "bytes_max"),
    [("transactions", node_interface.VERDICTS_BYTES_MAX), ("status", node_interface.SHORT_BYTES_MAX)],
)
async def test_body_beyond_its_bound_is_refused_while_it_comes(path: str, bytes_max: int) -> None:
    async with answering(http(b" " * (bytes_max + 1))) as url, Client(url) as client:
        with pytest.raises(AnswerMalformed, match=f"more than {bytes_max} bytes"):
            await (client.submit([b"x"]) if path == "transactions" else client.status())


@pytest.mark.parametrize(
    ("status", "header", "expected_s"),
    [("429 Too Many", "7", 7), ("503 No", "1", 1), ("429 Too Many", "9" * 10, 3_600), ("429 Too Many", "soon", 0)],
)
async def test_node_says_how_long_it_wants_to_be_left_alone(status: str, header: str, expected_s: int) -> None:
    answer = http(b"", status).replace(b"\r\n", f"\r\nRetry-After: {header}\r\n".encode(), 1)
    async with answering(answer) as url, Client(url) as client:
        with pytest.raises(NodeBusy) as caught:
            await client.submit([b"x"])
    assert caught.value.retry_after_s == expected_s


class BusyNode(FakeNode):
    """Wants to be left alone for a second, once; notes when it was asked."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s
        self.asked_at_s: list[float] = []

    async def submit(self, transactions):  # type: ignore[no-untyped-def]  # as FakeNode
        self.asked_at_s.append(time.monotonic())
        if len(self.asked_at_s) == 1:
            raise NodeBusy("less often", "less often", "too-many", self.retry_after_s)
        return await super().submit(transactions)


@pytest.mark.parametrize(("retry_after_s", "retry_ms_max", "pause_s"), [(1, 60_000, 1.0), (3_600, 300, 0.3)])
async def test_pause_that_the_node_asks_for_is_kept_up_to_the_own_longest_one(
    tmp_path: Path, retry_after_s: int, retry_ms_max: int, pause_s: float
) -> None:
    node, outbox = BusyNode(retry_after_s), new_outbox(tmp_path / "o", 1)
    working = Submitter(node, outbox, trust=trusted(), policy=SubmitPolicy(retry_ms_min=1, retry_ms_max=retry_ms_max))
    running = asyncio.create_task(working.run())
    await until(lambda: node.asked_at_s)
    append(outbox)
    working.wake()  # a new batch does not shorten it
    await until(lambda: outbox.depth == 0)
    running.cancel()
    first_s, second_s, *_ = node.asked_at_s
    assert second_s - first_s >= pause_s
    outbox.close()


@pytest.mark.parametrize(
    ("named_s", "believed_s"), [(FIRST_S, FIRST_S), (FIRST_S + SLOT_S, FIRST_S + SLOT_S), (4_102_444_800, NO_BOUNDARY)]
)
def test_boundary_that_has_not_come_is_not_believed(tmp_path: Path, named_s: int, believed_s: int) -> None:
    config = replace(load_config(write_config(tmp_path), EdgeConfig), clock="wall")
    standing = Standing(1, 0, FIRST_PREVIOUS, named_s)
    assert believed_boundary_s(config, standing, ManualClock(FIRST_S)) == believed_s


async def test_node_that_lies_at_the_first_start_does_not_silence_the_gateway(tmp_path: Path) -> None:
    config = replace(load_config(write_config(tmp_path), EdgeConfig), clock="wall")
    node = FakeNode(simulated=False, last_boundary_s=4_102_444_800)
    with capture_logs() as logs:
        outbox = await open_standing(config, node)
    assert outbox.progress.last_boundary_s == NO_BOUNDARY
    assert [line["event"] for line in logs] == ["node_names_a_boundary_to_come"]
    outbox.close()


async def test_node_that_answers_nonsense_for_ever_is_asked_with_growing_pauses_and_one_line(tmp_path: Path) -> None:
    outbox, asked = new_outbox(tmp_path / "o", 1), []

    async def talk(writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        writer.write(http(b"<html>"))

    async with serving(talk) as url, Client(url, chain=CHAIN) as client:
        working = submitter(client, outbox, retry_ms_max=20)
        with capture_logs() as logs:
            running = asyncio.create_task(working.run())
            await until(lambda: len(asked) > 20)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert [line["event"] for line in logs] == ["node_refused"]
    assert outbox.depth == 1
    outbox.close()


async def test_unreachable_and_busy_are_one_kind_of_trouble() -> None:
    assert issubclass(NodeBusy, NodeUnreachable)
