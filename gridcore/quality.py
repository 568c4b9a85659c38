"""The quality byte of a register's value: a code, and flags beside it."""

from __future__ import annotations

ABSENT_QUALITY = 0xFF
"""There is no value."""
MEASURED, ESTIMATED, CORRECTED, SUSPECT, MISSING = range(5)
QUALITIES = ("measured", "estimated", "corrected", "suspect", "missing")
FLAG_LATE, FLAG_INTERPOLATED, FLAG_FROZEN, FLAG_ROLLOVER = 1, 2, 4, 8
FLAGS = {"late": FLAG_LATE, "interpolated": FLAG_INTERPOLATED, "frozen": FLAG_FROZEN, "rollover": FLAG_ROLLOVER}


def quality_words(quality: int) -> tuple[str, tuple[str, ...]]:
    """The word and the flags of a quality byte; an absent value is "missing"."""
    if quality == ABSENT_QUALITY:
        return "missing", ()
    code = quality & 15
    word = QUALITIES[code] if code < len(QUALITIES) else f"unknown {code}"
    return word, tuple(name for name, flag in FLAGS.items() if quality >> 4 & flag)
