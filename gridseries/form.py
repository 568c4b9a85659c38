"""The form of what stores hold, as a number: it changes by itself with the series, and a store of another form is filled anew."""

from __future__ import annotations

import zlib
from typing import Final

from gridseries.series import ALL_SERIES

TABLES: Final = 3
"""Counted up when a store keeps the same series in another way, or rows of the same series get another meaning."""
FORM: Final = (
    zlib.crc32(repr((TABLES, *((one.name, one.tags, one.fields) for one in ALL_SERIES))).encode()) & 0x7FFF_FFFF
)
"""Fits SQLite's ``user_version``. A sum against our own oversight, no protection against anybody."""
