"""Documents run: links lead somewhere, commands in console blocks parse, Python blocks execute."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger.cli import build_parser
from tests.arch import rules

pytestmark = pytest.mark.arch
ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in rules.repository_files(ROOT) if path.suffix == ".md"]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ROW_MAX = 300
"""Characters of a row of a table or a block; a cell that needs more becomes a list below its table."""
PROSE_MAX = 220
TOOLS = ("cp", "mv", "mkdir", "ls")
"""Of every system; what the pages do with them is executed by tests/integration/test_operating_*.py."""
STAND_ALONE = ("python3 -I -S verify.py ",)


def broken_links(root: Path, page: Path) -> list[str]:
    """Return the relative links of ``page`` that lead to no file or folder."""
    text = re.sub(r"^```.*?^```", "", (root / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
    return [target for target in targets if target and not (root / page.parent / target).exists()]


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of ``language`` in a page; a command that goes on behind a backslash is one line."""
    found = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    return [re.sub(r"\\\n\s*", "", body) for name, body in found if name == language]


def long_rows(page: Path, text: str) -> Iterator[str]:
    """Yield each row of a page that is too long for a diff to show what changed in it."""
    in_block = False
    for number, row in enumerate(text.splitlines(), start=1):
        in_block ^= row.lstrip().startswith("```")
        limit = ROW_MAX if in_block or row.startswith("|") else PROSE_MAX
        if len(row) > limit:
            yield f"{page}:{number}: {len(row)} characters; at most {limit}"


def make_targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def check_command(line: str) -> None:
    """Raise unless ``line`` is a command that exists and whose arguments parse."""
    words = shlex.split(line)
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert targets, line
        assert set(targets) <= make_targets(), line
        arguments = [word.partition("=")[2] for word in words if word.startswith("ARGS=")]
        if targets == ["demo"] and arguments:
            check_command(f"gridledger demo {arguments[0]}")
    elif words[0] == "gridledger":
        if words[1].startswith("-"):
            assert words[1:] in (["--help"], ["--version"]), line
        else:
            build_parser(words[1])[0].parse_args(words[2:])
    elif words[0] in TOOLS:
        assert len(words) > 1, line
    elif words[0] == "cd":
        assert words[1:] == ["demo-7-1"], f"{line}: the folder that the demo makes first"
    else:
        assert line == ". .venv/bin/activate" or line.startswith(STAND_ALONE), line


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(ROOT, page) == []


def test_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "[x](b.md) [y](a.md#top) [z](https://example.org/q) [w](none/)\n```\n[q](r.md)\n```\n"
    )
    assert broken_links(tmp_path, Path("a.md")) == ["b.md", "none/"]


def test_rows_are_short_enough_for_a_diff() -> None:
    ours = [page for page in PAGES if not page.name.startswith("LICENSE")]
    assert [row for page in ours for row in long_rows(page, (ROOT / page).read_text(encoding="utf-8"))] == []


def test_a_long_row_is_found_in_prose_a_table_and_a_block() -> None:
    prose, cell = "x" * (PROSE_MAX + 1), "|" + "x" * ROW_MAX
    text = f"{prose}\n{prose[1:]}\n{cell}\n{cell[:-1]}\n```\n{prose}\n{cell}\n```\n{prose}\n"
    assert [found.split(":")[1] for found in long_rows(Path("a.md"), text)] == ["1", "3", "7", "9"]


def test_every_package_and_step_of_the_path_has_its_link() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert {package for package in rules.PACKAGES if f"](../{package}/" not in text} == set()
    path, _, _ = text.partition("## Packages")
    steps = re.findall(r"^\d+\. .*?(?=^\d+\. |\Z)", path, re.MULTILINE | re.DOTALL)
    assert len(steps) >= 10
    assert [step for step in steps if not LINK.search(step)] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_console_commands_exist_and_their_arguments_parse(page: Path) -> None:
    for block in blocks(page, "console"):
        for line in block.splitlines():
            command = line.removeprefix("$ ")
            if command and not command.startswith("#"):
                check_command(command)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=str)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    found = blocks(page, "python")
    assert found
    for block in found:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
