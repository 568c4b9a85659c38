"""The variable parts of addresses: each parameter is declared once, with its text read and refused in one line, and its description."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gridcore.node_interface import WAIT_S_MAX
from gridcore.serving.problems import Problem

_WHOLE = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_SECONDS = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6}))?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)

Read = Callable[[str, str | None], Any]
"""The value of a parameter out of its name and its text, None where it is absent. Problem 400 for what cannot be understood."""


@dataclass(frozen=True)
class Parameter:
    """A part of a path, or a query parameter. ``name``: in the address; ``argument``: of the function that answers;
    ``kind``: the JSON type that OpenAPI gives.
    """

    name: str
    argument: str
    description: str
    read: Read
    kind: str = "string"
    is_in_path: bool = False
    is_required: bool = False


def in_path(name: str, argument: str, description: str, read: Read) -> Parameter:
    """A part of the path."""
    return Parameter(name, argument, description, read, is_in_path=True, is_required=True)


def needed(name: str, description: str, read: Read, kind: str = "integer", argument: str = "") -> Parameter:
    """A query parameter that must be there."""
    return Parameter(name, argument or name, description, read, kind, is_required=True)


def optional(name: str, description: str, read: Read, kind: str = "string", argument: str = "") -> Parameter:
    """A query parameter that may be left out."""
    return Parameter(name, argument or name, description, read, kind)


# ------------------------------------------------------------------------------------------------------------- readers


def read_word(name: str, text: str | None) -> str:
    """A text that is not empty."""
    if not text:
        raise Problem("bad-request", f"the query parameter {name} is missing")
    return text


def read_optional_word(_name: str, text: str | None) -> str | None:
    """A text, or None."""
    return text


def read_whole(name: str, text: str | None) -> int:
    """A whole number."""
    if text is None or _WHOLE.fullmatch(text) is None:
        raise Problem("bad-request", f"the query parameter {name} is a whole number of at most 15 digits")
    return int(text)


def read_whole_or_earlier(name: str, text: str | None) -> int:
    """A whole number, -1 where it is absent: earlier than every instant."""
    return -1 if text is None else read_whole(name, text)


def read_start(name: str, text: str | None) -> int:
    """The first row of a page, 0 where it is absent."""
    start = 0 if text is None else read_whole(name, text)
    if start < 0:
        raise Problem("bad-request", f"the query parameter {name} is 0 or more")
    return start


def read_wait(name: str, text: str | None) -> float:
    """Seconds to wait, 0 where they are absent, never more than WAIT_S_MAX."""
    if text is None:
        return 0.0
    if _SECONDS.fullmatch(text) is None:
        raise Problem("bad-request", f"the query parameter {name} is a number of seconds, such as 20 or 0.5")
    return min(float(text), WAIT_S_MAX)


def read_instant(name: str, text: str | None) -> int:
    """The start of a slot or of a day, UTC seconds."""
    text = read_word(name, text)
    if _WHOLE.fullmatch(text) is None:
        raise Problem("bad-request", f"a {name} is named by its start, UTC seconds, not {text[:40]!r}")
    return int(text)


def read_height(name: str, text: str | None) -> int:
    """A block's height."""
    text = read_word(name, text)
    if _WHOLE.fullmatch(text) is None:
        raise Problem("bad-request", f"a block is named by its height, not {text[:40]!r}")
    return int(text)


def read_digest(name: str, text: str | None) -> bytes:
    """The id of a transaction, or another digest."""
    if text is None or _DIGEST.fullmatch(text) is None:
        raise Problem("bad-request", f"{name} is 64 lower-case hex digits")
    return bytes.fromhex(text)


# ---------------------------------------------------------------------------------------------------------- parameters

_SLOT_START: Final = "A slot's start, UTC seconds."

AREA: Final = in_path("area", "area_id", "An area's id.", read_word)
CALENDAR: Final = in_path("calendar", "calendar_id", "Its id.", read_word)
DAY: Final = in_path("day", "day_start_s", "A local day's start in the area's calendar, UTC seconds.", read_instant)
GATEWAY: Final = in_path("gateway", "gateway_id", "Its id.", read_word)
HEIGHT: Final = in_path("height", "height", "From 1 on.", read_height)
OF_METER: Final = needed("meter", "A meter's code.", read_word, "string", argument="code")
METER: Final = in_path("meter", "code", "Its code.", read_word)
SLOT: Final = in_path("slot", "slot_start_s", _SLOT_START, read_instant)
TRANSACTION_ID: Final = in_path("transaction_id", "transaction_id", "64 hex digits.", read_digest)

DIGEST: Final = needed("digest", "SM3 of the body, 64 hex digits.", read_digest, "string")
BOUNDARY: Final = needed("boundary_s", "A slot boundary, UTC seconds.", read_whole)
AT: Final = optional("time_s", "As it was then, UTC seconds; default now.", read_whole_or_earlier, "integer")
RUN: Final = optional("run", "Name of the run; default the last.", read_optional_word, argument="run_name")
START: Final = optional("start", "First row wanted: the 'next' of the page before.", read_start, "integer")
PARTY: Final = optional("party", "Only the rows of this party.", read_optional_word)

OF_AREA: Final = needed("area", "An id (area).", read_word, "string", "area_id")
OF_GATEWAY: Final = optional("gateway", "An id (gateway).", read_optional_word, argument="gateway_id")
OF_PARTY: Final = (needed("party", "An id (party).", read_word, "string"),)
OF_LINE: Final = (
    *OF_PARTY,
    needed("slot_start_s", _SLOT_START, read_whole),
    needed("line_kind", "An id (line_kind).", read_word, "string"),
    optional("run", "Name of the run; default the last.", read_optional_word, argument="run_name"),
    optional("point", "An id (point); default the first by name that has the line.", read_optional_word),
)
OF_ROW: Final = (
    OF_AREA,
    needed("slot_start_s", _SLOT_START, read_whole),
    needed("row", "A row of the area's zone, from 0.", read_whole),
    RUN,
)
OF_SLOT: Final = needed("slot", _SLOT_START, read_instant, argument="slot_start_s")
