"""What the pages keep of a node's answers: within the memory that they say, and nothing of whoever asked."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
import weakref
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from gridcore.strict_json import decode_json
from gridweb import answer_cache
from gridweb.answer_cache import ENTRY_BYTES, AnswerCache, Fetched, held_bytes

MEBIBYTE = 1024 * 1024
LINE = {"kind": "p2p_buy", "energy_wh": 125_000, "amount_nano": -48_123_456_789, "price_micro_per_kwh": 384_988}
SHAPES: dict[str, Any] = {
    "registers": [{"meter": f"M{n:06}", "import_wh": n * 10**6, "export_wh": None, "flags": []} for n in range(1_000)],
    "positions": {name: [n * 10**9 for n in range(4_000)] for name in ("bought_wh", "pays_nano")},
    "a statement": {"slots": [{"slot_start_s": 1_800_000_000 + n, "lines": [LINE] * 4} for n in range(100)]},
    "names": [f"H{n}" for n in range(10_000)],
    "names in Chinese": [f"台区{n}" for n in range(10_000)],
    "one wide text": "x" * 100_000 + "\U0001f600",
    "empty arrays": [[] for _ in range(10_000)],
    "small objects": [{"n": n} for n in range(4_000)],
    "objects of six": [dict.fromkeys("abcdef", n) for n in range(1_000)],
}


def grown(work: Any) -> tuple[Any, int]:
    """What ``work`` returns, and the bytes that it left in memory."""
    gc.collect()
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("is_ascii", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_takes_no_more_memory_than_is_counted_and_not_far_less(shape: str, is_ascii: bool) -> None:
    data = json.dumps(SHAPES[shape], ensure_ascii=is_ascii).encode()
    value, taken = grown(lambda: decode_json(data, len(data)))
    assert value == SHAPES[shape]
    assert taken <= ENTRY_BYTES + held_bytes(data)
    assert held_bytes(data) <= 6 * taken


def test_twelve_thousand_questions_stay_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "CACHE_BYTES_MAX", 4 * MEBIBYTE)
    cache, data = AnswerCache(), json.dumps(SHAPES["a statement"]["slots"][:2]).encode()

    async def ask() -> Fetched:
        return Fetched(decode_json(data, len(data)), held_bytes(data))

    async def ask_all() -> None:
        for number in range(12_000):
            await cache.get(("parties/p/statement", (("day", number),)), 1, ask)

    _, taken = grown(lambda: asyncio.run(ask_all()))
    assert cache.held_bytes <= 4 * MEBIBYTE
    assert MEBIBYTE < taken <= 4 * MEBIBYTE


async def test_an_answer_keeps_nothing_of_the_request_that_was_the_first_to_ask() -> None:
    class Request:
        pass

    current: ContextVar[Request] = ContextVar("current")
    cache = AnswerCache()

    async def ask() -> Fetched:
        return Fetched({"n": 1}, 100)

    async def view() -> weakref.ref[Request]:
        request = Request()
        current.set(request)
        assert await cache.get(("x", ()), 1, ask) == {"n": 1}
        return weakref.ref(request)

    asked = await asyncio.get_running_loop().create_task(view(), context=copy_context())
    await asyncio.sleep(0)
    gc.collect()
    assert asked() is None
    assert await cache.get(("x", ()), 1, ask) == {"n": 1}


async def test_an_answer_larger_than_all_that_may_be_kept_is_answered_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer_cache, "CACHE_BYTES_MAX", 10_000)
    cache, asked = AnswerCache(), 0

    async def ask() -> Fetched:
        nonlocal asked
        asked += 1
        return Fetched("large", 20_000)

    for _ in range(2):
        assert await cache.get(("x", ()), 1, ask) == "large"
    assert (asked, cache.held_bytes) == (2, 0)


async def test_a_question_that_fails_is_forgotten_with_what_it_was_counted_for() -> None:
    cache = AnswerCache()

    async def ask() -> Fetched:
        assert cache.held_bytes > ENTRY_BYTES
        raise LookupError("no answer")

    for _ in range(2):
        with pytest.raises(LookupError):
            await cache.get(("x", ()), 1, ask)
    assert cache.held_bytes == 0
