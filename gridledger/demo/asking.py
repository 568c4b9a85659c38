"""Many questions to a node, a few on their way at once: it works on the next answers while one is read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any, Final, TypeVar

AT_ONCE: Final = 3
"""So many questions are on their way: the node has two threads for them."""

T = TypeVar("T")


async def answers_in_turn(questions: Iterable[Coroutine[Any, Any, T]]) -> AsyncGenerator[T, None]:
    """The answers in the order of the questions, AT_ONCE of which are asked at a time; the error of one ends them all."""
    asked: deque[asyncio.Task[T]] = deque()
    try:
        for question in questions:
            asked.append(asyncio.create_task(question))
            if len(asked) == AT_ONCE:
                yield await asked.popleft()
        while asked:
            yield await asked.popleft()
    finally:
        for left in asked:
            left.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
