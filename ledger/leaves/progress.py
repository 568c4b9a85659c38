"""``progress/<zone>``: which gates and runs a zone has before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family, WritableLeaves


class ProgressLeaf(NamedTuple):
    """Slots by their start, UTC seconds.

    books: those that have orders and are not cleared yet, ascending; run_slot_start_s: the next whose initial run falls
    due; waiting: those whose run waits for registers, ascending; untried: those of them that a block's budget did not
    reach.
    """

    run_slot_start_s: int
    books: Sequence[int] = ()
    untried: Sequence[int] = ()
    waiting: Sequence[int] = ()


def _key(zone: str) -> str:
    return f"progress/{zone}"


PROGRESS: Final = Family("progress", _key, ProgressLeaf)


def open_book(leaves: WritableLeaves, slot_start_s: int, zone: str) -> None:
    """Have the gate of a slot cleared, now that it has its first order."""
    progress = PROGRESS.must(leaves, zone)
    PROGRESS.save(leaves, progress._replace(books=sorted([*progress.books, slot_start_s])), zone)
