"""``make messages``: find every text of the pages, in Python and in templates, and bring it into the catalogues.

English texts are their own translation. A text that lacks its Chinese stays empty until somebody writes it; what no page
says any more goes. Nothing is guessed from similar texts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from gridcore.errors import UsageError
from gridcore.headline import MANY_HOMES, ONE_HOME, SENTENCES
from gridweb.i18n import LANGUAGES
from gridweb.openapi import summary_of
from gridweb.pages import MODULES
from gridweb.tables import table_routes

SOURCE_LANGUAGE: Final = "en"
_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
_OPTIONS: Final = {
    "templates/**.html": {"encoding": "utf-8", "trimmed": "true", "extensions": "jinja2.ext.i18n", "silent": "false"}
}
_KEYWORDS: Final = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def extract() -> Catalog:
    """Every text that the pages say, with the files that say it."""
    found = Catalog(charset="utf-8")
    folder = Path(__file__).parent
    for file, _, message, comments, context in extract_from_dir(
        str(folder), _METHODS, _OPTIONS, keywords=_KEYWORDS, comment_tags=("Translators:",)
    ):
        name = f"gridweb/{Path(file).as_posix()}"
        found.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    for sentence in (
        ONE_HOME,
        MANY_HOMES,
        *SENTENCES,
    ):  # said by the overview, written where the demonstration finds them, too
        found.add(sentence, None, [("gridcore/headline.py", 0)])
    for module in MODULES:
        import_module(module)
    for route in table_routes():  # said by the page about the interface
        found.add(summary_of(route), None, [(f"{route.function.__module__.replace('.', '/')}.py", 0)])
    return found


def update(catalogue: Catalog, template: Catalog) -> Catalog:
    """A catalogue with exactly the texts of ``template``, and the translations that it has of them."""
    old = {message.id: message.string for message in catalogue if message.id}
    fresh = Catalog(
        locale=catalogue.locale,
        charset="utf-8",
        fuzzy=False,
        header_comment="# Texts of the pages. make messages keeps it.",
    )
    for message in template:
        if message.id:
            own = message.id if catalogue.locale_identifier == SOURCE_LANGUAGE else old.get(message.id, "")
            fresh.add(message.id, own, sorted(set(message.locations)), auto_comments=message.auto_comments)
    return fresh


def encode(catalogue: Catalog) -> bytes:
    """The catalogue as a file: sorted, without line numbers and dates, so that only texts change it."""
    buffer = BytesIO()
    write_po(buffer, catalogue, sort_output=True, include_lineno=False, width=0)
    lines = buffer.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_HEADERS_LEFT_OUT)).encode()


_HEADERS_LEFT_OUT: Final = tuple(
    f'"{name}:'
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
        "MIME-Version",
    )
)


def read(path: Path, language: str) -> Catalog:
    """A catalogue file. UsageError when it is none."""
    try:
        with path.open("rb") as file:
            return read_po(file, locale=language, abort_invalid=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no catalogue ({error})") from None


def gaps(catalogue: Catalog) -> Iterator[str]:
    """Texts without a translation, or with one that is marked as a guess."""
    for message in catalogue:
        if message.id and (not message.string or message.fuzzy):
            yield str(message.id)


def main(folder: Path) -> int:
    """Update the catalogues below ``folder``; says on stderr what lacks a translation."""
    template = extract()
    for language in LANGUAGES:
        path = folder / language / "LC_MESSAGES" / "messages.po"
        updated = update(read(path, language), template)
        path.write_bytes(encode(updated))
        missing = list(gaps(updated))
        sys.stderr.write(f"{path}: {len(template)} texts, {len(missing)} without translation\n")
        sys.stderr.writelines(f"  {text}\n" for text in missing)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
