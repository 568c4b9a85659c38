"""Documents run: links lead somewhere, commands in console blocks parse, Python blocks execute."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridledger.cli import build_parser
from tests.arch import rules

pytestmark = pytest.mark.arch
ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in rules.repository_files(ROOT) if path.suffix == ".md"]
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ROW_MAX = 300
"""Characters of a row of a table or a block; a cell that needs more becomes a list below its table."""
PROSE_MAX = 220
CONTENTS_FROM_LINES, CONTENTS_MIN = 320, 4
"""A page of more lines begins with links to its own sections, at least so many."""
TOOLS = ("cp", "mv", "mkdir", "ls")
"""Of every system; what the pages do with them is executed by tests/integration/test_operating_*.py."""
STAND_ALONE = ("python3 -I -S verify.py ",)


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return what links may name behind ``#``: the headings of a page, as browsers of repositories spell them."""
    headings = [LINK.sub(r"\1", heading) for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Return the relative links of a page."""
    return [target for _, target in LINK.findall(prose(page)) if "://" not in target]


def broken_links(root: Path, page: Path) -> list[str]:
    """Return the relative links of ``page`` that lead to no file or folder, or to no heading of a page."""
    broken: list[str] = []
    for target in links(root / page):
        name, _, heading = target.partition("#")
        there = root / page.parent / name if name else root / page
        if not there.exists() or (heading and there.suffix == ".md" and heading not in anchors(there)):
            broken.append(target)
    return broken


def unlisted(folder: Path) -> list[str]:
    """Return the pages below ``folder`` that neither its index nor the README of their own folder links to."""
    contents = (folder / "index.md", *sorted(folder.rglob("README.md")))
    listed = {(page.parent / target.partition("#")[0]).resolve() for page in contents for target in links(page)}
    return [str(page) for page in sorted(folder.rglob("*.md")) if page != contents[0] and page.resolve() not in listed]


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
        "# On `top`\n[x](b.md) [y](a.md#on-top) [z](https://example.org/q) [w](none/) [v](#below)\n```\n[q](r.md)\n```\n"
    )
    assert broken_links(tmp_path, Path("a.md")) == ["b.md", "none/", "#below"]


def test_every_page_is_in_a_table_of_contents() -> None:
    assert unlisted(ROOT / "docs") == []


def test_a_page_that_no_table_of_contents_has_is_found(tmp_path: Path) -> None:
    (tmp_path / "of").mkdir()
    (tmp_path / "index.md").write_text("[b](b.md) [of](of/README.md)\n")
    (tmp_path / "of" / "README.md").write_text("[d](d.md)\n")
    for name in ("b.md", "c.md", "of/d.md", "of/e.md"):
        (tmp_path / name).write_text("# A page\n")
    assert [Path(page).name for page in unlisted(tmp_path)] == ["c.md", "e.md"]


def test_rows_are_short_enough_for_a_diff() -> None:
    ours = [page for page in PAGES if not page.name.startswith("LICENSE")]
    assert [row for page in ours for row in long_rows(page, (ROOT / page).read_text(encoding="utf-8"))] == []


def test_a_long_row_is_found_in_prose_a_table_and_a_block() -> None:
    prose, cell = "x" * (PROSE_MAX + 1), "|" + "x" * ROW_MAX
    text = f"{prose}\n{prose[1:]}\n{cell}\n{cell[:-1]}\n```\n{prose}\n{cell}\n```\n{prose}\n"
    assert [found.split(":")[1] for found in long_rows(Path("a.md"), text)] == ["1", "3", "7", "9"]


def test_a_long_page_begins_with_its_contents() -> None:
    long = [page for page in PAGES if len((ROOT / page).read_text(encoding="utf-8").splitlines()) > CONTENTS_FROM_LINES]
    assert len(long) > 5
    begins = {page: prose(ROOT / page).partition("\n## ")[0 if page.name != "CHANGELOG.md" else 2] for page in long}
    assert [page for page, text in begins.items() if text.count("](#") < CONTENTS_MIN] == []


def test_no_entry_of_the_changelog_is_there_twice() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = [" ".join(entry.split()) for entry in re.split(r"^(?=- |#)", text, flags=re.MULTILINE)]
    assert [entry for entry, count in Counter(entries).items() if count > 1 and entry.startswith("- ")] == []


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
