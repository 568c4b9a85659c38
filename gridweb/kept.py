"""What a request shows of old: pages keep what they showed while a source is away, and say since when it is as it is."""

from __future__ import annotations

from contextvars import ContextVar

_kept_of_request: ContextVar[list[int] | None] = ContextVar("kept_of_request", default=None)
"""When what was asked of old that the request under way shows, UTC seconds."""


def begin_request() -> None:
    """From here on ``kept_since`` is about this request, whatever tasks it starts."""
    _kept_of_request.set([])


def kept_since() -> int | None:
    """Since when the oldest of what this request shows is as it is, UTC seconds; None where all of it is of now."""
    return min(_kept_of_request.get() or (), default=None)


def note_kept(asked_s: int) -> None:
    """This request shows what was asked at an instant, UTC seconds, and not what is now."""
    found = _kept_of_request.get()
    if found is not None:
        found.append(asked_s)
