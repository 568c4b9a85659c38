"""Work of a process beside this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import GridError, UsageError
from gridledger.simulating.beside import done_beside


def test_what_is_done_beside_is_there_when_the_block_is_left(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "one").write_text("done")

    with done_beside(work):
        pass
    assert (tmp_path / "one").read_text() == "done"


def test_what_goes_wrong_beside_is_told_in_its_own_words() -> None:
    def full() -> None:
        raise OSError("no space left")

    with pytest.raises(GridError, match=r"^no space left$"), done_beside(full):
        pass


def test_a_fault_in_the_block_ends_what_is_done_beside(tmp_path: Path) -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(UsageError, match=r"^ours$"), done_beside(endless):
        raise UsageError("ours")
    assert list(tmp_path.iterdir()) == []
