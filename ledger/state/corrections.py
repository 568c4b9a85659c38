"""The queue of slots that are to be settled again (docs/spec/state.md, "Due work"): few spans, and nothing is ever lost from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ledger.leaves.progress import Correction

CORRECTION_SPANS_MAX: Final = 64


def queued(spans: Sequence[Correction], added: Iterable[Correction]) -> list[Correction]:
    """The queue with more spans: those that overlap or touch are one, due when the first of them is.

    Where that leaves more than 64, the two with the fewest slots between them become one (of equal ones the first), until
    there are 64: slots in between are settled once more and come to the same.
    """
    joined: list[Correction] = []
    for span in sorted([*spans, *(span for span in added if span.first_slot_s < span.end_s)]):
        if joined and span.first_slot_s <= joined[-1].end_s:
            span = _as_one(joined.pop(), span)
        joined.append(span)
    while len(joined) > CORRECTION_SPANS_MAX:
        place = min(range(1, len(joined)), key=lambda place: joined[place].first_slot_s - joined[place - 1].end_s)
        joined[place - 1 : place + 1] = [_as_one(joined[place - 1], joined[place])]
    return joined


def next_due(spans: Sequence[Correction], now_s: int) -> int | None:
    """The place of the first span that is due, or None."""
    return next((place for place, span in enumerate(spans) if span.due_s <= now_s), None)


def without_first(spans: Sequence[Correction], place: int, slot_s: int) -> list[Correction]:
    """The queue without the first slot of the span at a place."""
    span = spans[place]._replace(first_slot_s=spans[place].first_slot_s + slot_s)
    return [*spans[:place], *([span] if span.first_slot_s < span.end_s else []), *spans[place + 1 :]]


def _as_one(first: Correction, second: Correction) -> Correction:
    return Correction(first.first_slot_s, max(first.end_s, second.end_s), min(first.due_s, second.due_s))
