"""The engine's own door (JSON-RPC on the loopback address): transactions go in here; what comes of them the machine hears.

``broadcast_tx_async`` answers before a transaction was examined: the other ways wait up to 20 ms for each, one after the other.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

import httpx

from gridcore.errors import GridError

BODY_BYTES_MAX: Final = 2_000_000
"""Of one request, with room for its frame: the engine takes 3,000,000."""
TIMEOUT_S: Final = 10.0
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
        """Put transactions into the engine's mempool; returns of each whether it is there now (it has room, or knew it before)."""
        taken: list[bool] = []
        for piece in _pieces([base64.b64encode(wire).decode() for wire in transactions]):
            calls = [_call(number, "broadcast_tx_async", tx=tx) for number, tx in enumerate(piece)]
            answers = await self._post(calls)
            by_number = {answer.get("id"): answer for answer in answers}
            if len(answers) < len(calls) or not by_number.keys() >= set(range(len(calls))):
                raise EngineRpcError(f"the engine refuses {len(calls)} transactions at once: {_reason(answers[0])}")
            taken += [_is_taken(by_number[number]) for number in range(len(calls))]
        return taken

    async def ask(self, method: str, **parameters: str) -> Any:
        """The result of a method of the engine. EngineRpcError also where it answers with an error."""
        answer = await self._post(_call(0, method, **parameters))
        if "result" not in answer:
            raise EngineRpcError(f"the engine refuses {method}: {_reason(answer)}")
        return answer["result"]

    async def _post(self, calls: Any) -> Any:
        try:
            response = await self._client.post("/", json=calls)
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise EngineRpcError(f"the engine does not answer: {str(error) or type(error).__name__}") from None
        return [answer] if isinstance(calls, list) and isinstance(answer, dict) else answer


def _call(number: int, method: str, **parameters: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _reason(answer: Any) -> str:
    error = answer.get("error") or {}
    return str(error.get("data") or error.get("message") or "no reason given")[:200]


def _is_taken(answer: Any) -> bool:
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
