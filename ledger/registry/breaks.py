"""Where meters' registers do not simply go on: exchanges, resets, other transformers (docs/spec/registry.md, "Entries of an installation")."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.leaves.columns import Int64
from ledger.registry.columns import RegistryColumns

NEVER_S: Final = 2**62
"""Later than every time."""
NOT_SAID: Final = -1
"""In a column of registers: the entry does not say them."""


class Spans(NamedTuple):
    """Between which breaks the registers of meters go on around one time; int64[n] each, registers import and export.

    since_s: when the span began, with the registers ``first``; -1 and NOT_SAID where that is not known any more.
    until_s: when it ends, with the registers ``final`` (NOT_SAID where nobody read them); NEVER_S while no end is known.
    """

    since_s: Int64
    first: tuple[Int64, Int64]
    until_s: Int64
    final: tuple[Int64, Int64]

    def take(self, places: Int64 | slice) -> Spans:
        """Those of some of them."""
        return Spans(
            self.since_s[places],
            (self.first[0][places], self.first[1][places]),
            self.until_s[places],
            (self.final[0][places], self.final[1][places]),
        )


def spans_at(columns: RegistryColumns, time_s: int, height: int) -> Spans:
    """The span of each installation around ``time_s`` (UTC seconds) as of ``height``."""
    entries, size = columns.installation_entries, len(columns.numbers)
    stands = is_standing(columns, np.arange(len(entries.entity)), height)
    begun = np.flatnonzero(stands & (columns.first_import_wh != NOT_SAID) & (entries.from_s <= time_s))
    is_end = (columns.final_import_wh != NOT_SAID) | (columns.installation_gateway < 0)
    ended = np.flatnonzero(stands & is_end & (entries.from_s > time_s))[::-1]
    # Where several have the same index the last one stays: the newest begin, and of the ends, reversed, the next one.
    begin, end = np.full(size, -1), np.full(size, -1)
    begin[entries.entity[begun]] = begun
    end[entries.entity[ended]] = ended
    return Spans(
        since_s=_taken(entries.from_s, begin, -1),
        first=(_taken(columns.first_import_wh, begin, NOT_SAID), _taken(columns.first_export_wh, begin, NOT_SAID)),
        until_s=_taken(entries.from_s, end, NEVER_S),
        final=(_taken(columns.final_import_wh, end, NOT_SAID), _taken(columns.final_export_wh, end, NOT_SAID)),
    )


class Breaks(NamedTuple):
    """Every entry that begins or ends a span after the first slot of any zone: its place, ascending by ``from_s``."""

    entry: Int64
    from_s: Int64

    def within(self, columns: RegistryColumns, after_s: int, to_s: int, height: int) -> Int64:
        """Places of the entries with ``after_s`` < from_s <= ``to_s`` that stand as of ``height``, ascending by from_s."""
        first, end = np.searchsorted(self.from_s, (after_s, to_s), side="right")
        found = self.entry[first:end]
        return found[is_standing(columns, found, height)] if len(found) else found


def breaks_of(columns: RegistryColumns, first_slot_start_s: int) -> Breaks:
    """Those of all installations."""
    from_s = columns.installation_entries.from_s
    is_break = (columns.first_import_wh != NOT_SAID) | (columns.final_import_wh != NOT_SAID)
    found = np.flatnonzero((is_break | (columns.installation_gateway < 0)) & (from_s > first_slot_start_s))
    found = found[np.argsort(from_s[found], kind="stable")]
    return Breaks(found, from_s[found])


def is_standing(columns: RegistryColumns, entry: Int64, height: int) -> NDArray[np.bool_]:
    """bool[n]: the entry is known at ``height``, and no later one takes its place from the same time on."""
    entries = columns.installation_entries
    following = np.minimum(entry + 1, len(entries.entity) - 1)
    is_replaced = (
        (following > entry)
        & (entries.entity[following] == entries.entity[entry])
        & (entries.from_s[following] == entries.from_s[entry])
        & (entries.recorded_height[following] <= height)
    )
    known: NDArray[np.bool_] = (entries.recorded_height[entry] <= height) & ~is_replaced
    return known


def _taken(column: Int64, entry: Int64, absent: int) -> Int64:
    if not len(column):
        return np.full(len(entry), absent, dtype=np.int64)
    return np.where(entry >= 0, column[entry], absent)
