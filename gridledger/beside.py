"""Work that a process of its own does while this one goes on: checking a genesis of millions of rows, writing their tables."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from gridcore.errors import GridError
from gridcore.processes import end_with_parent

_ANSWER_BYTES_MAX = 4096


@contextmanager
def done_beside(work: Callable[[], None]) -> Iterator[None]:
    """Do ``work``, which writes files or refuses something, while the block runs; done when the block is left. GridError with what went wrong in it.

    The process is a copy of this one: it sees all that is here now, and what it changes is seen by nobody.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _do(work, writing)
    os.close(writing)
    try:
        yield
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        with os.fdopen(reading, "rb") as pipe:
            trouble = pipe.read().decode("utf-8", "replace")
        _, status = os.waitpid(pid, 0)
    if status:
        raise GridError(trouble or f"a process that writes beside this one ended with status {status}")


def _do(work: Callable[[], None], answer: int) -> NoReturn:
    """In the copy: nothing that this process would do at its end is done twice."""
    end_with_parent()
    status = 1
    try:
        work()
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever ends it is told to who waits
        os.write(answer, (str(error) or type(error).__name__).encode()[:_ANSWER_BYTES_MAX])
    finally:
        os._exit(status)
