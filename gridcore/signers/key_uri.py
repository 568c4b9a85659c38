"""The parts of a key's URI: ``scheme:place?option=value&option=value``."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gridcore.errors import UsageError, excerpt


class KeyUri(NamedTuple):
    """``origin``: the argument or configuration key that gave it; ``text``: all of it; ``place``: what stands before the options."""

    origin: str
    text: str
    place: str
    options: dict[str, str]

    def fault(self, what: str) -> UsageError:
        """An error in one line that names where the URI came from."""
        return UsageError(f"{self.origin} {excerpt(self.text)}: {what}")

    def number(self, text: str, low: int, high: int, what: str) -> int:
        """A number, decimal or 0x..., from ``low`` to ``high``; UsageError saying ``what`` it is otherwise."""
        try:
            number = int(text, 0)
        except ValueError:
            number = -1
        if not low <= number <= high:
            raise self.fault(f"{excerpt(text)} is no {what}; give one from {low:#x} to {high:#x}")
        return number


def parse_key_uri(uri: str, origin: str, options: Collection[str] = ()) -> KeyUri:
    """The parts of ``uri``, which may have ``options``. UsageError for others, or for one without a value."""
    place, _, query = uri.partition(":")[2].partition("?")
    parsed = KeyUri(origin, uri, place, dict(part.partition("=")[::2] for part in query.split("&") if part))
    for name, value in parsed.options.items():
        if name not in options or not value:
            known = ", ".join(f"{known}=" for known in options) or "none"
            raise parsed.fault(f"{excerpt(name)} is no option with a value; there are: {known}")
    return parsed
