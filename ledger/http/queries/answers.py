"""What answers are made of: pages of rows, and leaves as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from gridcore.serving.problems import Problem
from ledger.http.view import LedgerView
from ledger.registry.areas import Area

PAGE_ROWS_MAX: Final = 20_000

T = TypeVar("T")


def window(rows: int, start: int) -> tuple[int, int, int | None]:
    """First row, end row and start of the page after, of ``rows`` rows."""
    end = min(start + PAGE_ROWS_MAX, rows)
    return min(start, rows), end, end if end < rows else None


def settling_window(area: Area, party: str | None, start: int) -> tuple[int, int, int | None]:
    """The page of settling rows at ``start``; for one party, its row alone. Problem 404 for a party that has none."""
    if party is None:
        return window(len(area.settling), start)
    row = area.settling_row_of(party)
    if row is None:
        raise Problem("not-found", f"no party {party!r} in area {area.id!r}")
    return row, row + 1, None


def page(rows: Sequence[T], start: int) -> tuple[Sequence[T], int | None]:
    """The rows of the page at ``start``, and the start of the page after."""
    first, end, following = window(len(rows), start)
    return rows[first:end], following


def leaf_page(view: LedgerView, prefix: str, start: int) -> tuple[list[str], int | None]:
    """The keys of leaves that begin with ``prefix``, in number order, of the page at ``start``; the start of the page after."""
    keys = view.reader.leaf_keys(prefix, start, PAGE_ROWS_MAX + 1)
    return keys[:PAGE_ROWS_MAX], start + PAGE_ROWS_MAX if len(keys) > PAGE_ROWS_MAX else None


def plain(value: Any) -> Any:
    """A leaf's value for JSON: bytes as hex digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
