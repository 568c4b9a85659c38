"""Who stands behind the pseudonyms of the ledger: a file of the organisation that knows them, and of nobody else.

The ledger holds pseudonyms alone. A pseudonym made here is a salted digest of the organisation's own reference; the salt is in
this file and nowhere else, so once a person is erased nobody can tell whose the pseudonym was, not by guessing either.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from typing import Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridcore.forms import NAME
from gridcore.sm3 import sm3
from gridweb.database import Schema, as_one

PEOPLE: Final = Schema(
    1,
    """
CREATE TABLE IF NOT EXISTS person (
  party TEXT PRIMARY KEY, reference TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS statement (
  digest BLOB NOT NULL, party TEXT NOT NULL, words TEXT NOT NULL, PRIMARY KEY (digest, party)
) STRICT;
""",
    "web.people",
)
TEXT_CHARACTERS_MAX: Final = 200
SALT_BYTES: Final = 16
_PSEUDONYM_HEX_DIGITS: Final = 20
_PRINTABLE: Final = re.compile(rf"[^\x00-\x1f\x7f]{{1,{TEXT_CHARACTERS_MAX}}}")


class Person(NamedTuple):
    """party: the pseudonym on the ledger; reference: the organisation's own, such as a customer number; address: "" if not kept."""

    party: str
    reference: str
    name: str
    address: str


def check_person(reference: str, name: str, address: str, party: str | None) -> None:
    """UsageError naming the argument of ``gridledger people add`` that no person can have."""
    for argument, text in (("--reference", reference), ("--name", name), ("--address", address or "-")):
        if _PRINTABLE.fullmatch(text) is None:
            raise UsageError(f"{argument} {excerpt(text)}: a printable text of 1 to {TEXT_CHARACTERS_MAX} characters")
    if party is not None and not NAME.holds(party):
        raise UsageError(f"--party {excerpt(party)}: is {NAME.words}")


class People:
    """Persons in a database of ``PEOPLE``; one thread at a time."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, reference: str, name: str, address: str = "", party: str | None = None) -> Person:
        """Keep a person, under a pseudonym that is made now, or under one that the ledger has already (``party``).

        UsageError naming what does not fit, a reference or a pseudonym that is taken.
        """
        check_person(reference, name, address, party)
        salt = secrets.token_bytes(SALT_BYTES)
        person = Person(party or pseudonym(salt, reference), reference, name, address)
        try:
            self._database.execute(
                "INSERT INTO person (party, reference, salt, name, address) VALUES (?, ?, ?, ?, ?)",
                (person.party, reference, salt, name, address),
            )
        except sqlite3.IntegrityError:
            taken = f"reference {excerpt(reference)} or party {excerpt(person.party)}"
            raise UsageError(
                f"{taken}: is kept already; erase it first, or look with: gridledger people list"
            ) from None
        return person

    def find(self, party: str) -> Person | None:
        """Who stands behind a pseudonym, or None."""
        query = "SELECT party, reference, name, address FROM person WHERE party = ?"
        row = self._database.execute(query, (party,)).fetchone()
        return None if row is None else Person(*row)

    def all(self) -> list[Person]:
        """Everybody, by pseudonym."""
        rows = self._database.execute("SELECT party, reference, name, address FROM person ORDER BY party")
        return [Person(*row) for row in rows]

    def keep_words(self, party: str, words: str) -> None:
        """Keep what somebody wrote in a dispute of a party, whose SM3 stands on the ledger; as often as one likes."""
        self._database.execute(
            "INSERT OR IGNORE INTO statement (digest, party, words) VALUES (?, ?, ?)",
            (sm3(words.encode()), party, words),
        )

    def words_of(self, party: str) -> dict[bytes, str]:
        """What was written in disputes of a party, by its SM3."""
        query = "SELECT digest, words FROM statement WHERE party = ?"
        return dict(self._database.execute(query, (party,)).fetchall())

    def erase(self, party: str) -> None:
        """Remove a person and the words of its disputes from the file, in its free pages and its log too.

        UsageError when nobody is kept under ``party``, nor any words.
        """
        if self.find(party) is None and not self.words_of(party):
            raise UsageError(f"party {excerpt(party)}: nobody is kept under this pseudonym")
        with as_one(self._database):
            self._database.execute("DELETE FROM person WHERE party = ?", (party,))
            self._database.execute("DELETE FROM statement WHERE party = ?", (party,))
        busy = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise UsageError(
                "erased, but the file's log is still in use: do it once more in a moment, or restart the pages"
            )


def pseudonym(salt: bytes, reference: str) -> str:
    """The name on the ledger of whom the organisation knows by ``reference``: "P" and 20 hex digits of SM3(salt || reference)."""
    return "P" + sm3(salt + reference.encode()).hex()[:_PSEUDONYM_HEX_DIGITS]
