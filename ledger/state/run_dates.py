"""The queue of slots of a zone with a run calendar (docs/spec/state.md, "Run calendar"): each slot is settled again at its own dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gridcore.registry.run_calendar import RunCalendar
from ledger.leaves.progress import Correction
from ledger.registry.zones import Timeline
from ledger.state.corrections import CORRECTION_SPANS_MAX, PromptCorrections


@dataclass(frozen=True)
class DatedCorrections:
    """Corrections by a calendar. A span's ``due_s`` is that of its first slot; each later slot is due a slot later.

    slot_s: slot length; now_s: ledger time, seconds.
    """

    slot_s: int
    now_s: int
    calendar: RunCalendar

    def spans(self, first_slot_s: int, end_s: int) -> Iterator[Correction]:
        """The slots that start in [first_slot_s, end_s), changed now: each due at its next date; now, where its final run's is past."""
        final_s = self.calendar.final_run_after_s
        for after_s in (*(date.due_after_s for date in self.calendar.corrections), final_s):
            later_s = max(first_slot_s, (self.now_s - after_s) // self.slot_s * self.slot_s)
            if later_s < end_s:
                yield Correction(later_s, end_s, later_s + self.slot_s + after_s)
                end_s = later_s
        if first_slot_s < end_s:
            yield Correction(first_slot_s, end_s, first_slot_s + self.slot_s + final_s)

    def queued(self, spans: Sequence[Correction], added: Iterable[Correction]) -> list[Correction]:
        """The queue with more spans: each slot is due at the earliest of its times.

        Where that leaves more than 64 spans, the two with the fewest slots between them become one (of equal ones the first),
        none of whose slots is due later than before, until there are 64.
        """
        joined = _earliest([*spans, *(span for span in added if span.first_slot_s < span.end_s)])
        while len(joined) > CORRECTION_SPANS_MAX:
            place = min(range(1, len(joined)), key=lambda place: joined[place].first_slot_s - joined[place - 1].end_s)
            first, second = joined[place - 1 : place + 1]
            due_s = first.first_slot_s + min(_ahead_s(first), _ahead_s(second))
            wider, before = Correction(first.first_slot_s, second.end_s, due_s), max(place - 2, 0)
            joined[before : place + 2] = _earliest([*joined[before : place - 1], wider, *joined[place + 1 : place + 2]])
        return joined

    def without_first(self, spans: Sequence[Correction], place: int) -> list[Correction]:
        """The queue without the first slot of the span at a place."""
        first, end_s, due_s = spans[place]
        rest = Correction(first + self.slot_s, end_s, due_s + self.slot_s)
        return [*spans[:place], *([rest] if rest.first_slot_s < end_s else []), *spans[place + 1 :]]

    def initial_gate_ppm(self, slot_start_s: int) -> int:
        """How many measured values in a million the initial run of a slot needs now."""
        is_last = self._age_s(slot_start_s) >= self.calendar.initial_last_after_s
        return 0 if is_last else self.calendar.initial_measured_ppm

    def gate_ppm(self, slot_start_s: int) -> int:
        """The same of the run of a slot that is settled again: what its newest date says, nothing from the final run on."""
        age_s = self._age_s(slot_start_s)
        if age_s >= self.calendar.final_run_after_s:
            return 0
        reached = [date.measured_ppm for date in self.calendar.corrections if date.due_after_s <= age_s]
        return reached[-1] if reached else 0

    def after_initial(self, slot_start_s: int) -> Iterator[Correction]:
        """The final run of a slot whose initial run was made."""
        end_s = slot_start_s + self.slot_s
        yield Correction(slot_start_s, end_s, end_s + self.calendar.final_run_after_s)

    def later(self, slot_start_s: int, *, is_settled: bool) -> Iterator[Correction]:
        """What is to be settled again of a slot whose turn it was: once more at its final run, or before, if it was not complete enough."""
        if self._age_s(slot_start_s) >= self.calendar.final_run_after_s:
            return
        if is_settled:
            yield from self.after_initial(slot_start_s)
        else:
            yield from self.spans(slot_start_s, slot_start_s + self.slot_s)

    def after_month(self, slot_start_s: int) -> Iterator[Correction]:
        """The last slot of a period, in whose sums a run was counted."""
        return self.spans(slot_start_s, slot_start_s + self.slot_s)

    def _age_s(self, slot_start_s: int) -> int:
        """Seconds since the end of a slot."""
        return self.now_s - slot_start_s - self.slot_s


def corrections_of(timeline: Timeline, slot_s: int, now_s: int) -> PromptCorrections | DatedCorrections:
    """How a zone's slots are settled again."""
    if timeline.run_calendar is None:
        return PromptCorrections(slot_s, now_s, timeline.correction_after_s)
    return DatedCorrections(slot_s, now_s, timeline.run_calendar)


def _earliest(spans: Sequence[Correction]) -> list[Correction]:
    """Spans that do not overlap, ascending: each slot is due at the earliest of its times; neighbours of one date are one."""
    edges = [(span.first_slot_s, 1, _ahead_s(span)) for span in spans]
    edges += [(span.end_s, -1, _ahead_s(span)) for span in spans]
    joined: list[Correction] = []
    covering: Counter[int] = Counter()
    at_s = 0
    for edge_s, step, ahead_s in sorted(edges):
        held = [ahead_s for ahead_s, count in covering.items() if count]
        if held and at_s < edge_s:
            ahead = min(held)
            if joined and joined[-1].end_s == at_s and _ahead_s(joined[-1]) == ahead:
                joined[-1] = joined[-1]._replace(end_s=edge_s)
            else:
                joined.append(Correction(at_s, edge_s, at_s + ahead))
        covering[ahead_s] += step
        at_s = edge_s
    return joined


def _ahead_s(span: Correction) -> int:
    """How long after the begin of each of its slots it is due."""
    return span.due_s - span.first_slot_s
