"""Each line of docs/security.md that says what somebody cannot do names a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.arch
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")
FINALITY = (
    "Finality is CometBFT's (Ed25519). Each finalised state is then certified by more than two thirds of the voting power with SM2, by its "
    "own certificate (normally two blocks later) or that of a later header chained to it; until then `verify` answers: cannot be decided."
)


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 20
    missing = [(name, path) for name, path in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")]
    assert missing == []


def test_finality_and_certification_are_stated_in_the_one_agreed_sentence() -> None:
    for page in (PAGE, ROOT / "README.md"):
        assert FINALITY in " ".join(page.read_text(encoding="utf-8").split()), page
