"""The cookies of the pages and their flags: all HttpOnly and SameSite=Strict, behind TLS Secure with the prefix __Host-."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlencode

from quart import g, redirect, request

from gridweb.i18n import LANGUAGES, choose_language, speak
from gridweb.sessions import AGE_S

Name = Literal["session", "visitor", "language", "theme"]

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
    "language": PREFERENCE_S,
    "theme": PREFERENCE_S,
}


@dataclass(frozen=True)
class Cookies:
    """Reads and sets our cookies. ``is_secure``: browsers come by TLS."""

    is_secure: bool

    def name(self, name: Name) -> str:
        """What a browser calls it."""
        return f"__Host-gridledger_{name}" if self.is_secure else f"gridledger_{name}"

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
    response = redirect(request.path + (f"?{urlencode(others)}" if others else ""), 303)
    for query, name, values in asked:
        if request.args[query] in values:
            cookies.set(response, name, request.args[query])
    return response
