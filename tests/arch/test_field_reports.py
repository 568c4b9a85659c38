"""Each field report and each theme on docs/field-reports.md names a test, and the test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.arch
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "field-reports.md"
NAMED = re.compile(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")
KINDS_MIN, THEMES = 29, 12


def _rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head and the rows that only part it."""
    part = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("|")]
    return [row for row in cells[2:] if row[1]]


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    missing = [(name, path) for name, path in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")]
    assert missing == []


def test_every_kind_and_theme_has_a_test() -> None:
    kinds, themes = _rows("Kinds"), _rows("What users ask for")
    assert (len(kinds) >= KINDS_MIN, len(themes)) == (True, THEMES)
    assert [row for row in (*kinds, *themes) if not NAMED.search(row[2])] == []
