"""A server in a node's place that answers whatever a test wants, and the odd forms of JSON that end in a refused answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

STATUS = {
    "certificate_power": 1,
    "certified_height": 1,
    "chain": "c",
    "clock": "block",
    "currency": "CNY",
    "header_digest": "00" * 32,
    "height": 1,
    "instance": "22" * 16,
    "ledger_time_s": 5,
    "signers_power": 1,
    "simulated": False,
    "slot_s": 900,
    "disputed_by": 0,
    "engine": {},
    "stall": "",
    "shortages": [],
    "state_root": "11" * 32,
    "version": "1",
}


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """A server that answers each request (its head) with the given bytes, or not at all for None."""

    idle = asyncio.Event()
    idle.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        idle.clear()
        head = await reader.readuntil(b"\r\n\r\n")
        data = answer(head)
        if data is None:
            await reader.read()
        else:
            writer.write(data)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        idle.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.wait_for(idle.wait(), 5)  # clients inside have closed by now


def http(body: bytes | str | Any, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole HTTP answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    return head.encode() + data


ODD: dict[str, bytes] = {
    "nested deeply": b"[" * 100_000 + b"]" * 100_000,
    "nested within the stack": b"[" * 500 + b"]" * 500,
    "half of a surrogate pair": rb'"\ud800"',
    "infinity": b"Infinity",
    "a float that is infinite": b"1e999",
    "not a number": b"NaN",
    "an integer of thousands of digits": b"9" * 4_000,
    "an integer beyond 64 bits": b"9" * 39,
    "a key given twice": b'1, "FIELD": 2',
    "another type": b'{"a": []}',
    "a huge text": b'"%s"' % (b"x" * 100_000),
    "not UTF-8": b'"\xff"',
    "no JSON": b"]",
}
"""Odd values by name, as bytes."""


def odd(form: str, whole: dict[str, Any], field: str) -> bytes:
    """The JSON of ``whole``, with an ODD value under ``field``."""
    values = [b"%s: %s" % (json.dumps(name).encode(), json.dumps(value).encode()) for name, value in whole.items()]
    name = json.dumps(field).encode()
    values[list(whole).index(field)] = b"%s: %s" % (name, ODD[form].replace(b'"FIELD"', name))
    return b"{%s}" % b", ".join(values)
