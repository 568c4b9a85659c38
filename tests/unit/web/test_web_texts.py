"""Texts of the pages: both catalogues complete and of today, no text of a template outside them, nothing inline, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from babel.messages.catalog import Catalog

from gridcore.errors import UsageError
from gridweb import catalogues
from gridweb.i18n import LANGUAGES, N_, _, catalogue, choose_language, language, speaking, translate_plural
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "gridweb"
TEMPLATES = sorted((FOLDER / "templates").rglob("*.html"))
SAME_EVERYWHERE = frozenset(
    "GridLedger CSV JSON UTC KiB kWh Wh kW V s ms SM2 SM3 OBIS API Modbus MQTT verify.py trust.json".split()
)
"""Words that are no language's: names, units, formats, files."""
SHOWN_ATTRIBUTES = frozenset(["alt", "aria-label", "placeholder", "title", "aria-description", "label", "data-label"])
HOLE = "\x00"


def placeholders(text: str) -> list[str]:
    """The names that a text is filled in with."""
    return sorted(re.findall(r"%\((\w+)\)s|(%%)", text))


@pytest.fixture(scope="module")
def template() -> Catalog:
    """Every text that the pages say today."""
    return catalogues.extract()


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_catalogue_has_every_text_of_today_and_no_other(template: Catalog, name: str) -> None:
    own = catalogues.read(FOLDER / "locales" / name / "LC_MESSAGES" / "messages.po", name)
    texts = {message.id for message in template if message.id}
    assert {message.id for message in own if message.id} == texts  # else: make messages
    assert list(catalogues.gaps(own)) == []
    assert not own.obsolete
    for message in own:
        if message.id:
            assert placeholders(str(message.id)) == placeholders(str(message.string)), message.id


def test_chinese_texts_are_chinese(template: Catalog) -> None:
    own = catalogue("zh_CN")
    same = [text for text in own if own[text] == text and re.search(r"[A-Za-z]{2}", re.sub(r"%\(\w+\)s", "", text))]
    assert set(same) <= SAME_EVERYWHERE | {"English"}


class _Shown(HTMLParser):
    """Collects what a reader would see: text, and attributes that are shown or read aloud; notes what may not be there."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.faults: list[str] = []
        self._stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._stack.append(tag)
        values = {name: value or "" for name, value in attrs}
        self.texts += [value for name, value in values.items() if name in SHOWN_ATTRIBUTES]
        if tag == "style" or (tag == "script" and "src" not in values):
            self.faults.append(f"inline <{tag}>")
        for name, value in values.items():
            if name == "style" or name.startswith(("on", "hx-on")):
                self.faults.append(f"attribute {name}")
            if name in ("src", "href", "action") and re.match(r"(?:[a-z]+:)?//", value):
                self.faults.append(f"{name} leads elsewhere: {value}")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._stack:
            while self._stack.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"code", "script"} & set(self._stack):
            self.texts.append(data)


def shown(path: Path) -> _Shown:
    """A template as a reader sees it, with a hole wherever it is filled in."""
    environment = jinja2.Environment(autoescape=True, extensions=["jinja2.ext.i18n"])
    parts: list[str] = []
    for _line, kind, value in environment.lex(path.read_text(encoding="utf-8")):
        if kind == "data":
            parts.append(value)
        elif kind == "variable_begin":
            parts.append(HOLE)
    parser = _Shown()
    parser.feed("".join(parts))
    parser.close()
    return parser


def bare_words(texts: list[str]) -> Iterator[str]:
    """Words of a language in texts that no catalogue knows."""
    for text in texts:
        for word in re.findall(r"[^\W\d_][\w.]*", text.replace(HOLE, " ")):
            if word.rstrip(".") not in SAME_EVERYWHERE:
                yield word


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(FOLDER / "templates")))
def test_a_template_says_nothing_outside_the_catalogues(path: Path) -> None:
    assert list(bare_words(shown(path).texts)) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(FOLDER / "templates")))
def test_a_template_has_nothing_inline_and_nothing_from_elsewhere(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert shown(path).faults == []
    assert not re.search(r"\|\s*safe\b|autoescape\s+false", source)
    for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", source, flags=re.DOTALL | re.IGNORECASE):
        assert "form_field()" in form


def test_the_look_for_bare_text_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "t.html"
    path.write_text(
        '{% if x %}<p title="Hint {{ y }}">Price {{ _("Price") }}: 5 kWh</p>{% endif %}<code>run me</code>'
        '<a href="https://x.example" onclick="go()">{{ z }}</a><style></style>'
    )
    found = shown(path)
    assert list(bare_words(found.texts)) == ["Hint", "Price"]
    assert found.faults == ["href leads elsewhere: https://x.example", "attribute onclick", "inline <style>"]


@pytest.mark.parametrize("path", sorted((FOLDER / "static").glob("*.*")), ids=lambda path: path.name)
def test_our_own_files_load_nothing_from_elsewhere(path: Path) -> None:
    found = re.findall(r"https?://[\w.-]+|url\(\s*[\"']?//", path.read_text(encoding="utf-8"))
    assert set(found) <= {"http://www.w3.org"}


# ---------------------------------------------------------------------------------------------------- languages


@pytest.mark.parametrize(
    ("wished", "accepted", "name"),
    [
        ("en", ["zh-CN"], "en"),
        ("fr", ["en-GB", "zh"], "en"),
        (None, ["fr", "zh-TW", "en"], "zh_CN"),
        (None, ["EN_us"], "en"),
        (None, ["fr", "*"], "zh_CN"),
        (None, [], "zh_CN"),
    ],
)
def test_a_language_is_the_one_wished_for_else_the_browser_s_else_the_first(
    wished: str | None, accepted: list[str], name: str
) -> None:
    assert choose_language(wished, accepted) == name


def test_texts_are_said_in_the_language_of_the_request() -> None:
    marked = N_("Sign in")
    with speaking("zh_CN"):
        assert _("Sign in") == "登录"
        assert _(marked) == "登录"
        assert translate_plural("Sign in", "Sign in", 2) == "登录"
        with speaking("en"):
            assert language() == "en"
            assert _("no text of ours: %(name)s", name="<b>") == "no text of ours: <b>"
        assert language() == "zh_CN"


def test_make_messages_adds_what_is_new_keeps_what_is_translated_and_drops_what_is_gone(tmp_path: Path) -> None:
    old, fresh = Catalog(locale="zh_CN"), Catalog()
    old.add("kept", "留")
    old.add("gone", "去")
    for text in ("kept", "new"):
        fresh.add(text, None, [("gridweb/a.py", 0)])
    updated = catalogues.update(old, fresh)
    assert {message.id: message.string for message in updated if message.id} == {"kept": "留", "new": ""}
    assert list(catalogues.gaps(updated)) == ["new"]
    path = tmp_path / "messages.po"
    path.write_bytes(catalogues.encode(updated))
    assert catalogues.encode(catalogues.read(path, "zh_CN")) == path.read_bytes()
    with pytest.raises(UsageError, match="no catalogue"):
        catalogues.read(tmp_path / "absent.po", "en")
