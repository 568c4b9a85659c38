"""Work that a process of its own does while this one goes on: checking a genesis of millions of rows, writing their tables, half of a world."""

from __future__ import annotations

import os
import pickle  # noqa: TID251 - between a copy of this process and this one, through a file without a name
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Generic, NoReturn, TypeVar

from gridcore.errors import GridError, broken
from gridcore.processes import end_with_parent

T = TypeVar("T")
_ANSWER_BYTES_MAX: Final = 4096
_LAST_OF_ALL: Final = 5
"""So much nicer is work that nobody waits for before the end: it has the processors when others leave them."""


class Beside(Generic[T]):
    """What work beside this process came to, known when its block is left."""

    def __init__(self) -> None:
        self._result: list[T] = []

    @property
    def result(self) -> T:
        """What ``work`` returned."""
        return self._result[0] if self._result else broken("it is done when the block is left")

    def tell(self, result: T) -> None:
        """It is done."""
        self._result.append(result)


@contextmanager
def done_beside(work: Callable[[], T], *, can_wait: bool = False) -> Iterator[Beside[T]]:
    """Do ``work``, which makes something, writes files or refuses something, while the block runs; done when the block is left. GridError with what
    went wrong in it.

    The process is a copy of this one: it sees all that is here now, and of what it changes only its result and what it writes into files
    is seen by others. can_wait: nobody waits for it before the end, so that whatever else runs goes first.
    """
    reading, writing = os.pipe()
    beside = Beside[T]()
    with TemporaryFile() as results:
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            if can_wait:
                os.nice(_LAST_OF_ALL)
            _do(work, writing, results)
        os.close(writing)
        try:
            yield beside
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            with os.fdopen(reading, "rb") as pipe:
                trouble = pipe.read().decode("utf-8", "replace")
            _, status = os.waitpid(pid, 0)
        if status:
            raise GridError(trouble or f"a process that works beside this one ended with status {status}")
        results.seek(0)
        beside.tell(pickle.load(results))  # noqa: S301 - what a copy of this process wrote into a file without a name


def made_in_two(work: Callable[[range], list[T]], count: int) -> list[T]:
    """What ``work`` makes of 0 ... ``count`` - 1, the second half of it beside this process."""
    half = count - count // 2
    with done_beside(lambda: work(range(half, count))) as rest:
        first = work(range(half))
    return [*first, *rest.result]


def _do(work: Callable[[], T], answer: int, results: BinaryIO) -> NoReturn:
    """In the copy: nothing that this process would do at its end is done twice."""
    end_with_parent()
    status = 1
    try:
        pickle.dump(work(), results)
        results.flush()
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever ends it is told to who waits
        os.write(answer, (str(error) or type(error).__name__).encode()[:_ANSWER_BYTES_MAX])
    finally:
        os._exit(status)
