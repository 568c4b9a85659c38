"""The cookies of the pages and their flags: all HttpOnly and SameSite=Strict, behind TLS Secure with the prefix __Host-.

A demonstration knows its browsers by cookies that name its port: browsers send one machine's cookies to all of its ports, and
two demonstrations on it would sign each other's visitors out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

from quart import g, redirect, request

from gridcore.serving.ports import is_loopback
from gridcore.serving.problems import Problem
from gridweb.i18n import LANGUAGES, choose_language, speak
from gridweb.sessions import AGE_S

Name = Literal["session", "visitor", "browser", "language", "theme"]

THEMES: Final = ("auto", "light", "dark")
PREFERENCE_S: Final = 365 * 86_400
CHOICES: Final[tuple[tuple[str, Name, Sequence[str]], ...]] = (
    ("lang", "language", LANGUAGES),
    ("theme", "theme", THEMES),
)
"""Query parameter of a page, the cookie that remembers it, and its values."""
_LIFE_S: Final[dict[Name, int | None]] = {
    "session": AGE_S,
    "visitor": None,
    "browser": PREFERENCE_S,
    "language": PREFERENCE_S,
    "theme": PREFERENCE_S,
}
_OF_ONE_SITE: Final = frozenset({"session", "visitor", "browser"})
"""What tells who somebody is; language and brightness are the same to all demonstrations of a machine."""


@dataclass(frozen=True)
class Cookies:
    """Reads and sets our cookies. ``is_secure``: browsers come by TLS; ``port``: of a demonstration, as browsers see it."""

    is_secure: bool
    port: int | None = None

    def name(self, name: Name) -> str:
        """What a browser calls it."""
        of_port = f"_{self.port}" if self.port is not None and name in _OF_ONE_SITE else ""
        return f"{'__Host-' if self.is_secure else ''}gridledger_{name}{of_port}"

    def read(self, name: Name) -> str | None:
        """The value that came with the request."""
        return request.cookies.get(self.name(name))

    def set(self, response: Any, name: Name, value: str) -> None:
        """Give the browser a cookie."""
        response.set_cookie(self.name(name), value, max_age=_LIFE_S[name], **self._flags())

    def delete(self, response: Any, name: Name) -> None:
        """Take a cookie away."""
        response.delete_cookie(self.name(name), **self._flags())

    def _flags(self) -> dict[str, Any]:
        return {"path": "/", "secure": self.is_secure, "httponly": True, "samesite": "Strict"}


def apply_preferences(cookies: Cookies) -> Any | None:
    """Language and theme of this request from its cookies; where its address chooses one, the redirect that remembers it."""
    speak(choose_language(cookies.read("language"), request.accept_languages.values()))
    theme = cookies.read("theme")
    g.theme = theme if theme in THEMES else THEMES[0]
    asked = [(query, name, values) for query, name, values in CHOICES if query in request.args]
    if not asked or request.method != "GET":
        return None
    others = [
        (key, value) for key, value in request.args.items(multi=True) if key not in {query for query, *_ in asked}
    ]
    response = redirect(local_address(request.path, others), 303)
    for query, name, values in asked:
        if request.args[query] in values:
            cookies.set(response, name, request.args[query])
    return response


def local_address(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    """An address of ours out of a path as it was decoded: quoted, and never one that browsers take for another site's."""
    query = urlencode(list(pairs))
    return "/" + quote(path.lstrip("/")) + (f"?{query}" if query else "")


def demo_port(host: str) -> int | None:
    """The port under which a browser sees a demonstration, out of the header ``Host``; None where it names none.

    Problem 403 unless the host is this machine itself: a page of another site whose name was made to lead here (DNS rebinding)
    would otherwise get in, since a demonstration asks for no password.
    """
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        name, port = "", None
    if not is_loopback(name):
        raise Problem(
            "not-authorised", "a demonstration is open under this machine's own name alone: 127.0.0.1 or localhost"
        )
    return port
