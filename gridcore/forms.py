"""Forms of single values: what a field of a transaction or of a genesis leaf may hold, in words and as a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gridcore.column import I64_MAX, I64_MIN
from gridcore.envelope import NAME as NAME_PATTERN

TIME_S_MAX: Final = 253_402_300_799
"""The last second of the year 9999: a clock that is set beyond it was mistyped."""


class Form(NamedTuple):
    """What a field holds: ``words`` for a person, to follow "the field is"; ``holds``, the test."""

    words: str
    holds: Callable[[Any], bool]


def integer(low: int = I64_MIN, high: int = I64_MAX) -> Form:
    """A whole number from ``low`` to ``high``; true and false are none."""
    return Form(f"a whole number, {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def text(low: int, high: int) -> Form:
    """A text of ``low`` to ``high`` characters."""
    return Form(
        f"a text of {low} to {high} characters", lambda value: isinstance(value, str) and low <= len(value) <= high
    )


def octets(count: int) -> Form:
    """A byte string of ``count`` bytes."""
    return Form(f"{count} bytes", lambda value: isinstance(value, bytes) and len(value) == count)


def exactly(constant: Any, words: str) -> Form:
    """One value, of the same type."""
    return Form(words, lambda value: type(value) is type(constant) and value == constant)


def choice(*choices: str) -> Form:
    """One of some texts."""
    return Form(f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices)


BOOL: Final = Form("true or false", lambda value: isinstance(value, bool))
DIGEST: Final = octets(32)
INSTANT: Final = integer(0, TIME_S_MAX)
NAME: Final = Form(
    "1 to 64 of A-Z a-z 0-9 . _ -",
    lambda value: isinstance(value, str) and NAME_PATTERN.fullmatch(value) is not None,
)
LINE: Final = Form(
    "a text of at most 64 printable characters",
    lambda value: isinstance(value, str) and len(value) <= 64 and value.isprintable(),
)
NUMBERS: Final = Form(
    "a map of whole numbers",
    lambda value: isinstance(value, dict) and all(isinstance(item, int) for item in value.values()),
)
U32: Final = integer(0, 2**32 - 1)
