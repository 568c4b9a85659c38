"""References of docstrings and comments to modules of ours: what moved or was renamed is looked for in vain where it stood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.arch.rules import PACKAGES

REFERENCE = re.compile(rf"``((?:{'|'.join(PACKAGES)})(?:\.\w+)+)")
FILES_OF = re.compile(r"\.(csv|toml|md|json|cbor|log|db|html)$")
"""Ends names of files, which may begin as a package does (``settlement.csv``)."""


def lost_references(root: Path, path: Path, text: str) -> Iterator[str]:
    """Names between double backticks, of a module or of something in one, that are not there."""
    for number, row in enumerate(text.splitlines(), start=1):
        for name in REFERENCE.findall(row):
            if not FILES_OF.search(name) and not is_there(root, name):
                yield f"{path}:{number}: ``{name}`` is not there"


def is_there(root: Path, name: str) -> bool:
    """Whether a dotted name is a package or module, or is given in one: defined, assigned or imported at its top."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place, rest = root.joinpath(*parts[:length]), parts[length:]
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return not rest or is_given(file.read_text(encoding="utf-8"), rest[0])
    return False


def is_given(text: str, name: str) -> bool:
    """Whether a module gives itself a name."""
    given = rf"(?:async def|def|class) {name}\b|{name}\s*[:=]|from \S+ import .*\b{name}\b"
    return re.search(rf"^(?:{given})|^    {name},$", text, re.MULTILINE) is not None
