"""Work of a process beside this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridcore.errors import GridError, InvariantError, UsageError
from gridledger.beside import done_beside, made_in_two
from tests.waiting import wait_until


def is_running(process: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_is_done_beside_is_there_when_the_block_is_left(tmp_path: Path) -> None:
    def work() -> None:
        (tmp_path / "one").write_text("done")

    with done_beside(work):
        pass
    assert (tmp_path / "one").read_text() == "done"


def test_what_is_made_beside_is_known_when_the_block_is_left() -> None:
    with done_beside(lambda: {"made by": os.getpid()}, can_wait=True) as beside, pytest.raises(InvariantError):
        str(beside.result)
    assert beside.result["made by"] != os.getpid()


def test_work_that_can_wait_begins_when_it_is_told_to(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with done_beside(lambda: made.write_text("made"), can_wait=True) as beside:
        with done_beside(made.exists) as other:
            pass
        beside.begin()
        wait_until(made.exists, "its file")
    assert [other.result, beside.result] == [False, 4]


def test_a_fault_in_the_block_ends_work_that_waits(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(UsageError, match=r"^ours$"), done_beside(lambda: made.write_text("made"), can_wait=True):
        raise UsageError("ours")
    assert not made.exists()


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_what_two_processes_make_stands_in_order(count: int) -> None:
    made = made_in_two(lambda numbers: [(number, os.getpid()) for number in numbers], count)
    assert [number for number, _ in made] == list(range(count))
    assert len({process for _, process in made}) == min(count, 2)


def test_what_goes_wrong_in_the_second_half_is_told() -> None:
    def picky(numbers: range) -> list[int]:
        if 9 in numbers:
            raise UsageError("no nine")
        return list(numbers)

    with pytest.raises(GridError, match=r"^no nine$"):
        made_in_two(picky, 10)


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


def test_nothing_is_done_beside_a_process_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from gridledger.beside import done_beside\n"
        "def endless():\n"
        "    print(os.getpid(), flush=True)\n"
        "    signal.pause()\n"
        "with done_beside(endless):\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        beside = int(process.stdout.readline())
        process.kill()
    wait_until(lambda: not is_running(beside), "the process beside it is gone")
