"""Work that a process of its own does while this one goes on: checking a genesis of millions of rows, writing their tables, half of a world."""

from __future__ import annotations

import gc
import os
import pickle  # noqa: TID251 - between a copy of this process and this one, through a file without a name
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Generic, NoReturn, TypeVar

from gridcore.errors import GridError, broken
from gridcore.processes import end_with_parent

T = TypeVar("T")
_ANSWER_BYTES_MAX: Final = 4096
_LAST_OF_ALL: Final = 5
"""So much nicer is work that nobody waits for before the end: it has the processors when others leave them."""


class Beside(Generic[T]):
    """What work beside this process came to, known when its block is left. begun: a pipe in which a byte lets work begin that waits for it."""

    def __init__(self, begun: int | None = None) -> None:
        self._result: list[T] = []
        self._begun = begun

    def begin(self) -> None:
        """Let work begin that can wait; it has begun already where it cannot."""
        if self._begun is not None:
            with suppress(BrokenPipeError):  # it has ended: why is told when the block is left
                os.write(self._begun, b"b")
            os.close(self._begun)
            self._begun = None

    @property
    def result(self) -> T:
        """What ``work`` returned."""
        return self._result[0] if self._result else broken("it is done when the block is left")

    def tell(self, result: T) -> None:
        """It is done."""
        self._result.append(result)


@contextmanager
def done_beside(work: Callable[[], T], *, can_wait: bool = False) -> Iterator[Beside[T]]:
    """Do ``work`` in a copy of this process while the block runs; it is done when the block is left. GridError with what went wrong in it.

    The copy sees all that is here now. Of what it changes, this process gets the result of ``work`` and the files that it writes.
    can_wait: nobody needs the result before the end, so the copy waits until ``begin`` is called or the block is left, and runs behind all else.
    """
    reading, writing = os.pipe()
    begins, begun = os.pipe() if can_wait else (None, None)
    beside = Beside[T](begun)
    with TemporaryFile() as results:
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _do(work, writing, results, begins)
        os.close(writing)
        if begins is not None:
            os.close(begins)
        try:
            yield beside
            beside.begin()
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            beside.begin()
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


def _do(work: Callable[[], T], answer: int, results: BinaryIO, begins: int | None) -> NoReturn:
    """In the copy: nothing that this process would do at its end is done twice. begins: where it is told to begin, the last of all."""
    end_with_parent()
    gc.freeze()  # a collector that walks what is here from before would copy all of it
    status = 1
    try:
        if begins is not None:
            os.nice(_LAST_OF_ALL)
            os.read(begins, 1)
        pickle.dump(work(), results)
        results.flush()
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever ends it is told to who waits
        os.write(answer, (str(error) or type(error).__name__).encode()[:_ANSWER_BYTES_MAX])
    finally:
        os._exit(status)
