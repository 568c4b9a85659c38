"""The one kind of error of a folder: a line that names file, row and column, what is wrong there and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from gridcore.errors import UsageError

_NAMES_SHOWN_MAX = 8


class FilesError(UsageError):
    """A folder that cannot be settled as it is."""


def fault(file: str, what: str, right: str, *, row: int | None = None, column: str | None = None) -> FilesError:
    """The error for a place: ``file, row N, column: what; right``. The header is row 1, as a spreadsheet counts."""
    place = file
    if row is not None:
        place += f", row {row}"
    if column is not None:
        place += f", {column}"
    return FilesError(f"{place}: {what}; {right}")


def not_read(name: str, known: Iterable[str]) -> str:
    """The note of a file whose name is none of those that are looked for."""
    return f"{name} is not read: it is none of {', '.join(known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """What would be right for a name that is none of ``known``: the nearest of them, or some."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "none is known here"
    more = f" and {len(names) - _NAMES_SHOWN_MAX} more" if len(names) > _NAMES_SHOWN_MAX else ""
    return f"known: {', '.join(names[:_NAMES_SHOWN_MAX])}{more}"
