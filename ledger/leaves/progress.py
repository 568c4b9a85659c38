"""``progress/<zone>``: which gates and runs a zone has before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family, Value, WritableLeaves


class Correction(NamedTuple):
    """Slots that start in [first_slot_s, end_s) are to be settled again, from ``due_s`` on; UTC seconds."""

    first_slot_s: int
    end_s: int
    due_s: int


class Immaterial(NamedTuple):
    """A dispute run that was not made: what it would have changed of what points pay, all changes taken as positive, and when (ledger time)."""

    slot_start_s: int
    change_nano: int
    time_s: int


class ProgressLeaf(NamedTuple):
    """Slots by their start, UTC seconds.

    books: those that have orders and are not cleared yet, ascending; run_slot_start_s: the next whose initial run falls
    due; corrections: slots that are to be settled again, as spans that ascend and do not overlap; in a zone with a run calendar
    ``due_s`` is that of the first slot, and each later one is due a slot later. immaterial: the newest dispute runs that were not made.
    """

    run_slot_start_s: int
    books: Sequence[int] = ()
    corrections: Sequence[Correction] = ()
    immaterial: Sequence[Immaterial] = ()


def _key(zone: str) -> str:
    return f"progress/{zone}"


def _decode(
    run_slot_start_s: int,
    books: Sequence[int],
    corrections: Sequence[Sequence[int]],
    immaterial: Sequence[Sequence[int]] = (),
) -> ProgressLeaf:
    spans, not_made = [Correction(*span) for span in corrections], [Immaterial(*change) for change in immaterial]
    return ProgressLeaf(run_slot_start_s, books, spans, not_made)


def _encode(record: ProgressLeaf) -> Value:
    not_made = {"immaterial": [list(change) for change in record.immaterial]} if record.immaterial else {}
    return {
        "books": record.books,
        "corrections": [list(span) for span in record.corrections],
        "run_slot_start_s": record.run_slot_start_s,
        **not_made,
    }


PROGRESS: Final = Family("progress", _key, _decode, _encode)


def open_book(leaves: WritableLeaves, slot_start_s: int, zone: str) -> None:
    """Have the gate of a slot cleared, now that it has its first order."""
    progress = PROGRESS.must(leaves, zone)
    PROGRESS.save(leaves, progress._replace(books=sorted([*progress.books, slot_start_s])), zone)
