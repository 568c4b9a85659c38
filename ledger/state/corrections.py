"""The queue of slots that are to be settled again (docs/spec/state.md, "Due work"): few spans, and nothing is ever lost from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
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


def few(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of [first, end) as at most 64: those that overlap or touch are one, then those with the least between them (of equal ones the first)."""
    joined: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if joined and first <= joined[-1][1]:
            first, end = joined[-1][0], max(joined.pop()[1], end)
        joined.append((first, end))
    between = sorted((after[0] - before[1], place) for place, (before, after) in enumerate(pairwise(joined)))
    bridged = {place for _, place in between[: max(len(joined) - CORRECTION_SPANS_MAX, 0)]}
    begins = [first for place, (first, _) in enumerate(joined) if place - 1 not in bridged]
    ends = [end for place, (_, end) in enumerate(joined) if place not in bridged]
    return list(zip(begins, ends, strict=True))


def next_due(spans: Sequence[Correction], now_s: int) -> int | None:
    """The place of the first span that is due, or None."""
    return next((place for place, span in enumerate(spans) if span.due_s <= now_s), None)


@dataclass(frozen=True)
class PromptCorrections:
    """Corrections of a zone without a run calendar: due a while after what they correct became known, each span as one.

    slot_s: slot length; now_s: ledger time; after_s: that while, seconds.
    """

    slot_s: int
    now_s: int
    after_s: int

    def spans(self, first_slot_s: int, end_s: int) -> Iterator[Correction]:
        """The slots that start in [first_slot_s, end_s), changed now."""
        yield Correction(first_slot_s, end_s, self.now_s + self.after_s)

    def queued(self, spans: Sequence[Correction], added: Iterable[Correction]) -> list[Correction]:
        """See ``queued``."""
        return queued(spans, added)

    def without_first(self, spans: Sequence[Correction], place: int) -> list[Correction]:
        """The queue without the first slot of the span at a place."""
        span = spans[place]._replace(first_slot_s=spans[place].first_slot_s + self.slot_s)
        return [*spans[:place], *([span] if span.first_slot_s < span.end_s else []), *spans[place + 1 :]]

    def initial_gate_ppm(self, slot_start_s: int) -> int:
        """How many measured values in a million the initial run of a slot needs now."""
        return 0

    def gate_ppm(self, slot_start_s: int) -> int:
        """The same of the run of a slot that is settled again."""
        return 0

    def after_initial(self, slot_start_s: int) -> Iterator[Correction]:
        """What is to be settled again of a slot whose initial run was made."""
        return iter(())

    def later(self, slot_start_s: int, *, is_settled: bool) -> Iterator[Correction]:
        """What is to be settled again of a slot whose turn it was. is_settled: it was complete enough."""
        return iter(())

    def after_month(self, slot_start_s: int) -> Iterator[Correction]:
        """The last slot of a period, in whose sums a run was counted."""
        yield Correction(slot_start_s, slot_start_s + self.slot_s, self.now_s)


def _as_one(first: Correction, second: Correction) -> Correction:
    return Correction(first.first_slot_s, max(first.end_s, second.end_s), min(first.due_s, second.due_s))
