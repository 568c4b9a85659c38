"""The engine's own door (JSON-RPC on the loopback address): transactions go in here; what comes of them the machine hears.

``broadcast_tx_async`` answers before a transaction was examined: the other ways wait up to 20 ms for each, one after the other.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

import httpx

from gridcore.errors import GridError

BODY_BYTES_MAX: Final = 2_000_000
"""Of one request, with room for its frame: the engine takes 3,000,000."""
TIMEOUT_S: Final = 10.0
BROADCAST_S_MAX: Final = 3.0
"""Of all requests of one ``broadcast``: meanwhile nobody is told that he waits too long, and the door gives up at 30 s."""
ALREADY_THERE: Final = "tx already exists in cache"
NO_ROOM: Final = ("mempool is full", "tx too large")


class EngineRpcError(GridError):
    """The engine does not answer, or not as it should: it is being started, or has stopped."""


class EngineRpc:
    """Use it with ``async with``. port: of the loopback address."""

    def __init__(self, port: int) -> None:
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def broadcast(self, transactions: Sequence[bytes]) -> list[bool]:
        """Put transactions into the engine's mempool; returns of each whether it is there now (it has room, or knew it before).

        EngineRpcError also where that takes longer than BROADCAST_S_MAX: some of them may be there.
        """
        try:
            async with asyncio.timeout(BROADCAST_S_MAX):
                return await self._broadcast(transactions)
        except TimeoutError:
            raise EngineRpcError(f"the engine does not answer within {BROADCAST_S_MAX:.0f} s") from None

    async def _broadcast(self, transactions: Sequence[bytes]) -> list[bool]:
        taken: list[bool] = []
        for piece in _pieces([base64.b64encode(wire).decode() for wire in transactions]):
            calls = [_call(number, "broadcast_tx_async", tx=tx) for number, tx in enumerate(piece)]
            answers = await self._post(calls)
            by_number = {answer["id"]: answer for answer in answers if isinstance(answer.get("id"), int)}
            if not by_number.keys() >= set(range(len(calls))):
                raise EngineRpcError(f"the engine refuses {len(calls)} transactions at once: {_reason(answers[0])}")
            taken += [_is_taken(by_number[number]) for number in range(len(calls))]
        return taken

    async def ask(self, method: str, **parameters: str) -> Any:
        """The result of a method of the engine. EngineRpcError also where it answers with an error."""
        answer = (await self._post(_call(0, method, **parameters)))[0]
        if "result" not in answer:
            raise EngineRpcError(f"the engine refuses {method}: {_reason(answer)}")
        return answer["result"]

    async def _post(self, calls: Any) -> list[dict[str, Any]]:
        """What the engine answers to a call, or to several: one answer at least. EngineRpcError for what is none."""
        try:
            response = await self._client.post("/", json=calls)
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise EngineRpcError(f"the engine does not answer: {str(error) or type(error).__name__}") from None
        answers = answer if isinstance(answer, list) else [answer]
        if not answers or not all(isinstance(one, dict) for one in answers):
            raise EngineRpcError(f"the engine answers what is no JSON-RPC: {str(answer)[:200]}")
        return answers


def _call(number: int, method: str, **parameters: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _reason(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    told = (error.get("data") or error.get("message")) if isinstance(error, dict) else error
    return str(told or "no reason given")[:200]


def _is_taken(answer: Mapping[str, Any]) -> bool:
    """Whether the engine has a transaction now. EngineRpcError where it takes none at the moment, as while it catches up."""
    if "result" in answer or _reason(answer) == ALREADY_THERE:
        return True
    if not _reason(answer).lower().startswith(NO_ROOM):
        raise EngineRpcError(f"the engine takes no transactions: {_reason(answer)}")
    return False


def _pieces(texts: Sequence[str]) -> Iterator[list[str]]:
    """As many as one request may have, at least one."""
    piece: list[str] = []
    size = 0
    for text in texts:
        if piece and size + len(text) > BODY_BYTES_MAX:
            yield piece
            piece, size = [], 0
        piece.append(text)
        size += len(text) + 100
    if piece:
        yield piece
