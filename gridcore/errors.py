"""The three kinds of trouble, and nothing else.

    refusal            an expected answer of the ledger: a numbered ``gridcore.codes`` value, returned, never raised
    GridError          an operating error: something outside is wrong (a file, a key, a device, a peer)
      ├─ UsageError        bad usage or bad input: the command line ends with exit status 2 and one line
      ├─ EncodingError     bytes or values that are not in canonical form
      └─ (one subclass per package, next to the code that raises it)
    InvariantError     our own promise is broken: the process stops; never caught

A ``GridError`` says in one line which file, key, row or field is wrong and what would be right.
"""

from __future__ import annotations

from typing import Final, NoReturn

EXCERPT_CHARACTERS_MAX: Final = 60
"""Most of a text from outside that one error quotes; a chain id fits."""


class GridError(Exception):
    """An operating error. ``str(error)`` is one line a person can act on."""


class UsageError(GridError):
    """Bad usage or bad input; names the file, key or argument and what would be right."""


class EncodingError(GridError):
    """A value that has no canonical encoding, or bytes that are not one."""


class InvariantError(BaseException):
    """A broken promise of our own. Derives from BaseException so that no handler for errors swallows it."""


def excerpt(text: str) -> str:
    """``text`` quoted and escaped for a line of ours, cut where that has more than EXCERPT_CHARACTERS_MAX characters."""
    shown = repr(text[:EXCERPT_CHARACTERS_MAX])
    is_whole = len(text) <= EXCERPT_CHARACTERS_MAX and len(shown) <= EXCERPT_CHARACTERS_MAX
    return shown if is_whole else f"{shown[:EXCERPT_CHARACTERS_MAX]}..."


def require(condition: bool, promise: str) -> None:
    """Raise InvariantError naming ``promise`` unless ``condition`` holds (``assert`` disappears under ``-O``)."""
    if not condition:
        broken(promise)


def broken(promise: str) -> NoReturn:
    """Raise InvariantError for a ``promise`` that does not hold."""
    raise InvariantError(promise)
