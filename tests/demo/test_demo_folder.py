"""The folder of a demonstration, where others can write: nothing is written through a link that they put there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import NoReturn

import pytest

import gridledger.demo
from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.demo import run
from gridledger.demo.folder import choose_folder
from gridledger.demo.run import Outcome, Plan, run_demo
from gridledger.founding.folder import write_new
from simulators.scenarios.gallery import Found
from tests.worlds.simulated import demonstration

OTHER_WRITES = re.compile(r"write_text|write_bytes|copyfile|open\(\"w")


def test_a_folder_that_is_a_link_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name, target in (("link", theirs), ("leads-nowhere", tmp_path / "none")):
        link = tmp_path / name
        link.symlink_to(target)
        assert main(["demo", "--headless", "--slots", "1", "--out", str(link)]) == 2
        said = capsys.readouterr().err
        assert f"--out {link}: is a link; name the folder itself" in said
        assert said.count("\n") == 1
    assert list(theirs.iterdir()) == []
    assert not (tmp_path / "none").exists()


class NobodyIsShownPages:
    """The audience of a demonstration that ends before it has something to show."""

    def show_progress(self, line: str) -> None:
        assert line

    def show_pages(self, url: str, is_answering: bool) -> None:
        pytest.fail(f"pages at {url}")

    def show_outcome(self, outcome: Outcome) -> None:
        pytest.fail(outcome.text)


@pytest.mark.parametrize("name", ["ledger", "run", "trust.json", "meters.csv", "truth.csv", "losses.csv", "rules.toml"])
def test_a_link_put_into_the_folder_meanwhile_ends_the_demonstration(tmp_path: Path, name: str) -> None:
    out, theirs = choose_folder(tmp_path / "out", seed=7), tmp_path / "theirs"
    if name in ("ledger", "run"):
        theirs.mkdir()
    else:
        theirs.write_text("precious")
    (out / name).symlink_to(theirs)
    with pytest.raises(FileExistsError):
        asyncio.run(run_demo(Plan(out, demonstration(households=1, slots=1, seed=7)), NobodyIsShownPages()))
    assert theirs.read_text() == "precious" if theirs.is_file() else list(theirs.iterdir()) == []


@pytest.mark.parametrize("is_there", [False, True])
def test_a_demonstration_that_is_refused_leaves_no_folder_but_one_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_there: bool
) -> None:
    def refuse(_found: Found) -> NoReturn:
        raise UsageError("its grid cannot carry this")

    out = tmp_path / "out"
    if is_there:
        out.mkdir()
    monkeypatch.setattr(run, "prepare_for_agents", refuse)
    assert main(["demo", "--headless", "--slots", "1", "--out", str(out)]) == 2
    assert "its grid cannot carry this" in capsys.readouterr().err
    assert out.exists() == is_there


def test_every_file_of_a_demonstration_is_a_new_one(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    link.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_new(link, "ours")
    assert victim.read_text() == "precious"
    modules = Path(gridledger.demo.__file__).parent.glob("*.py")
    assert [path.name for path in modules if OTHER_WRITES.search(path.read_text())] == []


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not empty; name an absent or an empty folder"):
        choose_folder(tmp_path, seed=7)
