"""What answers are made of: pages of rows, and leaves as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridcore.serving.problems import Problem
from ledger.http.view import LedgerView
from ledger.leaves.columns import Int64
from ledger.registry.areas import Area

PAGE_ROWS_MAX: Final = 20_000


def window(rows: int, start: int) -> tuple[int, int, int | None]:
    """First row, end row and start of the page after, of ``rows`` rows."""
    end = min(start + PAGE_ROWS_MAX, rows)
    return min(start, rows), end, end if end < rows else None


def settling_page(area: Area, party: str | None, start: int) -> tuple[Int64, int | None]:
    """The page of settling rows of the zone at ``start``, and the start of the page after; for one party, all of its rows.

    Problem 404 for a party that has none.
    """
    if party is None:
        first, end, following = window(len(area.settling), start)
        return area.settling[first:end], following
    rows = area.settling_rows_of(party)
    if not len(rows):
        raise Problem("not-found", f"no party {party!r} in area {area.id!r}")
    return rows, None


def leaf_page(view: LedgerView, prefix: str, start: int, rows_max: int | None = None) -> tuple[list[str], int | None]:
    """The keys of leaves that begin with ``prefix``, in number order, of the page at ``start``; the start of the page after.

    rows_max: of a page, by itself PAGE_ROWS_MAX.
    """
    size = PAGE_ROWS_MAX if rows_max is None else rows_max
    keys = view.reader.leaf_keys(prefix, start, size + 1)
    return keys[:size], start + size if len(keys) > size else None


def plain(value: Any) -> Any:
    """A leaf's value for JSON: bytes as hex digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
