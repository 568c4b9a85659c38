"""The way from what the supplier alone would have charged to what was paid, and line by line through that. Pure; nano, exact until drawn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from gridweb.bill import BillLine, Interval, Totals

WIDTH: Final = 1_000
"""Of a drawing, in its units."""
ALONE, SAVED, PAYS, LINE = "alone", "saved", "pays", "line"
"""What a step is: a level, the way down (or up) from one to the other, and the lines that the second is made of."""
ESTIMATED: Final = "estimated"


class Step(NamedTuple):
    """A bar between two levels. ``kind``: of a line, "" for other steps; ``estimated_nano``: the part of slots with an estimated value.

    left, width: of the bar in units of WIDTH; hatched_left, hatched_width: of its part that rests on estimates.
    """

    name: str
    kind: str
    amount_nano: int
    estimated_nano: int
    left: int
    width: int
    hatched_left: int
    hatched_width: int


class Waterfall(NamedTuple):
    """The steps from above; ``zero``: where the line of zero lies, in units of WIDTH."""

    steps: list[Step]
    zero: int

    @property
    def is_estimated(self) -> bool:
        """Whether a part of it rests on estimates."""
        return any(step.hatched_width for step in self.steps)


class _Span(NamedTuple):
    name: str
    kind: str
    amount_nano: int
    estimated_nano: int
    from_nano: int
    to_nano: int


def waterfall_of(totals: Totals, lines: Sequence[BillLine], slots: Collection[Interval]) -> Waterfall | None:
    """The way of a day's settled slots; None where its lines do not come to what was paid: some are not there yet."""
    if not lines or sum(line.amount_nano for line in lines) != totals.pays_nano:
        return None
    guessed = [slot for slot in slots if slot.is_settled and slot.quality == ESTIMATED]
    alone_nano, pays_nano = totals.supplier_only_nano, totals.pays_nano
    of_alone, of_pays = (
        sum(slot.supplier_only_nano or 0 for slot in guessed),
        sum(slot.pays_nano or 0 for slot in guessed),
    )
    spans = [
        _Span(ALONE, "", alone_nano, of_alone, 0, alone_nano),
        _Span(SAVED, "", pays_nano - alone_nano, of_pays - of_alone, alone_nano, pays_nano),
        _Span(PAYS, "", pays_nano, of_pays, 0, pays_nano),
    ]
    starts_s = {slot.start_s for slot in guessed}
    level_nano = pays_nano
    for kind in dict.fromkeys(line.kind for line in lines):
        own = [line for line in lines if line.kind == kind]
        amount_nano = sum(line.amount_nano for line in own)
        estimated_nano = sum(line.amount_nano for line in own if line.slot_start_s in starts_s)
        spans.append(_Span(LINE, kind, amount_nano, estimated_nano, level_nano, level_nano - amount_nano))
        level_nano -= amount_nano
    return _drawn(spans)


def _drawn(spans: Iterable[_Span]) -> Waterfall:
    """All steps by one scale."""
    spans = list(spans)
    levels = [0, *(level for span in spans for level in (span.from_nano, span.to_nano))]
    low_nano, scale_nano = min(levels), max(max(levels) - min(levels), 1)

    def place(level_nano: int) -> int:
        return WIDTH * (level_nano - low_nano) // scale_nano

    steps = []
    for span in spans:
        first, last = sorted((place(span.from_nano), place(span.to_nano)))
        hatched = _hatched(span, last - first)
        at = first if span.to_nano < span.from_nano else last - hatched
        steps.append(
            Step(span.name, span.kind, span.amount_nano, span.estimated_nano, first, last - first, at, hatched)
        )
    return Waterfall(steps, place(0))


def _hatched(span: _Span, width: int) -> int:
    """The end of a bar that rests on estimates; all of it where they go the other way, and a part would say less than there is."""
    if not span.estimated_nano:
        return 0
    is_part = span.estimated_nano * span.amount_nano > 0 and abs(span.estimated_nano) <= abs(span.amount_nano)
    return width * abs(span.estimated_nano) // abs(span.amount_nano) if is_part else width
