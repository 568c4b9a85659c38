"""The quality byte of a register's value: a code, and flags beside it."""

from __future__ import annotations

from collections.abc import Iterable

ABSENT_QUALITY = 0xFF
"""There is no value."""
MEASURED, ESTIMATED, CORRECTED, SUSPECT, MISSING = range(5)
SUBSTITUTED_WORD = "substituted"
QUALITIES = ("measured", "estimated", "corrected", "suspect", "missing")
CODE_MASK = 0x07
"""Of a quality byte: its code. Its other bits are flags."""
FLAG_LATE, FLAG_INTERPOLATED, FLAG_FROZEN, FLAG_ROLLOVER, FLAG_STUCK = 0x10, 0x20, 0x40, 0x80, 0x08
"""Bits of a quality byte. Stuck: the register stands still under load."""
FLAGS = {
    "late": FLAG_LATE,
    "interpolated": FLAG_INTERPOLATED,
    "frozen": FLAG_FROZEN,
    "rollover": FLAG_ROLLOVER,
    "stuck": FLAG_STUCK,
}


SUBSTITUTED = CORRECTED | FLAG_INTERPOLATED
"""A corrected register that nobody read, or an energy that ends with it: stated by an organisation. No ledger holds it and no gateway sends it: who answers for people derives it."""


def quality_words(quality: int) -> tuple[str, tuple[str, ...]]:
    """The word and the flags of a quality byte; an absent value is "missing"."""
    if quality == ABSENT_QUALITY:
        return "missing", ()
    code = quality & CODE_MASK
    if quality & (CODE_MASK | FLAG_INTERPOLATED) == SUBSTITUTED:
        return SUBSTITUTED_WORD, tuple(name for name, flag in FLAGS.items() if quality & flag & ~SUBSTITUTED)
    word = QUALITIES[code] if code < len(QUALITIES) else f"unknown {code}"
    return word, tuple(name for name, flag in FLAGS.items() if quality & flag)


def quality_byte(word: str, flags: Iterable[str]) -> int:
    """The byte that has this word and these flags. ValueError, KeyError for others."""
    code = SUBSTITUTED if word == SUBSTITUTED_WORD else QUALITIES.index(word)
    return code | sum(FLAGS[flag] for flag in flags)
