"""A contract owns its words: no package below or beside the settlement has the name of a line kind or of a price."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement.catalogue import CATALOGUE
from tests.conftest import REPOSITORY

PACKAGES = ("ledger", "gridseries", "gridwatch", "gridweb", "edge")
WORDS = frozenset(
    word
    for entry in CATALOGUE.values()
    for word in (*(kind.kind for kind in entry.contract.line_kinds), *entry.vocabulary.prices)
)
"""Names of line kinds and price keys of every contract."""
VERIFIER = REPOSITORY / "gridweb" / "static" / "verify"
"""Has the arithmetic of every contract, as ``gridevidence`` has, and a page that is made of it."""


def code_texts(path: Path) -> Iterator[str]:
    """Every text of a Python file that is no docstring."""
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


def texts(path: Path) -> Iterator[str]:
    """What a file says to a machine or to a person."""
    if path.suffix == ".py":
        yield from code_texts(path)
    else:
        yield path.read_text("utf-8")


def words_in(path: Path) -> set[str]:
    """The contracts' words that a file holds."""
    return {word for text in texts(path) for word in re.findall(r"\w+", text)} & WORDS


def test_words_are_those_of_every_contract() -> None:
    assert {"trade_buy", "community_buy", "levy", "residual_price_micro_per_kwh"} <= WORDS


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_names_a_line_kind_or_a_price_of_a_contract(package: str) -> None:
    folder = REPOSITORY / package
    files = [
        path
        for suffix in ("py", "html", "js")
        for path in folder.rglob(f"*.{suffix}")
        if "vendor" not in path.parts and not path.is_relative_to(VERIFIER)
    ]
    assert files
    assert {str(path.relative_to(REPOSITORY)): words for path in files if (words := words_in(path))} == {}
