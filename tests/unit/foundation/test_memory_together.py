"""What a benchmark says of the memory of several processes at one time."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.memory_together import Together

HOLD_MIB = 64
PROGRAM = f"""
import os, sys
held = b"x" * ({HOLD_MIB} << 20)
if sys.argv[1] == "two" and os.fork() == 0:
    held = b"y" * ({HOLD_MIB} << 20)
    print("held", flush=True)
    sys.stdin.read()
    os._exit(0)
print("held", flush=True)
sys.stdin.read()
"""


def held_mib(how: str) -> int:
    """What a process holds in no file, and the one below it where there are two."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        for _ in range(2 if how == "two" else 1):
            assert running.stdout.readline() == "held\n"
        seen = Together()
        seen.look(running.pid)
        assert seen.peak_mib >= seen.peak_anonymous_mib
        running.communicate("")
    return seen.peak_anonymous_mib


def test_what_each_holds_is_added_and_what_they_share_counts_once() -> None:
    alone, together = held_mib("one"), held_mib("two")
    assert HOLD_MIB <= alone < 2 * HOLD_MIB
    assert 2 * HOLD_MIB <= together < 2 * HOLD_MIB + HOLD_MIB // 2, "the first one's are shared: they count once"


def test_a_process_that_is_gone_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    seen = Together()
    seen.look(ended.pid)
    assert (seen.peak_mib, seen.peak_anonymous_mib) == (0, 0)
