"""``calendar/<name>``: the instants at which local days and months begin."""

from __future__ import annotations

from typing import Final

from gridcore.genesis import Calendar
from ledger.leaves.family import Family


def _key(calendar: str) -> str:
    return f"calendar/{calendar}"


CALENDAR: Final = Family("calendar", _key, Calendar)
