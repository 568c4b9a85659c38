"""Makes ``static/verify/offline.html`` of the modules beside it: the verifier as one page that works without a network.

    python -m gridweb.build_offline

Browsers load no module of another file from ``file://``. So the modules are joined here to one inline script, without a bundler:
each module's text as it is, after the modules that it imports; its imports and the word ``export`` fall away. So a module imports
names one by one, without ``as``, and no name stands at the top of two modules. Beside the page stands ``MANIFEST``: the SM3 of each
module, of the page, and of the stand-alone verifier in Python.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridcore import verify
from gridcore.errors import require
from gridcore.sm3 import sm3
from gridweb.i18n import LANGUAGES, NAMES, speaking, translate
from gridweb.static_files import static_folder
from gridweb.verify_words import PAGE_TEXTS, verify_words

FOLDER: Final = static_folder() / "verify"
PAGE, MANIFEST = FOLDER / "offline.html", FOLDER / "MANIFEST"
FIRST_MODULE: Final = "dropped.mjs"
STYLE: Final = FOLDER / "offline.css"
_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=async function |function |class |const )", re.MULTILINE)
_TOP: Final = re.compile(r"^(?:export )?(?:async function|function|class|const|let) ([\w$]+)", re.MULTILINE)
_HTML_TAGS: Final = {"en": "en", "zh_CN": "zh-CN"}


@dataclass(frozen=True)
class Module:
    """One module, read. ``modules``: those that it imports, in that order; ``names``: what stands at its top."""

    path: Path
    body: str
    modules: tuple[Path, ...]
    names: tuple[str, ...]


def script() -> str:
    """All modules as one script. InvariantError where they cannot be joined."""
    modules = list(_in_order(FOLDER / FIRST_MODULE, set()))
    names = [name for module in modules for name in module.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"each name stands at the top of one module, not of two: {', '.join(twice)}")
    return "\n".join(f"// ---- {_name(module.path)}\n{module.body}" for module in modules)


def _in_order(path: Path, seen: set[Path]) -> Iterator[Module]:
    """A module after all that it imports, each once."""
    seen.add(path)
    module = _read(path)
    for other in module.modules:
        if other not in seen:
            yield from _in_order(other, seen)
    yield module


def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    imports = list(_IMPORT.finditer(text))
    require(all(" as " not in found[1] for found in imports), f"{path}: imports without 'as'")
    body = _EXPORT.sub("", _IMPORT.sub("", text)).strip("\n") + "\n"
    left = re.search(r"^(?:import|export)\b.*", body, re.MULTILINE)
    require(left is None, f"{path}: a form of import or export that cannot be joined: {left and left[0]}")
    require("</script" not in body.lower(), f"{path}: an end of the script")
    modules = tuple((path.parent / found[2]).resolve() for found in imports)
    return Module(path, body, modules, tuple(_TOP.findall(text)))


def _name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def offline_page() -> str:
    """The page: both languages, one script, one style, and a policy that allows these two alone."""
    code, style = f"\n{script()}", f"\n{STYLE.read_text(encoding='utf-8')}"
    policy = f"default-src 'none'; script-src '{_source(code)}'; style-src '{_source(style)}'; base-uri 'none'; form-action 'none'"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        "<title>GridLedger</title>",
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        "<main>",
        *(_section(language) for language in reversed(LANGUAGES)),
        "</main>",
        f'<script type="module">{code}</script>',
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _source(text: str) -> str:
    """What a policy names an inline script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _section(language: str) -> str:
    """The form in one language, its words, and where its verdict is put."""
    with speaking(language):
        said = {name: translate(text) for name, text in PAGE_TEXTS.items()}
        words = html.escape(json.dumps(verify_words(), ensure_ascii=False, sort_keys=True))
    inputs = [
        f'<label>{said[name]} <input type="file" name="{name}" accept="{end}"></label>'
        for name, end in (("bundle", ".evd"), ("trust", ".json"), ("book", ".book"))
    ]
    return "\n".join(
        [
            f'<section lang="{_HTML_TAGS[language]}" id="{language}">',
            f"<h1>{said['title']}</h1>",
            f"<p>{said['offline_intro']}</p>",
            f'<form data-words="{words}">',
            *inputs,
            f"<p>{said['drop_here']}</p>",
            f'<button type="submit">{said["verify"]}</button>',
            "</form>",
            '<div data-verdict role="status"></div>',
            *(f'<p><a href="#{other}">{NAMES[other]}</a></p>' for other in LANGUAGES if other != language),
            "</section>",
        ]
    )


def manifest(page: str) -> str:
    """SM3 and name of each module, of the page, and of the stand-alone verifier."""
    files = {f"verify/{_name(path)}": path.read_bytes() for path in sorted(FOLDER.rglob("*.mjs"))}
    files |= {"verify/offline.html": page.encode(), "verify.py": Path(verify.__file__).read_bytes()}
    return "".join(f"{sm3(data).hex()}  {name}\n" for name, data in files.items())


if __name__ == "__main__":
    PAGE.write_text(offline_page(), encoding="utf-8")
    MANIFEST.write_text(manifest(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
