"""Languages: gettext catalogues read by Babel at the start, the language of a request, and ``_`` for text.

Message ids are the English texts. ``_("…")`` translates now, in the language of the request under way; ``N_("…")`` only
marks a text that is translated when it is shown (titles of columns, navigation). ``make messages`` brings new texts into
both catalogues; a test fails while one has gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources
from typing import Final

from babel import Locale
from babel.messages.pofile import read_po

LANGUAGES: Final = ("zh_CN", "en")
"""Catalogues there are; the first one is for whoever asks for none of them."""
NAMES: Final = {"zh_CN": "中文", "en": "English"}

_language: ContextVar[str] = ContextVar("language", default="en")


def N_(text: str) -> str:  # noqa: N802 - gettext's own name
    """Mark ``text`` for translation; it is translated where it is shown."""
    return text


def _(text: str, **values: object) -> str:
    """``text`` in the language of the request, with ``%(name)s`` filled in from ``values``."""
    found = translate(text)
    return found % values if values else found


def translate(text: str) -> str:
    """The translation of a message id in the language of the request; the text itself where there is none."""
    return catalogue(_language.get()).get(text) or text


def translate_plural(one: str, many: str, count: int) -> str:
    """Singular or plural by ``count``. Chinese has one form: its translation stands under the plural text."""
    return translate(one if count == 1 else many)


def language() -> str:
    """The language of the request under way: one of LANGUAGES."""
    return _language.get()


def locale() -> Locale:
    """Babel's locale of the language of the request."""
    return _locale(_language.get())


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Let the code inside speak the language ``name`` (one of LANGUAGES)."""
    token = _language.set(name)
    try:
        yield
    finally:
        _language.reset(token)


def speak(name: str) -> None:
    """Let the rest of this request speak the language ``name`` (one of LANGUAGES)."""
    _language.set(name)


def choose_language(wished: str | None, accepted: Iterable[str]) -> str:
    """One of LANGUAGES: the one ``wished`` for by name, else the first known of a browser's list ("zh-TW", "en-GB")."""
    if wished in LANGUAGES:
        return wished
    for tag in accepted:
        primary = tag.replace("_", "-").partition("-")[0].lower()
        for name in LANGUAGES:
            if name.partition("_")[0] == primary:
                return name
    return LANGUAGES[0]


@cache
def catalogue(name: str) -> Mapping[str, str]:
    """Message id -> text of one language."""
    path = resources.files("gridweb") / "locales" / name / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        found = read_po(file, locale=name, abort_invalid=True)
    return {str(message.id): str(message.string) for message in found if message.id and message.string}


@cache
def _locale(name: str) -> Locale:
    return Locale.parse(name)
