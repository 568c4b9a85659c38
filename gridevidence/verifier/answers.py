"""The answers of the verifier, and how a claim that does not hold gives one."""

from __future__ import annotations

from typing import Final, NoReturn

VERIFIED, NOT_VERIFIED, CANNOT_BE_DECIDED, BAD_USAGE = "verified", "not verified", "cannot be decided", "bad usage"
EXIT_STATUS: Final = {VERIFIED: 0, NOT_VERIFIED: 1, BAD_USAGE: 2, CANNOT_BE_DECIDED: 3}
UNWRITABLE: Final = "the answer cannot be written to the standard output"


class Halt(Exception):  # noqa: N818  (an answer, not an error of this program)
    """Why a claim does not hold, cannot be decided, or a file cannot be used: ``args`` = (the answer, the reason)."""


def hold(condition: bool, otherwise: str, answer: str = NOT_VERIFIED) -> None:
    """Halt with ``answer`` and the reason ``otherwise`` unless ``condition`` holds."""
    if not condition:
        raise Halt(answer, otherwise)


def refuse(reason: str) -> NoReturn:
    """Halt: not verified."""
    raise Halt(NOT_VERIFIED, reason)


def same(what: str, found: object, due: object) -> None:
    """Hold that ``what`` was ``found`` as it is ``due``."""
    hold(found == due, f"{what} is {plain(found)}, not {plain(due)}")


def plain(text: object) -> str:
    """Text that is safe on a terminal: bytes in hex, anything but printable ASCII escaped, anything long cut."""
    shown = (text.hex() if isinstance(text, bytes) else str(text))[:160]
    return shown if shown.isascii() and shown.isprintable() else ascii(shown)[1:-1]
