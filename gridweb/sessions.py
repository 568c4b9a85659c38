"""Who is signed in: sessions on the server's side, known to a browser by a random token alone.

The database keeps the token's digest, so that its readers cannot take over a session. A session ends after IDLE_S without
a request, after AGE_S in any case, at sign-out, and when its user signs in more than SESSIONS_OF_USER_MAX times.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from typing import Final, NamedTuple

from gridcore.clock import Clock
from gridcore.logs import get_logger
from gridcore.serving.problems import Problem
from gridcore.sm3 import sm3
from gridweb.access import Role, Viewer

IDLE_S: Final = 12 * 3600
AGE_S: Final = 7 * 86_400
SEEN_STEP_S: Final = 300
"""A session's last use is written at most this often."""
SESSIONS_OF_USER_MAX: Final = 32
SESSIONS_MAX: Final = 100_000
TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 64

log = get_logger(__name__)


class _Session(NamedTuple):
    """A session that stands, and when it was last used."""

    viewer: Viewer
    seen_s: int


class Sessions:
    """Sessions in the database of ``gridweb.database``.

    Those of a demonstration, begun without a password, count in a demonstration alone, and no others count there.
    """

    def __init__(self, database: sqlite3.Connection, clock: Clock, *, is_demo: bool) -> None:
        self._database = database
        self._clock = clock
        self._is_demo = is_demo

    def begin(self, viewer: Viewer) -> str:
        """A new session; returns its token, which exists nowhere else. The oldest ones make room.

        Problem 503 when the database takes no writes.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            self._save(token, viewer, self._clock.now_s())
        except sqlite3.OperationalError as error:
            log.error("session_not_saved", reason=str(error))
            raise Problem("busy", "nobody can sign in while the disk of this server takes no writes") from None
        return token

    def _save(self, token: str, viewer: Viewer, now_s: int) -> None:
        self._expire(now_s)
        self._database.execute(
            "DELETE FROM session WHERE digest IN (SELECT digest FROM session WHERE name = ? ORDER BY seen_s DESC LIMIT -1 OFFSET ?)",
            (viewer.name, SESSIONS_OF_USER_MAX - 1),
        )
        self._database.execute(
            "DELETE FROM session WHERE digest IN (SELECT digest FROM session ORDER BY seen_s DESC LIMIT -1 OFFSET ?)",
            (SESSIONS_MAX - 1,),
        )
        self._database.execute(
            "INSERT INTO session (digest, name, role, party, is_demo, created_s, seen_s) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (_digest(token), viewer.name, viewer.role.value, viewer.party, self._is_demo, now_s, now_s),
        )

    def find(self, token: str | None) -> Viewer | None:
        """Who holds a token, if its session still stands; its use is noted."""
        session = self._standing(token)
        if token is None or session is None:
            return None
        now_s = self._clock.now_s()
        if now_s - session.seen_s >= SEEN_STEP_S:
            try:
                self._database.execute("UPDATE session SET seen_s = ? WHERE digest = ?", (now_s, _digest(token)))
            except sqlite3.OperationalError as error:  # a full disk signs nobody out
                log.warning("session_use_not_noted", reason=str(error))
        return session.viewer

    def stands(self, token: str | None) -> bool:
        """Whether a token's session still stands. That is no use of it: an open stream keeps nobody signed in."""
        return self._standing(token) is not None

    def _standing(self, token: str | None) -> _Session | None:
        if not token or len(token) > TOKEN_CHARACTERS_MAX:
            return None
        row = self._database.execute(
            "SELECT name, role, party, created_s, seen_s FROM session WHERE digest = ? AND is_demo = ?",
            (_digest(token), self._is_demo),
        ).fetchone()
        if row is None:
            return None
        name, role, party, created_s, seen_s = row
        now_s = self._clock.now_s()
        if now_s - seen_s > IDLE_S or now_s - created_s > AGE_S:
            return None  # its row goes with the next sign-in
        return _Session(Viewer(name, Role(role), party), seen_s)

    def end(self, token: str) -> None:
        """End one session. OperationalError when the database takes no writes: then it is not ended."""
        self._database.execute("DELETE FROM session WHERE digest = ?", (_digest(token),))

    def count_by_name(self) -> dict[str, int]:
        """How many sessions stand, by the name of their user."""
        self._expire(self._clock.now_s())
        rows = self._database.execute(
            "SELECT name, COUNT(*) FROM session WHERE is_demo = ? GROUP BY name", (self._is_demo,)
        )
        return dict(rows.fetchall())

    def _expire(self, now_s: int) -> None:
        self._database.execute("DELETE FROM session WHERE seen_s < ? OR created_s < ?", (now_s - IDLE_S, now_s - AGE_S))


def form_token(cookie: str) -> str:
    """What a form must carry to come from the browser that holds ``cookie`` (a session's or a visitor's token)."""
    return hmac.digest(cookie.encode(), b"gridledger form", "sha256").hex()


def is_form_token(cookie: str | None, given: str | None) -> bool:
    """Whether a form's token fits the cookie that came with it."""
    return (
        bool(cookie) and bool(given) and hmac.compare_digest(form_token(cookie or "").encode(), (given or "").encode())
    )


def new_visitor() -> str:
    """A token for a browser that is not signed in yet: its sign-in form is tied to it."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def _digest(token: str) -> bytes:
    return sm3(token.encode("utf-8", "surrogatepass"))
