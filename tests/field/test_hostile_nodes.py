"""Whatever a node answers, no batch is given up before a receipt that verifies, and the log stays one short line."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge.config import SubmitPolicy
from edge.submit import Outcome, Submitter
from ledger.client import Client
from tests.unit.edge_agent.edge_world import CHAIN, FakeNode, new_outbox, trusted
from tests.worlds.false_node import ODD, http, odd

VERDICT: dict[str, Any] = {
    "id": "ab" * 32,
    "code": 0,
    "name": "ACCEPTED",
    "retry": False,
    "height": 1,
    "waiting_for": None,
    "other_history": False,
    "rows": [],
}
LINES_MAX = 2


def _verdict(**changes: Any) -> bytes:
    return http({"answers": [VERDICT | changes]})


def _raw(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


MODES: dict[str, bytes] = {
    **{
        f"status {status}": http(b"", f"{status} Odd")
        for status in (
            100,
            101,
            199,
            204,
            206,
            301,
            304,
            307,
            400,
            401,
            403,
            404,
            409,
            410,
            413,
            418,
            500,
            502,
            504,
            599,
        )
    },
    "a way to somewhere else": _raw("HTTP/1.1 302 Found\nLocation: http://127.0.0.1:1/\nContent-Length: 0"),
    "no answer": b"",
    "half a head": b"HTTP/1.1 200",
    "a head without an end": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
    "half a body": _raw("HTTP/1.1 200 OK\nContent-Length: 1000", b'{"answers": ['),
    "a length below zero": _raw("HTTP/1.1 200 OK\nContent-Length: -1", b"{}"),
    "a length of words": _raw("HTTP/1.1 200 OK\nContent-Length: many", b"{}"),
    "two lengths": _raw("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3", b"{}x"),
    "pieces without a length": _raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n"),
    "a piece of 16 EiB": _raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"ffffffffffffffff\r\n{}"),
    "10,000 lines of head": _raw("HTTP/1.1 200 OK\n" + "\n".join(f"X-{n}: x" for n in range(10_000)), b"{}"),
    "another version": _raw("HTTP/9.9 200 OK\nContent-Length: 2", b"{}"),
    "another protocol": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "zero bytes": bytes(5000),
    "no JSON": http(b"<html>"),
    "nothing": http(b""),
    "a list": http([]),
    "no answers": http({}),
    "answers to nobody": http({"answers": []}),
    "two answers to one batch": http({"answers": [VERDICT, VERDICT]}),
    "answers that are a map": http({"answers": {"0": VERDICT}}),
    "an answer that is null": http({"answers": [None]}),
    "accepted, and no receipt": _verdict(),
    "there already, and no receipt": _verdict(code=1, name="EXISTS"),
    "a code of another protocol": _verdict(code=999, name="WHAT"),
    "a code below zero": _verdict(code=-1),
    "a code beyond 64 bits": _verdict(code=1 << 70),
    "a fractional code": _verdict(code=0.5),
    "a code that is true": _verdict(code=True),
    "a counter below zero": _verdict(code=2, name="WAITING", waiting_for=-1),
    "a counter beyond 64 bits": _verdict(code=2, name="WAITING", waiting_for=1 << 70),
    "a refused row of nobody": _verdict(rows=[[4096, 1 << 40, 89]]),
    "rows of words": _verdict(rows=[["a", "b", "c"]]),
    "rows of two numbers": _verdict(rows=[[1, 2]]),
    **{f"a verdict's code: {name}": http(b'{"answers": [%s]}' % odd(name, VERDICT, "code")) for name in ODD},
}


@asynccontextmanager
async def _serving(answer: bytes) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b": 0")
            await reader.readexactly(int(size.split(b":")[1]))
            writer.write(answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tuple(tasks), return_exceptions=True)


@pytest.mark.parametrize("answer", MODES.values(), ids=MODES)
async def test_batch_is_kept_whatever_a_node_answers_and_the_next_honest_one_takes_it(
    tmp_path: Path, answer: bytes
) -> None:
    policy = SubmitPolicy(retry_ms_min=1, retry_ms_max=5)
    outbox = new_outbox(tmp_path / "o", 1)
    async with _serving(answer) as url, Client(url, chain=CHAIN) as client:
        hostile = Submitter(client, outbox, trust=trusted(), policy=policy, jitter=Random(1))
        with capture_logs() as lines:
            for _ in range(3):
                assert await hostile.submit_once() in (Outcome.RETRY, Outcome.HALTED)
    assert outbox.depth == 1
    assert 1 <= len({line["event"] for line in lines}) <= LINES_MAX
    assert max(len(json.dumps(line, default=str)) for line in lines) < 20_000
    honest = FakeNode()
    assert await Submitter(honest, outbox, trust=trusted(), policy=policy).submit_once() is Outcome.ALL_DONE
    assert (outbox.depth, len(honest.accepted)) == (0, 1)
    outbox.close()
