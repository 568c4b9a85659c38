"""The page that checks proofs in the browser, the page to keep, and the list of what they are made of."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from pathlib import Path

import pytest

from gridcore import verify
from gridcore.errors import InvariantError
from gridcore.sm3 import sm3
from gridweb import build_offline as builder
from gridweb.i18n import LANGUAGES, speaking
from gridweb.pages import line_tables
from gridweb.verify_words import OPEN, ROLES, verify_words
from tests.unit.verify.honest import TRADE
from tests.unit.web.household_world import evidence_world
from tests.unit.web.web_world import World

VERIFIER_SM3 = sm3(Path(verify.__file__).read_bytes()).hex()
ANEW = "python -m gridweb.build_offline"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return evidence_world(tmp_path, TRADE)


def test_the_committed_page_and_list_are_made_of_the_modules() -> None:
    page = builder.PAGE.read_text(encoding="utf-8")
    assert page == builder.offline_page(), ANEW
    assert builder.MANIFEST.read_text(encoding="utf-8") == builder.manifest(page), ANEW


def test_the_page_allows_its_own_script_and_style_alone_and_names_no_address() -> None:
    page = builder.PAGE.read_text(encoding="utf-8")
    policy = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    inline = re.findall(r'<style>(.*?)</style>|<script type="module">(.*?)</script>', page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256((style or code).encode()).digest()).decode() for style, code in inline]
    assert len(digests) == 2
    assert policy == [
        f"default-src 'none'; script-src 'sha256-{digests[1]}'; style-src 'sha256-{digests[0]}'; base-uri 'none'; form-action 'none'"
    ]
    assert re.findall(r"https?://|\bimport\b[^.]*from|fetch\(|XMLHttpRequest", page) == []


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ({"a.mjs": 'import { b as c } from "./b.mjs";\n', "b.mjs": ""}, "without 'as'"),
        ({"a.mjs": 'import b from "./b.mjs";\n', "b.mjs": ""}, "cannot be joined"),
        ({"a.mjs": "export default 1;\n"}, "cannot be joined"),
        (
            {"a.mjs": 'import { b } from "./b.mjs";\nconst c = 1;\n', "b.mjs": "export const b = 1;\nconst c = 2;\n"},
            "c",
        ),
    ],
    ids=["renamed", "default import", "default export", "a name twice"],
)
def test_modules_that_cannot_be_joined_are_refused(
    modules: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(builder, "FOLDER", tmp_path)
    monkeypatch.setattr(builder, "FIRST_MODULE", "a.mjs")
    with pytest.raises(InvariantError, match=said):
        builder.script()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_the_verifier_is_there(language: str) -> None:
    with speaking(language):
        words = verify_words()
    assert {*OPEN} >= {verify.ESTIMATE_UNCHECKED, verify.APPROVED_UNREAD}
    assert ROLES.keys() == set(verify.ROLE_OF_KIND.values())
    assert words["claims"].keys() == verify.CLAIMS.keys()  # type: ignore[attr-defined]  # a map
    assert words["answers"].keys() == verify.EXIT_STATUS.keys()  # type: ignore[attr-defined]  # a map
    assert words["not_checked"].keys() == {*line_tables.NOT_CHECKED, *OPEN}  # type: ignore[attr-defined]  # a map


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_is_open_to_everybody_and_says_whom_one_trusts(world: World, language: str) -> None:
    page = await world.browser(None, None, language).text("/verify")
    assert sm3(builder.PAGE.read_bytes()).hex() in page
    assert VERIFIER_SM3 in page
    assert page.count('type="file"') == 3
    words = re.search(r'data-words="([^"]*)"', page)
    assert words is not None
    with speaking(language):
        said = json.loads(unescape(words[1]))
        assert said.keys() == verify_words().keys()
        assert said["claims"] == verify_words()["claims"]
    assert said["line_kinds"]


async def test_the_page_to_keep_is_handed_out_as_a_file(world: World) -> None:
    response = await world.browser(None).get("/verify/offline.html")
    assert await response.get_data(as_text=False) == builder.PAGE.read_bytes()
    assert response.headers["Content-Disposition"] == 'attachment; filename="verify-offline.html"'
    listed = await (await world.browser(None).get("/verify/MANIFEST")).get_data(as_text=True)
    assert f"{sm3(builder.PAGE.read_bytes()).hex()}  verify/offline.html\n" in listed
    assert f"{VERIFIER_SM3}  verify.py\n" in listed
