"""The engine's own door: what its answers mean for a transaction, and how many go into one request."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ledger.engines.cometbft import rpc as rpc_module
from ledger.engines.cometbft.rpc import EngineRpc, EngineRpcError

TAKEN = {"result": {"code": 0}}
FULL = "mempool is full: number of txs 2000 (max: 2000), total txs bytes 1 (max: 9)"


def refused(reason: str) -> dict[str, Any]:
    return {"error": {"code": -32603, "message": "Internal error", "data": reason}}


@asynccontextmanager
async def answering(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> AsyncIterator[tuple[EngineRpc, list[int]]]:
    """A client whose engine answers each call so; and how many calls each request had."""
    sizes: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls = json.loads(request.content)
        sizes.append(len(calls))
        return httpx.Response(200, json=[{"id": call["id"], **answer(call)} for call in reversed(calls)])

    async with EngineRpc(1) as rpc:
        await rpc._client.aclose()
        rpc._client = httpx.AsyncClient(base_url="http://engine", transport=httpx.MockTransport(handle))
        yield rpc, sizes


async def test_each_transaction_has_its_own_answer_whatever_the_order_of_answers() -> None:
    def answer(call: dict[str, Any]) -> dict[str, Any]:
        wire = base64.b64decode(call["params"]["tx"])
        return {b"new": TAKEN, b"known": refused("tx already exists in cache"), b"much": refused(FULL)}[wire]

    async with answering(answer) as (rpc, _):
        assert await rpc.broadcast([b"much", b"new", b"known"]) == [False, True, True]


async def test_an_engine_that_catches_up_takes_them_later() -> None:
    async with answering(lambda _: refused("endpoint is closed while node is catching up")) as (rpc, _):
        with pytest.raises(EngineRpcError, match="catching up"):
            await rpc.broadcast([b"one"])


@asynccontextmanager
async def saying(body: Any) -> AsyncIterator[EngineRpc]:
    """A client whose engine answers every request with this JSON."""
    async with EngineRpc(1) as rpc:
        await rpc._client.aclose()
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
        rpc._client = httpx.AsyncClient(base_url="http://engine", transport=transport)
        yield rpc


async def test_a_request_that_is_refused_whole_says_why() -> None:
    async with saying(refused("too many calls")) as rpc:
        with pytest.raises(EngineRpcError, match="refuses 2 transactions at once: too many calls"):
            await rpc.broadcast([b"one", b"two"])


@pytest.mark.parametrize(
    "body", [[], None, "text", 7, [None], ["text"], {}, [{}], {"error": "text"}, {"error": None}, [{"id": []}]]
)
async def test_an_answer_that_is_none_is_an_error_of_the_engine(body: Any) -> None:
    async with saying(body) as rpc:
        with pytest.raises(EngineRpcError):
            await rpc.broadcast([b"one"])
        with pytest.raises(EngineRpcError):
            await rpc.ask("status")


async def test_an_engine_that_hangs_is_waited_for_no_longer_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_module, "BROADCAST_S_MAX", 0.05)

    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async with EngineRpc(1) as rpc:
        await rpc._client.aclose()
        rpc._client = httpx.AsyncClient(base_url="http://engine", transport=httpx.MockTransport(hang))
        with pytest.raises(EngineRpcError, match="does not answer within"):
            await asyncio.wait_for(rpc.broadcast([b"one"]), 10)


async def test_a_request_stays_below_what_the_engine_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_module, "BODY_BYTES_MAX", 1_000)
    async with answering(lambda _: TAKEN) as (rpc, sizes):
        assert await rpc.broadcast([bytes(200)] * 5 + [bytes(3_000)]) == [True] * 6
        assert sizes == [2, 2, 1, 1]


async def test_an_engine_that_is_not_there_is_an_error_of_one_line() -> None:
    async with EngineRpc(1) as rpc:
        with pytest.raises(EngineRpcError, match="the engine does not answer"):
            await rpc.broadcast([b"one"])
