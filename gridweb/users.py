"""Users of the pages outside the demo: names, roles, and passwords as argon2id hashes. There is no default user.

Users are made on the server alone (``gridledger serve --config FILE --add-user NAME --role ROLE``). A changed or removed
user is signed out everywhere.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from gridcore.clock import Clock
from gridcore.errors import UsageError, excerpt
from gridweb.access import Role, Viewer
from gridweb.database import as_one

PASSWORD_CHARACTERS_MIN: Final = 12
PASSWORD_BYTES_MAX: Final = 1_024
NAME: Final = re.compile(r"[^\W_][\w.@-]{0,63}")
PARTY: Final = re.compile(r"[!-~]{1,64}")

# RFC 9106's second recommendation: 64 MiB, 3 passes, 4 lanes; about 100 ms of a small machine's core.
_hasher: Final = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
_NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$yfj7LYy+rbNTf354BL5q8Q$mxJJS2pWyGM11UXh24hxY8i3VQkYyJpBgRTnFmCYz5I"
"""Hash of a forgotten random text: an unknown name takes as long as a wrong password."""


@dataclass(frozen=True)
class User:
    """One user. ``party``: of a household, whose data it sees."""

    name: str
    role: Role
    party: str | None
    created_s: int


class Users:
    """Users in the database of ``gridweb.database``."""

    def __init__(self, database: sqlite3.Connection, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def save(self, name: str, role: Role, party: str | None, password: str) -> bool:
        """Add a user, or replace one and end its sessions; returns whether it is new. UsageError naming what does not fit."""
        check_user(name, role, party)
        password_hash = _hasher.hash(check_password(password))
        is_new = self.find(name) is None
        with as_one(self._database):
            self._database.execute(
                "INSERT OR REPLACE INTO user (name, role, party, password_hash, created_s) VALUES (?, ?, ?, ?, ?)",
                (name, role.value, party, password_hash, self._clock.now_s()),
            )
            self._database.execute("DELETE FROM session WHERE name = ?", (name,))
        return is_new

    def remove(self, name: str) -> None:
        """Remove a user and end its sessions. UsageError when there is none."""
        if self.find(name) is None:
            raise UsageError(f"user {excerpt(name)}: there is none of this name")
        with as_one(self._database):
            self._database.execute("DELETE FROM user WHERE name = ?", (name,))
            self._database.execute("DELETE FROM session WHERE name = ?", (name,))

    def find(self, name: str) -> User | None:
        """A user by name."""
        row = self._database.execute("SELECT name, role, party, created_s FROM user WHERE name = ?", (name,)).fetchone()
        return None if row is None else User(row[0], Role(row[1]), row[2], row[3])

    def all(self) -> list[User]:
        """Everybody, by name."""
        rows = self._database.execute("SELECT name, role, party, created_s FROM user ORDER BY name")
        return [User(name, Role(role), party, created_s) for name, role, party, created_s in rows]

    def password_hash(self, name: str) -> str:
        """What ``check`` compares with; of an unknown name the hash of a forgotten text."""
        row = self._database.execute("SELECT password_hash FROM user WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row is not None else _NOBODY

    def viewer(self, name: str) -> Viewer | None:
        """What a user may see."""
        user = self.find(name)
        return None if user is None else Viewer(user.name, user.role, user.party)


def is_password(password_hash: str, password: str) -> bool:
    """Whether a password is the one behind a hash. Takes a core's tenth of a second: not for an event loop."""
    data = password.encode("utf-8", "surrogatepass")
    if len(data) > PASSWORD_BYTES_MAX:
        return False
    try:
        return _hasher.verify(password_hash, data)
    except (Argon2Error, InvalidHashError):
        return False


def check_password(password: str) -> bytes:
    """The password as it is hashed. UsageError when it is too short or too long."""
    if len(password) < PASSWORD_CHARACTERS_MIN:
        raise UsageError(f"password: has at least {PASSWORD_CHARACTERS_MIN} characters")
    data = password.encode("utf-8", "surrogatepass")
    if len(data) > PASSWORD_BYTES_MAX:
        raise UsageError(f"password: has at most {PASSWORD_BYTES_MAX} bytes")
    return data


def check_user(name: str, role: Role, party: str | None) -> None:
    """UsageError unless a user of this form can be: a household has a party, nobody else has one."""
    if NAME.fullmatch(name) is None:
        raise UsageError(f"--add-user {excerpt(name)}: 1 to 64 letters, digits and . @ _ -, a letter or digit first")
    if (party is None) == (role is Role.HOUSEHOLD):
        needs = "needs --party P, the pseudonym whose data it sees" if party is None else "has no --party: it sees all"
        raise UsageError(f"--role {role.value}: {needs}")
    if party is not None and PARTY.fullmatch(party) is None:
        raise UsageError(f"--party {excerpt(party)}: 1 to 64 printable characters without spaces")
