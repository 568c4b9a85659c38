"""Errors as RFC 9457 problems: one line for a person in ``detail``, one word for a program in ``type``."""

from __future__ import annotations

from typing import Any, Final

from gridcore.errors import GridError

PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM_URN: Final = "urn:gridledger:problem:"
"""Before the word, in ``type``."""

TITLES: Final = {
    "bad-request": (400, "The request cannot be understood"),
    "not-authenticated": (401, "The request does not say who asks, or not in a way that counts"),
    "not-authorised": (403, "The caller's roles do not allow this"),
    "not-found": (404, "No such thing"),
    "not-allowed": (405, "The resource does not have this method"),
    "not-certified": (409, "Decided, not yet certified"),
    "gone": (410, "This node no longer has it"),
    "too-large": (413, "The request is too large"),
    "too-many": (429, "Too many requests; wait before the next"),
    "fault": (500, "A fault of the server itself"),
    "busy": (503, "The server cannot take this now; try again later"),
    "not-yet": (503, "This comes by itself, with the next block"),
}


class Problem(GridError):  # noqa: N818 - RFC 9457's own word
    """An answer other than the one asked for. ``word``: a key of TITLES; the message is the problem's detail."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word
        self.status, self.title = TITLES[word]

    def body(self) -> dict[str, Any]:
        """The members of the problem object."""
        return {
            "type": f"{PROBLEM_URN}{self.word}",
            "title": self.title,
            "status": self.status,
            "detail": str(self),
        }


def word_of(status: int) -> str:
    """The word for an HTTP status that something else than our code chose."""
    exact = next((word for word, (number, _) in TITLES.items() if number == status), None)
    return exact or ("bad-request" if status < 500 else "fault")
