"""Who of an organisation has taken an exception, and who has done it, with a note: kept beside the users of its pages (ADR 0132).

What becomes of an exception stands on the ledger (a correction, a dispute); who works on it is the organisation's own matter and stands nowhere else.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from gridcore.clock import Clock
from gridcore.serving.problems import Problem
from gridweb.database import as_one

TAKEN_MAX: Final = 100_000
"""Exceptions of which something is kept: beyond it the oldest make room, those that are done first."""
NOTE_CHARACTERS_MAX: Final = 200
KEY_CHARACTERS_MAX: Final = 300
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*")
"""Without control characters, other ends of lines and turns of direction: the command prints notes on terminals."""


class State(StrEnum):
    """How far an exception is. Nothing is kept of one that is open."""

    OPEN = "open"
    TAKEN = "taken"
    DONE = "done"


class Taken(NamedTuple):
    """What is kept of an exception. person: who has it, or did it; note: one line; by: who said so last; at_s: when, UTC seconds."""

    state: State
    person: str
    note: str
    by: str
    at_s: int


class Worklist:
    """What is kept, in the database of ``gridweb.database``; by the key of an exception (``gridweb.pages.troubles.key_of``)."""

    def __init__(self, database: sqlite3.Connection, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> Mapping[str, Taken]:
        """Everything, by key."""
        rows = self._database.execute("SELECT key, state, person, note, by, at_s FROM taken")
        return {key: Taken(State(state), *rest) for key, state, *rest in rows}

    def find(self, key: str) -> Taken | None:
        """What is kept of an exception, or None while it is open."""
        query = "SELECT state, person, note, by, at_s FROM taken WHERE key = ?"
        row = self._database.execute(query, (key,)).fetchone()
        return None if row is None else Taken(State(row[0]), *row[1:])

    def note(self, key: str, state: State, person: str, note: str, by: str) -> None:
        """Say how far an exception is, in place of what was said before.

        Problem 400 for a key or a note that cannot be, 503 when the database takes no writes.
        """
        if not 0 < len(key) <= KEY_CHARACTERS_MAX:
            raise Problem("bad-request", f"key: 1 to {KEY_CHARACTERS_MAX} characters")
        if len(note) > NOTE_CHARACTERS_MAX or _LINE.fullmatch(note) is None:
            raise Problem("bad-request", f"note: one line of at most {NOTE_CHARACTERS_MAX} characters")
        try:
            with as_one(self._database):
                self._database.execute("DELETE FROM taken WHERE key = ?", (key,))
                if state is State.OPEN:
                    return
                self._database.execute(
                    "DELETE FROM taken WHERE key IN (SELECT key FROM taken ORDER BY state = 'done', at_s DESC LIMIT -1 OFFSET ?)",
                    (TAKEN_MAX - 1,),
                )
                self._database.execute(
                    "INSERT INTO taken (key, state, person, note, by, at_s) VALUES (?, ?, ?, ?, ?, ?)",
                    (key, state.value, person, note, by, self._clock.now_s()),
                )
        except sqlite3.OperationalError:
            raise Problem("busy", "nothing can be noted while the disk of this server takes no writes") from None
